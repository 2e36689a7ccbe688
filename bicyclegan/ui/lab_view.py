"""The pitfall lab: what goes wrong in training, seen beside a healthy twin, and cured."""

from __future__ import annotations

from bicyclegan.ui.i18n import for_js, joined
from bicyclegan.ui.panel import Panel
from bicyclegan.ui.run_view import WATCHING, WATCHING_TEXTS


def build_lab() -> Panel:
    """The lessons, and the one that is open: see static/lab.js."""
    scripts = [*WATCHING, "lab.js", "lab_lesson.js"]
    texts = joined(for_js("lab"), for_js("sheet"), WATCHING_TEXTS)
    return Panel("lab.html", ["doctor.css", "lab.css"], scripts, texts, elem_id="lab")
