"""Bugs and wrong settings that tutorials warn of, planted from outside: for the pitfall lab, and to test the doctor.

A wrong setting is a change of the config. A bug wraps what a run was made of, losses, pictures or optimisers, and the
step that uses them knows of nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from bicyclegan.errors import UserError

if TYPE_CHECKING:
    from bicyclegan.training.config import TrainConfig
    from bicyclegan.training.dcgan import DcganConfig, DcganRun
    from bicyclegan.training.loop import Run

    AnyRun: TypeAlias = "Run | DcganRun"
    AnyConfig: TypeAlias = "TrainConfig | DcganConfig"

Convert: TypeAlias = Callable[[Tensor], Tensor]
BOUT = 25
"""Updates in a row that only one side makes."""
BAD_STEP = 60
"""Update in which a loss becomes NaN."""
BORDER = 1 / 16
"""Share of a picture's side that is lost at each edge."""


@dataclass(frozen=True)
class Pitfall:
    """One thing that goes wrong."""

    name: str
    finding: str
    """What the doctor should call it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the config that cause it, by their names alone."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Fields that cause it when they are multiplied by so much."""
    cure: Mapping[str, Any] = field(default_factory=dict)
    """What helps a run that cannot be given back its healthy settings, because other networks belong to them."""
    bug: Callable[[AnyRun], None] | None = None
    """Plants it in a run that has not begun."""


def plant(name: str, run: AnyRun) -> None:
    """Put the bug of a pitfall into a run, before its first update. Nothing for one that is a wrong setting.

    Raises:
        UserError: for a name that is none of `PITFALLS`.
    """
    if bug := find_pitfall(name).bug:
        bug(run)


def find_pitfall(name: str) -> Pitfall:
    """One of `PITFALLS`. Raises `UserError` with those there are."""
    if name not in PITFALLS:
        raise UserError(
            "pitfall_unknown",
            "There is no pitfall {name!r}; use one of {known}.",
            name=name,
            known=", ".join(PITFALLS),
        )
    return PITFALLS[name]


def sick_config(name: str, healthy: AnyConfig) -> AnyConfig:
    """The config with a pitfall's wrong settings; the same for a bug. Raises `UserError` for an unknown name."""
    pitfall = find_pitfall(name)
    changes = {**pitfall.options}
    for option, factor in pitfall.times.items():
        changes[option] = factor * read_option(healthy, option)
    return with_fields(healthy, changes)


def healthy_options(name: str, healthy: AnyConfig) -> dict[str, Any]:
    """What helps against a pitfall's wrong settings: the fields it changed, as they are in a healthy config."""
    pitfall = find_pitfall(name)
    if pitfall.cure:
        return {**pitfall.cure}
    return {option: read_option(healthy, option) for option in (*pitfall.options, *pitfall.times)}


def read_option(config: AnyConfig, name: str) -> Any:
    """A field of a config, whichever group it is in."""
    for holder in (config, *_groups(config).values()):
        if name in {each.name for each in dataclasses.fields(holder)}:
            return getattr(holder, name)
    raise KeyError(name)


def with_fields(config: AnyConfig, changes: Mapping[str, Any]) -> AnyConfig:
    """The config with fields changed by their names alone, whichever group they are in."""
    groups = _groups(config)
    own = {name: value for name, value in changes.items() if name not in groups and hasattr(config, name)}
    for group, holder in groups.items():
        inside = {name: value for name, value in changes.items() if name not in own and hasattr(holder, name)}
        if inside:
            own[group] = replace(holder, **inside)
    return replace(config, **own)


def _groups(config: AnyConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if dataclasses.is_dataclass(value)}


# Losses


def _detach_adversarial(run: AnyRun) -> None:
    """G's loss is computed on scores that were cut off from it: a detach() in the wrong line."""
    _wrap_adversarial(run, lambda loss: lambda scores: loss(scores.detach()))


def _detach_latent(run: Run) -> None:
    """The recovered code is cut off from the picture it was read of."""
    wrong = run.step.functions.latent
    run.step.functions = replace(run.step.functions, latent=lambda recovered, z: wrong(recovered.detach(), z))


def _saturate(run: AnyRun) -> None:
    """G minimises log(1 - D(fake)), as the first formula of the GAN paper reads: flat where D is sure of its fakes."""
    _wrap_adversarial(run, lambda _: lambda scores: -torch.nn.functional.softplus(scores).mean())


def _sum_pixels(run: Run) -> None:
    """The pixel loss is a sum where a mean was meant."""
    right = run.step.functions.pixel
    run.step.functions = replace(run.step.functions, pixel=lambda fake, real: right(fake, real) * fake[0].numel())


def _lose_number(run: Run) -> None:
    """One loss divides by zero in one update."""
    functions, count = run.step.functions, 0

    def pixel(fake: Tensor, real: Tensor) -> Tensor:
        nonlocal count
        count += 1
        loss = functions.pixel(fake, real)
        return loss / 0.0 * 0.0 if count == BAD_STEP else loss

    run.step.functions = replace(functions, pixel=pixel)


def _wrap_adversarial(run: AnyRun, wrap: Callable[[Callable], Callable]) -> None:
    if hasattr(run, "step"):
        adversarial = run.step.functions.adversarial
        wrong = replace(adversarial, generator=wrap(adversarial.generator))
        run.step.functions = replace(run.step.functions, adversarial=wrong)
    else:
        run.adversarial = replace(run.adversarial, generator=wrap(run.adversarial.generator))


# Pictures


def _unit_range(run: AnyRun) -> None:
    """Pictures reach the networks in [0, 1], as ToTensor gives them, while tanh paints in [-1, 1]."""
    if not hasattr(run, "step"):
        run.to_float = _after(run.to_float, _to_unit)
        return
    pictures = run.recorder.pictures
    run.recorder.pictures = replace(pictures, a=_to_unit(pictures.a), b=_to_unit(pictures.b))
    run.step = _Converted(run.step, _to_unit, _to_unit)


def _black_frame(run: Run) -> None:
    """Augmentation turns and moves photos, and fills with black what it has no pixels for."""
    run.step = _Converted(run.step, _same, _with_frame)


def _with_frame(pictures: Tensor) -> Tensor:
    edge = max(1, round(BORDER * pictures.shape[-1]))
    return torch.nn.functional.pad(pictures[..., edge:-edge, edge:-edge], (edge,) * 4, value=-1.0)


def _same(pictures: Tensor) -> Tensor:
    return pictures


def _to_unit(pictures: Tensor) -> Tensor:
    return (pictures + 1) / 2


def _after(first: Convert, second: Convert) -> Convert:
    return lambda pictures: second(first(pictures))


class _Converted:
    """A step that is given other pictures than those it was called with."""

    def __init__(self, step: Any, sketches: Convert, photos: Convert):
        self._step, self._sketches, self._photos = step, sketches, photos

    def __call__(self, a: Tensor, b: Tensor, *args: Any, **options: Any) -> Any:
        return self._step(self._sketches(a), self._photos(b), *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


# Optimisers


def _take_turns(run: AnyRun) -> None:
    """Both sides learn in turns of `BOUT` updates instead of together: each overruns what the other has learnt."""
    optimizers = run.optimizers
    for name, optimizer in optimizers.items():
        _skip_turns(optimizer, first=name.startswith("discriminator"))


def _skip_turns(optimizer: torch.optim.Optimizer, first: bool) -> None:
    step, count = optimizer.step, 0

    def sometimes(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        its_turn = ((count - 1) // BOUT % 2 == 0) == first
        return step(*args, **options) if its_turn else None

    optimizer.step = sometimes


_ALL = (
    Pitfall("detach", "no_adversarial_gradient", bug=_detach_adversarial),
    Pitfall("unit-range", "inputs_range", bug=_unit_range),
    Pitfall(
        "no-latent-loss",
        "ignores_z",
        {"objective": "pix2pix+noise", "encoder": "none", "lambda_l1": 100.0, "lambda_gan": 0.1},
        cure={"lambda_l1": 10.0, "lambda_gan": 1.0, "lambda_mode_seeking": 0.3},
    ),
    Pitfall("no-kl", "posterior_far", {"lambda_kl": 0.0}),
    Pitfall("fast-discriminator", "discriminator_wins", {"critic_steps": 10, "instance_noise": 0.0}),
    Pitfall("no-l1", "posterior_collapse", {"lambda_l1": 0.0}),
    Pitfall("wgan-no-clipping", "critic_unbounded", {"clip_weights": 1.0}),
    Pitfall("dcgan-detach", "no_adversarial_gradient", bug=_detach_adversarial),
    Pitfall("dcgan-unit-range", "inputs_range", bug=_unit_range),
    Pitfall("detached-latent", "loss_without_effect", bug=_detach_latent),
    Pitfall("heavy-kl", "posterior_collapse", {"lambda_kl": 5.0}),
    Pitfall("high-rate", "rate_high", times={"learning_rate": 50.0}),
    Pitfall("low-rate", "rate_low", times={"learning_rate": 0.001}),
    Pitfall("blur", "blur", {"lambda_gan": 0.01, "lambda_gan2": 0.01, "lambda_l1": 100.0, "pixel_loss": "l2"}),
    Pitfall("few-pictures", "few_pictures", {"max_images": 6, "flip": 0.0, "instance_noise": 0.0}),
    Pitfall("dcgan-saturating", "vanishing", times={"discriminator_rate": 4.0}, bug=_saturate),
    Pitfall("border", "border", bug=_black_frame),
    Pitfall("summed-loss", "exploding", bug=_sum_pixels),
    Pitfall("nan", "not_a_number", bug=_lose_number),
    Pitfall("taking-turns", "oscillation", bug=_take_turns),
)
PITFALLS: dict[str, Pitfall] = {each.name: each for each in _ALL}
"""All pitfalls by name."""
