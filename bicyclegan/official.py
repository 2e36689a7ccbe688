"""The official BicycleGAN code's option names and parameter names, in our words.

Options are those of `options.json` files beside official weights (`netG`, `ngf`, `where_add`, ...). The
official U-Net nests its levels and numbers its layers inside `nn.Sequential`s; the functions below say
where each of our modules stands there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bicyclegan.config import ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.models import Discriminator, Encoder, Generator

if TYPE_CHECKING:
    from bicyclegan.training.config import LossConfig, TrainConfig

ACTIVATIONS = {"relu": "relu", "lrelu": "leaky_relu", "elu": "elu"}
UPSAMPLES = {"basic": "transposed", "bilinear": "bilinear"}
GENERATORS = {"unet_128": (128, 7), "unet_256": (256, 8)}
ENCODERS = {
    "resnet_128": ("resnet", 128, 4),
    "resnet_256": ("resnet", 256, 5),
    "conv_128": ("conv", 128, 4),
    "conv_256": ("conv", 256, 5),
}
DISCRIMINATORS = {
    "basic_128": (128, 2),
    "basic_256": (256, 3),
    "basic_128_multi": (128, 2),
    "basic_256_multi": (256, 3),
}
ADVERSARIAL = ("lsgan", "vanilla")
INITS = ("xavier", "normal", "kaiming", "orthogonal")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def build_official(options: dict[str, Any]) -> nn.Module:
    """The network that official options describe, with random weights.

    `options["network"]` is "generator", "encoder" or "discriminator". Raises `UserError` for other
    values, with those that are known.
    """
    network = _choice(options, "network", ("generator", "encoder", "discriminator"))
    if network == "generator":
        return Generator(generator_config(options))
    if network == "encoder":
        return Encoder(encoder_config(options))
    return Discriminator(discriminator_config(options))


def generator_config(options: dict[str, Any]) -> ModelConfig:
    """Options of `define_G`."""
    size, depth = GENERATORS[_choice(options, "netG", GENERATORS)]
    latent_dim = _integer(options, "nz", 0)
    return ModelConfig(
        image_size=size,
        depth=depth,
        input_channels=_integer(options, "input_nc", 3),
        output_channels=_integer(options, "output_nc", 3),
        latent_dim=latent_dim,
        base_channels=_integer(options, "ngf", 64),
        inject=_choice(options, "where_add", ("all", "input"), "all") if latent_dim else "input",
        upsample=UPSAMPLES[_choice(options, "upsample", UPSAMPLES, "basic")],
        norm=_norm(options),
        activation=ACTIVATIONS[_choice(options, "nl", ACTIVATIONS, "relu")],
        dropout=0.5 if options.get("use_dropout") else 0.0,
        encoder="none",
        discriminator_layers=2,
    )


def encoder_config(options: dict[str, Any]) -> ModelConfig:
    """Options of `define_E`. Its non-linearity is always leaky ReLU, whatever `nl` says."""
    kind, size, blocks = ENCODERS[_choice(options, "netE", ENCODERS)]
    if not options.get("vaeLike", True):
        raise UserError("official_vae", "Encoders with vaeLike=false give no variance and are not supported.")
    return ModelConfig(
        image_size=size,
        depth=blocks,
        output_channels=_integer(options, "input_nc", 3),
        latent_dim=_integer(options, "nz", 8),
        encoder=kind,
        encoder_channels=_integer(options, "nef", 64),
        encoder_blocks=blocks,
        norm=_norm(options),
        discriminator_layers=2,
    )


def discriminator_config(options: dict[str, Any]) -> ModelConfig:
    """Options of `define_D`; `input_nc` counts the sketch too when D is conditional."""
    kind = _choice(options, "netD", DISCRIMINATORS)
    size, layers = DISCRIMINATORS[kind]
    return ModelConfig(
        image_size=size,
        depth=7,
        output_channels=_integer(options, "input_nc", 3),
        discriminator_channels=_integer(options, "ndf", 64),
        discriminator_layers=layers,
        num_discriminators=_integer(options, "num_Ds", 1) if kind.endswith("multi") else 1,
        norm=_norm(options),
    )


def merge_configs(generator: ModelConfig, encoder: ModelConfig | None) -> ModelConfig:
    """One config for a generator and the encoder that was trained with it."""
    if encoder is None:
        return generator
    pairs = [
        ("image size", generator.image_size, encoder.image_size),
        ("latent dim", generator.latent_dim, encoder.latent_dim),
        ("norm", generator.norm, encoder.norm),
        ("channels of the photo", generator.output_channels, encoder.output_channels),
    ]
    for what, ours, theirs in pairs:
        if ours != theirs:
            raise UserError(
                "official_mismatch",
                "Generator and encoder do not belong together: {what} is {ours} in one and {theirs} in the other.",
                what=what,
                ours=ours,
                theirs=theirs,
            )
    return replace(
        generator,
        encoder=encoder.encoder,
        encoder_channels=encoder.encoder_channels,
        encoder_blocks=encoder.encoder_blocks,
    )


def train_config(options: dict[str, Any]) -> TrainConfig:
    """Options of the official `train.py` as a run of ours, in the preset `official`.

    What the official code leaves to its data loader and its epochs (pictures, length) keeps the preset's values.
    Raises `UserError` for values that are not known, and for a `netD2` of another kind than `netD`.
    """
    from bicyclegan.training.presets import PRESETS  # not above: what only paints needs nothing of training

    official = PRESETS["official"]
    loss = _train_loss(options)
    return replace(
        official,
        batch_size=_integer(options, "batch_size", 2),
        source=replace(official.source, direction=_choice(options, "direction", ("AtoB", "BtoA"), "AtoB")),
        model=_trained_config(options, two_critics=loss.lambda_gan2 > 0 and not loss.share_discriminator),
        loss=loss,
        optim=replace(
            official.optim,
            learning_rate=_number(options, "lr", 2e-4),
            beta1=_number(options, "beta1", 0.5),
            init=_choice(options, "init_type", INITS, "xavier"),
            init_gain=_number(options, "init_gain", 0.02),
        ),
    )


def _train_loss(options: dict[str, Any]) -> LossConfig:
    """Losses and their weights."""
    from bicyclegan.training.config import LossConfig

    return LossConfig(
        adversarial=_choice(options, "gan_mode", ADVERSARIAL, "lsgan"),
        lambda_gan=_number(options, "lambda_GAN", 1.0),
        lambda_gan2=_number(options, "lambda_GAN2", 1.0),
        lambda_l1=_number(options, "lambda_L1", 10.0),
        lambda_z=_number(options, "lambda_z", 0.5),
        lambda_kl=_number(options, "lambda_kl", 0.01),
        reduction="official",
        share_discriminator=_flag(options, "use_same_D"),
    )


def _trained_config(options: dict[str, Any], two_critics: bool) -> ModelConfig:
    """All three networks that the official code trains together."""
    if two_critics and options.get("netD2", options.get("netD")) != options.get("netD"):
        raise UserError(
            "official_critics",
            "Option netD2 is {second!r} and netD is {first!r}; both must be the same here.",
            first=options.get("netD"),
            second=options["netD2"],
        )
    options = {"nz": 8, "num_Ds": 2, **options}
    photo = {**options, "input_nc": _integer(options, "output_nc", 3)}
    discriminator = discriminator_config(photo)
    return replace(
        merge_configs(generator_config(options), encoder_config(photo)),
        discriminator_channels=discriminator.discriminator_channels,
        discriminator_layers=discriminator.discriminator_layers,
        num_discriminators=discriminator.num_discriminators,
        conditional_discriminator=_flag(options, "conditional_D"),
    )


def translate_state(network: nn.Module, official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official state dict -> state dict of our `network`, float32.

    Statistics that old releases stored for instance norm are left out: the network never used them.
    Biases that the official code leaves out before batch norm are zero, and so are counters of batches,
    which old releases did not keep. Raises `UserError` naming what is missing or left over.
    """
    official = {key.removeprefix("module."): value for key, value in official.items()}
    prefixes = _official_names(network)
    state, missing = {}, []
    for key, ours in network.state_dict().items():
        module, _, leaf = key.rpartition(".")
        theirs = official.pop(f"{prefixes[module]}.{leaf}", None)
        if theirs is None and (
            leaf == "num_batches_tracked" or (leaf == "bias" and _before_batch_norm(network, module))
        ):
            theirs = torch.zeros(ours.shape, dtype=ours.dtype)
        if theirs is None:
            missing.append(f"{prefixes[module]}.{leaf}")
        else:
            state[key] = theirs.to(ours.dtype)
    left_over = [key for key in official if key.rpartition(".")[2] not in STATISTICS]
    _check_complete(network, state, missing, left_over)
    return state


def _before_batch_norm(network: nn.Module, module: str) -> bool:
    """Whether a layer of a discriminator feeds batch norm, which takes any bias away again."""
    parent, _, index = module.rpartition(".")
    following = dict(network.named_modules()).get(f"{parent}.{int(index) + 1}") if index.isdigit() else None
    return isinstance(network, Discriminator) and isinstance(following, nn.BatchNorm2d)


def _check_complete(network: nn.Module, state: dict[str, Tensor], missing: list[str], left_over: list[str]) -> None:
    if missing or left_over:
        raise UserError(
            "official_keys",
            "These weights are of another network than the options say: {missing} missing (first: {first_missing}), "
            "{extra} left over (first: {first_extra}). Check netG/netE/netD, norm, where_add and upsample.",
            missing=len(missing),
            first_missing=missing[0] if missing else "-",
            extra=len(left_over),
            first_extra=left_over[0] if left_over else "-",
        )
    for key, ours in network.state_dict().items():
        if state[key].shape != ours.shape:
            raise UserError(
                "official_shape",
                "{key} has shape {found}, but the options ask for {expected}. Check ngf/nef/ndf, nz and input_nc.",
                key=key,
                found=tuple(state[key].shape),
                expected=tuple(ours.shape),
            )


def _official_names(network: nn.Module) -> dict[str, str]:
    """Our module path -> its path in the official network."""
    if isinstance(network, Generator):
        nested = network.config.latent_dim > 0 and network.config.inject == "all"
        return _unet_all_names(network.config) if nested else _unet_input_names(network.config)
    if isinstance(network, Encoder):
        return _encoder_names(network.config)
    return _discriminator_names(network)


def _unet_all_names(config: ModelConfig) -> dict[str, str]:
    """G_Unet_add_all: each level is a module with Sequentials `down`, `up` and a `submodule`."""
    conv = 1 if config.upsample == "transposed" else 3  # activation first; bilinear and padding before a convolution
    names = {}
    for level in range(config.depth):
        here = "model" + ".submodule" * level
        names[f"down.{level}.conv"] = f"{here}.down.{0 if level == 0 else 1}"
        names[f"down.{level}.norm"] = f"{here}.down.2"
        names[f"up.{level}.upsample.{conv - 1}"] = f"{here}.up.{conv}"
        names[f"up.{level}.norm"] = f"{here}.up.{conv + 1}"
    return names


def _unet_input_names(config: ModelConfig) -> dict[str, str]:
    """G_Unet_add_input: each level is one Sequential: down, inner level, up."""
    conv = 1 if config.upsample == "transposed" else 3
    names, here = {}, "model.model"
    for level in range(config.depth):
        outermost, innermost = level == 0, level == config.depth - 1
        down = 0 if outermost else 1
        normed = config.norm != "none" and not outermost and not innermost
        inner = down + (2 if normed else 1)
        up = inner if innermost else inner + 1  # the innermost level has no inner one; `up` is its activation
        names[f"down.{level}.conv"] = f"{here}.{down}"
        names[f"down.{level}.norm"] = f"{here}.{down + 1}"
        names[f"up.{level}.upsample.{conv - 1}"] = f"{here}.{up + conv}"
        names[f"up.{level}.norm"] = f"{here}.{up + conv + 1}"
        here = f"{here}.{inner}.model"
    return names


def _encoder_names(config: ModelConfig) -> dict[str, str]:
    names = {"stem": "conv.0", "mu": "fc.0", "logvar": "fcVar.0"}
    normed = config.norm != "none"
    for n in range(config.encoder_blocks - 1):
        if config.encoder == "resnet":  # [norm,] activation, conv, [norm,] activation, (conv, pool)
            block = f"conv.{n + 1}"
            names[f"blocks.{n}.norm1"] = f"{block}.conv.0"
            names[f"blocks.{n}.conv1"] = f"{block}.conv.{2 if normed else 1}"
            names[f"blocks.{n}.norm2"] = f"{block}.conv.3"
            names[f"blocks.{n}.conv2"] = f"{block}.conv.{5 if normed else 3}.0"
            names[f"blocks.{n}.shortcut"] = f"{block}.shortcut.1"
        else:  # one Sequential: conv, activation, then (conv, [norm,] activation) a block
            first = 2 + n * (3 if normed else 2)
            names[f"blocks.{n}.conv"] = f"conv.{first}"
            names[f"blocks.{n}.norm"] = f"conv.{first + 1}"
    return names


def _discriminator_names(network: Discriminator) -> dict[str, str]:
    several = len(network.scales) > 1
    names = {}
    for scale, layers in enumerate(network.scales):
        here = f"model_{scale}" if several else "model"
        names |= {f"scales.{scale}.{n}": f"{here}.{n}" for n in range(len(layers))}
    return names


def _norm(options: dict[str, Any]) -> str:
    return _choice(options, "norm", ("instance", "batch", "none"), "instance")


def _choice(options: dict[str, Any], name: str, allowed: Any, default: str | None = None) -> str:
    value = options.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise UserError(
            "official_option",
            "Option {name} is {value!r}; it must be one of {allowed}.",
            name=name,
            value=value,
            allowed=", ".join(allowed),
        )
    return value


def _integer(options: dict[str, Any], name: str, default: int) -> int:
    value = options.get(name, default)
    if type(value) is not int:
        raise UserError(
            "official_number", "Option {name} is {value!r}; it must be a whole number.", name=name, value=value
        )
    return value


def _number(options: dict[str, Any], name: str, default: float) -> float:
    value = options.get(name, default)
    if type(value) not in (int, float):
        raise UserError(
            "official_quantity",
            "Option {name} is {value!r}; it must be a number, such as {default}.",
            name=name,
            value=value,
            default=default,
        )
    return value


def _flag(options: dict[str, Any], name: str) -> bool:
    value = options.get(name, False)
    if type(value) is not bool:
        raise UserError(
            "official_flag", "Option {name} is {value!r}; it must be true or false.", name=name, value=value
        )
    return value
