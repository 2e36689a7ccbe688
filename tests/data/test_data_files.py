"""Every usual way to lay out a data set is understood; what is left out is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from picture_sets import beside, drawing, photo, save

from bicyclegan.data.files import Entry, choose, find_files, set_aside
from bicyclegan.errors import UserError
from bicyclegan.training.config import DataConfig


def fill(root: Path, *names: str) -> Path:
    """Pictures at these paths; those ending in _AB are pairs side by side."""
    for seed, name in enumerate(names):
        picture = beside(drawing(seed), photo(seed)) if Path(name).stem.endswith("_AB") else photo(seed)
        save(picture, root / name)
    return root


def found(root: Path, data: str = "", **options):
    return find_files(DataConfig(**options), str(root / data))


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


def refused(root: Path, **options) -> UserError:
    with pytest.raises(UserError) as caught:
        found(root, **options)
    assert "\n" not in str(caught.value)
    return caught.value


# Layouts


@pytest.mark.parametrize(
    ("files", "data", "layout", "train", "validation", "source"),
    [
        ("train/a.png train/b.png val/c.png", "", "photos", "a.png b.png", "c.png", "val"),
        ("train/a.png train/b.png test/c.png", "", "photos", "a.png b.png", "c.png", "test"),
        ("train/a.png test/b.png val/c.png", "", "photos", "a.png", "c.png", "val"),
        ("Train/a.png Val/c.png", "", "photos", "a.png", "c.png", "Val"),
        ("train/a.png val/c.png", "train", "photos", "a.png", "c.png", "val"),
        ("a.png b.png val/c.png", "", "photos", "a.png b.png", "c.png", "val"),
        ("train/boots/a.png train/a.png val/c.png", "", "photos", "a.png boots/a.png", "c.png", "val"),
        ("train/a_AB.png val/c_AB.png", "", "side-by-side", "a_AB.png", "c_AB.png", "val"),
        ("trainA/a.png trainB/a.png valA/c.png valB/c.png", "", "folders", "a.png", "c.png", "valB"),
        ("train/A/a.png train/B/a.png test/A/c.png test/B/c.png", "", "folders", "a.png", "c.png", "test"),
        ("A/train/a.png B/train/a.png A/val/c.png B/val/c.png", "", "folders", "a.png", "c.png", "val"),
        ("A/a.png B/a.png val/A/c.png val/B/c.png", "", "folders", "a.png", "c.png", "val"),
        ("edges/a.png photos/a.png val/edges/c.png val/photos/c.png", "", "folders", "a.png", "c.png", "val"),
    ],
)
def test_usual_folders_are_understood(tmp_path, files, data, layout, train, validation, source):
    result = found(fill(tmp_path, *files.split()), data)
    assert result.layout == layout
    assert (names(result.train), names(result.validation)) == (train.split(), validation.split())
    assert result.validation_source == f"folder {source}"


def test_a_folder_may_be_given_from_inside(tmp_path, monkeypatch):
    fill(tmp_path, "train/a.png", "val/c.png")
    monkeypatch.chdir(tmp_path / "train")
    assert names(find_files(DataConfig(), ".").validation) == ["c.png"]


@pytest.mark.parametrize(("direction", "name"), [("AtoB", "x/1.jpg"), ("BtoA", "x/1.png")])
def test_pairs_of_folders_hold_sketch_and_photo(tmp_path, direction, name):
    fill(tmp_path, "A/x/1.png", "B/x/1.jpg", "A/2.png", "B/2.png", "A/3.png", "B/3.png")
    result = found(tmp_path, direction=direction)
    (entry,) = (entry for entry in (*result.train, *result.validation) if entry.name == name)
    sides = tmp_path / "A/x/1.png", tmp_path / "B/x/1.jpg"
    assert (entry.sketch, entry.photo) == (sides if direction == "AtoB" else sides[::-1])


def test_files_without_their_other_half_are_named(tmp_path):
    fill(
        tmp_path, "A/1.png", "A/2.png", "A/3.png", "A/only.png", "B/1.png", "B/2.png", "B/2.jpg", "B/3.png", "B/x/1.png"
    )
    result = found(tmp_path)
    assert sorted(result.unpaired) == ["A/only", "B/2.png (beside 2.jpg)", "B/x/1"]
    assert len(result.train) + len(result.validation) == 3


def test_a_layout_that_is_asked_for_is_taken(tmp_path):
    fill(tmp_path, "A/1.png", "B/1.png", "B/2_AB.png")
    assert len(found(tmp_path, layout="photos").train) == 2
    assert found(tmp_path, layout="photos").layout == "photos"
    assert found(tmp_path, layout="side-by-side").layout == "side-by-side"


def test_one_wide_photo_among_others_makes_no_pairs(tmp_path):
    assert found(fill(tmp_path, "1.png", "2.png", "3_AB.png")).layout == "photos"
    (tmp_path / "1.png").write_bytes(b"broken")
    (tmp_path / "2.png").write_bytes(b"broken")
    assert found(tmp_path).layout == "side-by-side"


def test_validation_data_win_over_a_folder(tmp_path):
    fill(tmp_path, "set/train/a.png", "set/val/b.png", "other/c.png", "pairs/A/d.png", "pairs/B/d.png")
    result = found(tmp_path, "set", val_data=str(tmp_path / "other"))
    assert names(result.validation) == ["c.png"]
    assert result.validation_source == f"folder {tmp_path / 'other'}"


def test_an_empty_validation_folder_is_as_good_as_none(tmp_path):
    fill(tmp_path, "train/a.png", "train/b.png", "train/c.png")
    (tmp_path / "val").mkdir()
    assert found(tmp_path).set_aside
    assert len(found(tmp_path).validation) == 1


# What is set aside


def entries(count: int) -> list[Entry]:
    return [Entry(f"{k}.png", Path(f"{k}.png")) for k in range(count)]


def test_what_is_set_aside_stays_so_when_files_are_added():
    before, after = (set(names(set_aside(entries(count), 0.1)[1])) for count in (300, 400))
    assert before <= after
    assert 15 <= len(before) <= 45


@pytest.mark.parametrize(("count", "expected"), [(2, (1, 1)), (3, (2, 1)), (10, (9, 1))])
def test_something_is_set_aside_and_something_is_left(count, expected):
    assert tuple(map(len, set_aside(entries(count), 0.01))) == expected


def test_not_all_is_set_aside():
    train, validation = set_aside(entries(4), 0.5)
    assert len(train) >= 2
    assert {*names(train), *names(validation)} == set(names(entries(4)))


def test_fewer_pictures_are_a_part_of_more():
    few, more = (names(choose(entries(50), count)) for count in (5, 20))
    assert set(few) < set(more)
    assert few != names(entries(5))
    assert names(choose(entries(3), 9)) == names(entries(3))


def test_a_limit_leaves_validation_as_it_is(tmp_path):
    fill(tmp_path, *(f"train/{k}.png" for k in range(8)), *(f"val/{k}.png" for k in range(5)))
    result = found(tmp_path, max_images=3)
    assert (len(result.train), len(result.validation)) == (3, 5)


# What is left out


def test_hidden_files_are_not_seen(tmp_path):
    fill(tmp_path, "a.png", "b.png", "c.png", ".d.png", ".hidden/e.png", "__MACOSX/f.png")
    result = found(tmp_path)
    assert sorted(names([*result.train, *result.validation])) == ["a.png", "b.png", "c.png"]
    assert result.others == ()


def test_links_do_not_lead_out_of_the_folder(tmp_path):
    fill(tmp_path, "data/a.png", "data/b.png", "data/c.png", "secret/d.png")
    (tmp_path / "data" / "file.png").symlink_to(tmp_path / "secret" / "d.png")
    (tmp_path / "data" / "folder").symlink_to(tmp_path / "secret")
    (tmp_path / "data" / "val").symlink_to(tmp_path / "secret")
    (tmp_path / "data" / "within.png").symlink_to("a.png")
    result = found(tmp_path, "data")
    assert sorted(names([*result.train, *result.validation])) == ["a.png", "b.png", "c.png", "within.png"]
    assert sorted(result.links) == ["file.png", "folder", "val"]


def test_the_data_folder_itself_may_be_a_link(tmp_path):
    fill(tmp_path, "disk/a.png", "disk/b.png", "disk/c.png")
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    result = found(tmp_path, "data")
    assert len(result.train) + len(result.validation) == 3


def test_files_that_are_no_pictures_are_named(tmp_path):
    fill(tmp_path, "a.png", "b.png", "c.png")
    for name in ("LICENSE.txt", "model.pth", "d.HEIC"):
        (tmp_path / name).write_bytes(b"x")
    result = found(tmp_path)
    assert result.others == ("model.pth",)
    assert "d.HEIC" in names([*result.train, *result.validation])  # so that the check says why it cannot be read


# Mistakes


def test_no_folder_at_all(tmp_path):
    with pytest.raises(UserError, match="--data FOLDER"):
        find_files(DataConfig(), "")
    assert refused(tmp_path / "missing").code == "data_missing"
    assert str(tmp_path / "other") in str(refused(fill(tmp_path, "a.png"), val_data=str(tmp_path / "other")))


def test_a_file_is_no_folder(tmp_path):
    fill(tmp_path, "a.png")
    assert refused(tmp_path / "a.png").code == "data_file"
    (tmp_path / "shoes.ZIP").write_bytes(b"PK")
    assert "unpack it first" in str(refused(tmp_path / "shoes.ZIP"))


def test_a_folder_with_nothing_but_an_archive(tmp_path):
    (tmp_path / "shoes.zip").write_bytes(b"PK")
    error = refused(tmp_path)
    assert error.code == "data_archive"
    assert "shoes.zip" in str(error)


def test_empty_folders(tmp_path):
    assert refused(tmp_path).code == "data_empty"
    (tmp_path / "train").mkdir()
    assert str(tmp_path / "train") in str(refused(tmp_path))


def test_folders_without_common_names(tmp_path):
    error = refused(fill(tmp_path, "A/1.png", "B/2.png"))
    assert error.code == "data_no_pairs"
    assert "A/1" in str(error)
    assert "B/2" in str(error)


def test_parallel_folders_that_are_not_there(tmp_path):
    error = refused(fill(tmp_path, "1.png", "2.png"), layout="folders")
    assert error.code == "data_sides"
    assert "A + B" in str(error)


def test_validation_photos_are_no_pairs(tmp_path):
    assert refused(fill(tmp_path, "A/1.png", "B/1.png", "val/2.png")).code == "data_sides"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read(tmp_path):
    fill(tmp_path, "a.png", "b/c.png")
    (tmp_path / "b").chmod(0)
    try:
        assert refused(tmp_path).code == "data_unreadable"
    finally:
        (tmp_path / "b").chmod(0o755)
