"""Rules about pictures: what reaches the networks, what they paint, and how many there are."""

from __future__ import annotations

import re

from bicyclegan.training.rules.rule import Diagnosis, chart, line, rule, short
from bicyclegan.training.run_log import RunLog, mean_of, recent

TOLD = re.compile(r"values from (\S+) to ([^\s;]+)")
"""What trainers say of it."""
FULL_RANGE = 1.001
"""How far a picture may leave [-1, 1] by rounding."""
BELOW_ZERO, NEAR_ZERO = -0.05, 0.1
"""Photos of anything have a pixel darker than the one somewhere in many updates; in [0, 1] black is below the other."""
FINE = 0.15
"""Share of the photos' fine detail below which samples are blurred."""
TAUGHT = 0.05
"""Share of G's gradient that must come from discriminators, or nobody asks for detail."""
SOME_UPDATES, MANY_UPDATES = 900, 5000
"""At the usual learning rate, before which pictures are blurred anyway."""
PAINTS_BY_THEN = 500
"""Updates at the usual learning rate before which all is stains."""
BORDER_WATCH, BORDER_ILL = 0.15, 0.3
"""Edges in the border frame beyond those of photos, in units of the edges of whole photos."""
FEW, VERY_FEW = 50, 12
"""Photos below which a run learns by heart, and below which nothing else can come of it."""
SEEN = 15.0
"""Epochs after which few photos have been seen so often that D knows each."""


@rule("inputs_range", least=0)
def inputs_range(log: RunLog) -> Diagnosis | None:
    """Tanh paints in [-1, 1]: photos in [0, 1] or [0, 255] are never reached, and D tells fakes by their range."""
    failed = next((each for each in log.findings if each.name == "train_range" and each.step >= log.last), None)
    if failed:
        told = TOLD.search(failed.evidence)
        values = {"low": told[1], "high": told[2]} if told else {"low": "?", "high": "?"}
        return Diagnosis("inputs_range", "ill", log.last, values, variant="outside")
    lows = {name: log.series("inputs", f"{name}_min") for name in ("a", "b")}
    highs = {name: log.series("inputs", f"{name}_max") for name in ("a", "b")}
    if len(lows["b"]) < 2 or not highs["b"]:
        return None
    low, high = (pick(value for _, value in found["b"]) for found, pick in ((lows, min), (highs, max)))
    drawn = chart(line("inputs.b_min", lows["b"]), line("inputs.b_max", highs["b"]), level=-1.0)
    values = {"low": short(low), "high": short(high)}
    if low < -FULL_RANGE or high > FULL_RANGE:
        return Diagnosis("inputs_range", "ill", log.last, values, chart=drawn, variant="outside")
    if low < BELOW_ZERO:
        return None
    # Lines are black: sketches tell for sure. A GAN without sketches may have learnt from pale photos.
    sketch = min((value for _, value in lows["a"]), default=low)
    both = BELOW_ZERO <= sketch <= NEAR_ZERO and low <= NEAR_ZERO
    return Diagnosis("inputs_range", "ill" if both else "watch", log.last, values, chart=drawn)


@rule("blur", least=100)
def blur(log: RunLog) -> Diagnosis | None:
    """Samples without fine detail: only the discriminators ask for it."""
    detail = log.metric("high_frequency")
    if len(detail) < 2 or mean_of(detail[-2:]) >= FINE:
        return None
    shares = log.adversarial_shares()
    taught = mean_of(recent(shares, least=2)) if len(shares) >= 2 else None
    values = {"detail": short(100 * detail[-1][1]), "share": short(100 * (taught or 0.0))}
    drawn = chart(line("high_frequency", detail), level=1.0)
    weights = _teach(log)
    if taught is not None and 0 < taught < TAUGHT and weights and log.learnt >= SOME_UPDATES:
        return Diagnosis("blur", "ill", log.last, values, weights, drawn, "untaught")
    if log.learnt >= MANY_UPDATES:
        return Diagnosis("blur", "watch", log.last, values, {}, drawn)
    return None


def _teach(log: RunLog) -> dict[str, object]:
    """Weights as the paper has them."""
    usual = {"lambda_gan": 1.0, "lambda_gan2": 1.0, "lambda_l1": 10.0, "pixel_loss": "l1"}
    return {name: value for name, value in usual.items() if log.options.get(name, value) != value}


@rule("border", least=100)
def border(log: RunLog) -> Diagnosis | None:
    """Stripes and stains along the border, where losses look less."""
    excess = log.metric("border_excess")
    if len(excess) < 3 or log.learnt < PAINTS_BY_THEN:
        return None
    least = min(value for _, value in excess[-3:])
    ratio = log.metric("border_energy")
    if least < BORDER_WATCH or not ratio:
        return None
    values = {"excess": short(100 * excess[-1][1]), "ratio": short(ratio[-1][1])}
    drawn = chart(line("border_excess", excess), level=0.0)
    return Diagnosis("border", "ill" if least >= BORDER_ILL else "watch", log.last, values, chart=drawn)


@rule("few_pictures", least=50)
def few_pictures(log: RunLog) -> Diagnosis | None:
    """So few that D and E know each by heart."""
    count = log.data.report.get("train") if log.data else None
    if not isinstance(count, int) or not 0 < count < FEW or not log.steps:
        return None
    epochs = log.epoch
    values = {"count": count, "epochs": short(epochs)}
    ill = count < VERY_FEW and epochs >= SEEN
    severity = "ill" if ill else "watch" if epochs >= SEEN else "note"
    more = log.below({"flip": 0.5, "rotation": 8.0, "scale": 0.1, "hue": 0.3})
    reconstruction = log.metric("reconstruction_l1")
    drawn = chart(line("l1", log.series("losses", "l1")), line("reconstruction_l1", reconstruction))
    return Diagnosis("few_pictures", severity, log.last, values, more, drawn)
