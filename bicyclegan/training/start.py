"""Starting from a checkpoint: fine-tuning, and going on where only the weights survive (`--init-from`)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from bicyclegan.checkpoints import load_checkpoint, load_discriminators, resolve
from bicyclegan.config import CheckpointConfig, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.models import Discriminator
from bicyclegan.models.spectral import SINGULAR_VECTORS, learnt_weight, settle
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.networks import Networks

DISCRIMINATOR_FIELDS = (
    "discriminator_channels",
    "discriminator_layers",
    "num_discriminators",
    "conditional_discriminator",
    "spectral_norm",
    "minibatch",
)
FREE_FIELDS = ("image_size", "input_channels", "dropout", *DISCRIMINATOR_FIELDS)
"""Fields of `ModelConfig` that may differ from the checkpoint's: no weight of G and E but the first depends on them."""
GROWING_FIELDS = ("map_code", "residual_blocks")
"""Fields that may be more than the checkpoint's, never less: what is new starts as the identity."""


def load_start(config: TrainConfig, networks: Networks) -> bool:
    """Fill fresh networks with the weights of `config.init_from`, in place.

    First-layer weights are repeated and scaled where the number of sketch channels differs. Parts that are new stay
    the identity that they are. Discriminators are taken over where the folder has them and they fit.

    Returns:
        Whether every discriminator came along; otherwise they should catch up before G moves.

    Raises:
        UserError: when the checkpoint is broken, or its networks differ in anything else.
    """
    checkpoint = load_checkpoint(resolve(config.init_from))
    theirs, ours = checkpoint.config.model, config.model
    _check_same(theirs, ours, checkpoint.folder, networks)
    channels = (theirs.input_channels, ours.input_channels)
    _take(networks.generator, networks.generator.down[0].conv, checkpoint.generator, channels)
    if networks.encoder is not None:
        networks.encoder.load_state_dict(checkpoint.encoder.state_dict())
    return _take_discriminators(networks, checkpoint.folder, theirs, channels)


def config_from_checkpoint(config: TrainConfig, checkpoint: CheckpointConfig) -> TrainConfig:
    """A preset for training on from a checkpoint: its networks and its edge style."""
    style = checkpoint.edge_style or config.edge_style
    return dataclasses.replace(config, model=checkpoint.model, edge_style=style)


def fit_channels(weight: Tensor, old: int, new: int) -> Tensor:
    """First-layer weight (C', old + rest, k, k) for `new` sketch channels: (C', new + rest, k, k).

    A grey sketch repeated on all new channels gives what it gave before: channels are repeated and divided,
    or, going down to one, added up. Raises `UserError` for numbers that do not divide.
    """
    if old == new:
        return weight
    sketch, rest = weight[:, :old], weight[:, old:]
    if new % old == 0:
        sketch = sketch.repeat(1, new // old, 1, 1) * (old / new)
    elif new == 1:
        sketch = sketch.sum(dim=1, keepdim=True)
    else:
        raise UserError(
            "init_channels",
            "The checkpoint reads sketches of {old} channels; they cannot become {new}. Use {old}, a multiple, or 1.",
            old=old,
            new=new,
        )
    return torch.cat([sketch, rest], dim=1)


def _check_same(theirs: ModelConfig, ours: ModelConfig, folder: Path, networks: Networks) -> None:
    _check_attention(theirs, ours, folder)
    for field in dataclasses.fields(ModelConfig):
        ignored = field.name.startswith("encoder") and networks.encoder is None
        there, here = getattr(theirs, field.name), getattr(ours, field.name)
        ignored = ignored or field.name == "attention" or (field.name in GROWING_FIELDS and here >= there)
        if field.name not in FREE_FIELDS and not ignored and there != here:
            raise UserError(
                "init_mismatch",
                "{folder} has {field} {there!r}, this run asks for {here!r}. Leave the option out to take over the "
                "checkpoint's, or start without --init-from.",
                folder=folder,
                field=field.name,
                there=there,
                here=here,
            )


def _check_attention(theirs: ModelConfig, ours: ModelConfig, folder: Path) -> None:
    """It may be new; at another image_size it stays at its place in the networks, where maps have another side."""
    if theirs.attention and theirs.attention_level != ours.attention_level:
        raise UserError(
            "init_attention",
            "{folder} has attention at {there} px in pictures of {size} px; in {own_size} px the same place is "
            "{wanted} px, but this run asks for {here}. Use attention {wanted}, or image_size {size} and leave it out.",
            folder=folder,
            there=theirs.attention,
            size=theirs.image_size,
            own_size=ours.image_size,
            wanted=ours.image_size >> theirs.attention_level,
            here=ours.attention,
        )


def _take(network: nn.Module, first: nn.Module, source: nn.Module, channels: tuple[int, int]) -> None:
    """All weights of `source`, in place; `first` is the layer of `network` that reads the sketch.

    Singular vectors are not taken: those of a layer that reads another number of channels would not fit.
    """
    theirs = {key: value for key, value in source.state_dict().items() if not key.endswith(SINGULAR_VECTORS)}
    state = {**network.state_dict(), **theirs}
    [key] = [name for name, weight in network.named_parameters() if weight is learnt_weight(first)]
    state[key] = fit_channels(state[key], *channels)
    network.load_state_dict(state)
    settle(network)


def _take_discriminators(networks: Networks, folder: Path, theirs: ModelConfig, channels: tuple[int, int]) -> bool:
    """Whether all that are needed were there."""
    ours = networks.generator.config
    wanted = {name: network for name, network in networks.named() if isinstance(network, Discriminator)}
    if any(getattr(theirs, name) != getattr(ours, name) for name in DISCRIMINATOR_FIELDS):
        return not wanted  # other critics than the checkpoint's were asked for: they start fresh
    found = load_discriminators(folder, theirs)
    if not ours.conditional_discriminator:
        channels = (0, 0)  # it never sees the sketch
    for name in wanted.keys() & found.keys():
        for here, there in zip(wanted[name].scales, found[name].scales, strict=True):
            _take(here, here[0], there, channels)
    return wanted.keys() <= found.keys()
