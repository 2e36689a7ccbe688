"""BicycleGAN: one sketch, many photos (Zhu et al., Toward Multimodal Image-to-Image Translation, 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.pipeline import Output, Pipeline, PreparedSketch

__all__ = ["Output", "Pipeline", "PreparedSketch", "UserError", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the pipeline, and torch with it, at its first use: `--help` and the edge tools need neither."""
    if name in ("Output", "Pipeline", "PreparedSketch"):
        from bicyclegan import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'bicyclegan' has no attribute {name!r}")
