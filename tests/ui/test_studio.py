"""What the tabs share: turns between visitors, what is kept and for how long, and a Space's shared GPU."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from test_lane import queued, start

from bicyclegan import pipeline
from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.errors import UserError
from bicyclegan.latent import sample_codes
from bicyclegan.latents_file import load_latents, save_latents
from bicyclegan.pipeline import Pipeline
from bicyclegan.sketch import Sketch, Stroke
from bicyclegan.ui.answers import Answers
from bicyclegan.ui.model_facts import model_facts
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.studio import Loaded, Studio, digest_of, portions
from bicyclegan.ui.wanted import Wanted

BOX = Sketch((Stroke(((40.0, 40.0), (200.0, 200.0)), tool="rect"),))
CODES = sample_codes(2, 20, 8)


@pytest.fixture(scope="module")
def root(tmp_path_factory, make_checkpoint) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    for seed, name in enumerate(("first", "second")):
        make_checkpoint(root / name, seed=seed)
    return root


@pytest.fixture
def studio(root) -> Studio:
    return Studio(Settings(checkpoints=root, device="cpu"))


def pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image) for image in images]).astype(int)


def count_calls(monkeypatch, thing: object, name: str) -> list[tuple]:
    """Arguments of each call of a method from now on."""
    calls, original = [], getattr(thing, name)
    monkeypatch.setattr(thing, name, lambda *args, **kwargs: calls.append(args) or original(*args, **kwargs))
    return calls


# Turns


@pytest.mark.parametrize(("chunk", "sizes"), [(8, [8, 8, 4]), (3, [6, 6, 6, 2]), (16, [16, 4])])
def test_portions_paint_the_pixels_of_the_whole(studio, shoe, monkeypatch, chunk, sizes):
    monkeypatch.setattr(pipeline, "CPU_CHUNK", chunk)
    pipe = studio.pipeline("first")
    assert [len(part) for part in portions(pipe, CODES)] == sizes
    painting = studio.paint_codes("first", shoe, CODES)
    assert (pixels(painting.images) == pixels(pipe(shoe, z=CODES).images)).all()
    recipe = painting.recipe(13)
    assert (pixels([recipe.render(pipe)]) == pixels(painting.images[13:14])).all()


def interrupted(studio: Studio, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> list[str]:
    """Whose portions were painted, in order, when somebody else comes during the first one of `work`."""
    painted, original, others = [], studio._render, []

    def render(name, digest, sketch, codes):
        painted.append("other" if sketch == BOX else "first")
        if not others:
            others.append(start(lambda: studio.paint_codes("first", BOX, CODES[:1])))
            queued(studio._lane, 2)
        return original(name, digest, sketch, codes)

    monkeypatch.setattr(studio, "_render", render)
    work()
    others[0].join(5)
    return painted


def test_others_come_between_the_portions_of_one_visitor(studio, shoe, monkeypatch):
    order = interrupted(studio, monkeypatch, lambda: studio.paint_codes("first", shoe, CODES))
    assert order == ["first", "other", "first", "first"]


def test_others_come_into_a_search_for_a_colour(studio, shoe, monkeypatch):
    order = interrupted(studio, monkeypatch, lambda: studio.find_colour("first", shoe, (200, 30, 30), 4))
    assert order.index("other") == 1
    assert len(order) == 192 // 8 + 1


def test_who_is_sent_away_reads_why(studio, shoe):
    studio._lane.max_waiting = studio._lane.max_long = -1
    with pytest.raises(UserError, match="busy"):
        studio.paint_codes("first", shoe, CODES)
    with pytest.raises(UserError, match="busy"):
        studio.look("first", shoe, CODES)


@pytest.mark.parametrize("question", ["edges", "spread", "film"])
def test_work_beside_painting_waits_for_its_turn(studio, shoe, question):
    wanted = {"checkpoint": "first", "sketch": shoe.to_json()}
    photo = Image.fromarray(np.full((64, 64, 3), 200, np.uint8))
    film = {"codes": CODES[:2].tolist(), "frames": 2, "fps": 10, "format": "gif"}
    work = {
        "edges": lambda: studio.read_drawing("first", photo),
        "spread": lambda: Answers(studio).spread(Wanted({**wanted, "z": CODES[:2].tolist()})),
        "film": lambda: Answers(studio).blend_file(Wanted({**wanted, **film})),
    }[question]
    with studio.beside.turn():
        thread = start(work)
        queued(studio.beside, 2)
        assert thread.is_alive()
    thread.join(5)
    assert not thread.is_alive()


def test_one_model_loads_while_another_does(studio, monkeypatch):
    second_is_there, original = threading.Event(), Pipeline.from_pretrained

    def load(folder, **options):
        if folder.name == "first":
            assert second_is_there.wait(5)
        return original(folder, **options)

    monkeypatch.setattr(Pipeline, "from_pretrained", load)
    found = []
    threads = [start(lambda: found.append(studio.pipeline("first"))) for _ in range(2)]
    studio.pipeline("second")
    second_is_there.set()
    for thread in threads:
        thread.join(10)
    assert found[0] is found[1], "loaded once, although two asked"


@pytest.mark.parametrize("name", [["first"], None, 3, {"a": 1}, "../first"])
def test_names_that_are_none_are_refused(studio, name):
    with pytest.raises(UserError, match="not there any more"):
        studio.pipeline(name)


def test_a_flood_of_large_wishes_leaves_room_for_a_stroke(studio, shoe):
    answers = Answers(studio)

    def paint(seed: int, count: int) -> None:
        codes = sample_codes(seed, count, 8).tolist()
        answers.paint(Wanted({"checkpoint": "first", "sketch": shoe.to_json(), "z": codes}))

    refused = []

    def flood(seed: int) -> None:
        try:
            paint(seed, 64)
        except UserError as error:
            refused.append(error.code)

    with studio._lane.turn():
        threads = [start(lambda seed=seed: flood(seed)) for seed in range(45)]
        queued(studio._lane, 1 + 12)
        stroke = start(lambda: paint(99, 1))
        queued(studio._lane, 1 + 12 + 1)
    for thread in (stroke, *threads):
        thread.join(30)
    assert refused == ["busy"] * (45 - 12)


def test_a_digest_tells_sketches_apart(shoe):
    first = shoe.strokes[0]
    others = [
        shoe,
        BOX,
        Sketch(),
        replace(shoe, size=128),
        replace(shoe, strokes=shoe.strokes[:2]),
        replace(shoe, strokes=(replace(first, width=3.0),)),
        replace(shoe, strokes=(first,)),
        replace(shoe, strokes=(replace(first, points=first.points[:-1]),)),
        replace(shoe, strokes=(replace(first, mirror=True),)),
        replace(shoe, strokes=(replace(first, color=1),)),
        replace(shoe, strokes=(Stroke(first.points[:3]), Stroke(first.points[3:]))),
        Sketch.from_raster(np.zeros((32, 32), np.uint8)),
        Sketch.from_raster(np.full((32, 32), 255, np.uint8)),
    ]
    assert len({digest_of(sketch) for sketch in others}) == len(others)
    assert digest_of(Sketch.from_json(shoe.to_json())) == digest_of(shoe)


# What is kept


def test_a_prepared_sketch_leaves_its_document_behind(studio, shoe):
    studio.paint_codes("first", shoe, CODES[:1])
    [prepared] = studio._load("first").prepared.values()
    assert prepared.sketch == Sketch()
    assert (prepared.raster == studio.pipeline("first").prepare(shoe).raster).all()


def test_only_what_was_not_seen_is_painted_to_look_at(studio, shoe, monkeypatch):
    painted = count_calls(monkeypatch, studio, "_render")
    first = studio.look("first", shoe, CODES[:5])
    again = studio.look("first", shoe, CODES[[6, 1, 6, 0]])
    assert [len(codes) for *_, codes in painted] == [5, 1]
    assert (pixels(again[1:2] + again[3:]) == pixels([first[1], first[0]])).all()
    expected = studio.pipeline("first")(shoe, z=CODES[[6, 1, 6, 0]]).images
    assert np.abs(pixels(again) - pixels(expected)).max() <= 1
    assert (studio.seen("first", shoe) == studio.pipeline("first").prepare(shoe).raster).all()


def test_another_model_or_sketch_is_another_picture(studio, shoe, monkeypatch):
    painted = count_calls(monkeypatch, studio, "_render")
    for name, sketch in (("first", shoe), ("second", shoe), ("first", BOX)):
        [picture] = studio.look(name, sketch, CODES[:1])
        assert np.abs(pixels([picture]) - pixels(studio.pipeline(name)(sketch, z=CODES[:1]).images)).max() <= 1
    assert len(painted) == 3


def test_what_a_recipe_rebuilds_is_painted_as_its_own_batch(studio, shoe, monkeypatch):
    studio.look("first", shoe, CODES)
    painted = count_calls(monkeypatch, studio, "_render")
    studio.paint_codes("first", shoe, CODES[:3])
    assert [len(codes) for *_, codes in painted] == [3]


def test_pictures_that_are_looked_at_can_be_written_by_several_threads(studio, shoe):
    one, other = (studio.look("first", shoe, CODES[:1])[0] for _ in range(2))
    assert one is not other


def test_a_search_leaves_its_pictures_to_look_at(studio, shoe, monkeypatch):
    match = studio.find_colour("first", shoe, (200, 30, 30), 4)
    painted = count_calls(monkeypatch, studio, "_render")
    studio.look("first", shoe, match.z)
    assert not painted


def test_a_photo_is_read_once(studio, monkeypatch):
    photo = Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8))
    read = count_calls(monkeypatch, studio.pipeline("first"), "encode")
    traced = count_calls(monkeypatch, studio.pipeline("first"), "edges")
    found = [studio.read_style("first", photo, digest) for digest in ("a", "a", "b")]
    assert len(read) == len(traced) == 2
    for code, edges in found:
        assert (code == studio.pipeline("first").encode(photo)[0]).all()
        assert (edges == studio.pipeline("first").edges(photo)).all()
    assert (studio.read_style("second", photo, "a")[0] != found[0][0]).any()


def test_a_drawing_is_read_without_the_network(studio, shoe, monkeypatch):
    pipe = studio.pipeline("first")
    drawn = Image.fromarray(shoe.rasterise(256)).convert("RGB")
    expected = pipe.prepare(drawn).sketch
    monkeypatch.setattr(pipe, "prepare", None)
    assert studio.read_drawing("first", drawn) == expected


# What was measured


@pytest.fixture
def measured(tmp_path) -> Studio:
    """The shipped model, which was measured, as a copy that may be damaged."""
    import shutil

    shutil.copytree(DEFAULT_ROOT / "edges2shoes", tmp_path / "shoes")
    return Studio(Settings(checkpoints=tmp_path, device="cpu"))


def test_measurements_are_read_once(measured, monkeypatch):
    read = count_calls(monkeypatch, sys.modules["bicyclegan.ui.studio"], "load_latents")
    assert measured.latents("shoes") is measured.latents("shoes") is not None
    assert model_facts(measured, "shoes")["directions"]["components"]
    assert len(read) == 1


def sweep_along_a_direction(studio: Studio, shoe: Sketch) -> dict:
    wanted = {"sketch": shoe.to_json(), "z": [0.0] * 8, "slider": 0, "steps": 3, "directions": True}
    return Answers(studio).sweep(Wanted({"checkpoint": "shoes", **wanted}))


@pytest.mark.parametrize("fault", ["missing", "stale", "damaged"])
def test_what_cannot_be_used_of_them_is_as_if_it_was_not_there(measured, shoe, tmp_path, fault):
    file = tmp_path / "shoes" / "latents.npz"
    if fault == "stale":
        save_latents(file.parent, replace(load_latents(file.parent), checkpoint_hash="ab" * 32))
    elif fault == "damaged":
        file.write_bytes(b"PK\x03\x04 nonsense")
    else:
        file.unlink()
    assert measured.latents("shoes") is None
    assert model_facts(measured, "shoes")["directions"] is None
    with pytest.raises(UserError, match="has no directions") as caught:
        sweep_along_a_direction(measured, shoe)
    assert str(tmp_path) not in str(caught.value)


def test_measurements_made_later_are_found(measured, shoe, tmp_path):
    file = tmp_path / "shoes" / "latents.npz"
    data = file.read_bytes()
    file.unlink()
    assert measured.latents("shoes") is None
    file.write_bytes(data)
    assert len(sweep_along_a_direction(measured, shoe)["tiles"]) == 3


# A Space's shared GPU


@pytest.fixture
def lent(root, monkeypatch) -> tuple[Studio, list[str]]:
    """A studio on a Space with a shared GPU, and the names of functions that borrowed it."""
    borrowed: list[str] = []

    def gpu(duration: int) -> Callable:
        assert duration

        def decorate(function: Callable) -> Callable:
            def call(*args):
                borrowed.append(function.__name__)
                try:
                    return function(*args)
                except gr.Error:
                    raise
                except Exception as error:  # as ZeroGPU does: only the name of the class comes back
                    raise gr.Error(type(error).__name__) from None

            return call

        return decorate

    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    return Studio(Settings(checkpoints=root, device="cpu")), borrowed


def test_one_wish_borrows_the_gpu_once(lent, shoe):
    studio, borrowed = lent
    studio.paint_codes("first", shoe, CODES)
    assert len(borrowed) == 1
    match = studio.find_colour("first", shoe, (200, 30, 30), 4)
    assert len(borrowed) == 2
    assert len(match.z) == 4


def test_a_mistake_comes_back_whole(lent, shoe):
    studio, borrowed = lent
    with pytest.raises(UserError, match=r"this model takes \(N, 8\)"):
        studio.paint_codes("first", shoe, CODES[:, :3])
    assert borrowed


def test_work_in_another_process_needs_no_lock(studio, shoe):
    studio.pipeline("first")
    done = []
    with studio._lock, studio._lane.turn():  # as a thread of the forked process would leave them
        thread = start(lambda: done.append(studio._render_here("first", digest_of(shoe), shoe, CODES[:2])))
        thread.join(5)
        start(lambda: done.append(studio._render_here("second", digest_of(shoe), shoe, CODES[:2]))).join(5)
    assert len(done) == 2, "also with a model that was loaded after the fork"
    assert isinstance(studio._loaded["second"], Loaded)


def test_a_photo_of_a_white_shoe_is_traced_and_a_drawing_is_taken_as_it_is():
    studio = Studio(Settings(device="cpu"))
    photo = np.full((160, 160, 3), 255, np.uint8)
    photo[60:110, 20:140] = 235
    drawn = Image.fromarray(next(iter(studio.examples("edges2shoes"))).rasterise(256)).convert("RGB")
    as_it_is = studio.pipeline("edges2shoes").rasterise
    assert studio.read_drawing("edges2shoes", Image.fromarray(photo)) != as_it_is(Image.fromarray(photo))[0]
    assert studio.read_drawing("edges2shoes", drawn) == as_it_is(drawn)[0]
