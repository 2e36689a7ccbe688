"""Sheets of samples that an evaluation shows: random codes, seeds fixed, nothing chosen by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bicyclegan import images
from bicyclegan.config import CheckpointConfig, EdgeStyle
from bicyclegan.metrics.outputs import draw_codes, encode, paint, paint_each
from bicyclegan.metrics.subject import Subject
from bicyclegan.sketch import Sketch
from bicyclegan.sketch.labels import prepare_picture
from bicyclegan.training.sheets import sample_sheet

ROWS, STYLES = 10, 8


@dataclass(frozen=True)
class Sheet:
    """One picture of many."""

    file: str
    title: str
    caption: str
    picture: Image.Image


def make_sheets(subject: Subject, drawings: Sequence[Sketch | Image.Image] = ()) -> list[Sheet]:
    """Validation sketches in random styles beside their photos, and drawings of people, with the same codes."""
    count, dim = len(subject.data.photos), subject.latent_dim
    rows = np.linspace(0, count - 1, min(count, ROWS)).round().astype(int).tolist()
    z = draw_codes(subject.protocol.seed, 1, STYLES if dim else 1, dim)[0]
    how = f"with {STYLES} random codes (seed {subject.protocol.seed}), the same down each column; none is hand-picked"
    painted = f"painted {how if dim else 'without a code, for this model has none'}."
    sheets = [_of_photos(subject, rows, z, painted)]
    if drawings:
        sheets.append(_of_drawings(subject, drawings, z, painted))
    return sheets


def rasterise_drawings(drawings: Sequence[Sketch | Image.Image], config: CheckpointConfig) -> Tensor:
    """The first `ROWS` drawings as a model takes them: (n, input_channels, H, W) in [-1, 1].

    Raises `UserError` for a drawing in colours that the model does not know.
    """
    size, style = config.model.image_size, config.edge_style or EdgeStyle()
    rasters = []
    for drawing in drawings[:ROWS]:
        if isinstance(drawing, Sketch):
            rasters.append(drawing.rasterise(size, style, config.palette, config.paper))
        else:
            rasters.append(prepare_picture(drawing, config))
    a = torch.cat([images.to_float(raster) for raster in rasters])
    return a.expand(-1, config.model.input_channels, -1, -1) if a.shape[1] == 1 else a


def _of_photos(subject: Subject, rows: list[int], z: Tensor, painted: str) -> Sheet:
    generator, encoder = subject.checkpoint.generator, subject.checkpoint.encoder
    a, b = subject.sketches(rows), images.to_float(subject.data.photos[rows])
    again = paint(generator, a, encode(encoder, b)[0]) if encoder else None
    picture = sample_sheet(a, b, again, paint_each(generator, a, z), max_rows=ROWS)
    own = "the sketch painted with the photo's own code, " if encoder else ""
    caption = f"{len(rows)} validation pictures, evenly spread: sketch, photo, {own}and the sketch {painted}"
    return Sheet("sheet-validation.webp", "Validation pictures", caption, picture)


def _of_drawings(subject: Subject, drawings: Sequence[Sketch | Image.Image], z: Tensor, painted: str) -> Sheet:
    a = rasterise_drawings(drawings, subject.checkpoint.config)
    picture = sample_sheet(a, None, None, paint_each(subject.checkpoint.generator, a, z), max_rows=ROWS)
    caption = f"{len(a)} drawings by people, which training never saw, {painted}"
    return Sheet("sheet-drawings.webp", "Drawings by people", caption, picture)
