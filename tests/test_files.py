"""Files and folders that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bicyclegan.files import recover_folder, replace_folder, write_atomic


def fill(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "file").write_text(text)
    return folder


def test_an_error_leaves_the_old_folder_and_no_rest(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", "old")
    with pytest.raises(RuntimeError), replace_folder(folder) as new:
        (new / "file").write_text("half")
        raise RuntimeError
    assert (folder / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", "old")
    (folder / "gone").touch()
    with replace_folder(folder) as new:
        (new / "sub").mkdir()
        (new / "sub" / "file").write_text("new")
    assert sorted(path.name for path in folder.rglob("*")) == ["file", "sub"]
    assert list(tmp_path.iterdir()) == [folder]


def test_recovery_between_the_two_renames_takes_the_new_folder(tmp_path: Path) -> None:
    fill(tmp_path / ".model.abc" / "old", "old")
    fill(tmp_path / ".model.abc" / "new", "new")
    recover_folder(tmp_path / "model")
    assert (tmp_path / "model" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_recovery_of_an_unfinished_new_folder_drops_it(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", "old")
    fill(tmp_path / ".model.abc" / "new", "half")
    recover_folder(folder)
    assert (folder / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_an_unfinished_first_folder_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    fill(tmp_path / ".model.abc" / "new", "half")
    recover_folder(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_recovery_after_the_second_rename_only_clears_up(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", "new")
    fill(tmp_path / ".model.abc" / "old", "old")
    recover_folder(folder)
    assert (folder / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [folder]


def test_recovery_leaves_neighbours_alone(tmp_path: Path) -> None:
    fill(tmp_path / ".other.abc" / "new", "x")
    fill(tmp_path / ".model2.abc" / "old", "x")
    recover_folder(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model2.abc", ".other.abc"]


def test_write_atomic_leaves_no_rest_when_the_target_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_atomic(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
