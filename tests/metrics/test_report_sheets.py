"""Sheets of samples: which sketches, which codes, and words that say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from picture_sets import drawing, photo
from PIL import Image
from planted_networks import SCALE, code_of_colour, colour_of_code, lines_of_sketch, plain_photos, plant_subject

from bicyclegan.config import EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.metrics import outputs
from bicyclegan.metrics.outputs import draw_codes
from bicyclegan.metrics.report_sheets import ROWS, STYLES, Sheet, make_sheets, rasterise_drawings
from bicyclegan.metrics.subject import Protocol
from bicyclegan.sketch import Sketch, Stroke
from bicyclegan.training.sheets import GAP, MARGIN, MIN_TILE

COLUMN = MIN_TILE + GAP


@pytest.fixture(autouse=True)
def planted_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are painted with as they are, not rearranged for speed."""
    monkeypatch.setattr(outputs, "_fast", lambda generator: generator)


def sheets(*drawings: Sketch | Image.Image, paint=colour_of_code, read=code_of_colour, **options: Any) -> list[Sheet]:
    options = {"photos": plain_photos(*np.linspace(0, 1, 28), side=32), "protocol": Protocol(seed=3), **options}
    return make_sheets(plant_subject(paint, read, **options), drawings)


def tile(sheet: Sheet, row: int, column: int) -> list[float]:
    """Colour in the middle of a tile, counted from the lower right corner, 0 to 1."""
    x, y = (side - MARGIN - MIN_TILE // 2 for side in sheet.picture.size)
    return [level / 255 for level in sheet.picture.getpixel((x - COLUMN * column, y - COLUMN * row))]


def test_codes_are_random_and_the_same_down_each_column() -> None:
    [sheet] = sheets()
    z = draw_codes(3, 1, STYLES, 3)[0]
    for column in range(STYLES):
        expected = ((SCALE * z[STYLES - 1 - column] + 1) / 2).tolist()
        for row in (0, 4, ROWS - 1):
            assert tile(sheet, row, column) == pytest.approx(expected, abs=0.01)
    assert "8 random codes (seed 3), the same down each column; none is hand-picked." in sheet.caption


def test_photos_are_evenly_spread_with_what_they_become() -> None:
    """Ten of 28 levels: every third."""
    [sheet] = sheets()
    assert (sheet.file, sheet.title) == ("sheet-validation.webp", "Validation pictures")
    assert sheet.caption.startswith("10 validation pictures, evenly spread: sketch, photo, the sketch painted with the")
    gap = sheet.picture.width - 2 * MARGIN - 11 * COLUMN + GAP
    for row in range(ROWS):
        again, real = ([tile(shifted(sheet, gap), row, column)[0]] for column in (STYLES, STYLES + 1))
        assert real == pytest.approx([1 - row / 9], abs=0.01)
        assert again == pytest.approx(real, abs=0.01)


def shifted(sheet: Sheet, gap: int) -> Sheet:
    """Without what is between the given and the painted pictures: tiles left of it are in their place."""
    width, height = sheet.picture.size
    return Sheet("", "", "", sheet.picture.crop((-gap, 0, width - gap, height)))


def test_a_model_without_encoder_has_no_column_for_its_codes() -> None:
    [with_codes], [without] = sheets(), sheets(read=None)
    assert without.picture.width == with_codes.picture.width - COLUMN
    assert "own code" not in without.caption


def test_a_model_without_code_paints_once() -> None:
    [sheet] = sheets(paint=lines_of_sketch, read=None, latent_dim=0)
    [several] = sheets(read=None)
    assert sheet.picture.width == several.picture.width - (STYLES - 1) * COLUMN
    assert "without a code" in sheet.caption
    assert "random" not in sheet.caption


def test_fewer_photos_are_all_shown() -> None:
    [sheet] = sheets(photos=plain_photos(0, 0.5, 1, side=32))
    assert sheet.caption.startswith("3 validation pictures")
    assert sheet.picture.height < 4 * COLUMN


def test_drawings_are_painted_with_the_same_codes(shoe: Sketch) -> None:
    photos, drawn = sheets(shoe, drawing())
    assert (drawn.file, drawn.title) == ("sheet-drawings.webp", "Drawings by people")
    assert drawn.caption.startswith("2 drawings by people, which training never saw, painted with 8 random codes")
    assert drawn.picture.width == photos.picture.width - 2 * COLUMN, "neither a photo nor its code"
    for column in range(STYLES):
        assert tile(drawn, 1, column) == tile(photos, 0, column)


def test_ten_drawings_at_most(shoe: Sketch) -> None:
    _, drawn = sheets(*[shoe] * 12)
    assert drawn.caption.startswith("10 drawings")


def test_drawings_become_what_the_model_takes(shoe: Sketch) -> None:
    config = plant_subject(colour_of_code).checkpoint.config
    a = rasterise_drawings([shoe, drawing(side=60)], config)
    assert a.shape == (2, 1, 32, 32)
    assert a.unique().tolist() == [-1, 1], "black on white, as edges are"
    assert ((a == -1).flatten(1).sum(dim=1) > 20).all()
    three = plant_subject(colour_of_code, sketches=plain_photos(*[1] * 5)).checkpoint.config
    assert rasterise_drawings([shoe], three).shape == (1, 3, 32, 32)
    thick = plant_subject(colour_of_code, edge_style=EdgeStyle(line_width=3)).checkpoint.config
    assert (rasterise_drawings([shoe], thick) == -1).sum() > 1.5 * (a[:1] == -1).sum()


def test_colours_that_the_model_does_not_know_are_refused() -> None:
    second = Sketch((Stroke(((30.0, 30.0), (200.0, 200.0)), color=1),))
    lines = plant_subject(colour_of_code).checkpoint.config
    with pytest.raises(UserError, match="colo"):
        rasterise_drawings([second], lines)
    options = {"edge_style": None, "palette": ("#000000", "#ff0000", "#0000ff"), "paper": "#0000ff"}
    labels = plant_subject(colour_of_code, sketches=plain_photos(*[1] * 5), **options).checkpoint.config
    a = rasterise_drawings([second, photo()], labels)
    assert a.shape == (2, 3, 32, 32)
    assert {tuple(colour) for colour in a[0].flatten(1).T.tolist()} == {(1, -1, -1), (-1, -1, 1)}
