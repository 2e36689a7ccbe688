"""`latents.npz` comes back as it was written, and everything that can be wrong with one has its message."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bicyclegan.checkpoints import content_hash
from bicyclegan.config import CONFIG_FILE, LATENTS_FILE, THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.latents_file import (
    COLOUR_FIELDS,
    FORMAT_VERSION,
    MAX_BYTES,
    Latents,
    dead_sliders,
    load_latents,
    save_latents,
)
from bicyclegan.projection import MapSettings, Pca


@pytest.fixture
def folder(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint(tmp_path / "model", latent_dim=4)


@pytest.fixture
def latents(folder: Path) -> Latents:
    mu = np.random.RandomState(0).randn(6, 4).astype(np.float32)
    pca = Pca.fit(mu)
    return Latents(
        checkpoint_hash=content_hash(folder),
        names=("a/1.png", "靴.jpg", "3", "4", "5", "6"),
        mu=mu,
        logvar=np.full_like(mu, -1),
        pca=pca,
        map_pca=pca.transform(mu, 3).astype(np.float32),
        effect=np.arange(4, dtype=np.float32),
        direction_effect=np.ones(4, dtype=np.float32),
        effect_metric="rgb",
        thumb_columns=3,
        thumb_size=64,
        colours=np.random.RandomState(1).randint(0, 256, (4, 5, 3), dtype=np.uint8),
        colour_effect=np.arange(4, dtype=np.float32),
        direction_colours=np.random.RandomState(2).randint(0, 256, (4, 5, 3), dtype=np.uint8),
        direction_colour_effect=np.ones(4, dtype=np.float32),
    )


def rewrite(folder: Path, **arrays: object) -> None:
    """Change arrays of the stored file; None removes one."""
    with np.load(folder / LATENTS_FILE) as stored:
        values = {**stored, **arrays}
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value for name, value in values.items() if value is not None})
    (folder / LATENTS_FILE).write_bytes(buffer.getvalue())


def refused(folder: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        load_latents(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_everything_comes_back(folder: Path, latents: Latents) -> None:
    files = save_latents(folder, latents, b"sprite")
    assert [path.name for path in files] == [LATENTS_FILE, THUMBS_FILE]
    found = load_latents(folder)
    for field in fields(Latents):
        if field.name not in ("pca", "thumbs_hash"):
            assert np.array_equal(getattr(found, field.name), getattr(latents, field.name)), field.name
    for name in ("mean", "components", "variances"):
        assert np.array_equal(getattr(found.pca, name), getattr(latents.pca, name)), name
    assert (found.mu.dtype, found.colours.dtype, found.colour_effect.dtype) == (np.float32, np.uint8, np.float32)


def stored_version(folder: Path) -> int:
    with np.load(folder / LATENTS_FILE) as stored:
        return int(stored["version"])


def test_older_files_have_no_colours(folder: Path, latents: Latents) -> None:
    save_latents(folder, latents)
    rewrite(folder, version=1, **dict.fromkeys(COLOUR_FIELDS))
    found = load_latents(folder)
    assert [getattr(found, name) for name in COLOUR_FIELDS] == [None] * 4
    assert np.array_equal(found.effect, latents.effect)


def test_only_what_an_older_program_cannot_read_has_a_newer_version(folder: Path, latents: Latents) -> None:
    save_latents(folder, latents)
    assert stored_version(folder) == 2
    save_latents(folder, with_maps(latents))
    assert stored_version(folder) == FORMAT_VERSION == 3
    save_latents(folder, replace(latents, photo_colours=np.zeros((6, 3), np.uint8)))
    assert stored_version(folder) == 3
    save_latents(folder, replace(latents, **dict.fromkeys(COLOUR_FIELDS)))
    assert stored_version(folder) == 1
    with np.load(folder / LATENTS_FILE) as stored:
        assert not {*COLOUR_FIELDS} & {*stored}
    assert load_latents(folder).colours is None


def with_maps(latents: Latents) -> Latents:
    random = np.random.RandomState(3)
    maps = [(MapSettings("tsne", perplexity=2), 2), (MapSettings("umap", 3, neighbours=4), 3)]
    placed = tuple((settings, random.randn(6 + 100, dims).astype(np.float32)) for settings, dims in maps)
    return replace(latents, photo_colours=random.randint(0, 256, (6, 3), dtype=np.uint8), maps=placed)


def test_maps_come_back_by_their_settings(folder: Path, latents: Latents) -> None:
    stored = with_maps(latents)
    save_latents(folder, stored)
    loaded = load_latents(folder)
    assert np.array_equal(loaded.photo_colours, stored.photo_colours)
    for settings, coords in stored.maps:
        found = loaded.map_for(replace(settings, **({"neighbours": 9} if settings.method == "tsne" else {})))
        assert np.array_equal(np.concatenate([found.coords, found.prior_coords]), coords)
        assert not found.is_exact
    assert loaded.map_for(MapSettings("tsne", perplexity=3)) is None
    assert loaded.map_for(MapSettings("tsne", 3, perplexity=2)) is None
    plain = loaded.map_for(MapSettings("pca", 3))
    assert plain.coords == pytest.approx(latents.map_pca)
    assert plain.is_exact


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"map_0": np.zeros((7, 2))}, "map_0 has shape"),
        ({"map_1": np.full((106, 3), np.nan)}, "map_1 holds NaN"),
        ({"map_1": None}, "KeyError"),
        ({"maps": np.array(["{", "{}"])}, "cannot be used"),
        ({"maps": np.array(['{"method": "magic", "dims": 2}'])}, "magic"),
        ({"maps": np.array(['{"method": "umap", "dims": 2, "neighbours": 5000}'])}, "5000"),
        ({"photo_colours": np.zeros((5, 3), np.uint8)}, "photo_colours has shape"),
        ({"photo_colours": np.zeros((6, 3))}, "not bytes"),
    ],
)
def test_maps_that_do_not_fit(folder: Path, latents: Latents, arrays: dict, match: str) -> None:
    save_latents(folder, with_maps(latents))
    rewrite(folder, **arrays)
    with pytest.raises(UserError, match=match) as caught:
        load_latents(folder)
    assert caught.value.code == "latents_damaged"


def test_dead_sliders_do_next_to_nothing() -> None:
    assert dead_sliders(np.array([1.0, 0.049, 0.051, 0.0])).tolist() == [False, True, False, True]
    assert dead_sliders(np.zeros(3)).tolist() == [True] * 3
    assert dead_sliders(np.zeros(0, np.float32)).shape == (0,)


def test_none_where_prepare_never_ran(folder: Path) -> None:
    assert load_latents(folder) is None


def test_only_sliders_without_an_encoder(folder: Path, latents: Latents) -> None:
    none = np.zeros((0, 4), np.float32)
    bare = replace(
        latents,
        names=(),
        mu=none,
        logvar=none,
        pca=None,
        map_pca=np.zeros((0, 0)),
        direction_effect=np.zeros(0),
        direction_colours=np.zeros((0, 5, 3), np.uint8),
        direction_colour_effect=np.zeros(0),
    )
    (folder / THUMBS_FILE).write_bytes(b"old sprite")
    assert save_latents(folder, bare) == [folder / LATENTS_FILE]
    assert not (folder / THUMBS_FILE).exists()
    found = load_latents(folder)
    assert found.pca is None
    assert found.mu.shape == (0, 4)
    assert found.effect.tolist() == [0, 1, 2, 3]
    assert found.thumb_columns == 0


def test_other_weights_make_it_stale(folder: Path, latents: Latents, make_checkpoint: Callable[..., Path]) -> None:
    save_latents(folder, latents)
    assert not load_latents(folder).stale
    assert load_latents(folder, checkpoint_hash="another").stale
    other = make_checkpoint(folder.parent / "other", seed=1, latent_dim=4)
    (other / LATENTS_FILE).write_bytes((folder / LATENTS_FILE).read_bytes())
    found = load_latents(other)
    assert found.stale
    assert np.array_equal(found.mu, latents.mu)


@pytest.mark.parametrize("sprite", [None, b"another sprite"])
def test_a_sprite_of_other_photos_is_not_used(folder: Path, latents: Latents, sprite: bytes | None) -> None:
    save_latents(folder, latents, b"sprite")
    assert load_latents(folder).thumb_columns == 3
    (folder / THUMBS_FILE).unlink()
    if sprite:
        (folder / THUMBS_FILE).write_bytes(sprite)
    assert load_latents(folder).thumb_columns == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x04\x95 a pickle", b"text"])
def test_damage_is_named_with_the_way_out(folder: Path, content: bytes) -> None:
    (folder / LATENTS_FILE).write_bytes(content)
    refused(folder, r"latents\.npz cannot be used .* python -m bicyclegan prepare")


def test_a_file_that_was_cut_is_damaged(folder: Path, latents: Latents) -> None:
    save_latents(folder, latents)
    whole = (folder / LATENTS_FILE).read_bytes()
    for share in (0.3, 0.9):
        (folder / LATENTS_FILE).write_bytes(whole[: int(len(whole) * share)])
        refused(folder, "cannot be used")


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"mu": np.zeros((5, 4))}, r"mu has shape \(5, 4\), this model asks for \(6, 4\)"),
        ({"logvar": np.zeros((6, 3))}, "logvar has shape"),
        ({"effect": np.zeros(8)}, "effect has shape"),
        ({"map_pca": np.zeros((6, 2))}, "map_pca has shape"),
        ({"pca_components": np.zeros((2, 4))}, "components has shape"),
        ({"mu": np.full((6, 4), np.nan)}, "mu holds NaN"),
        ({"pca_mean": np.full(4, np.inf)}, "mean holds NaN or infinite"),
        ({"mu": None}, "cannot be used"),
        ({"thumb_columns": -1}, "a sprite of -1 columns"),
        ({"thumb_size": 10**6}, "1000000 px"),
        ({"more": np.zeros(3)}, "cannot be used"),
        ({"mu": np.array([None])}, "cannot be used"),
        ({"version": "new"}, "cannot be used"),
        ({"version": 4}, r"version 4; this program reads up to 3\. Update it"),
        ({"colours": np.zeros((4, 4, 3), np.uint8)}, r"colours has shape \(4, 4, 3\), this model asks for \(4, 5, 3\)"),
        ({"direction_colours": np.zeros((0, 5, 3), np.uint8)}, "direction_colours has shape"),
        ({"colours": np.full((4, 5, 3), 300.0)}, "colours holds float64, not bytes"),
        ({"direction_colours": np.full((4, 5, 3), "red")}, "direction_colours holds <U3, not bytes"),
        ({"colour_effect": np.full(4, np.nan)}, "colour_effect holds NaN"),
        ({"direction_colour_effect": None}, "direction_colour_effect is missing"),
    ],
)
def test_contents_that_do_not_fit(folder: Path, latents: Latents, arrays: dict[str, object], match: str) -> None:
    save_latents(folder, latents, b"sprite")
    rewrite(folder, **arrays)
    refused(folder, match)


def test_latents_of_a_model_with_other_dims(folder: Path, latents: Latents) -> None:
    save_latents(folder, latents)
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["model"]["latent_dim"] = 5
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    refused(folder, r"this model asks for \(6, 5\)")


def test_a_bomb_is_not_unpacked(folder: Path) -> None:
    with zipfile.ZipFile(folder / LATENTS_FILE, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("mu.npy", "w") as mu:
        for _ in range(MAX_BYTES // (1 << 20) + 1):
            mu.write(bytes(1 << 20))
    assert (folder / LATENTS_FILE).stat().st_size < 1 << 20
    refused(folder, "unpacks to")
