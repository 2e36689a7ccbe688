"""A run's configuration: JSON and back, what is refused and in which words, presets, objectives, names of flags."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import pytest
import torch

from bicyclegan import losses
from bicyclegan.config import EdgeStyle, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.losses import ADVERSARIAL
from bicyclegan.models import Generator
from bicyclegan.models.init import INITS
from bicyclegan.training import config as config_module
from bicyclegan.training.config import (
    Adversarial,
    AugmentConfig,
    DataConfig,
    InitName,
    LossConfig,
    OptimConfig,
    Preset,
    RecordConfig,
    Reduction,
    RegularConfig,
    StrokeConfig,
    TrainConfig,
)
from bicyclegan.training.objectives import OBJECTIVES, ObjectiveName
from bicyclegan.training.presets import PRESETS, model_for_objective, model_for_size

CHANGED = TrainConfig(
    data="pictures",
    out="runs/all",
    preset="quality",
    steps=3,
    batch_size=6,
    seed=9,
    init_from="edges2shoes",
    device="cpu",
    precision="fp32",
    num_workers=2,
    source=DataConfig("folders", "BtoA", "val", 0.1, 5, "cache"),
    augment=AugmentConfig(0.1, 0.2, 3.0, 0.3, 0.4),
    strokes=StrokeConfig(1.0, 0.5, 2.0, 3.0, 0.5),
    edge_style=EdgeStyle(low_threshold=1.0),
    model=ModelConfig(latent_dim=3, norm="batch", map_code=True),
    loss=LossConfig(
        adversarial="vanilla",
        clip_weights=0.1,
        lambda_gp=1.0,
        lambda_gan=2.0,
        lambda_gan2=3.0,
        lambda_l1=4.0,
        pixel_loss="l2",
        lambda_z=5.0,
        latent_loss="l2",
        lambda_kl=6.0,
        kl_warmup=7,
        free_bits=0.8,
        lambda_perceptual=9.0,
        perceptual_network="lpips",
        lambda_mode_seeking=10.0,
        weight_schedule="lambda_l1=5@30e",
        reduction="official",
        share_discriminator=True,
    ),
    optim=OptimConfig(
        learning_rate=1e-3,
        encoder_rate=0.5,
        discriminator_rate=0.4,
        critic_steps=2,
        beta1=0.1,
        beta2=0.2,
        weight_decay=0.01,
        clip_norm=1.0,
        clip_value=2.0,
        lr_warmup=3,
        schedule="cosine",
        decay_start=0.3,
        decay_every=4,
        decay_factor=0.6,
        patience=6,
        init="normal",
        encoder_init="same",
        init_gain=1.0,
        whiten_every=9,
        ema_decay=0.9,
        discriminator_warmup=7,
    ),
    regular=RegularConfig(0.1, 0.2, "cutmix", 0.3, 0.6),
    record=RecordConfig(1, 2, 3, 4, 5, 6, 7, "lpips_diversity", "wandb"),
)
"""No field as it is by default."""
PIX2PIX = ModelConfig(latent_dim=0, encoder="none", inject="input")


def fields_of(config: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Path, name and value of every field that is not a group itself."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from fields_of(value, f"{path}{field.name}.")
        else:
            yield path + field.name, field.name, value


# JSON


@pytest.mark.parametrize("config", [CHANGED, *PRESETS.values()], ids=["changed", *PRESETS])
def test_json_and_back(config: TrainConfig) -> None:
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_the_round_trip_is_tried_with_every_field() -> None:
    default = {path: value for path, _, value in fields_of(TrainConfig())}
    same = [path for path, _, value in fields_of(CHANGED) if value == default[path]]
    left = {"loss.objective", "optim.accumulate"}  # others would exclude the rest
    untried = [path for path in same if not path.startswith(("model.", "edge_style.")) and path not in left]
    assert not untried


def test_what_is_left_out_of_the_json_is_the_default() -> None:
    assert TrainConfig.from_json({"schema_version": 1}) == TrainConfig()
    some = TrainConfig.from_json({"schema_version": 1, "steps": 5, "loss": {"lambda_l1": 3}})
    assert some == TrainConfig(steps=5, loss=LossConfig(lambda_l1=3.0))
    assert type(some.loss.lambda_l1) is float


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"config\.json has schema_version None; this program reads 1\."),
        ({"schema_version": 2}, r"config\.json has schema_version 2; this program reads 1\."),
        ([], r"config\.json has schema_version 'list'; this program reads 1\."),
        ({"schema_version": 1, "step": 5}, r"TrainConfig has unknown field\(s\) step; known are .*steps"),
        ({"schema_version": 1, "loss": {"kl": 1}}, r"LossConfig has unknown field\(s\) kl; known are .*lambda_kl"),
        ({"schema_version": 1, "optim": 3}, r"The OptimConfig part must be a JSON object, not int\."),
        ({"schema_version": 1, "model": {"depth": 99}}, r"ModelConfig\.depth is 99"),
    ],
)
def test_json_that_is_not_ours_is_refused(data: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainConfig.from_json(data)


# Values and conflicts


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainConfig(steps=0), r"TrainConfig\.steps is 0; it must be from 1 to 100000000\."),
        (lambda: TrainConfig(steps=1.5), r"TrainConfig\.steps is 1\.5; it must be of type int\."),
        (lambda: TrainConfig(batch_size=0), r"TrainConfig\.batch_size is 0; it must be from 1 to 4096\."),
        (lambda: TrainConfig(seed=-1), r"TrainConfig\.seed is -1; it must be from 0 to 4294967295\."),
        (lambda: TrainConfig(num_workers=-2), r"TrainConfig\.num_workers is -2; it must be from -1 to 256\."),
        (lambda: TrainConfig(preset="best"), r"preset is 'best'; it must be 'fast' \| 'quality' \| 'official'\."),
        (lambda: TrainConfig(device="tpu"), r"device is 'tpu'; it must be 'auto' \| 'cpu' \| 'cuda'\."),
        (lambda: TrainConfig(precision="fp16"), r"precision is 'fp16'; it must be 'auto' \| 'fp32' \| 'bf16'\."),
        (lambda: TrainConfig(data=None), r"TrainConfig\.data is None; it must be of type str\."),
        (lambda: TrainConfig(loss={"lambda_kl": 1}), r"TrainConfig\.loss is .*; it must be of type LossConfig\."),
        (lambda: DataConfig(val_share=0.0), r"DataConfig\.val_share is 0\.0; it must be from 0\.01 to 0\.5\."),
        (lambda: DataConfig(max_images=-1), r"DataConfig\.max_images is -1; it must be from 0 to"),
        (lambda: DataConfig(layout="zip"), r"layout is 'zip'; it must be 'auto' \| 'photos' \| 'side-by-side'"),
        (lambda: DataConfig(direction="BA"), r"direction is 'BA'; it must be 'AtoB' \| 'BtoA'\."),
        (lambda: AugmentConfig(flip=1.1), r"AugmentConfig\.flip is 1\.1; it must be from 0 to 1\."),
        (lambda: AugmentConfig(hue=-0.1), r"AugmentConfig\.hue is -0\.1; it must be from 0 to 1\."),
        (lambda: AugmentConfig(crop=0.6), r"AugmentConfig\.crop is 0\.6; it must be from 0 to 0\.5\."),
        (lambda: AugmentConfig(scale=0.6), r"AugmentConfig\.scale is 0\.6; it must be from 0 to 0\.5\."),
        (lambda: AugmentConfig(rotation=181), r"AugmentConfig\.rotation is 181\.0; it must be from 0 to 180\."),
        (lambda: StrokeConfig(threshold_jitter=5), r"threshold_jitter is 5\.0; it must be from 0 to 4\."),
        (lambda: StrokeConfig(drop_strokes=1), r"drop_strokes is 1\.0; it must be from 0 to 0\.9\."),
        (lambda: StrokeConfig(width_jitter=9), r"width_jitter is 9\.0; it must be from 0 to 8\."),
        (lambda: StrokeConfig(wobble=-1), r"wobble is -1\.0; it must be from 0 to 8\."),
        (lambda: StrokeConfig(silhouette=2), r"silhouette is 2\.0; it must be from 0 to 1\."),
        (lambda: LossConfig(lambda_kl=-0.1), r"LossConfig\.lambda_kl is -0\.1; it must be from 0 to 1000000\.0\."),
        (lambda: LossConfig(lambda_z=float("nan")), r"LossConfig\.lambda_z is nan; it must be from 0 to"),
        (lambda: LossConfig(kl_warmup=-1), r"LossConfig\.kl_warmup is -1; it must be from 0 to"),
        (lambda: LossConfig(free_bits=11), r"LossConfig\.free_bits is 11\.0; it must be from 0 to 10\."),
        (lambda: LossConfig(clip_weights=0), r"LossConfig\.clip_weights is 0\.0; it must be from 1e-06 to 1\."),
        (lambda: LossConfig(lambda_gp=-1), r"LossConfig\.lambda_gp is -1\.0; it must be from 0 to"),
        (lambda: LossConfig(pixel_loss="l3"), r"LossConfig\.pixel_loss is 'l3'; it must be 'l1' \| 'l2'\."),
        (lambda: LossConfig(perceptual_network="vgg"), r"perceptual_network is 'vgg'; it must be 'vgg19' \| 'lpips'\."),
        (lambda: OptimConfig(critic_steps=0), r"OptimConfig\.critic_steps is 0; it must be from 1 to 100\."),
        (lambda: OptimConfig(clip_norm=-1), r"OptimConfig\.clip_norm is -1\.0; it must be from 0 to"),
        (lambda: OptimConfig(accumulate=0), r"OptimConfig\.accumulate is 0; it must be from 1 to 4096\."),
        (lambda: OptimConfig(decay_factor=1), r"OptimConfig\.decay_factor is 1\.0; it must be from 0\.01 to 0\.99\."),
        (lambda: OptimConfig(patience=0), r"OptimConfig\.patience is 0; it must be from 1 to 1000\."),
        (lambda: RegularConfig(instance_noise=3), r"RegularConfig\.instance_noise is 3\.0; it must be from 0 to 2\."),
        (lambda: RegularConfig(mix="blend"), r"mix is 'blend'; it must be 'none' \| 'mixup' \| 'cutmix' \| 'augmix'\."),
        (lambda: RegularConfig(mix_alpha=0), r"RegularConfig\.mix_alpha is 0\.0; it must be from 0\.01 to 100\."),
        (
            lambda: LossConfig(adversarial="ns"),
            r"adversarial is 'ns'; it must be 'lsgan' \| 'vanilla' \| 'hinge' \| 'wgan'",
        ),
        (lambda: LossConfig(reduction="sum"), r"reduction is 'sum'; it must be 'sample' \| 'official'\."),
        (lambda: LossConfig(objective="gan"), r"objective is 'gan'; it must be 'bicyclegan' \| 'cvae-gan'"),
        (lambda: OptimConfig(learning_rate=2), r"learning_rate is 2\.0; it must be from 0 to 1\."),
        (lambda: OptimConfig(beta2=1), r"beta2 is 1\.0; it must be from 0 to 0\.999999\."),
        (lambda: OptimConfig(ema_decay=1), r"ema_decay is 1\.0; it must be from 0 to 0\.999999\."),
        (lambda: OptimConfig(decay_start=1.5), r"decay_start is 1\.5; it must be from 0 to 1\."),
        (lambda: OptimConfig(init="he"), r"init is 'he'; it must be 'xavier' \| 'normal'"),
        (lambda: OptimConfig(encoder_init="x"), r"encoder_init is 'x'; it must be 'informative' \| 'same'\."),
        (lambda: OptimConfig(encoder_rate=-1), r"encoder_rate is -1\.0; it must be from 0 to 10\."),
        (lambda: OptimConfig(whiten_every=-1), r"whiten_every is -1; it must be from 0 to"),
        (lambda: OptimConfig(init_gain=-1), r"init_gain is -1\.0; it must be from 0 to 100\."),
        (lambda: OptimConfig(discriminator_warmup=-1), r"discriminator_warmup is -1; it must be from 0 to"),
        (lambda: RecordConfig(log_every=0), r"RecordConfig\.log_every is 0; it must be from 1 to"),
        (lambda: RecordConfig(checkpoint_every=0), r"RecordConfig\.checkpoint_every is 0; it must be from 1 to"),
        (lambda: RecordConfig(validate_every=-1), r"RecordConfig\.validate_every is -1; it must be from 0 to"),
        (lambda: RecordConfig(keep_checkpoints=0), r"keep_checkpoints is 0; it must be from 1 to 1000\."),
        (lambda: RecordConfig(validation_images=1), r"validation_images is 1; it must be from 2 to 1000\."),
        (lambda: RecordConfig(log_with="csv"), r"log_with is 'csv'; it must be 'tensorboard' \| 'wandb' \| 'none'\."),
    ],
)
def test_values_that_are_not_allowed_are_named_with_those_that_are(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loss": LossConfig("pix2pix")}, r"ModelConfig\.latent_dim is 8; it must be 0 for pix2pix\."),
        ({"model": PIX2PIX}, r"ModelConfig\.latent_dim is 0; it must be over 0 for bicyclegan\."),
        (
            {"model": ModelConfig(encoder="none")},
            r"ModelConfig\.encoder is 'none'; it must be 'resnet' or 'conv' for bicyclegan, which reads codes",
        ),
        (
            {"model": ModelConfig(encoder="none"), "loss": LossConfig("clr-gan")},
            r"ModelConfig\.encoder is 'none'; it must be 'resnet' or 'conv' for clr-gan",
        ),
        (
            {"batch_size": 5},
            r"TrainConfig\.batch_size is 5; it must be even for bicyclegan: each of its two paths takes one half\.",
        ),
        (
            {"loss": LossConfig("cae-gan", lambda_gan=0, lambda_l1=0)},
            r"objective is 'cae-gan'; it must be given some weight: all of gan_encoded, l1, perceptual are off\.",
        ),
        (
            {"loss": LossConfig(share_discriminator=True, lambda_gan2=0)},
            r"LossConfig\.share_discriminator is True; it must be off: there are no two adversarial losses",
        ),
        (
            {"loss": LossConfig("cvae-gan", share_discriminator=True)},
            r"LossConfig\.share_discriminator is True; it must be off: there are no two adversarial losses",
        ),
        (
            {"loss": LossConfig("cvae-gan", lambda_mode_seeking=0.1)},
            r"LossConfig\.lambda_mode_seeking is 0\.1; it must be 0 for cvae-gan, which has no path for it",
        ),
        (
            {"loss": LossConfig("clr-gan", lambda_perceptual=1)},
            r"LossConfig\.lambda_perceptual is 1\.0; it must be 0 for clr-gan, which has no path for it",
        ),
        ({"loss": LossConfig("clr-gan", lambda_z=0)}, r"lambda_z is 0\.0; it must be over 0 for clr-gan"),
        (
            {"optim": OptimConfig(accumulate=3)},
            r"OptimConfig\.accumulate is 3; it must be a divisor of batch_size 8, halved for the two paths\.",
        ),
        (
            {"optim": OptimConfig(accumulate=3), "loss": LossConfig("cvae-gan")},
            r"OptimConfig\.accumulate is 3; it must be a divisor of batch_size 8\.",
        ),
        (
            {"optim": OptimConfig(accumulate=2), "loss": LossConfig(reduction="official")},
            r"accumulate is 2; it must be 1 for reduction official, whose sums depend on the batch size",
        ),
        (
            {"model": ModelConfig(minibatch="statistics"), "optim": OptimConfig(accumulate=4)},
            r"TrainConfig\.batch_size is 8; it must be 16 or more: minibatch statistics compares pictures\.",
        ),
        (
            {"optim": OptimConfig(schedule="plateau"), "record": RecordConfig(validate_every=0)},
            r"RecordConfig\.validate_every is 0; it must be over 0 for the schedule plateau",
        ),
        (
            {"regular": RegularConfig(mix="mixup", mix_share=0)},
            r"RegularConfig\.mix_share is 0\.0; it must be over 0 to mix anything by mixup",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        TrainConfig(**fields)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("objective", ["cvae-gan", "cae-gan", "clr-gan"])
def test_an_odd_batch_is_fine_where_it_is_not_halved(objective: str) -> None:
    assert TrainConfig(batch_size=5, loss=LossConfig(objective)).batch_size == 5


# Names


def test_every_field_is_one_flag() -> None:
    names = Counter(name for _, name, _ in fields_of(TrainConfig()))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 60


def unexplained(source: str) -> list[str]:
    """Fields of dataclasses that no string follows, groups aside."""
    found = []
    for cls in ast.parse(source).body:
        statements = cls.body if isinstance(cls, ast.ClassDef) else []
        for node, after in pairwise([*statements, None]):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            group = isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)
            if isinstance(node, ast.AnnAssign) and not said and not group:
                found.append(f"{cls.name}.{node.target.id}")
    return found


def test_every_field_is_explained() -> None:
    """`--help` is made of the strings below the fields."""
    assert unexplained(inspect.getsource(config_module)) == []
    assert unexplained('class A:\n    """A."""\n\n    x: int = 0\n    y: int = 0\n    """Why."""') == ["A.x"]


@pytest.mark.parametrize(
    ("choice", "registry"),
    [
        (Adversarial, set(ADVERSARIAL)),
        (InitName, {*INITS, "default"}),
        (ObjectiveName, set(OBJECTIVES)),
        (Reduction, set(get_args(losses.Reduction))),
        (Preset, set(PRESETS)),
    ],
    ids=["adversarial", "init", "objective", "reduction", "preset"],
)
def test_choices_are_what_the_registries_hold(choice: Any, registry: set[str]) -> None:
    assert set(get_args(choice)) == registry


def test_the_module_is_light() -> None:
    """The command line prints help from it."""
    code = "import sys, bicyclegan.training.config, bicyclegan.training.presets; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Objectives


@pytest.mark.parametrize(
    ("name", "terms", "encoder", "code"),
    [
        ("bicyclegan", {"gan_encoded", "gan_random", "l1", "kl", "latent_l1"}, True, True),
        ("cvae-gan", {"gan_encoded", "l1", "kl"}, True, True),
        ("cae-gan", {"gan_encoded", "l1"}, True, True),
        ("clr-gan", {"gan_random", "latent_l1"}, True, True),
        ("pix2pix", {"gan_encoded", "l1"}, False, False),
        ("pix2pix+noise", {"gan_random", "l1"}, False, True),
    ],
)
def test_objectives_are_those_of_the_paper(name: str, terms: set[str], encoder: bool, code: bool) -> None:
    objective = OBJECTIVES[name]
    assert objective.name == name
    loss = LossConfig(name)
    assert {term for term in loss.terms if loss.uses(term)} == terms
    assert (objective.needs_encoder, objective.needs_code) == (encoder, code)
    assert objective.two_paths == (name == "bicyclegan")


def test_weights_of_terms() -> None:
    loss = LossConfig(lambda_gan=1, lambda_gan2=2, lambda_l1=3, lambda_z=4, lambda_kl=5)
    terms = {term: loss.weight(term) for term in loss.terms if loss.uses(term)}
    assert terms == {"gan_encoded": 1, "gan_random": 2, "l1": 3, "latent_l1": 4, "kl": 5}


def test_only_the_weight_of_kl_warms_up() -> None:
    loss = LossConfig(lambda_kl=0.5, lambda_z=4, kl_warmup=100)
    assert [loss.weight("kl", step) for step in (1, 50, 100, 101)] == [0.005, 0.25, 0.5, 0.5]
    assert loss.weight("kl") == 0.5
    assert {loss.weight("latent_l1", step) for step in (1, 50, 200)} == {4}
    assert LossConfig(lambda_kl=0.5).weight("kl", 1) == 0.5


@pytest.mark.parametrize("objective", ["clr-gan", "pix2pix+noise"])
def test_an_only_path_is_weighted_by_the_first_weight(objective: str) -> None:
    assert LossConfig(objective, lambda_gan=1, lambda_gan2=2).weight("gan_random") == 1


# Presets


def test_presets_know_their_names() -> None:
    assert {name: preset.preset for name, preset in PRESETS.items()} == {name: name for name in PRESETS}


def test_the_official_preset_is_the_official_training() -> None:
    preset = PRESETS["official"]
    assert preset.model == ModelConfig(upsample="transposed"), "unet_256, resnet_256 and two basic_256 of two scales"
    assert preset.loss == LossConfig(reduction="official")
    loss = preset.loss
    assert (loss.lambda_gan, loss.lambda_gan2, loss.lambda_l1, loss.lambda_z, loss.lambda_kl) == (1, 1, 10, 0.5, 0.01)
    optim = preset.optim
    assert (optim.learning_rate, optim.beta1, optim.beta2, optim.init, optim.init_gain) == (
        2e-4, 0.5, 0.999, "xavier", 0.02,
    )  # fmt: skip
    assert (optim.ema_decay, optim.discriminator_warmup, preset.batch_size) == (0, 0, 2)
    assert preset.strokes == StrokeConfig()


def test_only_the_official_preset_sums_over_samples() -> None:
    assert {name for name, preset in PRESETS.items() if preset.loss.reduction == "official"} == {"official"}


@pytest.mark.parametrize(
    ("size", "depth", "blocks", "layers"), [(128, 7, 4, 2), (256, 8, 5, 3)], ids=["official 128", "official 256"]
)
def test_networks_are_as_deep_as_the_official_ones(size: int, depth: int, blocks: int, layers: int) -> None:
    model = model_for_size(ModelConfig(upsample="transposed"), size)
    assert (model.image_size, model.depth, model.encoder_blocks, model.discriminator_layers) == (
        size, depth, blocks, layers,
    )  # fmt: skip


@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_no_level_is_dead(size: int) -> None:
    """A bottleneck of one pixel, upsampled and normalised, is nothing: what lies below would never learn."""
    model = model_for_size(ModelConfig(base_channels=2), size)
    torch.manual_seed(0)
    generator = Generator(model)
    painted = generator(torch.rand(1, 1, size, size) * 2 - 1, torch.randn(1, 8))
    innermost = generator.up[-1].upsample[-1].weight
    [gradient] = torch.autograd.grad(painted.square().mean(), innermost)
    [outer] = torch.autograd.grad(
        generator(torch.ones(1, 1, size, size), torch.randn(1, 8)).square().mean(), generator.up[0].upsample[-1].weight
    )
    assert gradient.norm() > 1e-4 * outer.norm()


def test_an_encoder_that_nothing_trains_is_refused() -> None:
    with pytest.raises(UserError, match="lambda_z is 0"):
        TrainConfig(loss=LossConfig(objective="clr-gan", lambda_z=0))


@pytest.mark.parametrize("encoder", ["resnet", "conv"])
def test_networks_fit_every_size_there_is(encoder: str) -> None:
    for size in range(32, 1025, 32):
        model = model_for_size(ModelConfig(encoder=encoder), size)
        assert size % model.size_multiple == 0


@pytest.mark.parametrize(("size", "near"), [(100, 96), (127, 128), (16, 32), (0, 32), (-64, 32), (260, 256)])
def test_other_sizes_are_refused_with_the_nearest(size: int, near: int) -> None:
    with pytest.raises(UserError, match=rf"image_size is {size}; it must be a multiple of 32\. Nearest: {near}\."):
        model_for_size(ModelConfig(), size)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_preset_trains_every_objective(preset: str, objective: str) -> None:
    start = PRESETS[preset]
    model = model_for_objective(start.model, objective)
    config = replace(start, model=model, loss=replace(start.loss, objective=objective))
    assert (model.encoder != "none") == OBJECTIVES[objective].needs_encoder
    assert (config.model.latent_dim > 0) == OBJECTIVES[objective].needs_code


def test_hints_of_every_group_can_be_read() -> None:
    """tyro reads them to build the flags."""
    groups = {name: hint for name, hint in get_type_hints(TrainConfig).items() if dataclasses.is_dataclass(hint)}
    assert set(groups) == {"source", "augment", "strokes", "edge_style", "model", "loss", "optim", "regular", "record"}
