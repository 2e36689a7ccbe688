"""Official weights give the official outputs, to 1e-5, and official training steps are ours, to 1e-4.

Every folder below `OFFICIAL_GOLDEN` is a case: options, a file of weights, inputs and the outputs that the official
code gave for them; or, with a `steps.json`, a few steps of its training. Without that variable `../shared/official` is
used if it is there. A small set in `tests/fixtures/official` is always tested too; of each recording it keeps the first
sample.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bicyclegan.checkpoints import import_official
from bicyclegan.errors import UserError
from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.models.inference import FastGenerator
from bicyclegan.official import train_config, translate_state
from bicyclegan.training.config import LossConfig
from bicyclegan.training.networks import Networks, build_networks, make_optimizers
from bicyclegan.training.noise import Noise
from bicyclegan.training.presets import PRESETS
from bicyclegan.training.step import StepRecord, TrainStep

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures" / "official"
BESIDE = ROOT.parent / "shared" / "official"
GOLDEN = Path(os.environ.get("OFFICIAL_GOLDEN") or (BESIDE if BESIDE.is_dir() else FIXTURES))
ROOTS = list(dict.fromkeys((GOLDEN, FIXTURES)))
TOLERANCE = 1e-5
FAST_TOLERANCE = 1e-4
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

LOSS_TOLERANCE = 1e-4
"""Relative, of every loss of every step."""
LOSS_FLOOR = 1e-7
"""Absolute: KL of codes that are still those of the prior is rounding alone."""
WEIGHT_TOLERANCE = 1e-4
OUTPUT_TOLERANCE = 1e-3
ROUNDING = 1e-4
"""A gradient that is so much smaller in double precision than in single precision was rounding."""
LOSSES = {
    "G_GAN": "gan_encoded",
    "G_GAN2": "gan_random",
    "G_L1": "l1",
    "kl": "kl",
    "z_L1": "latent_l1",
    "D": "d_encoded",
    "D2": "d_random",
}
"""Official names of the losses and ours."""
NETWORKS = {"G": "generator", "E": "encoder", "D": "discriminator", "D2": "discriminator2"}


def folders_in(root: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in root.glob(pattern) if path.is_dir())


def cases(*, runs: bool) -> list[object]:
    """All folders of the golden directory and of the fixtures that hold training steps, or those that do not."""
    folders = [folder for root in ROOTS for folder in folders_in(root)]
    return [
        pytest.param(folder, id=folder.name if folder.parent == GOLDEN else f"fixture-{folder.name}")
        for folder in folders
        if (folder / "steps.json").is_file() == runs
    ]


def load(folder: Path) -> tuple[nn.Module, dict[str, Tensor]]:
    """The imported network and what was recorded with it."""
    [weights] = folder.glob("*.pth")
    options = json.loads((folder / "options.json").read_text("utf-8"))
    return import_official(weights, options), load_file(folder / "io.safetensors")


@torch.inference_mode()
def run(network: nn.Module, recorded: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our outputs under the names of the recorded ones."""
    if isinstance(network, Generator):
        return {"output": network(recorded["input"], recorded["z"])}
    if isinstance(network, Encoder):
        return dict(zip(("mu", "logvar"), network(recorded["input"]), strict=True))
    assert isinstance(network, Discriminator)
    return {f"output_{scale}": scores for scale, scores in enumerate(network(recorded["input"]))}


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


@pytest.mark.parametrize("folder", cases(runs=False))
def test_outputs_agree_with_the_official_code(folder: Path) -> None:
    network, recorded = load(folder)
    assert not network.training
    outputs = run(network, recorded)
    assert outputs.keys() == recorded.keys() - {"input", "z"}
    for name, output in outputs.items():
        assert recorded[name].std() > 1e-3, "a constant recording proves nothing"
        assert difference(output, recorded[name]) <= TOLERANCE, name
    if isinstance(network, Generator):
        with torch.inference_mode():
            fast = FastGenerator(network)
            for k in range(len(recorded["z"])):
                painted = fast(fast.prepare(recorded["input"][k : k + 1]), recorded["z"][k : k + 1])
                assert difference(painted, recorded["output"][k : k + 1]) <= FAST_TOLERANCE


@pytest.mark.parametrize("root", ROOTS, ids=["golden", "fixtures"][-len(ROOTS) :])
def test_there_are_networks_of_each_kind(root: Path) -> None:
    options = [json.loads(path.read_text("utf-8")) for path in root.glob("*/options.json")]
    found = {each["network"] for each in options}
    if list(root.glob("*/steps.json")):  # training needs all three
        found = {"generator", "encoder", "discriminator"}
    assert found >= {"generator", "encoder", "discriminator"}, f"too little in {root}"


def test_the_kept_set_is_small_and_has_both_encoders_and_a_legacy_file() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 5_000_000
    options = [json.loads(path.read_text("utf-8")) for path in FIXTURES.glob("*/options.json")]
    assert {"resnet", "conv"} <= {each.get("netE", "").split("_")[0] for each in options}
    assert [folder for folder in FIXTURES.iterdir() if folder.name.endswith("_legacy")]


@pytest.mark.parametrize("folder", folders_in(FIXTURES, "*_legacy"), ids=lambda folder: folder.name)
def test_statistics_in_legacy_files_change_nothing(folder: Path, tmp_path: Path) -> None:
    network, recorded = load(folder)
    state = torch.load(next(folder.glob("*.pth")), weights_only=True)
    plain = {key: value for key, value in state.items() if key.rpartition(".")[2] not in STATISTICS}
    assert len(plain) < len(state), "this file has no statistics: it is not a legacy one"
    torch.save(plain, tmp_path / "plain.pth")
    options = json.loads((folder / "options.json").read_text("utf-8"))
    current = import_official(tmp_path / "plain.pth", options)
    assert torch.equal(run(network, recorded)["output"], run(current, recorded)["output"])


@pytest.mark.parametrize("folder", folders_in(GOLDEN, "*_legacy"), ids=lambda folder: folder.name)
def test_legacy_and_current_files_paint_the_same(folder: Path) -> None:
    current = folder.with_name(folder.name.removesuffix("_legacy"))
    if not current.is_dir():
        pytest.skip(f"{current.name} is not here to compare with")
    old, recorded = load(folder)
    new, _ = load(current)
    assert torch.equal(run(old, recorded)["output"], run(new, recorded)["output"])


# Training


@dataclass(frozen=True)
class Run:
    """Steps that the official code took."""

    options: dict[str, Any]
    losses: list[dict[str, float]]
    """Of each step, times their weights."""
    tensors: dict[str, Tensor]

    @classmethod
    def load(cls, folder: Path) -> Run:
        described = json.loads((folder / "steps.json").read_text("utf-8"))
        return cls(described["options"], described["losses"], load_file(folder / "steps.safetensors"))

    def state(self, moment: str, network: str) -> dict[str, Tensor]:
        """Official weights of a network at the moment `init` or `final`."""
        prefix = f"{moment}.{network}."
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}

    def pictures(self, step: int) -> tuple[Tensor, Tensor]:
        """Sketches and photos. Which is which is told by their channels, else by the direction."""
        a, b = (self.tensors[f"step{step}.{side}"].float() for side in "AB")
        channels = self.options["input_nc"], self.options["output_nc"]
        given = a.shape[1], b.shape[1]
        turned = self.options.get("direction") == "BtoA" if len(set(channels)) == 1 else given != channels
        return (b, a) if turned else (a, b)

    def noise(self, step: int) -> Noise:
        encoder, random = self.tensors[f"step{step}.encoder_noise"], self.tensors[f"step{step}.z_random"]
        return Noise(encoder, random, between=torch.zeros(len(random)))

    def inputs(self) -> dict[str, tuple[Tensor, ...]]:
        """What each network is shown to compare outputs: pictures and random codes of step 0."""
        (a, b), z = self.pictures(0), self.noise(0).random
        judged = torch.cat([a, b], dim=1) if self.options.get("conditional_D") else b
        return {"G": (a[: len(z)], z), "E": (b,), "D": (judged,), "D2": (judged,)}


def first_networks(run: Run) -> tuple[TrainStep, Networks]:
    """Networks with the recorded first weights, and their step."""
    kinds = [run.options["netD"], run.options.get("netD2", run.options["netD"])]
    config, other = (train_config({**run.options, "netD": kind, "netD2": kind}) for kind in kinds)
    networks = build_networks(config)
    if networks.discriminator2 is not None:  # officially it may be of another kind than D
        networks.discriminator2 = Discriminator(other.model)
    for name, network in short_names(networks):
        network.load_state_dict(translate_state(network, run.state("init", name)))
    return TrainStep(networks, make_optimizers(networks, config.optim), config.loss), networks


def short_names(networks: Networks) -> Iterator[tuple[str, nn.Module]]:
    """Networks by the names they have in recordings."""
    for name, ours in NETWORKS.items():
        if (network := getattr(networks, ours)) is not None:
            yield name, network


def outputs(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """In train mode, whose batch norm does not see biases before it."""
    made = network(*inputs)
    return [made] if isinstance(made, Tensor) else list(made)


def inert(network: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """True for weights on which the outputs do not depend, whatever the loss: a norm takes away what they add.

    Biases before a norm are such; before an instance norm also the inner taps on the planes of z, and on any picture
    that is the same everywhere. Their gradient is zero, yet Adam moves them by whatever rounding makes of it.
    """
    single, double = (_largest_gradients(network, inputs, dtype) for dtype in (torch.float32, torch.float64))
    return {name: double[name] <= ROUNDING * single[name] for name in single}


def _largest_gradients(network: nn.Module, inputs: tuple[Tensor, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    """Largest gradients of a few random sums of the outputs."""
    network, inputs = deepcopy(network).to(dtype), tuple(each.to(dtype) for each in inputs)
    largest = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in network.named_parameters()}
    made, generator = outputs(network, inputs), torch.Generator().manual_seed(0)
    for _ in range(3):
        total = sum((each * torch.randn(each.shape, generator=generator).to(dtype)).sum() for each in made)
        gradients = torch.autograd.grad(total, list(network.parameters()), retain_graph=True)
        for name, gradient in zip(largest, gradients, strict=True):
            largest[name] = torch.maximum(largest[name], gradient.abs().double())
    return largest


def check_losses(record: StepRecord, config: LossConfig, recorded: dict[str, float]) -> None:
    """A loss that is off is 0 there and missing here."""
    assert {LOSSES[name] for name, value in recorded.items() if value} <= set(record.losses)
    for name, ours in LOSSES.items():
        if ours in record.losses:
            weight = 1 if ours.startswith("d_") else config.weight(ours)
            error = abs(weight * record.losses[ours].item() - recorded[name])
            assert error <= max(LOSS_FLOOR, LOSS_TOLERANCE * abs(recorded[name])), name


def check_weights(network: nn.Module, official: dict[str, Tensor], ignored: dict[str, Tensor], reach: float) -> None:
    """Statistics of batch norm carry the biases before them, which may have moved by `reach`."""
    for name, weight in network.named_parameters():
        error = (weight.detach() - official[name]).abs().masked_fill(ignored[name], 0)
        assert error.max() <= WEIGHT_TOLERANCE, name
    for name, value in network.named_buffers():
        if not name.endswith("num_batches_tracked"):
            assert difference(value, official[name]) <= WEIGHT_TOLERANCE + reach, name


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and lose much where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("folder", cases(runs=True))
def test_training_agrees_with_the_official_code(folder: Path) -> None:
    run = Run.load(folder)
    step, networks = first_networks(run)
    ignored = {name: inert(network, run.inputs()[name]) for name, network in short_names(networks)}
    for k, recorded in enumerate(run.losses):
        check_losses(step(*run.pictures(k), run.noise(k)), step.config, recorded)
    reach = len(run.losses) * run.options["lr"]
    for name, network in short_names(networks):
        final = translate_state(network, run.state("final", name))
        first = translate_state(network, run.state("init", name))
        assert any(difference(final[key], first[key]) > reach / 10 for key in final), "nothing was learnt here"
        check_weights(network, final, ignored[name], reach)
        theirs = deepcopy(network)
        theirs.load_state_dict(final)
        for ours, expected in zip(*(outputs(each, run.inputs()[name]) for each in (network, theirs)), strict=True):
            assert difference(ours, expected) <= OUTPUT_TOLERANCE, name


def test_the_kept_set_has_a_run() -> None:
    assert list(FIXTURES.glob("*/steps.json"))


def test_only_what_a_norm_takes_away_is_left_out_of_the_comparison() -> None:
    run = Run.load(next(FIXTURES.glob("train_*")))
    _, networks = first_networks(run)
    generator = networks.generator
    ignored = inert(generator, run.inputs()["G"])
    level = ignored["down.1.conv.weight"]  # its pictures are wide enough for every tap
    expected = torch.zeros_like(level)
    expected[:, -generator.config.latent_dim :, 1:3, 1:3] = True
    assert torch.equal(level, expected)
    assert ignored["down.1.conv.bias"].all()
    assert not any(ignored[name].any() for name in ("down.0.conv.bias", "up.0.upsample.0.bias", "down.0.conv.weight"))
    encoder = inert(networks.encoder, run.inputs()["E"])
    normed = {name for name in encoder if name.endswith("conv1.bias")}
    assert {name for name, mask in encoder.items() if mask.any()} == normed
    assert all(encoder[name].all() for name in normed)


# Options of a run


OPTIONS = {"netG": "unet_256", "netE": "resnet_256", "netD": "basic_256_multi", "input_nc": 1, "conditional_D": False}


def test_official_defaults_are_the_official_preset() -> None:
    assert train_config(OPTIONS) == PRESETS["official"]


def test_options_reach_the_config() -> None:
    config = train_config(
        {
            **OPTIONS,
            **{"netG": "unet_128", "netE": "conv_128", "netD": "basic_128", "netD2": "basic_128_multi"},
            **{"nz": 4, "ngf": 3, "nef": 5, "ndf": 7, "conditional_D": True, "input_nc": 3, "direction": "BtoA"},
            **{"gan_mode": "vanilla", "lambda_L1": 1, "lambda_GAN2": 0.5, "lambda_z": 0, "use_same_D": True},
            **{"lr": 1e-3, "beta1": 0.9, "init_type": "normal", "batch_size": 6, "nl": "elu", "where_add": "input"},
        }
    )
    model, loss = config.model, config.loss
    assert (model.image_size, model.depth, model.encoder, model.encoder_blocks) == (128, 7, "conv", 4)
    assert (model.discriminator_layers, model.num_discriminators, model.conditional_discriminator) == (2, 1, True)
    assert (model.base_channels, model.encoder_channels, model.discriminator_channels) == (3, 5, 7)
    assert (model.latent_dim, model.input_channels, model.activation, model.inject) == (4, 3, "elu", "input")
    assert (loss.adversarial, loss.lambda_l1, loss.lambda_gan2, loss.lambda_z) == ("vanilla", 1.0, 0.5, 0.0)
    assert (loss.share_discriminator, loss.reduction) == (True, "official")
    assert (config.optim.learning_rate, config.optim.beta1, config.optim.init) == (1e-3, 0.9, "normal")
    assert (config.batch_size, config.source.direction) == (6, "BtoA")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gan_mode": "wgangp"}, r"Option gan_mode is 'wgangp'; it must be one of lsgan, vanilla\."),
        ({"lambda_L1": "10"}, r"Option lambda_L1 is '10'; it must be a number, such as 10\.0\."),
        ({"lr": True}, r"Option lr is True; it must be a number, such as 0\.0002\."),
        ({"lambda_kl": -1}, r"LossConfig\.lambda_kl is -1\.0; it must be from 0 to"),
        ({"use_same_D": 1}, r"Option use_same_D is 1; it must be true or false\."),
        ({"netD2": "basic_128"}, r"Option netD2 is 'basic_128' and netD is 'basic_256_multi'; both must be the same"),
        ({"init_type": "zeros"}, r"Option init_type is 'zeros'; it must be one of xavier, normal"),
        ({"direction": "AB"}, r"Option direction is 'AB'; it must be one of AtoB, BtoA"),
        ({"batch_size": 3}, r"TrainConfig\.batch_size is 3; it must be even"),
        ({"use_same_D": True, "lambda_GAN2": 0}, r"LossConfig\.share_discriminator is True; it must be off"),
        ({"netE": "resnet_128"}, r"do not belong together: image size is 256 in one and 128 in the other"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_config({**OPTIONS, **options})


@pytest.mark.parametrize("off", [{"use_same_D": True}, {"lambda_GAN2": 0.0}], ids=["shared", "off"])
def test_the_kind_of_a_second_discriminator_that_is_not_built_does_not_matter(off: dict[str, object]) -> None:
    assert train_config({**OPTIONS, **off, "netD2": "basic_128"}).model == PRESETS["official"].model
