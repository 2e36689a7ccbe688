"""The object of a photo is told from its plain background."""

from __future__ import annotations

import numpy as np

from bicyclegan.sketch.foreground import find_object

PAPER = np.array([250, 250, 245])


def picture(size: int = 128) -> np.ndarray:
    return np.full((size, size, 3), PAPER, np.uint8)


def test_the_object_is_all_that_is_not_background():
    photo = picture()
    photo[30:90, 20:100] = (200, 30, 30)
    expected = np.zeros((128, 128), bool)
    expected[30:90, 20:100] = True
    np.testing.assert_array_equal(find_object(photo, PAPER), expected)


def test_a_white_object_is_one_by_its_outline_although_that_has_gaps():
    photo = picture()
    photo[30:90, 20:100] = 225
    photo[32:88, 22:98] = PAPER
    photo[30:32, 60:62] = PAPER
    mask = find_object(photo, PAPER)
    assert mask[32:88, 22:98].all()
    assert not mask[:29].any()


def test_dirt_and_noise_of_compression_are_no_objects():
    photo = picture()
    photo[30:90, 20:100] = 0
    photo[5:9, 5:9] = 100
    photo[100:120] -= np.random.RandomState(0).randint(0, 8, (20, 128, 3)).astype(np.uint8)
    mask = find_object(photo, PAPER)
    assert mask.sum() == 60 * 80


def test_a_pair_of_objects_is_found():
    photo = picture()
    photo[30:90, 10:55] = 0
    photo[30:90, 70:110] = 0
    assert find_object(photo, PAPER).sum() == 60 * 85


def test_an_empty_photo_has_no_object():
    assert not find_object(picture(), PAPER).any()


def test_an_object_may_touch_the_frame():
    photo = picture()
    photo[:, 40:80] = 20
    np.testing.assert_array_equal(
        find_object(photo, PAPER), np.tile((np.arange(128) >= 40) & (np.arange(128) < 80), (128, 1))
    )
