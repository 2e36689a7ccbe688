"""Pairs are what inference sees, the same for every number of processes and from every step on."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_sets import beside, drawing, labels, photo, save, save_photos, scene, train_config
from PIL import Image, ImageOps

from bicyclegan.config import EdgeStyle, ModelConfig
from bicyclegan.data.pairs import Data, make_loader, open_data, seam_mask, step_keys
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square, load_image
from bicyclegan.sketch import photo_to_edges, prepare_drawing
from bicyclegan.training.config import AugmentConfig, DataConfig, StrokeConfig, TrainConfig

ALL_STROKES = StrokeConfig(threshold_jitter=1.0, drop_strokes=0.3, width_jitter=1.0, wobble=1.0, silhouette=0.2)
ALL_CHANGES = AugmentConfig(flip=0.5, crop=0.1, rotation=10, scale=0.1, hue=0.5)
AS_IT_IS = AugmentConfig(flip=0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return save_photos(tmp_path_factory.mktemp("photos") / "shoes", 9, width=40, height=56)


@pytest.fixture
def colour(tiny_config) -> ModelConfig:
    """The model, reading coloured sketches."""
    return replace(tiny_config, input_channels=3)


def save_pairs(folder: Path, sketch, count: int = 6, left: bool = True, picture=photo) -> Path:
    for seed in range(count):
        sides = [sketch(seed), picture(seed)]
        save(beside(*(sides if left else sides[::-1])), folder / f"{seed}.png")
    return folder


def opened(model, folder: Path, **options) -> Data:
    return open_data(train_config(model, folder, **options))


def refused(model, folder: Path, **options) -> UserError:
    with pytest.raises(UserError) as caught:
        opened(model, folder, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def batches(dataset, config: TrainConfig, start: int = 0, stop: int = 4, workers: int = 0, **options):
    return list(make_loader(dataset, config, start_step=start, stop_step=stop, num_workers=workers, **options))


# Plain pairs


@pytest.mark.parametrize("paper", [(255, 255, 255), (30, 60, 90), None])
@pytest.mark.parametrize("size", [(40, 56), (56, 40), (48, 48), (32, 32), (25, 20)])
@pytest.mark.parametrize("style", [EdgeStyle(), EdgeStyle(line_width=2.0, antialias=True, adaptive=True)])
def test_edges_are_those_of_inference(tiny_config, tmp_path, paper, size, style):
    folder = save_photos(tmp_path / "photos", 4, width=size[0], height=size[1], paper=paper)
    data = opened(tiny_config, folder, edge_style=style)
    for index, name in enumerate(data.train.names):
        a, b = data.train.plain(index)
        np.testing.assert_array_equal(a[..., 0], photo_to_edges(folder / name, style, size=32))
        inside = np.s_[3:-3, 12:-12] if size[1] > size[0] else np.s_[12:-12, 3:-3]
        np.testing.assert_array_equal(b[inside], np.asarray(fit_square(load_image(folder / name), 32))[inside])


def test_drawings_are_those_of_inference(tiny_config, tmp_path):
    folder = save_pairs(tmp_path / "pairs", drawing)
    data = opened(tiny_config, folder)
    for index, name in enumerate(data.train.names):
        a, b = data.train.plain(index)
        seed = int(Path(name).stem)
        np.testing.assert_array_equal(a[..., 0], prepare_drawing(drawing(seed), 32))
        np.testing.assert_array_equal(b, fit_square(photo(seed), 32))
    assert data.report.sketches == "lines"
    assert data.palette == ("#000000",)


def test_label_maps_are_those_of_inference(colour, tmp_path):
    folder = save_pairs(tmp_path / "pairs", labels)
    data = opened(colour, folder)
    for index, name in enumerate(data.train.names):
        np.testing.assert_array_equal(
            data.train.plain(index)[0], fit_square(labels(int(Path(name).stem)), 32, flat=True)
        )
    assert data.report.sketches == "labels"
    assert data.palette[0] == "#0000c8"
    assert set(data.palette) == {"#0000c8", "#dc0000", "#00dc00", "#dcdc00"}


def test_light_lines_on_dark_become_dark_on_light(tiny_config, tmp_path):
    folder = save_pairs(tmp_path / "pairs", lambda seed: ImageOps.invert(drawing(seed)))
    a, _ = opened(tiny_config, folder).train.plain(0)
    assert np.mean(a == 255) > 0.7


def test_pictures_read_larger_are_plain_at_the_right_size(tiny_config, colour, photos, tmp_path):
    cropped = AugmentConfig(crop=0.25)
    for model, folder in (
        (tiny_config, photos),
        (tiny_config, save_pairs(tmp_path / "lines", drawing)),
        (colour, save_pairs(tmp_path / "labels", labels)),
        (colour, save_pairs(tmp_path / "scenes", scene)),
    ):
        data = opened(model, folder, augment=cropped)
        assert data.train.pictures.spec.size == 40
        a, b = data.train.plain(0)
        assert (a.shape, b.shape) == ((32, 32, model.input_channels), (32, 32, 3))
        assert data.validation.pictures.spec.size == 32  # of which nothing is cropped, so that it is exact
        assert data.train[0, 0][1].shape == (32, 32, 3)


def test_sketch_and_photo_have_the_channels_of_the_model(colour, photos):
    grey = replace(colour, output_channels=1)
    a, b = opened(grey, photos, augment=AS_IT_IS).train[0, 0]
    assert (a.shape, b.shape) == ((32, 32, 3), (32, 32, 1))
    assert (a == a[..., :1]).all()
    assert refused(replace(colour, input_channels=2), photos).code == "data_channels"
    assert "output_channels is 4" in str(refused(replace(colour, output_channels=4), photos))


# Augmented pairs


def test_a_pair_is_a_function_of_seed_epoch_and_index(tiny_config, photos):
    first = opened(tiny_config, photos, augment=ALL_CHANGES, strokes=ALL_STROKES)
    again = opened(tiny_config, photos, augment=ALL_CHANGES, strokes=ALL_STROKES)
    other = opened(tiny_config, photos, augment=ALL_CHANGES, strokes=ALL_STROKES, seed=1)
    again.train[0, 1]
    for key in ((0, 3), (5, 0)):
        for one, two in zip(first.train[key], again.train[key], strict=True):
            np.testing.assert_array_equal(one, two)
        assert not np.array_equal(first.train[key][1], other.train[key][1])
    assert not np.array_equal(first.train[0, 3][1], first.train[1, 3][1])


def test_without_augmentation_pairs_are_plain(tiny_config, colour, photos, tmp_path):
    for model, folder in ((tiny_config, photos), (colour, save_pairs(tmp_path / "labels", labels))):
        data = opened(model, folder, augment=AS_IT_IS)
        for one, two in zip(data.train[7, 2], data.train.plain(2), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("sketch", ["computed", "lines", "labels"])
def test_both_sides_are_mirrored(tiny_config, colour, photos, tmp_path, sketch):
    model = colour if sketch == "labels" else tiny_config
    folder = photos
    if sketch != "computed":
        folder = save_pairs(tmp_path / "pairs", drawing if sketch == "lines" else labels)
    data = opened(model, folder, augment=AugmentConfig(flip=1))
    a, b = data.train[0, 0]
    plain_a, plain_b = data.train.plain(0)
    np.testing.assert_array_equal(b, plain_b[:, ::-1])
    if sketch == "computed":  # edges lie on one side of a step in brightness: the other one in a mirror
        assert np.mean(a != plain_a[:, ::-1]) < 0.1
    else:
        np.testing.assert_array_equal(a, plain_a[:, ::-1])


def test_other_colours_leave_the_edges(tiny_config, photos):
    options = {"strokes": ALL_STROKES}
    still = opened(tiny_config, photos, augment=AugmentConfig(scale=0.1), **options)
    turned = opened(tiny_config, photos, augment=AugmentConfig(scale=0.1, hue=1.0), **options)
    for key in ((0, 0), (1, 3)):
        np.testing.assert_array_equal(still.train[key][0], turned.train[key][0])
        assert np.abs(still.train[key][1].astype(int) - turned.train[key][1]).max() > 30


def test_strokes_change_computed_edges_alone(tiny_config, photos, tmp_path):
    drawn = save_pairs(tmp_path / "pairs", drawing)
    for folder, same in ((photos, False), (drawn, True)):
        plain, amateur = (
            opened(tiny_config, folder, augment=AS_IT_IS, strokes=strokes)
            for strokes in (StrokeConfig(), replace(ALL_STROKES, wobble=4.0))
        )
        sketches = [[data.train[0, index][0] for index in range(5)] for data in (plain, amateur)]
        assert np.array_equal(*sketches) == same
        np.testing.assert_array_equal(plain.train[0, 1][1], amateur.train[0, 1][1])


@pytest.mark.parametrize("augment", [AS_IT_IS, AugmentConfig(rotation=8, scale=0.1)])
def test_filling_around_a_scene_draws_no_lines(tiny_config, tmp_path, augment):
    shading = np.tile(np.linspace(60, 200, 48).astype(np.uint8)[:, None], (24, 1, 3))
    for seed in range(4):
        save(Image.fromarray(np.roll(shading, seed, axis=2)), tmp_path / "photos" / f"{seed}.png")
    data = opened(tiny_config, tmp_path / "photos", augment=augment, source=DataConfig(layout="photos"))
    assert data.train.pictures.boxes[0].tolist() == [0, 8, 32, 16]
    assert np.mean(photo_to_edges(data.train.pictures.read(0)[1]) == 0) > 0.03  # what there would be
    for epoch in range(10):
        a, _ = data.train[epoch, 0]
        assert np.mean(a == 0) < 0.002


def test_seams_are_beside_the_filling():
    mask = seam_mask((0, 8, 32, 16), 32)
    assert np.flatnonzero(mask[:, 0]).tolist() == [6, 7, 8, 9, 22, 23, 24, 25]
    assert not seam_mask((0, 0, 32, 32), 32).any()


# What kind of sketches these are


def test_coloured_sketches_need_three_channels(tiny_config, tmp_path):
    error = refused(tiny_config, save_pairs(tmp_path / "pairs", labels, picture=scene))
    assert error.code == "data_coloured"
    assert "--input-channels 3" in str(error)
    assert "--layout photos" in str(error)
    assert "#0000c8" in str(error)


def test_exchanged_sides_are_noticed(tiny_config, colour, tmp_path):
    folder = save_pairs(tmp_path / "pairs", labels, left=False, picture=scene)
    error = refused(tiny_config, folder)
    assert error.code == "data_exchanged"
    assert "--direction BtoA" in str(error)
    assert any("--direction BtoA" in text for text in opened(colour, folder).report.warnings)
    right = opened(colour, folder, source=DataConfig(direction="BtoA")).report
    assert not any("--direction" in text for text in right.warnings)
    assert (right.layout, right.direction) == ("side-by-side", "BtoA")


def test_the_other_half_may_be_the_sketch(tiny_config, tmp_path):
    ab, ba = (save_pairs(tmp_path / name, drawing, left=left) for name, left in (("ab", True), ("ba", False)))
    one = opened(tiny_config, ab).train
    two = opened(tiny_config, ba, source=DataConfig(direction="BtoA")).train
    for first, second in zip(one.plain(1), two.plain(1), strict=True):
        np.testing.assert_array_equal(first, second)


def test_grey_lines_may_have_three_channels(colour, tmp_path):
    data = opened(colour, save_pairs(tmp_path / "pairs", drawing))
    a, _ = data.train[0, 0]
    assert a.shape == (32, 32, 3)
    assert data.palette == ("#000000",)


def test_shaded_sketches_become_lines_or_stay(tiny_config, colour, tmp_path):
    folder = save_pairs(tmp_path / "pairs", lambda seed: scene(seed).convert("L"), picture=scene)
    lines = opened(tiny_config, folder)
    assert any("shades of grey" in text for text in lines.report.warnings)
    assert set(np.unique(lines.train.plain(0)[0])) <= {0, 255}
    shaded = opened(colour, folder)
    assert shaded.report.sketches == "pictures"
    assert len(np.unique(shaded.train.plain(0)[0])) > 50


def test_two_folders_are_pairs(tiny_config, tmp_path):
    for seed in range(5):
        save(drawing(seed, 96), tmp_path / "set" / "A" / f"{seed}.png")
        save(photo(seed), tmp_path / "set" / "B" / f"{seed}.jpg")
    data = opened(tiny_config, tmp_path / "set")
    assert data.report.layout == "folders"
    assert sorted((*data.train.names, *data.validation.names)) == [f"{seed}.jpg" for seed in range(5)]
    a, _ = data.train.plain(0)
    seed = int(Path(data.train.names[0]).stem)
    np.testing.assert_array_equal(a[..., 0], prepare_drawing(drawing(seed, 96), 32))


def test_pairs_that_are_all_broken_are_too_few(tiny_config, tmp_path):
    folder = save_pairs(tmp_path / "pairs", drawing)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:200])
    assert refused(tiny_config, folder).code == "data_too_few"


def test_the_cache_lies_beside_the_runs_or_where_it_should(tiny_config, photos, tmp_path):
    report = open_data(replace(train_config(tiny_config, photos), out=str(tmp_path / "runs" / "x"))).report
    assert report.cache == str(tmp_path / "runs" / ".cache")
    elsewhere = DataConfig(cache_dir=str(tmp_path / "decoded"))
    assert opened(tiny_config, photos, source=elsewhere).report.cache == str(tmp_path / "decoded")
    assert list((tmp_path / "decoded").glob("*.npy"))


# Order


def test_every_epoch_holds_every_picture_once():
    keys = [key for step in range(25) for key in step_keys(10, 4, seed=3, step=step)]
    assert [epoch for epoch, _ in keys] == [position // 10 for position in range(100)]
    orders = [[index for epoch, index in keys if epoch == wanted] for wanted in range(10)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(map(tuple, orders))) > 5
    assert keys != [key for step in range(25) for key in step_keys(10, 4, seed=4, step=step)]


def test_a_batch_may_be_larger_than_the_data():
    keys = step_keys(3, 8, seed=0, step=0)
    assert [epoch for epoch, _ in keys] == [0, 0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("halves", [True, False])
def test_processes_share_a_batch(halves):
    whole = step_keys(100, 12, seed=0, step=5)
    parts = [step_keys(100, 12, seed=0, step=5, rank=rank, world_size=3, halves=halves) for rank in range(3)]
    assert sorted(key for part in parts for key in part) == sorted(whole)
    if halves:  # of each process, the first half of its part is from the first half of the batch
        assert parts[1] == whole[2:4] + whole[8:10]
    else:
        assert parts[1] == whole[4:8]


@pytest.mark.parametrize(("batch_size", "world_size", "halves", "multiple"), [(8, 3, False, 3), (6, 2, True, 4)])
def test_batches_that_cannot_be_shared(batch_size, world_size, halves, multiple):
    with pytest.raises(UserError, match=f"use a multiple of {multiple}"):
        step_keys(10, batch_size, seed=0, step=0, rank=0, world_size=world_size, halves=halves)


# Batches


def test_batches_are_tensors_of_bytes(tiny_config, photos):
    data = opened(tiny_config, photos)
    loaded = batches(data.train, data.train.config, 0, 3)
    assert len(loaded) == 3
    for a, b in loaded:
        assert (tuple(a.shape), tuple(b.shape)) == ((4, 32, 32, 1), (4, 32, 32, 3))
        assert (a.dtype, b.dtype) == (torch.uint8, torch.uint8)
        assert set(a.unique().tolist()) == {0, 255}


def test_batches_do_not_depend_on_processes(tiny_config, photos):
    data = opened(tiny_config, photos, augment=ALL_CHANGES, strokes=ALL_STROKES)
    alone, helped = (batches(data.train, data.train.config, 2, 7, workers) for workers in (0, 2))
    assert len(alone) == len(helped) == 5
    for one, two in zip(alone, helped, strict=True):
        assert all(torch.equal(*sides) for sides in zip(one, two, strict=True))


def test_a_run_goes_on_where_it_was(tiny_config, photos):
    data = opened(tiny_config, photos, augment=ALL_CHANGES, strokes=ALL_STROKES)
    whole, rest = batches(data.train, data.train.config, 0, 6), batches(data.train, data.train.config, 4, 6)
    assert len(rest) == 2
    for one, two in zip(whole[4:], rest, strict=True):
        assert all(torch.equal(*sides) for sides in zip(one, two, strict=True))


def test_processes_read_their_own_part(tiny_config, photos):
    data = opened(tiny_config, photos)
    ((whole, _),) = batches(data.train, data.train.config, 0, 1)
    parts = [batches(data.train, data.train.config, 0, 1, rank=rank, world_size=2)[0][0] for rank in (0, 1)]
    assert torch.equal(torch.stack([parts[0][0], parts[1][0], parts[0][1], parts[1][1]]), whole)
    with pytest.raises(UserError, match="cannot be shared"):
        make_loader(data.train, data.train.config, start_step=0, stop_step=1, world_size=3, num_workers=0)


def test_the_pictures_of_a_batch_are_those_of_its_keys(tiny_config, photos):
    data = opened(tiny_config, photos, augment=ALL_CHANGES)
    ((a, b),) = batches(data.train, data.train.config, 3, 4)
    for place, key in enumerate(step_keys(len(data.train), 4, seed=0, step=3)):
        for side, expected in zip((a, b), data.train[key], strict=True):
            np.testing.assert_array_equal(side[place], expected)


def test_a_limit_is_kept(tiny_config, photos):
    data = opened(tiny_config, photos, source=DataConfig(max_images=3))
    assert len(data.train) == len(data.train.names) == 3
    assert not set(data.train.names) & set(data.validation.names)
    assert Image.open(photos / data.train.names[0]).size == (40, 56)


def test_readers_survive_the_signal_that_a_whole_group_gets(tiny_config, photos):
    data = opened(tiny_config, photos)
    options = {"start_step": 0, "stop_step": 6}
    expected = list(make_loader(data.train, data.train.config, num_workers=0, **options))
    reading = iter(make_loader(data.train, data.train.config, num_workers=1, **options))
    first = next(reading)
    os.kill(reading._workers[0].pid, signal.SIGTERM)
    found = [first, *reading]
    assert all(
        torch.equal(a, b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)
    )
