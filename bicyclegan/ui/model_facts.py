"""What the page's scripts know of the chosen model: its codes, and what was measured of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bicyclegan.latents_file import Latents, dead_sliders
from bicyclegan.ui.studio import Studio


def model_facts(studio: Studio, name: str) -> dict[str, Any]:
    """Plain data for `window.studio.get("model")`; sliders without measurements where `prepare` never ran.

    name: what the picker calls it, the name of its folder.
    """
    pipe, latents = studio.pipeline(name), studio.latents(name)
    dim = pipe.config.model.latent_dim
    nothing = [{"effect": None, "colour": None, "ramp": None, "dead": False}] * dim
    return {
        "name": name,
        "label": studio.label(name),
        "hash": pipe.hash,
        "dim": dim,
        "size": pipe.config.model.image_size,
        "encoder": pipe.encoder is not None,
        "edges": pipe.config.edge_style is not None,
        "label_maps": pipe.config.takes_label_maps,
        "metric": "" if latents is None else metric_label(latents.effect_metric),
        "sliders": nothing if latents is None else _sliders(latents.effect, latents.colour_effect, latents.colours),
        "directions": _directions(latents),
    }


def metric_label(name: str) -> str:
    """A distance's name as people say it: lpips_alex_v0.1 -> LPIPS."""
    return name.partition("_")[0].upper()


def _directions(latents: Latents | None) -> dict[str, Any] | None:
    if latents is None or latents.pca is None:
        return None
    measured = _sliders(latents.direction_effect, latents.direction_colour_effect, latents.direction_colours)
    return {
        "mean": latents.pca.mean.tolist(),
        "components": latents.pca.components.tolist(),
        "sliders": measured,
    }


def _sliders(effect: np.ndarray, colour: np.ndarray | None, ramps: np.ndarray | None) -> list[dict[str, Any]]:
    """For each slider its effect, its effect on colour, the colours from left to right, and whether it is dead."""
    return [
        {
            "effect": round(float(effect[d]), 5),
            "colour": None if colour is None else round(float(colour[d]), 2),
            "ramp": None if ramps is None else [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in ramps[d].tolist()],
            "dead": bool(dead),
        }
        for d, dead in enumerate(dead_sliders(effect))
    ]
