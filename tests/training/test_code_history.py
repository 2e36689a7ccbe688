"""How codes moved: what belongs together is read, all else is left out and counted, and nothing is trusted."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from latent_example import example_codes, write_code_run, write_codes

from bicyclegan.config import MODEL_FILE
from bicyclegan.errors import UserError
from bicyclegan.projection import Pca
from bicyclegan.training import code_history
from bicyclegan.training.code_history import MAX_MOMENTS, history_coords, read_code_history
from bicyclegan.training.events import LatentsWritten
from bicyclegan.training.run_folder import RunFolder

MU = example_codes(6, 4)[0]


def moving(*steps: int) -> dict[int, np.ndarray]:
    """Codes that grow with the step."""
    return {step: (step * MU).astype(np.float32) for step in steps}


def file_of(run: Path, step: int) -> Path:
    return RunFolder(run).latents(step)


def test_steps_come_in_order_with_their_codes(tmp_path: Path) -> None:
    history = read_code_history(write_code_run(tmp_path / "run", moving(20, 10, 30)))
    assert history.steps.tolist() == [10, 20, 30]
    assert history.names == tuple(f"photo {k}.png" for k in range(6))
    assert history.mu.dtype == history.logvar.dtype == np.float32
    assert np.array_equal(history.mu, np.stack([step * MU for step in (10, 20, 30)]).astype(np.float32))
    assert np.all(history.logvar == -1)
    assert history.skipped == 0


def test_of_several_files_of_one_step_the_last_is_read(tmp_path: Path) -> None:
    again = LatentsWritten(step=10, path="latents/again.npz")
    run = write_code_run(tmp_path / "run", moving(10, 20), [again])
    write_codes(run / again.path, 7 * MU)
    history = read_code_history(run)
    assert history.steps.tolist() == [10, 20]
    assert np.array_equal(history.mu[0], 7 * MU)


def with_nan(mu: np.ndarray) -> np.ndarray:
    mu = mu.copy()
    mu[2, 1] = np.nan
    return mu


def packed(path: Path, **arrays: np.ndarray) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def pickled(path: Path) -> None:
    packed(path, mu=MU, logvar=MU, names=np.array([{"a": 1}] * 6, dtype=object))


def without_names(path: Path) -> None:
    packed(path, mu=MU, logvar=MU)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mu.npy", bytes(code_history.MAX_BYTES + 1))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("codes"),
    "pickle": pickled,
    "no names": without_names,
    "bomb": bomb,
    "nan": lambda path: write_codes(path, with_nan(MU)),
    "infinite": lambda path: write_codes(path, MU, logvar=np.full_like(MU, np.inf)),
    "beyond float32": lambda path: write_codes(path, MU.astype(np.float64) * 1e300),
    "whole numbers": lambda path: write_codes(path, np.ones((6, 4), np.int64)),
    "fewer photos": lambda path: write_codes(path, MU[:5]),
    "fewer dims": lambda path: write_codes(path, MU[:, :3]),
    "other photos": lambda path: write_codes(path, MU, names=[f"other {k}.png" for k in range(6)]),
    "names too few": lambda path: packed(path, mu=MU, logvar=MU, names=np.array(["a"])),
    "a row": lambda path: packed(path, mu=MU[0], logvar=MU[0], names=np.array(["a"] * 4)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_cannot_be_used_is_left_out_and_counted(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    run = write_code_run(tmp_path / "run", moving(10, 20, 30))
    damage(file_of(run, 20))
    history = read_code_history(run)
    assert history.steps.tolist() == [10, 30]
    assert history.skipped == 1


def test_a_damaged_newest_step_gives_way_to_the_one_before(tmp_path: Path) -> None:
    run = write_code_run(tmp_path / "run", moving(10, 20, 30))
    file_of(run, 30).write_bytes(b"")
    history = read_code_history(run)
    assert history.steps.tolist() == [10, 20]
    assert history.skipped == 1


def test_the_newest_pictures_are_those_that_count(tmp_path: Path) -> None:
    """A run may have gone on with other data."""
    run = write_code_run(tmp_path / "run", moving(10, 20, 30, 40))
    for step in (30, 40):
        write_codes(file_of(run, step), MU[:4])
    history = read_code_history(run)
    assert history.steps.tolist() == [30, 40]
    assert history.skipped == 2


def test_paths_stay_inside_the_run(tmp_path: Path) -> None:
    outside = write_codes(tmp_path / "outside.npz", MU)
    names = ["../outside.npz", str(outside), "latents/link.npz", "latents/\0.npz", "", 7, None]
    events = [LatentsWritten(step=30 + k, path=name) for k, name in enumerate(names)]
    run = write_code_run(tmp_path / "run", moving(10), events)
    (run / "latents" / "link.npz").symlink_to(outside)
    history = read_code_history(run)
    assert history.steps.tolist() == [10]
    assert history.skipped == len(names)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    run = write_code_run(tmp_path / "run", moving(10, 20))
    file_of(run, 10).unlink()
    os.mkfifo(file_of(run, 10))
    assert read_code_history(run).steps.tolist() == [20]


def test_damaged_lines_and_steps_that_are_none_do_no_harm(tmp_path: Path) -> None:
    events = [LatentsWritten(step=step, path="latents/step-0000010.npz") for step in (-5, 10**18)]
    run = write_code_run(tmp_path / "run", moving(10), events)
    with RunFolder(run).events_file.open("a") as file:
        file.write('{"kind": "latents", "step"\n[[[\n{"kind": "latents", "step": 20.5, "path": "x"}\n')
    assert read_code_history(run).steps.tolist() == [10]


def test_many_steps_are_thinned_evenly(tmp_path: Path) -> None:
    run = write_code_run(tmp_path / "run", moving(*range(1, MAX_MOMENTS + 52)))
    steps = read_code_history(run).steps
    assert len(steps) == MAX_MOMENTS
    assert (steps[0], steps[-1]) == (1, MAX_MOMENTS + 51)
    assert set(np.diff(steps)) == {1, 2}
    few = read_code_history(run, most=3).steps.tolist()
    assert few == [1, 76, 151]


def test_places_are_those_along_the_last_directions(tmp_path: Path) -> None:
    turned = MU[:, ::-1].copy()  # whose own directions are others
    history = read_code_history(write_code_run(tmp_path / "run", {10: turned, 20: MU}))
    pca = Pca.fit(MU)
    places = history_coords(history)
    assert places.shape == (2, 6, 2)
    assert np.allclose(places[0], pca.transform(turned, 2), atol=1e-5)
    assert np.allclose(places[1], pca.transform(MU, 2), atol=1e-5)


def test_what_stands_still_does_not_move(tmp_path: Path) -> None:
    moved = MU.copy()
    moved[0] += 5
    places = history_coords(read_code_history(write_code_run(tmp_path / "run", {10: MU, 20: moved})), 3)
    assert np.allclose(places[0, 1:], places[1, 1:])
    assert np.linalg.norm(places[1, 0] - places[0, 0]) > 4


def test_codes_of_one_dim_get_a_second_one_of_zeros(tmp_path: Path) -> None:
    history = read_code_history(write_code_run(tmp_path / "run", {10: MU[:, :1], 20: 2 * MU[:, :1]}))
    assert np.all(history_coords(history)[:, :, 1] == 0)
    assert np.ptp(history_coords(history)[:, :, 0]) > 0


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run in .*nowhere.*train --out"):
        read_code_history(tmp_path / "nowhere")
    (tmp_path / MODEL_FILE).write_bytes(b"")
    with pytest.raises(UserError, match="is a checkpoint, not a run"):
        read_code_history(tmp_path)


def test_a_run_without_codes_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not been validated yet .*--checkpoint"):
        read_code_history(write_code_run(tmp_path / "young", {}))
    run = write_code_run(tmp_path / "run", moving(10, 20))
    for path in (run / "latents").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"None of the 2 files .*--checkpoint .*run/latest"):
        read_code_history(run)


def test_nothing_in_the_folder_is_changed(tmp_path: Path) -> None:
    run = write_code_run(tmp_path / "run", moving(10, 20))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    read_code_history(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
