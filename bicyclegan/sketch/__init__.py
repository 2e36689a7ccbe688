"""Sketches as vector documents, and photos as the edges that a model was trained on."""

from bicyclegan.config import EdgeStyle
from bicyclegan.sketch.edges import photo_to_edges, prepare_drawing, with_detail
from bicyclegan.sketch.strokes import Sketch, Stroke

__all__ = ["EdgeStyle", "Sketch", "Stroke", "photo_to_edges", "prepare_drawing", "with_detail"]
