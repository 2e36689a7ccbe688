"""Rules about the contest of G and D: who wins, and whether G hears of it."""

from __future__ import annotations

from collections.abc import Callable

from bicyclegan.training.rules.rule import Diagnosis, chart, line, rule, short, sigmoid
from bicyclegan.training.run_log import RunLog, is_number, mean_of, median_of, recent

PATHS = ("encoded", "random")
LEADS = {"lsgan": (0.75, 0.88), "vanilla": (0.96, 0.99), "hinge": (0.9, 0.97)}
"""How far D holds photos and fakes apart, 1 being all there is, to be ahead and to win. Cross-entropy still teaches G
where least squares are flat: healthy DCGANs begin with 0.95."""
GAP_WATCH, GAP_ILL = 0.2, 0.35
"""How much surer D is of the photos it learns from than of others."""
SCALES: dict[str, Callable[[float], float]] = {"lsgan": float, "vanilla": sigmoid}
"""What a score means as a probability of being real, by the adversarial loss that has such a meaning."""
CROSS_ENTROPY_LATE = 300
"""Updates in which a healthy DCGAN may look lost."""
UNBOUNDED, LOOSE = 5.0, 0.05
"""Scores that a critic with bounded weights does not reach, and bounds on weights that are none."""
AGREEING = 3
"""Validations in a row."""
LEARNT_BY_HEART = 10.0
"""Epochs before which nothing is learnt by heart."""
TINY = 0.01
"""L2 norm of G's gradient below which nothing is learnt."""
HEARD = 0.03
"""Share of G's gradient below which the discriminators are as good as silent."""
USUAL_RATE, GENTLE_NOISE = 0.2, 0.3
"""Factor on D's learning rate and noise on all it sees, where it has won."""


@rule("no_adversarial_gradient", least=2)
def no_adversarial_gradient(log: RunLog) -> Diagnosis | None:
    """G's adversarial loss is there and reaches no weight of G: a detach() in the wrong place."""
    silent = [term for term in ("gan_encoded", "gan_random") if _cut_off(log, term)]
    if not silent:
        return None
    lines = [line(f"share.{term}", log.shares(term)) for term in silent]
    values = {"terms": ", ".join(silent), "count": len(lines[0].steps)}
    return Diagnosis("no_adversarial_gradient", "ill", log.last, values, chart=chart(*lines))


@rule("loss_without_effect", least=2)
def loss_without_effect(log: RunLog) -> Diagnosis | None:
    """Another loss has a weight and reaches no weight of G. KL is E's alone."""
    names = dict.fromkeys(name for each in log.steps for name in each.gradient_shares)
    silent = [name for name in names if name != "kl" and not name.startswith("gan") and _cut_off(log, name)]
    if not silent:
        return None
    lines = [line(f"share.{term}", log.shares(term)) for term in silent]
    values = {"terms": ", ".join(silent), "count": len(lines[0].steps)}
    return Diagnosis("loss_without_effect", "ill", log.last, values, chart=chart(*lines))


def _cut_off(log: RunLog, term: str) -> bool:
    """Whether a loss with a weight gave G no gradient at all, as often as that was measured, twice at least."""
    shares = log.shares(term)
    return len(shares) >= 2 and all(value == 0 for _, value in shares)


@rule("vanishing", least=60)
def vanishing(log: RunLog) -> Diagnosis | None:
    """G's gradient has come to nothing, or what D says has no part in it."""
    norms = log.series("gradient_norms", "generator")
    late = recent(norms)
    if len(late) >= 3 and max(value for _, value in late) < TINY:
        drawn = chart(line("gradient.generator", norms))
        return Diagnosis("vanishing", "ill", log.last, {"norm": short(mean_of(late))}, _gentler(log), drawn)
    shares = log.adversarial_shares()
    heard = recent(shares, least=2)
    alone = all(len(each.gradient_shares) < 2 for each in log.steps)
    if alone or len(heard) < 2 or not 0 < median_of(heard) < HEARD or _lead(log) < _ahead(log)[0]:
        return None
    values = {"share": short(100 * median_of(heard))}
    drawn = chart(line("share.gan", shares))
    return Diagnosis("vanishing", "ill", log.last, values, _gentler(log), drawn, "unheard")


@rule("discriminator_wins", least=100)
def discriminator_wins(log: RunLog) -> Diagnosis | None:
    """D is always right: its verdicts teach G nothing."""
    leads = {path: _lead_on(log, path) for path in PATHS}
    known = {path: lead for path, lead in leads.items() if lead is not None}
    if not known:
        return None
    lead, (ahead, wins) = min(known.values()), _ahead(log)
    if lead < ahead:
        return None
    path = min(known, key=known.get)
    real, fake = (log.series("scores", f"{kind}_{path}") for kind in ("real", "fake"))
    values = {"real": short(mean_of(recent(real))), "fake": short(mean_of(recent(fake))), "lead": short(100 * lead)}
    drawn = chart(line(f"score.real_{path}", real), line(f"score.fake_{path}", fake))
    # Where cross-entropy is used D is far ahead at first, as a rule, and G comes after it.
    young = log.adversarial == "vanilla" and log.young < CROSS_ENTROPY_LATE
    severity = "ill" if lead >= wins and not young else "watch"
    return Diagnosis("discriminator_wins", severity, log.last, values, _gentler(log), drawn)


def _ahead(log: RunLog) -> tuple[float, float]:
    return LEADS.get(log.adversarial, (2.0, 2.0))


def _lead(log: RunLog) -> float:
    """How far D is ahead where it is least; 0 where scores have no scale."""
    return min((lead for path in PATHS if (lead := _lead_on(log, path)) is not None), default=0.0)


def _lead_on(log: RunLog, path: str) -> float | None:
    """Mean difference of what D says of photos and of fakes, lately: 0 where it cannot tell, 1 where it always can.

    None for a path that is not there, for too few lines, and for losses whose scores have no scale.
    """
    real, fake = (recent(log.series("scores", f"{kind}_{path}")) for kind in ("real", "fake"))
    if len(real) < 4 or len(real) != len(fake):
        return None
    if log.adversarial == "hinge":
        losses = recent(log.series("losses", f"d_{path}"))
        return 1 - min(1.0, mean_of(losses) / 2) if losses else None
    if log.adversarial not in SCALES:
        return None
    says = SCALES[log.adversarial]
    return mean_of([(step, says(value)) for step, value in real]) - mean_of(
        [(step, says(value)) for step, value in fake]
    )


def _gentler(log: RunLog) -> dict[str, object]:
    """A slower D, and noise over all it sees. Nothing where the settings are not known."""
    patch: dict[str, object] = {}
    noise, rate, steps = (log.number(name) for name in ("instance_noise", "discriminator_rate", "critic_steps"))
    if noise is not None and noise < GENTLE_NOISE / 3:
        patch["instance_noise"] = GENTLE_NOISE
    if steps is not None and steps > 1:
        return {**patch, "critic_steps": 1}
    if rate is not None:
        patch["discriminator_rate"] = USUAL_RATE if rate > USUAL_RATE else short(rate / 4)
    return patch


@rule("discriminator_overfits", least=150)
def discriminator_overfits(log: RunLog) -> Diagnosis | None:
    """D is sure of the photos it learns from and not of others: it knows them by heart."""
    if log.adversarial not in SCALES:
        return None
    says = SCALES[log.adversarial]
    for path in PATHS:
        real = log.series("scores", f"real_{path}")
        held_out = [
            (each.step, says(value))
            for each in log.validations
            if each.step > log.since and is_number(value := each.scores.get(f"real_{path}"))
        ]
        if len(held_out) < AGREEING or not real:
            continue
        seen = [(step, says(value)) for step, value in real]
        now = mean_of(recent(seen))
        gap = now - max(value for _, value in held_out[-AGREEING:])  # all of them agree: few photos are a noisy measure
        if gap < GAP_WATCH:
            continue
        values = {"seen": short(now), "other": short(mean_of(held_out[-AGREEING:]))}
        drawn = chart(line(f"score.real_{path}", seen), line(f"validation.real_{path}", held_out))
        by_heart = gap >= GAP_ILL and log.epoch >= LEARNT_BY_HEART
        severity = "ill" if by_heart else "watch"
        return Diagnosis("discriminator_overfits", severity, log.last, values, _against_heart(log), drawn)
    return None


def _against_heart(log: RunLog) -> dict[str, float]:
    return log.below({"flip": 0.5, "rotation": 8.0, "scale": 0.1, "instance_noise": 0.2})


@rule("critic_unbounded", least=40)
def critic_unbounded(log: RunLog) -> Diagnosis | None:
    """A Wasserstein critic without clipped weights: its scores grow without end and measure no distance."""
    if log.adversarial != "wgan":
        return None
    clip = log.number("clip_weights")
    scores = {
        (kind, path): abs(mean_of(recent(log.series("scores", f"{kind}_{path}"))))
        for kind in ("real", "fake")
        for path in PATHS
    }
    worst = max(scores.values())
    loose = clip is not None and clip > LOOSE
    if worst < (UNBOUNDED / 5 if loose else UNBOUNDED):
        return None
    path = max(scores, key=scores.get)[1]
    lines = [line(f"score.{kind}_{path}", log.series("scores", f"{kind}_{path}")) for kind in ("real", "fake")]
    values = {"score": short(worst), "clip": "?" if clip is None else clip}
    patch = {} if clip is None else {"clip_weights": 0.01}
    return Diagnosis("critic_unbounded", "ill", log.last, values, patch, chart(*lines))
