"""What the map's script may ask: where codes lie, which code lies at a place, how the codes are, how a run moved them.

As with `Answers`, nothing of a visitor is kept; maps that were computed are, by what is on them.
"""

from __future__ import annotations

import base64
import math
from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
import torch

from bicyclegan.config import THUMBS_FILE
from bicyclegan.errors import UserError
from bicyclegan.latent import check_codes, check_number
from bicyclegan.latents_file import Latents
from bicyclegan.losses import kl_per_dim
from bicyclegan.map_jobs import Waiting
from bicyclegan.map_page.colourings import Colouring, clusters, quick_colourings
from bicyclegan.metrics.latent import active
from bicyclegan.metrics.posterior import MIN_PHOTOS, read_posterior
from bicyclegan.photo_files import MAX_PHOTOS
from bicyclegan.projection import (
    MAX_PRIOR,
    METHODS,
    CodeMap,
    MapSettings,
    check_map,
    map_key,
    pca_map,
    prior_codes,
)
from bicyclegan.training.code_history import history_coords, read_code_history
from bicyclegan.training.jobs import is_public
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.wanted import Wanted

MAP_QUESTIONS = (
    "map_points",
    "map_sprite",
    "map_clusters",
    "map_places",
    "map_cancel",
    "map_place",
    "map_code",
    "map_readings",
    "map_run",
)
"""Methods that scripts may call."""
KEPT_MAPS = 8
"""Maps in memory: dragging a slider asks for places thirty times a second."""
MAX_PLACE = 1e6
MAX_PLACED = 64
"""Codes that are placed in one question: the current one and all pins."""
MAX_RUNS = 50


class MapAnswers:
    """Every method raises `UserError` for what cannot be answered."""

    def __init__(self, studio: Studio):
        self.studio = studio
        self._maps: OrderedDict[str, CodeMap] = OrderedDict()
        self._clusters: dict[bytes, Colouring | None] = {}
        """Of the model that was asked for last."""
        self._lock = Lock()

    def map_points(self, wanted: Wanted) -> dict[str, Any]:
        """All points of a model and what they can be coloured by; none where `prepare` never ran."""
        name = wanted.text("checkpoint")
        dim = self.studio.pipeline(name).config.model.latent_dim
        latents = self._latents(name)
        count = 0 if latents is None else len(latents.names)
        mine = latents is not None and latents.thumb_columns > 0
        return {
            "count": count,
            "names": [] if latents is None else list(latents.names),
            "codes": pack_floats(np.zeros((0, dim)) if latents is None else latents.mu),
            "prior": pack_floats(prior_codes(MAX_PRIOR, dim) if dim else np.zeros((0, 0))),
            "colourings": [] if latents is None else _colourings(latents),
            "sprite": {"columns": latents.thumb_columns, "size": latents.thumb_size} if mine else None,
            "shipped": [] if latents is None else [settings.used for settings, _ in latents.maps],
            "runs": self._runs(),
        }

    def map_sprite(self, wanted: Wanted) -> dict[str, Any]:
        """Thumbnails of all reconstructions in one picture."""
        name = wanted.text("checkpoint")
        latents = self._latents(name)
        if latents is None or not latents.thumb_columns:
            raise UserError("map_no_sprite", "There are no thumbnails with {name}.", name=self.studio.label(name))
        data = (self.studio.pipeline(name).folder / THUMBS_FILE).read_bytes()
        return {"url": f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"}

    def map_clusters(self, wanted: Wanted) -> dict[str, Any]:
        """Which photos are alike, by their codes."""
        latents = self._latents(wanted.text("checkpoint"))
        if latents is None:
            return {"clusters": None}
        with self.studio.beside.turn():
            found = self._clusters.get(latents.mu.tobytes()) or clusters(latents.mu)
            self._clusters = {latents.mu.tobytes(): found}
        return {"clusters": found.to_json() if found else None}

    def map_places(self, wanted: Wanted) -> dict[str, Any]:
        """Where all points lie, or how far the computing of that is. Whoever waits asks again."""
        codes, own, joint = self._codes(wanted)
        settings, ticket = _settings(wanted), wanted.text("ticket")
        found = self._map_for(wanted.text("checkpoint"), codes, settings, joint)
        if found is None:
            owner, private = wanted.visitor, joint
            found = self.studio.maps.ask(codes, settings, ticket, owner=owner, private=private)
            if isinstance(found, Waiting):
                return {"waiting": vars(found)}
            self._keep(found)
        else:
            self.studio.maps.cancel(ticket)
        count = len(codes) - (len(own) if joint else 0)
        places = found.coords[count:] if joint else found.place(own) if len(own) else own[:, :0]
        return {
            "coords": pack_floats(found.coords[:count]),
            "prior": pack_floats(found.prior_coords),
            "own": pack_floats(places),
            "exact": found.is_exact,
            "centre": _centre(found),
            "shares": found.pca.shares[: settings.dims].tolist() if found.pca else None,
        }

    def map_cancel(self, wanted: Wanted) -> dict[str, Any]:
        """Wait no more."""
        self.studio.maps.cancel(wanted.text("ticket"))
        return {}

    def map_place(self, wanted: Wanted) -> dict[str, Any]:
        """Where codes lie on a map that is there."""
        found = self._ready(wanted)
        return {"places": found.place(wanted.codes("z", found.codes.shape[1], MAX_PLACED)).tolist()}

    def map_code(self, wanted: Wanted) -> dict[str, Any]:
        """The code at a place of a map that is there."""
        found = self._ready(wanted)
        z = found.code_at(_place(wanted, found.settings.dims)[None])
        return {"z": check_codes(z, found.codes.shape[1])[0].tolist()}

    def map_readings(self, wanted: Wanted) -> dict[str, Any]:
        """How codes are, in words: those of the model's photos, or somebody's own."""
        name = wanted.text("checkpoint")
        dim = self.studio.pipeline(name).config.model.latent_dim
        if wanted.data.get("own"):
            mu, logvar = (_floats(wanted, key, dim) for key in ("own", "logvar"))
            if len(mu) < MIN_PHOTOS:
                raise UserError(
                    "own_few",
                    "Too few photos to judge a latent space by: {count}; add at least {minimum}, better hundreds.",
                    count=len(mu),
                    minimum=MIN_PHOTOS,
                )
        else:
            latents = self._latents(name)
            mu, logvar = (np.zeros((0, dim)),) * 2 if latents is None else (latents.mu, latents.logvar)
        with self.studio.beside.turn():
            return {"report": read_posterior(mu, logvar)}

    def map_run(self, wanted: Wanted) -> dict[str, Any]:
        """How the codes of a run's validation photos moved: places at each step, and what became of them."""
        name = wanted.text("run")
        if name not in self._runs():
            raise UserError("map_run_gone", "There is no run {name!r} with codes here any more.", name=name)
        with self.studio.beside.turn():
            history = read_code_history(self.studio.settings.runs / name)
            coords = history_coords(history, wanted.integer("dims", 2, 3))
        moments = zip(history.mu, history.logvar, strict=True)
        return {
            "steps": history.steps.tolist(),
            "names": list(history.names),
            "skipped": history.skipped,
            "coords": pack_floats(coords.reshape(-1, coords.shape[2])),
            "numbers": [_numbers(mu, logvar) for mu, logvar in moments],
        }

    # Parts

    def _latents(self, name: str) -> Latents | None:
        latents = self.studio.latents(name)
        return None if latents is None or latents.pca is None else latents

    def _runs(self) -> list[str]:
        """Runs of the command line that have codes, the newest first: those of the Train tab belong to somebody."""
        folder = self.studio.settings.runs
        try:
            found = [path for path in folder.iterdir() if next(path.glob("latents/step-*.npz"), None)]
            found = [path for path in found if is_public(path)]
            found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:
            return []
        return [path.name for path in found[:MAX_RUNS]]

    def _codes(self, wanted: Wanted) -> tuple[np.ndarray, np.ndarray, bool]:
        """Codes to lay out, somebody's own, and whether those are among them: as asked, or for want of others."""
        name = wanted.text("checkpoint")
        dim = self.studio.pipeline(name).config.model.latent_dim
        latents = self._latents(name)
        own = _floats(wanted, "own", dim)
        if latents is None:
            return own, own, True
        joint = wanted.flag("joint") and len(own) > 0
        return np.concatenate([latents.mu, own]) if joint else latents.mu, own, joint

    def _map_for(self, name: str, codes: np.ndarray, settings: MapSettings, joint: bool) -> CodeMap | None:
        """A map that takes no time: of PCA, out of the model's file, or out of memory."""
        latents = self._latents(name)
        settings.check(len(codes))
        key = map_key(codes, settings)
        with self._lock:
            if key in self._maps:
                self._maps.move_to_end(key)
                return self._maps[key]
        if settings.method == "pca":
            found = pca_map(codes, settings, latents.pca if latents else None)
        else:
            found = None if latents is None or joint else latents.map_for(settings)
            found = found or self.studio.maps.known(check_map(codes, settings), settings)
        if found is not None:
            self._keep(found)
        return found

    def _keep(self, found: CodeMap) -> None:
        with self._lock:
            self._maps[map_key(found.codes, found.settings)] = found
            while len(self._maps) > KEPT_MAPS:
                self._maps.popitem(last=False)

    def _ready(self, wanted: Wanted) -> CodeMap:
        codes, _, joint = self._codes(wanted)
        found = self._map_for(wanted.text("checkpoint"), codes, _settings(wanted), joint)
        if found is None:
            raise UserError("map_not_there", "This map is not laid out yet. Choose PCA, UMAP or t-SNE again.")
        return found


def pack_floats(array: np.ndarray) -> dict[str, Any]:
    """(N, D) as the scripts read it: little-endian float32 in base64, a tenth of the time of JSON."""
    rows, columns = array.shape
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return {"rows": rows, "columns": columns, "data": base64.b64encode(data).decode("ascii")}


def _floats(wanted: Wanted, name: str, columns: int) -> np.ndarray:
    """(N, columns) float32 as the scripts send it; none where it is absent. Raises `UserError`."""
    packed = wanted.data.get(name)
    if not packed:
        return np.zeros((0, columns), np.float32)
    fields = Wanted(packed)
    rows = fields.integer("rows", 0, MAX_PHOTOS)
    try:
        data = base64.b64decode(fields.text("data", limit=None), validate=True)
        codes = np.frombuffer(data, "<f4").reshape(rows, columns)
    except ValueError as error:
        raise UserError("codes_type", "Latent codes must be numbers: {why}.", why=error) from None
    if not np.isfinite(codes).all():
        raise UserError("projection_value", "Codes to project hold NaN or infinite values: the encoder has failed.")
    return codes


def _settings(wanted: Wanted) -> MapSettings:
    """What is not said is as in the maps that come with a model."""
    method, data = wanted.text("method"), wanted.data
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise UserError("map_method", "There is no map by {method!r}; use {known}.", method=method, known=known)
    names = ("dims", "neighbours", "min_dist", "perplexity", "seed")
    return MapSettings(method, **{name: _whole(data[name]) for name in names if data.get(name) is not None})


def _whole(value: Any) -> Any:
    """30.0 out of JSON as 30: settings that are equal name the same map."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _colourings(latents: Latents) -> list[dict[str, Any]]:
    """All but the dims, which are the codes themselves, and clusters, which take time."""
    found = quick_colourings(latents.mu, latents.logvar, latents.names, latents.photo_colours)
    return [each.to_json() for each in found]


def _place(wanted: Wanted, dims: int) -> np.ndarray:
    """(dims,) of a map. Raises `UserError`."""
    numbers = wanted.items("place", dims, least=dims)
    return np.array([check_number("place", number, -MAX_PLACE, MAX_PLACE) for number in numbers])


def _centre(found: CodeMap) -> list[float] | None:
    """Where the code 0 lies, around which random codes do; None where those make no rings."""
    dim = found.codes.shape[1]
    return found.place(np.zeros((1, dim)))[0].tolist() if found.is_exact and dim >= found.settings.dims else None


def _numbers(mu: np.ndarray, logvar: np.ndarray) -> dict[str, Any]:
    """KL, None where a run has diverged, and how many dims are active."""
    mu, logvar = (torch.from_numpy(part).double() for part in (mu, logvar))
    kl = float(kl_per_dim(mu, logvar).sum(dim=1).mean())
    return {"kl": kl if math.isfinite(kl) else None, "active": sum(active(mu)), "dims": mu.shape[1]}
