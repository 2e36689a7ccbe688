"""One colour for each run, the same everywhere on the page: light, and what takes its place on a dark page."""

from __future__ import annotations

RUN_COLOURS = (
    ("#2563eb", "#60a5fa"),
    ("#d95f02", "#fb923c"),
    ("#0f766e", "#2dd4bf"),
    ("#be185d", "#f472b6"),
    ("#6d28d9", "#c084fc"),
    ("#4d7c0f", "#a3e635"),
    ("#713f12", "#fde047"),
    ("#475569", "#cbd5e1"),
)
"""As many as there may be runs, neighbours far apart in hue and lightness."""
RUN_PALETTE = dict(RUN_COLOURS)
