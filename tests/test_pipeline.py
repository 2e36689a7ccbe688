"""Pipeline: one sketch, the same photos alone, in a batch, in any thread and from any kind of source."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bicyclegan
from bicyclegan import pipeline
from bicyclegan.checkpoints import content_hash, load_checkpoint
from bicyclegan.config import EdgeStyle, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square, to_float
from bicyclegan.latent import sample_codes
from bicyclegan.pipeline import Pipeline, PreparedSketch, chunk_size
from bicyclegan.sketch import Sketch, photo_to_edges

ROOT = Path(__file__).resolve().parent.parent
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def shipped(shipped_checkpoint: Path) -> Pipeline:
    return Pipeline.from_pretrained(shipped_checkpoint, device="cpu")


@pytest.fixture(scope="module", params=["pipe", "shipped"])
def each(request: pytest.FixtureRequest) -> Pipeline:
    """A tiny checkpoint of random weights, and the one that is shipped."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A red shape on white, wider than tall."""
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[40:100, 30:170] = (180, 40, 30)
    return Image.fromarray(pixels)


def pixels(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures]).astype(int)


def tensors(pipe: Pipeline, sketch: Sketch, z: np.ndarray) -> torch.Tensor:
    """Pictures before they are rounded to bytes."""
    with torch.inference_mode():
        return pipe._forward(pipe.prepare(sketch).features, torch.from_numpy(z).to(pipe.device)).cpu()


# Samples


def test_eight_different_photos(each: Pipeline, shoe: Sketch) -> None:
    out = each(shoe)
    size = each.config.model.image_size
    assert len(out.images) == 8
    assert all(image.mode == "RGB" and image.size == (size, size) for image in out.images)
    assert out.z.shape == (8, 8)
    assert out.z.dtype == np.float32
    assert (out.seed, out.truncation) == (0, 1.0)
    found = pixels(out.images)
    assert all(np.abs(found[a] - found[b]).max() > 0 for a in range(8) for b in range(a))


def test_a_sample_is_the_same_picture_alone_and_in_a_batch(each: Pipeline, shoe: Sketch) -> None:
    z = sample_codes(7, 16, 8)
    together = tensors(each, shoe, z)
    for k in (0, 5, 15):
        torch.testing.assert_close(tensors(each, shoe, z[k : k + 1]), together[k : k + 1], rtol=0, atol=1e-3)


def test_a_sample_of_a_seed_does_not_depend_on_how_many(pipe: Pipeline, shoe: Sketch) -> None:
    many, few = pipe(shoe, 20, seed=3), pipe(shoe, 2, seed=3)
    assert many.z[:2].tobytes() == few.z.tobytes()
    assert np.abs(pixels(many.images[:2]) - pixels(few.images)).max() <= 1


def test_the_same_call_gives_the_same_pixels(each: Pipeline, shoe: Sketch) -> None:
    first, second = each(shoe, 3, seed=1), each(shoe, 3, seed=1)
    assert (pixels(first.images) == pixels(second.images)).all()
    assert (pixels(each(shoe, 3, seed=2).images) != pixels(first.images)).any()


def test_photos_equal_the_plain_generator(each: Pipeline, shoe: Sketch) -> None:
    z = sample_codes(0, 4, 8)
    x = to_float(each.prepare(shoe).raster).expand(4, -1, -1, -1)
    with torch.inference_mode():
        expected = each.generator(x, torch.from_numpy(z))
    torch.testing.assert_close(tensors(each, shoe, z), expected, rtol=0, atol=1e-4)


def test_truncation_pulls_photos_together(shipped: Pipeline, shoe: Sketch) -> None:
    spread = [pixels(shipped(shoe, 4, truncation=t).images).std(axis=0).mean() for t in (0.0, 0.5, 1.0)]
    assert spread[0] < 1e-6 < spread[1] < spread[2]


def test_codes_instead_of_a_seed(pipe: Pipeline, shoe: Sketch) -> None:
    z = sample_codes(4, 3, 8)
    out = pipe(shoe, z=z)
    assert (out.seed, out.truncation) == (None, None)
    assert (pixels(out.images) == pixels(pipe(shoe, 3, seed=4).images)).all()
    z += 1
    assert (out.z == sample_codes(4, 3, 8)).all(), "the result keeps the codes it was painted with"


def test_chunks_change_nothing_but_rounding(pipe: Pipeline, shoe: Sketch, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipe(shoe, 9)
    passes = []
    forward = pipe._forward
    monkeypatch.setattr(pipe, "_forward", lambda features, z: passes.append(len(z)) or forward(features, z))
    monkeypatch.setattr(pipeline, "chunk_size", lambda *_: 4)
    cut = pipe(shoe, 9)
    assert passes == [4, 4, 1]
    assert np.abs(pixels(whole.images) - pixels(cut.images)).max() <= 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_chunks_shrink_with_the_model(device: str) -> None:
    def chunk(size: int, channels: int) -> int:
        return chunk_size(ModelConfig(image_size=size, base_channels=channels), torch.device(device))

    assert chunk(256, 16) >= chunk(256, 64) >= chunk(1024, 64) >= 1
    assert chunk(4096, 512) == 1
    assert chunk(256, 32) >= 8, "a wall of eight in one pass"


def test_a_model_without_codes(tmp_path: Path, make_checkpoint: Callable[..., Path], shoe: Sketch) -> None:
    plain = Pipeline.from_pretrained(make_checkpoint(tmp_path / "plain", latent_dim=0, encoder="none"), device="cpu")
    out = plain(shoe, 3)
    assert out.z.shape == (3, 0)
    assert (pixels(out.images) == pixels(out.images)[0]).all()
    with pytest.raises(UserError, match="plain has no encoder"):
        plain.encode(Image.new("RGB", (64, 64)))
    with pytest.raises(UserError, match="plain has no encoder"):
        plain.encode_distribution([])


def test_a_model_that_takes_grey_in_three_channels(
    tmp_path: Path, make_checkpoint: Callable[..., Path], shoe: Sketch
) -> None:
    folder = make_checkpoint(tmp_path / "rgb", input_channels=3)
    assert len(Pipeline.from_pretrained(folder, device="cpu")(shoe, 2).images) == 2


# Prepared sketches


def test_prepare_once_render_many(pipe: Pipeline, shoe: Sketch) -> None:
    prepared = pipe.prepare(shoe)
    assert prepared.sketch == shoe
    assert prepared.raster.shape == (32, 32)
    assert set(np.unique(prepared.raster)) == {0, 255}
    for seed in (0, 1, 0):
        z = sample_codes(seed, 4, 8)
        assert (pixels(prepared.render(z).images) == pixels(pipe(shoe, 4, seed).images)).all()
    assert (pixels(pipe(prepared, 4, 1).images) == pixels(pipe(shoe, 4, 1).images)).all()


def test_a_prepared_sketch_cannot_be_changed(pipe: Pipeline, shoe: Sketch) -> None:
    prepared = pipe.prepare(shoe)
    with pytest.raises(dataclasses.FrozenInstanceError):
        prepared.raster = np.zeros((32, 32), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        prepared.raster[0, 0] = 0
    with pytest.raises(RuntimeError, match="nference"):
        prepared.features[0].zero_()


def test_many_people_share_one_pipeline(shipped: Pipeline, shoe: Sketch) -> None:
    """Two sketches and many codes in two threads at once: everybody gets their own pictures."""
    sketches = [shoe, shoe.mirrored()]
    work = [(sketches[k % 2], k) for k in range(8)]
    expected = [pixels(shipped(sketch, 2, seed).images) for sketch, seed in work]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda job: pixels(shipped(job[0], 2, job[1]).images), work))
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours - theirs).max() <= 1
    assert np.abs(expected[0] - expected[1]).max() > 8


def test_two_pipelines_do_not_mix(pipe: Pipeline, shoe: Sketch, tiny_checkpoint: Path) -> None:
    other = Pipeline.from_pretrained(tiny_checkpoint, device="cpu")
    with pytest.raises(UserError, match="another Pipeline"):
        other(pipe.prepare(shoe))


# Sources


def test_every_kind_of_source_gives_the_same_photo(pipe: Pipeline, shoe: Sketch, tmp_path: Path) -> None:
    raster = pipe.prepare(shoe).raster
    path = tmp_path / "drawing.png"
    Image.fromarray(raster).save(path)
    sources = [shoe, raster, np.repeat(raster[..., None], 3, 2), Image.fromarray(raster), path, str(path)]
    expected = pixels(pipe(shoe, 2).images)
    for source in sources:
        assert (pixels(pipe(source, 2).images) == expected).all()


def test_a_picture_becomes_a_document_that_rasterises_to_itself(pipe: Pipeline) -> None:
    drawing = np.full((300, 200), 255, np.uint8)
    drawing[50:250, 100:103] = 0
    prepared = pipe.prepare(drawing)
    assert prepared.sketch.raster is not None
    assert (prepared.raster == 0).any()
    assert (pipe.prepare(prepared.sketch).raster == prepared.raster).all()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((64, 64)), "array of float64"),
        (np.zeros((1, 1), np.uint8), "1 x 1 px"),
        ("no/such/file.png", "There is no file"),
        (b"not a picture", "not a picture that can be opened"),
        (7, "cannot be made of int"),
    ],
)
def test_what_is_no_sketch(pipe: Pipeline, source: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pipe(source)


# Encoder, edges


def test_encode_reads_the_posterior_mean(each: Pipeline, photo: Image.Image) -> None:
    z = each.encode(photo)
    assert z.shape == (1, 8)
    assert z.dtype == np.float32
    square = np.asarray(fit_square(photo, each.config.model.image_size))
    with torch.inference_mode():
        mu, _ = each.encoder(to_float(square))
    np.testing.assert_allclose(z, mu.numpy(), atol=1e-6)
    blue = Image.fromarray(np.asarray(photo)[..., ::-1].copy())
    assert np.abs(each.encode(blue) - z).max() > 1e-4


def test_encode_takes_any_size(pipe: Pipeline, photo: Image.Image) -> None:
    assert pipe.encode(photo.resize((333, 77))).shape == (1, 8)


@pytest.mark.parametrize("count", [0, 1, 16, 19])
def test_many_photos_are_encoded_as_each_of_them(pipe: Pipeline, photo: Image.Image, count: int) -> None:
    photos = [photo.rotate(10 * k, fillcolor="white").resize((40 + k, 60)) for k in range(count)]
    passes = []
    hook = pipe.encoder.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    mu, logvar = pipe.encode_distribution(photos)
    hook.remove()
    assert sum(passes) == count
    assert max(passes, default=0) <= 16
    assert mu.shape == logvar.shape == (count, 8)
    assert mu.dtype == logvar.dtype == np.float32
    for k, each in enumerate(photos):
        np.testing.assert_allclose(mu[k], pipe.encode(each)[0], atol=1e-5)
        np.testing.assert_allclose(logvar[k], pipe.encode_distribution([each])[1][0], atol=1e-5)


def test_log_variances_are_those_of_the_encoder(each: Pipeline, photo: Image.Image) -> None:
    square = np.asarray(fit_square(photo, each.config.model.image_size))
    with torch.inference_mode():
        expected = each.encoder(to_float(square))
    for found, value in zip(each.encode_distribution([photo]), expected, strict=True):
        np.testing.assert_allclose(found, value.numpy(), atol=1e-6)


def test_one_broken_photo_of_many_is_named(pipe: Pipeline, photo: Image.Image) -> None:
    with pytest.raises(UserError, match=r"no file missing\.png"):
        pipe.encode_distribution([photo, "missing.png"])


def test_reconstruct_paints_the_edges_in_the_style_of_the_photo(each: Pipeline, photo: Image.Image) -> None:
    out = each.reconstruct(photo)
    assert len(out.images) == 1
    assert (out.z == each.encode(photo)).all()
    assert (out.prepared.raster == each.edges(photo)).all()


def test_edges_are_those_of_the_checkpoint(
    tmp_path: Path, make_checkpoint: Callable[..., Path], photo: Image.Image, pipe: Pipeline
) -> None:
    style = EdgeStyle(line_width=3, low_threshold=10, high_threshold=20)
    fat = Pipeline.from_pretrained(make_checkpoint(tmp_path / "fat", style=style), device="cpu")
    assert (fat.edges(photo) == photo_to_edges(photo, style, 32)).all()
    assert (pipe.edges(photo) == photo_to_edges(photo, EdgeStyle(), 32)).all()
    assert (fat.edges(photo) == 0).sum() > (pipe.edges(photo) == 0).sum() > 0
    assert (pipe.edges(photo, style) == fat.edges(photo)).all()


# Values that are not allowed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples is 0; use a whole number from 1 to 1024"),
        ({"num_samples": 1025}, "num_samples is 1025"),
        ({"seed": -1}, "seed is -1; use a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"truncation": 4}, "use a number from 0 to 3"),
        ({"z": np.zeros((1, 7))}, r"shape \(1, 7\); this model takes \(N, 8\)"),
        ({"z": np.full((1, 8), np.nan)}, "must be finite"),
    ],
)
def test_bad_values(pipe: Pipeline, shoe: Sketch, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pipe(shoe, **options)


def test_bad_devices_and_precisions(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options, message in (
        ({"device": "tpu"}, "Device is 'tpu'; use auto, cpu or cuda"),
        ({"device": "cuda"}, "no usable CUDA device here. Use device auto or cpu"),
        ({"precision": "fp16"}, "Precision is 'fp16'; use fp32 or bf16"),
        ({"precision": "bf16"}, "bf16 is for CUDA; on a CPU it is far slower"),
    ):
        with pytest.raises(UserError, match=message):
            Pipeline.from_pretrained(tiny_checkpoint, **options)
    assert Pipeline.from_pretrained(tiny_checkpoint).device == torch.device("cpu")


def test_missing_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no checkpoint folder"):
        Pipeline.from_pretrained(tmp_path / "none")


# Saving


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_pipeline_is_the_same_checkpoint(
    tmp_path: Path, make_checkpoint: Callable[..., Path], shoe: Sketch, half: bool
) -> None:
    folder = make_checkpoint(tmp_path / "first", half=half, card="# Card\n")
    (folder / "examples.ndjson").write_text(shoe.to_json() + "\n", "utf-8")
    first = Pipeline.from_pretrained(folder, device="cpu")
    copy = Pipeline.from_pretrained(first.save_pretrained(tmp_path / "copy"), device="cpu")
    assert copy.hash == first.hash
    assert copy.card == "# Card"
    assert (tmp_path / "copy" / "examples.ndjson").is_file()
    assert (pixels(copy(shoe, 2).images) == pixels(first(shoe, 2).images)).all()
    with pytest.raises(UserError, match="exists already"):
        first.save_pretrained(tmp_path / "copy")


def test_precision_of_a_saved_pipeline_can_be_chosen(pipe: Pipeline, tmp_path: Path) -> None:
    assert load_checkpoint(pipe.save_pretrained(tmp_path / "half", half=True)).half
    assert content_hash(tmp_path / "half") != pipe.hash


def test_a_pipeline_works_on_when_its_folder_vanishes(
    tmp_path: Path, make_checkpoint: Callable[..., Path], shoe: Sketch
) -> None:
    folder = make_checkpoint(tmp_path / "short-lived")
    pipe = Pipeline.from_pretrained(folder, device="cpu")
    before = pixels(pipe(shoe, 2).images)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert (pixels(pipe(shoe, 2).images) == before).all()
    assert pipe.card == ""
    assert content_hash(pipe.save_pretrained(tmp_path / "rescued")) == pipe.hash


class FakeApi:
    """Stands in for the Hub client; keeps what it was given."""

    calls: list[tuple[str, object]]
    fail: Exception | None = None

    def __init__(self, token: str | None = None):
        FakeApi.calls = [("token", token)]

    def create_repo(self, repo_id: str, private: bool, exist_ok: bool) -> None:
        if FakeApi.fail:
            raise FakeApi.fail
        FakeApi.calls.append(("create", (repo_id, private, exist_ok)))

    def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> None:
        files = sorted(path.name for path in folder_path.iterdir())
        FakeApi.calls.append(("upload", (repo_id, content_hash(folder_path), files)))


def test_push_to_hub_sends_one_whole_checkpoint(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", FakeApi)
    monkeypatch.setattr(FakeApi, "fail", None)
    assert pipe.push_to_hub("ada/tiny", private=True, token="secret") == "https://huggingface.co/ada/tiny"
    assert FakeApi.calls == [
        ("token", "secret"),
        ("create", ("ada/tiny", True, True)),
        ("upload", ("ada/tiny", pipe.hash, ["README.md", "config.json", "model.safetensors"])),
    ]
    assert "secret" not in repr(vars(pipe))


def test_a_push_that_is_refused_tells_the_way(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", FakeApi)
    monkeypatch.setattr(FakeApi, "fail", PermissionError("403 Forbidden\n\nmore"))
    with pytest.raises(UserError, match=r"Could not upload to ada/tiny \(403 Forbidden\). Log in with: hf auth login"):
        pipe.push_to_hub("ada/tiny")


def test_the_package_offers_the_pipeline() -> None:
    assert bicyclegan.Pipeline is Pipeline
    assert bicyclegan.PreparedSketch is PreparedSketch
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        bicyclegan.Nothing


# CUDA


def test_cuda_computes_in_full_precision_and_puts_the_flags_back() -> None:
    """Flags can be looked at without a device."""
    cudnn, names = torch.backends.cudnn, ("enabled", "benchmark", "deterministic", "allow_tf32")
    before = [getattr(cudnn, name) for name in names]
    with pipeline._exact_float32(torch.device("cuda")):
        assert [getattr(cudnn, name) for name in names] == [True, False, True, False]
        assert cudnn.conv.fp32_precision != "tf32"
        assert not pipeline._CUDNN_FLAGS.acquire(blocking=False), "no other thread may put them back meanwhile"
    assert [getattr(cudnn, name) for name in names] == before


@needs_cuda
@pytest.mark.gpu
def test_cuda_paints_the_same_picture(each: Pipeline, shoe: Sketch) -> None:
    cuda = Pipeline.from_pretrained(each.folder, device="cuda")
    z = sample_codes(0, 8, 8)
    difference = (tensors(cuda, shoe, z) - tensors(each, shoe, z)).abs().max().item()
    print(f"\nCPU and CUDA differ by at most {difference:.1e}")
    assert difference < 1e-3


@needs_cuda
@pytest.mark.gpu
def test_cuda_rebuilds_the_same_pixels(shipped: Pipeline, shoe: Sketch) -> None:
    cuda = Pipeline.from_pretrained(shipped.folder, device="cuda")
    assert (pixels(cuda(shoe, 8).images) == pixels(cuda(shoe, 8).images)).all()
    np.testing.assert_allclose(cuda.encode(cuda(shoe).images[0]), shipped.encode(cuda(shoe).images[0]), atol=1e-3)


@needs_cuda
@pytest.mark.gpu
def test_bf16_differs_little(shipped: Pipeline, shoe: Sketch) -> None:
    exact, rounded = (Pipeline.from_pretrained(shipped.folder, device="cuda", precision=p) for p in ("fp32", "bf16"))
    z = sample_codes(0, 8, 8)
    difference = (tensors(exact, shoe, z) - tensors(rounded, shoe, z)).abs() * 127.5
    print(f"\nbf16 and fp32 differ by {difference.mean():.2f} levels of 255 on average, {difference.max():.1f} at most")
    assert 0 < difference.mean() < 4


# Memory

PEAK = """
import re, sys
from pathlib import Path
from bicyclegan.pipeline import Pipeline
from bicyclegan.sketch import Sketch

def megabytes(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

pipe = Pipeline.from_pretrained(sys.argv[1], device="cpu")
pipe(Sketch(), 1)
loaded = megabytes("VmRSS")
assert len(pipe(Sketch(), 256).images) == 256
print(megabytes("VmHWM") - loaded)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_of_many_samples(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> None:
    """256 samples at 256 px. Half of the full width: chunks are twice as long, so they hold as much."""
    sizes = {"image_size": 256, "depth": 8, "base_channels": 32, "encoder": "none"}
    folder = make_checkpoint(tmp_path / "large", half=True, **sizes)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True, env=environment
    )
    assert float(run.stdout) < 1536
