"""The search finds a colour that codes can paint, and several ways to paint it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bicyclegan import style_search
from bicyclegan.checkpoints import load_examples
from bicyclegan.colour_words import parse_colour
from bicyclegan.errors import UserError
from bicyclegan.object_colour import rgb_to_lab
from bicyclegan.pipeline import Pipeline
from bicyclegan.style_search import MAX_FOUND, TOTAL, ColourMatch, colour_distance, find_colour, pick_apart

DIM = 6


def colour_of(z: np.ndarray) -> np.ndarray:
    """The planted painter's colour: channel c grows with entry c; the other entries do nothing."""
    return np.rint(255 / (1 + np.exp(-1.5 * z[..., :3]))).astype(np.uint8)


def picture(colour: np.ndarray, paper: int = 255) -> Image.Image:
    """A square in this colour on paper, with a white sole, which is not what one calls its colour."""
    pixels = np.full((24, 24, 3), paper, np.uint8)
    pixels[6:18, 6:18] = colour
    pixels[15:18, 6:18] = 240
    return Image.fromarray(pixels)


class Painter:
    """Counts what it paints."""

    def __init__(self, paint: Callable[[np.ndarray], Image.Image] = lambda z: picture(colour_of(z))):
        self.paint, self.batches = paint, []

    def __call__(self, codes: np.ndarray) -> list[Image.Image]:
        assert codes.dtype == np.float32
        self.batches.append(len(codes))
        return [self.paint(code) for code in codes]


@pytest.mark.parametrize(
    "rgb", [(200, 30, 40), (30, 45, 95), (34, 139, 34), (250, 250, 250), (10, 10, 10), (240, 200, 30)]
)
def test_a_planted_colour_is_found(rgb: tuple[int, int, int]) -> None:
    painter = Painter()
    match = find_colour(painter, DIM, rgb)
    wanted = rgb_to_lab(np.uint8(rgb))
    assert match.distance[0] < 8
    assert match.distance[-1] < 20
    assert (np.diff(match.distance) >= 0).all(), "nearest first"
    np.testing.assert_allclose(match.colours.astype(int), colour_of(match.z).astype(int), atol=2)
    np.testing.assert_allclose(match.distance, colour_distance(rgb_to_lab(match.colours), wanted), atol=1)
    assert sum(painter.batches) == TOTAL <= 200
    assert set(painter.batches) == {16}


def test_the_search_is_better_than_its_first_look() -> None:
    rgb = (200, 30, 40)
    found = find_colour(Painter(), DIM, rgb).distance
    painted = colour_of(style_search.sample_codes(0, style_search.FIRST, DIM))
    first = np.sort(colour_distance(rgb_to_lab(painted), rgb_to_lab(np.uint8(rgb))))
    assert found.mean() < 0.7 * first[:8].mean()


@pytest.mark.parametrize("count", [1, 2, 8, MAX_FOUND])
def test_as_many_as_wanted_and_no_copies(count: int) -> None:
    match = find_colour(Painter(), DIM, (30, 90, 160), count)
    assert (match.z.shape, match.z.dtype) == ((count, DIM), np.float32)
    assert (match.colours.shape, match.colours.dtype) == ((count, 3), np.uint8)
    assert match.distance.shape == (count,)
    apart = np.linalg.norm(match.z[:, None] - match.z[None], axis=-1) + 99 * np.eye(count)
    assert apart.min() > (1.0 if count <= 8 else 0.1)


def test_entries_that_do_not_matter_for_the_colour_stay_varied() -> None:
    match = find_colour(Painter(), DIM, (200, 30, 40))
    assert match.z[:, 3:].std(axis=0).min() > 0.4


def test_the_same_seed_finds_the_same() -> None:
    a, b, c = (find_colour(Painter(), DIM, (200, 30, 40), seed=seed) for seed in (3, 3, 4))
    assert a.z.tobytes() == b.z.tobytes()
    assert a.z.tobytes() != c.z.tobytes()
    assert find_colour(Painter(), DIM, (200, 30, 40), seed=2**32 - 1).distance[0] < 10


def test_progress_goes_from_the_first_batch_to_one() -> None:
    shares: list[float] = []
    find_colour(Painter(), DIM, (0, 0, 0), progress=shares.append)
    assert shares == [pytest.approx(16 * (k + 1) / TOTAL) for k in range(TOTAL // 16)]


def test_colours_that_cannot_be_painted_are_honestly_far() -> None:
    grey = Painter(lambda z: picture(np.full(3, colour_of(z)[0])))
    assert find_colour(grey, DIM, (255, 0, 0)).distance.min() > 30
    assert find_colour(grey, DIM, (128, 128, 128)).distance.max() < 5


def test_a_wanted_white_is_seen_on_white_paper() -> None:
    match = find_colour(Painter(), DIM, (255, 255, 255))
    assert match.colours.min() > 200


def test_a_drawing_of_nothing_is_refused() -> None:
    blank = Painter(lambda z: Image.new("RGB", (24, 24), "white"))
    with pytest.raises(UserError, match="draw something first") as caught:
        find_colour(blank, DIM, (255, 0, 0))
    assert caught.value.code == "colour_blank"
    assert sum(blank.batches) == style_search.FIRST


def test_pictures_without_paper_count_as_a_whole() -> None:
    """Those of label maps: their border is no plain colour."""

    def paint(z: np.ndarray) -> Image.Image:
        ramp = np.linspace(0.8, 1.2, 24)[:, None, None] * colour_of(z).astype(float)
        return Image.fromarray(np.broadcast_to(ramp, (24, 24, 3)).clip(0, 255).astype(np.uint8))

    assert find_colour(Painter(paint), DIM, (30, 90, 160)).distance[0] < 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rgb": (1, 2)}, "three values, red, green and blue"),
        ({"rgb": "red"}, "three values, red, green and blue"),
        ({"rgb": (256, 0, 0)}, "rgb is 256; use a whole number from 0 to 255"),
        ({"rgb": (0.5, 0, 0)}, "rgb is 0.5"),
        ({"count": 0}, "count is 0; use a whole number from 1 to 32"),
        ({"count": 33}, "count is 33"),
        ({"seed": -1}, "seed is -1"),
        ({"latent_dim": 0}, "no latent code"),
    ],
)
def test_bad_input_is_refused_before_anything_is_painted(options: dict[str, object], message: str) -> None:
    painter = Painter()
    with pytest.raises(UserError, match=message):
        find_colour(painter, **{"latent_dim": DIM, "rgb": (1, 2, 3), **options})
    assert not painter.batches


def test_distance_counts_hue_before_vividness() -> None:
    wanted = rgb_to_lab(np.uint8([203, 31, 43]))
    dull_red, vivid_orange, grey = rgb_to_lab(np.uint8([[170, 63, 60], [230, 95, 20], [110, 110, 110]]))
    distances = colour_distance(np.stack([dull_red, vivid_orange, grey]), wanted)
    assert distances[0] < distances[1] < distances[2]
    assert colour_distance(wanted[None], wanted)[0] == 0
    greys = rgb_to_lab(np.uint8([[0, 0, 0], [255, 255, 255]]))
    assert colour_distance(greys, greys[0])[1] == pytest.approx(100, abs=0.1)


def test_pick_apart_takes_the_nearest_and_then_what_differs() -> None:
    codes = np.float32([[0, 0], [0.01, 0], [5, 0], [0, 5], [9, 9]])
    distance = np.float32([1, 2, 3, 4, 90])
    assert pick_apart(codes, distance, 1).tolist() == [0]
    assert pick_apart(codes[:4], distance[:4], 3).tolist() == [0, 2, 3]
    assert sorted(pick_apart(codes, distance, 5).tolist()) == [0, 1, 2, 3, 4]
    assert len(pick_apart(np.zeros((9, 2)), np.arange(9.0), 3)) == 3, "even of equal ones there are enough"


@pytest.fixture(scope="module")
def find_shoes(shipped_checkpoint: Path) -> Callable[[str], ColourMatch]:
    prepared = Pipeline.from_pretrained(shipped_checkpoint, device="cpu").prepare(load_examples(shipped_checkpoint)[0])
    return lambda word: find_colour(lambda z: prepared.render(z).images, 8, parse_colour(word))


def test_the_shipped_model_paints_red_and_navy_shoes(find_shoes: Callable[[str], ColourMatch]) -> None:
    red, green, blue = find_shoes("red").colours.astype(int).T
    assert (red > 2 * np.maximum(green, blue)).sum() >= 6
    assert (red > np.maximum(green, blue) + 70).all()
    navy = find_shoes("navy")
    assert navy.distance.max() < 12
    assert (navy.colours[:, 2] > navy.colours[:, 0] + 20).all()
    assert navy.colours.max() < 130
