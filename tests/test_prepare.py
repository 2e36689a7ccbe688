"""What `prepare` writes is what the networks say: codes, thumbnails of reconstructions, effects of sliders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from bicyclegan.checkpoints import load_checkpoint, save_checkpoint
from bicyclegan.cli import main
from bicyclegan.config import CONFIG_FILE, LATENTS_FILE, THUMBS_FILE, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square, to_float, to_pil, to_uint8, webp_bytes
from bicyclegan.latent import move_slider
from bicyclegan.latents_file import EFFECT_STEPS, dead_sliders, load_latents
from bicyclegan.metrics.distance import RGB
from bicyclegan.metrics.outputs import draw_codes
from bicyclegan.object_colour import delta_e, lab_to_rgb, rgb_to_lab
from bicyclegan.photo_codes import THUMB_BYTES, THUMB_QUALITIES, THUMB_SIZE, Pair, make_sprite
from bicyclegan.pipeline import Pipeline
from bicyclegan.prepare import make_maps, measure_sliders, prepare, prepare_from
from bicyclegan.projection import MapSettings, Pca, fit_map


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without backbones: every test measures the same."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))


@pytest.fixture
def folder(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint(tmp_path / "model", latent_dim=4)


@pytest.fixture
def pairs() -> list[Pair]:
    random = np.random.RandomState(0)
    return [
        (random.randint(0, 256, (32, 32, 1), dtype=np.uint8), random.randint(0, 256, (32, 32, 3), dtype=np.uint8))
        for _ in range(20)
    ]


NAMES = [f"shoe {k}.png" for k in range(20)]


def test_codes_are_those_of_the_encoder(folder: Path, pairs: list[Pair]) -> None:
    report = prepare(folder, pairs, NAMES)
    model, latents = load_checkpoint(folder), load_latents(folder)
    mu, logvar = model.encoder(to_float(np.stack([photo for _, photo in pairs])))
    assert np.allclose(latents.mu, mu.numpy(), atol=1e-5)
    assert np.allclose(latents.logvar, logvar.numpy(), atol=1e-5)
    assert latents.names == tuple(NAMES)
    assert not latents.stale
    assert latents.map_pca.shape == (20, 3)
    assert np.allclose(latents.pca.inverse(latents.pca.transform(latents.mu, 4)), latents.mu, atol=1e-6)
    assert (report.codes, report.hash, report.effect_metric) == (20, model.hash, "rgb")
    assert report.files == (folder / LATENTS_FILE, folder / THUMBS_FILE)


def test_thumbnails_are_the_models_own_pictures_in_order(folder: Path, pairs: list[Pair]) -> None:
    prepare(folder, pairs, NAMES)
    model, latents = load_checkpoint(folder), load_latents(folder)
    sprite = Image.open(folder / THUMBS_FILE)
    assert (latents.thumb_columns, latents.thumb_size) == (5, THUMB_SIZE)
    assert sprite.size == (5 * THUMB_SIZE, 4 * THUMB_SIZE)
    painted = model.generator(to_float(np.stack([sketch for sketch, _ in pairs])), torch.from_numpy(latents.mu))

    def difference(picture: Image.Image, index: int) -> float:
        left, top = index % 5 * THUMB_SIZE, index // 5 * THUMB_SIZE
        tile = sprite.crop((left, top, left + THUMB_SIZE, top + THUMB_SIZE)).convert("RGB")
        return float(np.abs(np.asarray(tile, float) - np.asarray(fit_square(picture, THUMB_SIZE), float)).mean())

    for index in (0, 7, 19):
        assert difference(to_pil(painted)[index], index) < 6
        assert difference(Image.fromarray(pairs[index][1]), index) > 20


def test_a_second_time_replaces_the_first(folder: Path, pairs: list[Pair]) -> None:
    prepare(folder, pairs, NAMES)
    prepare(folder, pairs[:3], NAMES[:3])
    latents = load_latents(folder)
    assert latents.mu.shape == (3, 4)
    assert latents.thumb_columns == 2
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_limit_takes_pictures_from_everywhere(folder: Path, pairs: list[Pair]) -> None:
    report = prepare(folder, pairs, NAMES, limit=4)
    assert report.codes == 4
    assert load_latents(folder).names == tuple(NAMES[k] for k in (0, 6, 13, 19))
    for limit in (0, -1, 10**9):
        with pytest.raises(UserError, match="limit is"):
            prepare(folder, pairs, NAMES, limit=limit)


def test_pairs_are_read_when_they_are_needed(folder: Path, pairs: list[Pair]) -> None:
    asked: list[int] = []

    class Lazy(list):
        def __getitem__(self, index: int) -> Pair:
            asked.append(index)
            return super().__getitem__(index)

        def __iter__(self) -> None:
            raise AssertionError("all pairs at once")

    prepare(folder, Lazy(pairs), NAMES, limit=5)
    assert set(asked) == {0, 5, 10, 14, 19}
    assert max(map(asked.count, asked)) <= 2


def test_nothing_is_half_written(folder: Path, pairs: list[Pair]) -> None:
    prepare(folder, pairs, NAMES)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def stop(share: float, what: str) -> None:
        if share > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(folder, pairs[:5], NAMES[:5], progress=stop)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_progress_grows_to_1(folder: Path, pairs: list[Pair]) -> None:
    shares = []
    prepare(folder, pairs, NAMES, progress=lambda share, what: shares.append((share, what)))
    assert [share for share, _ in shares] == sorted(share for share, _ in shares)
    assert shares[-1][0] == pytest.approx(1)
    assert list(dict.fromkeys(what for _, what in shares)) == [
        "reading photos",
        "measuring sliders",
        "measuring directions",
        "writing",
    ]


def test_few_photos_have_no_maps_but_their_colours(folder: Path, pairs: list[Pair]) -> None:
    assert prepare(folder, pairs, NAMES).maps == ()
    latents = load_latents(folder)
    assert latents.maps == ()
    expected = [np.median(rgb_to_lab(photo).reshape(-1, 3), axis=0) for _, photo in pairs]
    assert delta_e(rgb_to_lab(latents.photo_colours), np.array(expected)).max() < 6, "noise is object everywhere"


@pytest.mark.slow
def test_maps_of_many_photos_are_stored_and_found_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pairs: list[Pair]
) -> None:
    monkeypatch.setattr("bicyclegan.prepare.LEAST_MAPPED", 20)
    monkeypatch.setattr("bicyclegan.prepare.SHIPPED_MAPS", (MapSettings("umap"), MapSettings("tsne", perplexity=5)))
    assert prepare(folder, pairs, NAMES).maps == ("umap", "tsne")
    latents = load_latents(folder)
    again = fit_map(latents.mu, MapSettings("tsne", perplexity=5))
    assert latents.map_for(MapSettings("tsne", perplexity=5)).coords == pytest.approx(again.coords)
    assert latents.map_for(MapSettings("umap")).coords.shape == (20, 2)
    assert latents.map_for(MapSettings("umap", dims=3)) is None


def test_codes_that_are_all_equal_have_no_maps() -> None:
    assert make_maps(np.zeros((60, 4))) == ()


def test_a_model_without_encoder_gets_its_sliders_alone(
    tmp_path: Path, make_checkpoint: Callable[..., Path], pairs: list[Pair]
) -> None:
    folder = make_checkpoint(tmp_path / "noise", latent_dim=3, encoder="none")
    (folder / THUMBS_FILE).write_bytes(b"of an older model")
    report = prepare(folder, pairs, NAMES)
    latents = load_latents(folder)
    assert (report.codes, report.active_dims, latents.names) == (0, 0, ())
    assert report.files == (folder / LATENTS_FILE,)
    assert not (folder / THUMBS_FILE).exists()
    assert latents.pca is None
    assert (latents.effect > 0).all()
    assert latents.effect.shape == (3,)
    assert latents.colours.shape == (3, 5, 3)
    assert latents.direction_colours.shape == (0, 5, 3)


def test_nothing_to_prepare(tmp_path: Path, make_checkpoint: Callable[..., Path], folder: Path) -> None:
    plain = make_checkpoint(tmp_path / "pix2pix", latent_dim=0, encoder="none")
    with pytest.raises(UserError, match="pix2pix has no latent code"):
        prepare(plain, [], [])
    with pytest.raises(UserError, match="no validation pictures"):
        prepare(folder, [], [])


def test_grey_edges_reach_models_of_three_channels(
    tmp_path: Path, make_checkpoint: Callable[..., Path], pairs: list[Pair]
) -> None:
    folder = make_checkpoint(tmp_path / "model", latent_dim=2, input_channels=3)
    assert prepare(folder, pairs[:2], NAMES[:2]).codes == 2


def test_models_of_many_dims_are_measured_on_fewer_sketches(
    tmp_path: Path, make_checkpoint: Callable[..., Path], pairs: list[Pair]
) -> None:
    folder = make_checkpoint(tmp_path / "model", latent_dim=130)
    assert len(prepare(folder, pairs[:3], NAMES[:3]).effect) == 130


# From a folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight photos, two of them in val."""
    random = np.random.RandomState(0)
    for k in range(8):
        path = tmp_path / "photos" / ("val" if k < 2 else "train") / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.randint(0, 256, (4, 4, 3), dtype=np.uint8)).resize((40, 40)).save(path)
    return tmp_path / "photos"


def test_the_validation_part_of_a_folder_is_read(photos: Path, folder: Path) -> None:
    assert prepare_from(photos, folder).codes == 2
    assert load_latents(folder).names == ("0.png", "1.png")


def test_a_folder_without_parts_is_read_whole(photos: Path, folder: Path) -> None:
    assert prepare_from(photos / "val", folder).codes == 2
    assert prepare_from(photos, folder, limit=1).codes == 1
    for path in photos.glob("*/*.png"):
        path.rename(photos / path.name)
    for part in ("train", "val"):
        (photos / part).rmdir()
    assert prepare_from(photos, folder).codes == 8


def test_photos_become_the_sketches_of_inference(photos: Path, folder: Path) -> None:
    """A reconstruction in the sprite is that of the same photo in the studio."""
    prepare_from(photos, folder)
    pipe = Pipeline.from_pretrained(folder)
    with Image.open(photos / "val" / "1.png") as photo:
        expected = fit_square(pipe.reconstruct(photo).images[0], THUMB_SIZE)
    tile = Image.open(folder / THUMBS_FILE).crop((THUMB_SIZE, 0, 2 * THUMB_SIZE, THUMB_SIZE)).convert("RGB")
    assert np.abs(np.asarray(tile, float) - np.asarray(expected, float)).mean() < 6
    assert np.allclose(load_latents(folder).mu[1], pipe.encode(photos / "val" / "1.png"), atol=1e-4)


def test_the_command_prints_what_was_measured(photos: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["prepare", str(folder), "--data", str(photos), "--json"])
    printed, latents = json.loads(capsys.readouterr().out), load_latents(folder)
    assert printed["effect"] == pytest.approx(latents.effect.tolist(), abs=1e-4)
    assert printed["colour_effect"] == pytest.approx(latents.colour_effect.tolist(), abs=0.01)


def test_folders_that_cannot_be_used(
    photos: Path, folder: Path, tmp_path: Path, make_checkpoint: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match="nowhere"):
        prepare_from(tmp_path / "nowhere", folder)
    plain = make_checkpoint(tmp_path / "pix2pix", latent_dim=0, encoder="none")
    with pytest.raises(UserError, match="no latent code"):
        prepare_from(tmp_path / "nowhere", plain)
    labels = make_checkpoint(tmp_path / "labels", input_channels=3)
    config = json.loads((labels / CONFIG_FILE).read_text())
    (labels / CONFIG_FILE).write_text(json.dumps({**config, "edge_style": None}))
    with pytest.raises(UserError, match="draws from label maps"):
        prepare_from(photos, labels)


def test_noise_models_are_prepared_from_folders_too(
    photos: Path, tmp_path: Path, make_checkpoint: Callable[..., Path]
) -> None:
    assert len(prepare_from(photos, make_checkpoint(tmp_path / "noise", latent_dim=3, encoder="none")).effect) == 3


# Effects


@pytest.fixture
def one_dead_dim(folder: Path, tmp_path: Path) -> Path:
    """The generator does not look at z_2, and at z_1 three times as hard."""
    model = load_checkpoint(folder)
    codes = model.config.model.latent_dim
    for block in model.generator.down:
        first = block.conv.weight.shape[1] - codes
        block.conv.weight[:, first + 2] = 0
        block.conv.weight[:, first + 1] *= 3
    return save_checkpoint(tmp_path / "planted", model.config, model.generator, model.encoder)


def test_a_dead_dim_has_no_effect(one_dead_dim: Path, pairs: list[Pair]) -> None:
    report = prepare(one_dead_dim, pairs, NAMES)
    assert report.effect[2] == pytest.approx(0, abs=1e-6)
    assert dead_sliders(load_latents(one_dead_dim).effect).tolist() == [False, False, True, False]
    assert report.colour_effect == tuple(load_latents(one_dead_dim).colour_effect.tolist())
    assert report.colour_effect[2] < 0.05 * max(report.colour_effect)
    assert report.effect[1] == max(report.effect)
    assert min(report.effect[0], report.effect[3]) > 1e-4


def test_effects_are_distances_one_unit_apart(folder: Path, pairs: list[Pair]) -> None:
    generator = load_checkpoint(folder).generator
    sketches = to_float(np.stack([sketch for sketch, _ in pairs[:2]]))
    effect = measure_sliders(generator, sketches, RGB).effect
    by_hand = []
    for sketch, code in zip(sketches, draw_codes(0, 2, 1, 4)[:, 0], strict=True):
        codes = code.repeat(5, 1)
        codes[:, 3] = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
        pictures = generator(sketch.expand(5, -1, -1, -1), codes)
        by_hand.append((pictures[1:] - pictures[:-1]).abs().mean().item() / 2)
    assert effect[3] == pytest.approx(np.mean(by_hand), rel=1e-3)


def test_directions_that_are_the_dims_have_their_effects(folder: Path, pairs: list[Pair]) -> None:
    generator = load_checkpoint(folder).generator
    sketches = to_float(np.stack([sketch for sketch, _ in pairs[:2]]))
    turned = Pca(mean=np.zeros(4), components=np.eye(4)[[2, 0, 3, 1]], variances=np.ones(4))
    plain, along = measure_sliders(generator, sketches, RGB), measure_sliders(generator, sketches, RGB, turned)
    assert along.effect == pytest.approx(plain.effect[[2, 0, 3, 1]], rel=1e-3)
    assert along.colour_effect == pytest.approx(plain.colour_effect[[2, 0, 3, 1]], abs=0.2)  # of rounded pictures
    assert np.abs(along.colours.astype(int) - plain.colours[[2, 0, 3, 1]]).max() <= 1


class Dyer(nn.Module):
    """Paints the dark part of a sketch: z_0 makes it lighter, z_1 turns it from green to red, z_2 does nothing."""

    def __init__(self):
        super().__init__()
        self.config = replace(ModelConfig(), latent_dim=3)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.painted = 0

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        self.painted += len(a)
        light, red = 0.2 * z[:, 0], 0.2 * z[:, 1]
        colour = torch.stack([light + red, light - red, light], dim=1)[..., None, None]
        return torch.where(a < 0, colour.clamp(-1, 1), torch.ones(()))


@pytest.fixture
def dyer(monkeypatch: pytest.MonkeyPatch) -> Dyer:
    monkeypatch.setattr("bicyclegan.metrics.outputs._fast", lambda generator: generator)
    return Dyer()


@pytest.fixture
def squares() -> Tensor:
    """Four sketches of squares on white paper, (4, 1, 32, 32)."""
    sketches = torch.ones(4, 1, 32, 32)
    for k in range(4):
        sketches[k, :, 8 + k : 20, 8:20] = -1
    return sketches


def test_colours_are_those_of_the_object_on_its_way(dyer: Dyer, squares: Tensor) -> None:
    found = measure_sliders(dyer, squares, RGB)
    contexts = draw_codes(0, 4, 1, 3)[:, 0]
    lab = np.zeros((4, 3, 5, 3), np.float32)
    for k, d, s in np.ndindex(4, 3, 5):
        z = contexts[k : k + 1].clone()
        z[0, d] = EFFECT_STEPS[s]
        lab[k, d, s] = rgb_to_lab(to_uint8(dyer(squares[k : k + 1], z))[0, 15, 15])
    steps = np.linalg.norm(lab[:, :, 1:] - lab[:, :, :-1], axis=-1)
    assert found.colour_effect == pytest.approx(steps.mean(axis=(0, 2)), abs=1e-3)
    assert np.array_equal(found.colours, lab_to_rgb(lab.mean(axis=0)))
    assert (found.colours.dtype, found.colour_effect.dtype) == (np.uint8, np.float32)


def test_colours_say_what_a_slider_does(dyer: Dyer, squares: Tensor) -> None:
    found = measure_sliders(dyer, squares, RGB)
    light = found.colours.astype(int).mean(axis=2)
    assert (np.diff(light[0]) > 10).all()
    red = found.colours[1, :, 0].astype(int) - found.colours[1, :, 1]
    assert (np.diff(red) > 10).all()
    assert found.colour_effect[2] == 0
    assert min(found.colour_effect[:2]) > 5


def test_a_pass_paints_each_picture_once(dyer: Dyer, squares: Tensor) -> None:
    measure_sliders(dyer, squares, RGB)
    assert dyer.painted == 4 * 3 * 5


def test_sliders_are_told_apart_in_any_grouping(dyer: Dyer, squares: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure_sliders(dyer, squares, RGB)
    monkeypatch.setattr("bicyclegan.prepare.SLIDERS", 2)
    parts = measure_sliders(dyer, squares, RGB)
    for name in ("effect", "colours", "colour_effect"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name)), name


class Fickle(Dyer):
    """z_1 alone counts, and turns black sketches red, but grey ones green."""

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        side = torch.where(a.amin(dim=(1, 2, 3)) < -0.75, 1.0, -1.0)
        return super().forward(a, torch.stack([0 * side, side * z[:, 1], 0 * side], dim=1))


def test_opposite_changes_do_not_cancel(dyer: Dyer, squares: Tensor) -> None:
    sketches = torch.cat([squares[:2], squares[:2].clamp(min=-0.5)])
    found = measure_sliders(Fickle(), sketches, RGB)
    assert found.colour_effect[1] > 10
    ends = rgb_to_lab(found.colours[1, [0, 4]])
    assert delta_e(ends[0], ends[1]) < 2  # both the mean of red and green


def test_moving_a_slider_moves_nothing_else() -> None:
    codes = np.random.RandomState(0).randn(5, 3).astype(np.float32)
    before = codes.copy()
    assert move_slider(codes, 1, 2.0)[:, 1].tolist() == [2.0] * 5
    assert np.array_equal(move_slider(codes, 1, 2.0)[:, [0, 2]], codes[:, [0, 2]])
    pca = Pca.fit(codes)
    moved = pca.transform(move_slider(codes, 0, -1.0, pca), 3)
    assert moved[:, 0] == pytest.approx(-np.ones(5))
    assert moved[:, 1:] == pytest.approx(pca.transform(codes, 3)[:, 1:])
    assert np.array_equal(codes, before)


# The sprite


def test_busy_sprites_are_packed_harder() -> None:
    random = np.random.RandomState(0)
    noise = [Image.fromarray(random.randint(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(9)]
    calm = [tile.filter(ImageFilter.GaussianBlur(8)) for tile in noise]
    assert len(make_sprite(noise)) < len(webp_bytes(_sheet(noise), THUMB_QUALITIES[0]))
    assert make_sprite(calm) == webp_bytes(_sheet(calm), THUMB_QUALITIES[0])
    assert len(make_sprite(calm)) < THUMB_BYTES * 9


def _sheet(tiles: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (192, 192))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % 3 * 64, index // 3 * 64))
    return sheet
