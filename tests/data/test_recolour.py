"""Objects get vivid colours, grey ones too; backgrounds, skin and shading stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bicyclegan.data.recolour import recolour

SEEDS = range(30)
SKIN = (215, 165, 140)


def ball(colour, paper=(255, 255, 255), size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A ball of a colour on paper with its mask; brighter at its upper left."""
    y, x = (np.mgrid[:size, :size] - size / 2) / (size * 0.35)
    mask = x**2 + y**2 < 1
    light = np.clip(0.75 - 0.25 * (x + y), 0.4, 1.2)[..., None]
    pixels = np.where(mask[..., None], np.array(colour) * light, paper)
    return pixels.clip(0, 255).astype(np.uint8), mask


def others(photo: np.ndarray, mask: np.ndarray | None) -> list[np.ndarray]:
    before = photo.copy()
    results = [recolour(photo, np.random.RandomState(seed), mask) for seed in SEEDS]
    np.testing.assert_array_equal(photo, before)  # the cache is not painted on
    return results


def lab(pixels: np.ndarray) -> np.ndarray:
    """L* 0 to 100, a*, b*."""
    return cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def chroma(pixels: np.ndarray, mask: np.ndarray) -> float:
    return float(np.median(np.hypot(*np.moveaxis(lab(pixels)[mask][:, 1:], 1, 0))))


def hue(pixels: np.ndarray, mask: np.ndarray) -> float:
    _, a, b = np.median(lab(pixels)[mask], axis=0)
    return float(np.degrees(np.arctan2(b, a)) % 360)


@pytest.mark.parametrize("colour", [(200, 40, 40), (25, 25, 25), (235, 235, 235)])
@pytest.mark.parametrize("paper", [(255, 255, 255), (90, 120, 200)])
def test_the_background_stays_to_the_last_bit(colour, paper):
    photo, mask = ball(colour, paper)
    far = ~cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    for result in others(photo, mask):
        assert (result.shape, result.dtype) == (photo.shape, np.uint8)
        np.testing.assert_array_equal(result[far], photo[far])


@pytest.mark.parametrize("grey", [20, 60, 128, 200, 240])
def test_grey_objects_get_a_colour(grey):
    photo, mask = ball((grey,) * 3)
    results = others(photo, mask)
    assert np.median([chroma(result, mask) for result in results]) > 20
    assert min(chroma(result, mask) for result in results) > 5
    assert len({int(hue(result, mask) // 60) for result in results}) >= 5  # all around the circle


def test_coloured_objects_turn_their_hue_and_keep_their_light():
    photo, mask = ball((180, 60, 50))
    start = hue(photo, mask)
    turns = [(hue(result, mask) - start) % 360 for result in others(photo, mask)]
    assert all(30 < turn < 330 for turn in turns)
    for result in others(photo, mask):
        difference = lab(result)[mask][:, 0] - lab(photo)[mask][:, 0]
        assert np.abs(np.median(difference)) < 12  # colours that a screen lacks are clipped


def test_shading_survives():
    for colour in ((180, 60, 50), (40, 40, 40)):
        photo, mask = ball(colour)
        before = lab(photo)[mask][:, 0]
        for result in others(photo, mask):
            after = lab(result)[mask][:, 0]
            assert np.corrcoef(before, after)[0, 1] > 0.8


def test_black_and_white_parts_of_a_coloured_object_stay():
    photo, mask = ball((190, 40, 40))
    photo[40:46, 20:44] = 250
    for result in others(photo, mask):
        assert np.abs(result[41:45, 22:42].astype(int) - 250).max() <= 3


def test_skin_stays_beside_a_garment():
    photo, mask = ball((40, 70, 170))
    photo[12:20, 26:38] = SKIN
    for result in others(photo, mask):
        assert np.abs(result[14:18, 28:36].astype(int) - SKIN).max() <= 4
        assert np.abs(result[40, 32].astype(int) - photo[40, 32]).max() > 20


def test_leather_in_the_colour_of_skin_is_leather():
    photo, mask = ball(SKIN)
    assert all(np.abs(result[mask].astype(int) - photo[mask]).max() > 20 for result in others(photo, mask))


def test_scenes_turn_a_little():
    noise = np.random.RandomState(0).randint(-20, 21, (64, 64, 3))
    photo = (noise + np.array([180, 90, 60])).astype(np.uint8)
    everything = np.ones((64, 64), bool)
    for result in others(photo, None):
        turned = np.abs((hue(result, everything) - hue(photo, everything) + 180) % 360 - 180)
        assert turned < 28
    assert len({result.tobytes() for result in others(photo, None)}) == len(SEEDS)


def test_without_an_object_nothing_happens():
    photo, _ = ball((200, 0, 0))
    np.testing.assert_array_equal(recolour(photo, np.random.RandomState(0), np.zeros((64, 64), bool)), photo)
