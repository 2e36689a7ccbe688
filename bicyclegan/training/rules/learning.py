"""Rules about learning itself: its speed, its gradients, and whether it goes anywhere."""

from __future__ import annotations

import re
from itertools import pairwise

from bicyclegan.training.rules.adversary import SCALES
from bicyclegan.training.rules.rule import Diagnosis, chart, line, rule, short
from bicyclegan.training.run_log import USUAL_RATE, Point, RunLog, is_number, mean_of, median_of, recent

NOT_FINITE = ("train_nan", "train_weights")
"""Findings with which the trainer ends a run."""
TOLD = (
    re.compile(r"Step (\d+): the loss ([\w, ]+) is"),
    re.compile(r"After step (\d+) numbers are NaN or infinite \(([\w, ]+)\)"),
)
"""What trainers say of it."""
HIGH_RATE, LOW_RATE = 4e-3, 5e-6
"""Learning rates of Adam above and below which GANs are not trained; in between 1e-4 to 1e-3 is usual."""
DEAD = 1e-3
"""L2 norm of the gradient of a G that has been thrown off."""
NO_BETTER = 0.9
"""Share of its first value that a loss has kept: nothing was learnt."""
EXPLODING, GROWING = 2000.0, 300.0
"""L2 norm of a gradient that is out of bounds, and that is on its way there."""
LARGEST = {"l1": 2.0, "l2": 4.0}
"""Mean losses of pictures in [-1, 1] that cannot be larger: it is a sum."""
HIGH_SCORE, LOW_SCORE = 0.65, 0.3
"""A score swings when it goes from above the one to below the other and back: further than by noise."""
FEW_LINES = 60
"""Newest lines that are looked at: what happens now and then in a long run is no oscillation."""
SWINGS_WATCH, SWINGS_ILL = 4, 6
NO_PROGRESS = 2000
"""Updates before which nobody speaks of a plateau."""


@rule("not_a_number", least=0)
def not_a_number(log: RunLog) -> Diagnosis | None:
    """A loss or a weight became NaN or infinite."""
    found = [each for each in log.findings if each.name in NOT_FINITE and each.step >= log.last]
    broken = [name for name, value in log.steps[-1].losses.items() if value is None] if log.steps else []
    if not found and not broken:
        return None
    match = next(filter(None, (each.match(found[-1].evidence) for each in TOLD)), None) if found else None
    step = int(match[1]) if match else max(log.last, found[-1].step if found else 0)
    names = match[2] if match else ", ".join(broken) or "weights"
    rate, patch = log.number("learning_rate"), {}
    if rate is not None:
        patch = {"learning_rate": short(rate / 4)}
        if log.number("clip_norm") == 0:
            patch["clip_norm"] = 10.0
    norms = log.series("gradient_norms", "generator")
    drawn = chart(line("gradient.generator", norms))
    return Diagnosis("not_a_number", "ill", step, {"at": step, "names": names}, patch, drawn)


@rule("rate_high", least=0)
def rate_high(log: RunLog) -> Diagnosis | None:
    """Steps so large that each throws away what the one before has found."""
    rate, curve = _rate(log), _learnt(log)
    if rate < HIGH_RATE:
        return None
    if not_a_number.judge(log):
        values = {"rate": rate, "times": short(rate / USUAL_RATE)}
        return Diagnosis("rate_high", "ill", log.last, values, _set_rate(log), chart(line("learnt", curve)), "burst")
    norms = recent(log.series("gradient_norms", "generator"))
    dead = len(norms) >= 3 and max(value for _, value in norms) < DEAD
    if not curve or (len(curve) < 6 and not dead) or log.young < (20 if dead else 60):
        return None
    best, late = min(value for _, value in curve), mean_of(recent(curve))
    worse = late > 1.15 * best or late > NO_BETTER * curve[0][1]
    values = {"rate": rate, "times": short(rate / USUAL_RATE)}
    drawn = chart(line("learnt", curve))
    if dead or worse:
        return Diagnosis("rate_high", "ill", log.last, values, _set_rate(log), drawn)
    return Diagnosis("rate_high", "watch", log.last, values, _set_rate(log), drawn, "early")


@rule("rate_low", least=80)
def rate_low(log: RunLog) -> Diagnosis | None:
    """Steps so small that nothing moves."""
    rate, curve = _rate(log), _learnt(log)
    warming_up = log.young < 2 * (log.number("lr_warmup") or 0)
    if not 0 < rate < LOW_RATE or len(curve) < 6 or warming_up or curve[0][1] <= 0:
        return None
    late = mean_of(recent(curve, share=0.2))
    values = {"rate": rate, "times": short(USUAL_RATE / rate), "kept": short(100 * late / curve[0][1])}
    finer = bool(log.options.get("init_from"))  # of a model that is good already nothing else is expected
    severity = "ill" if late > NO_BETTER * curve[0][1] and not finer else "watch"
    return Diagnosis("rate_low", severity, log.last, values, _set_rate(log), chart(line("learnt", curve)))


def _rate(log: RunLog) -> float:
    """Learning rate as it was set, or the highest so far: schedules let it rise at first and fall in the end."""
    if told := log.number("learning_rate"):
        return told
    return max((rate for each in log.steps if is_number(rate := each.learning_rates.get("generator"))), default=0.0)


def _learnt(log: RunLog) -> list[Point]:
    """The loss that falls when anything is learnt: that on pixels, else D's, which begins at chance."""
    for name in ("l1", "l2", "d_encoded", "d_random"):
        if found := log.series("losses", name):
            return found
    return []


def _set_rate(log: RunLog) -> dict[str, object]:
    return {"learning_rate": USUAL_RATE} if "learning_rate" in log.options else {}


@rule("exploding", least=30)
def exploding(log: RunLog) -> Diagnosis | None:
    """Gradients out of all bounds."""
    for name, most in LARGEST.items():
        curve = log.series("losses", name)
        if len(curve) >= 3 and median_of(recent(curve)) > most:
            values = {"loss": name, "value": short(median_of(recent(curve))), "most": most}
            return Diagnosis("exploding", "ill", log.last, values, chart=chart(line(name, curve)), variant="summed")
    worst: tuple[float, str] = (0.0, "")
    names = dict.fromkeys(name for each in log.steps for name in each.gradient_norms)
    for name in names:
        late = recent(log.series("gradient_norms", name))
        if len(late) >= 3:
            worst = max(worst, (median_of(late), name))
    if worst[0] < GROWING:
        return None
    norms = log.series("gradient_norms", worst[1])
    values = {"norm": short(worst[0]), "network": worst[1]}
    patch = {"clip_norm": 10.0} if log.number("clip_norm") == 0 else {}
    severity = "ill" if worst[0] >= EXPLODING else "watch"
    return Diagnosis("exploding", severity, log.last, values, patch, chart(line(f"gradient.{worst[1]}", norms)))


@rule("oscillation", least=150)
def oscillation(log: RunLog) -> Diagnosis | None:
    """G and D chase each other: what one has learnt the other makes worthless, again and again."""
    if log.adversarial not in SCALES:
        return None
    says = SCALES[log.adversarial]
    most: tuple[int, str, list[Point]] = (0, "", [])
    for name in ("fake_random", "fake_encoded", "real_random", "real_encoded"):
        points = [(step, says(value)) for step, value in log.series("scores", name)]
        swings = _swings(recent(points, share=0.8)[-FEW_LINES:])
        if swings > most[0]:
            most = (swings, name, points)
    swings, name, points = most
    if swings < SWINGS_WATCH:
        return None
    rate, patch = log.number("learning_rate"), {}
    if rate is not None:
        patch["learning_rate"] = short(rate / 2)
    if log.number("instance_noise") == 0:
        patch["instance_noise"] = 0.2
    severity = "ill" if swings >= SWINGS_ILL else "watch"
    drawn = chart(line(f"score.{name}", points), level=0.5)
    return Diagnosis("oscillation", severity, log.last, {"swings": swings}, patch, drawn)


def _swings(points: list[Point]) -> int:
    """How often it crossed from one side to the other, the middle not counting."""
    sides = [value > 0.5 for _, value in points if value > HIGH_SCORE or value < LOW_SCORE]
    return sum(before != after for before, after in pairwise(sides))


@rule("plateau", least=NO_PROGRESS)
def plateau(log: RunLog) -> Diagnosis | None:
    """Nothing gets better any more."""
    curve = log.metric("reconstruction_l1")
    if len(curve) < 8:
        return None
    half = len(curve) // 2
    before, since = min(value for _, value in curve[:half]), min(value for _, value in curve[half:])
    if since < 0.99 * before:
        return None
    values = {
        "best": short(before),
        "step": next(step for step, value in curve if value == before),
        "now": short(since),
    }
    severity = "watch" if mean_of(curve[-3:]) > 1.1 * before else "note"
    return Diagnosis(
        "plateau", severity, log.last, values, {}, chart(line("reconstruction_l1", curve), level=short(before))
    )
