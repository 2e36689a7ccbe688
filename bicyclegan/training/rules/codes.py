"""Rules about the latent code: whether G listens to it, and whether E's codes lie where random ones do."""

from __future__ import annotations

from bicyclegan.training.rules.rule import Diagnosis, chart, line, rule, short
from bicyclegan.training.run_log import Point, RunLog, mean_of, recent

SAME = {"diversity_rgb": 0.016, "diversity_lpips": 0.02}
"""Mean distance of samples of one sketch below which they are the same picture."""
HEARD_BY_THEN = 600
"""Updates at the usual learning rate before which a code need not be heard."""
RECOVERED = 0.6
"""Latent L1 below which the code is in the picture, however little one sees of it."""
FALLEN, ONCE = 0.3, 0.03
"""Share of its highest value to which diversity has fallen, and what that was at least."""
SILENT = 0.06
"""Nats a dim of the code below which it tells nothing."""
HELPS = 0.6
"""By how much closer to its photo a picture with the photo's own code is, in units of the error that is left. Above 1
where codes tell what photos look like."""
SPOKE = 0.5
"""Nats a dim that a code has told that then fell silent; it may have been born silent, and learn to speak."""
LATE = 3000
"""Updates at the usual learning rate after which a code that never told anything will not begin to."""
FAR_WATCH, FAR_ILL = 4.5, 9.0
"""Nats a dim above which codes of photos lie where random codes never do."""
LOOSE_WATCH, LOOSE_ILL = 3.0, 3.5
"""The same where no KL will bring them back."""
OBJECTIVES_WITH_LATENT = ("bicyclegan", "clr-gan")


@rule("ignores_z", least=100)
def ignores_z(log: RunLog) -> Diagnosis | None:
    """Samples of one sketch with different codes are one picture."""
    if _is_unconditional(log) or log.learnt < HEARD_BY_THEN:
        return None
    name, diversity = _diversity(log)
    if len(diversity) < 2 or max(value for _, value in diversity[-2:]) >= SAME[name]:
        return None
    latent = log.metric("latent_l1", "latent_l2")
    if latent and latent[-1][1] < RECOVERED:
        return None
    values = {"diversity": short(diversity[-1][1]), "latent": short(latent[-1][1]) if latent else 0.0}
    variant = "measured" if latent else ""
    drawn = chart(line("diversity", diversity), level=SAME[name])
    return Diagnosis("ignores_z", "ill", log.last, values, _listen(log), drawn, variant)


def _listen(log: RunLog) -> dict[str, object]:
    """What makes the code matter."""
    if not log.options:
        return {}
    patch: dict[str, object] = {}
    latent, kl, pixels = (log.number(name) for name in ("lambda_z", "lambda_kl", "lambda_l1"))
    if log.options.get("objective") in OBJECTIVES_WITH_LATENT:
        if latent is not None and latent < 0.5:
            patch["lambda_z"] = 0.5
        if kl is not None and kl > 0.05:
            patch["lambda_kl"] = 0.01
    heavy = pixels is not None and pixels > 20
    if heavy:
        patch["lambda_l1"] = 10.0
    if heavy or not patch:
        patch["lambda_mode_seeking"] = 0.3
    return patch


@rule("mode_collapse", least=150)
def mode_collapse(log: RunLog) -> Diagnosis | None:
    """Samples have become alike that were not: of many pictures that would do, G paints the one that D fell for."""
    name, diversity = _diversity(log)
    if len(diversity) < 4:
        return None
    # The first is of networks that know nothing; what was high once only was chance.
    highest = sorted(value for _, value in diversity[1:])[-2]
    now = max(value for _, value in diversity[-2:])
    alike = _is_unconditional(log) and now < SAME[name]
    if not alike and (highest < ONCE or now > FALLEN * highest):
        return None
    values = {"highest": short(highest), "diversity": short(now)}
    drawn = chart(line("diversity", diversity))
    patch = {"lambda_mode_seeking": 0.3} if log.number("lambda_mode_seeking") == 0 else {}
    return Diagnosis("mode_collapse", "ill", log.last, values, patch, drawn)


def _diversity(log: RunLog) -> tuple[str, list[Point]]:
    """How far apart samples of one sketch are, by the first of the known measures that this run has."""
    for name in SAME:
        if found := log.metric(name, f"{name}_"):
            return name, found
    return "diversity_rgb", []


def _is_unconditional(log: RunLog) -> bool:
    return log.options.get("objective") == "dcgan"


@rule("posterior_collapse", least=120)
def posterior_collapse(log: RunLog) -> Diagnosis | None:
    """Codes tell nothing of their photos: all are alike, or none helps to paint its photo."""
    kl = _kl(log)
    if len(kl) < 5 or log.weight("kl") <= 0 or _warming_up(log):
        return None
    if not any(log.weight(term) for term in ("l1", "l2", "perceptual")):
        return _useless_codes(log)
    now, highest = mean_of(recent(kl)), max(value for _, value in kl)
    fell = (highest >= SPOKE and now < FALLEN * highest) or log.learnt >= LATE
    if not fell or now >= SILENT:
        return None
    values = {"kl": short(now), "highest": short(highest), "weight": short(log.weight("kl"))}
    weight = log.number("lambda_kl")
    patch = {"lambda_kl": 0.01 if weight > 0.01 else short(weight / 10)} if weight else {}
    return Diagnosis("posterior_collapse", "ill", log.last, values, patch, chart(line("kl_per_dim", kl)))


def _useless_codes(log: RunLog) -> Diagnosis | None:
    """Without a loss on pixels: whether a photo's own code paints it hardly better than a random one."""
    gaps, errors = log.metric("encoded_random_l1_gap"), log.metric("reconstruction_l1")
    if len(gaps) < 3 or len(errors) < 3 or log.learnt < HEARD_BY_THEN:
        return None
    gap, error = mean_of(gaps[-3:]), mean_of(errors[-3:])
    if gap >= HELPS * error:
        return None
    values = {"gap": short(max(0.0, gap)), "error": short(error)}
    drawn = chart(line("reconstruction_l1", errors), line("encoded_random_l1_gap", gaps))
    return Diagnosis("posterior_collapse", "ill", log.last, values, {"lambda_l1": 10.0}, drawn, "no_pixels")


@rule("posterior_far", least=80)
def posterior_far(log: RunLog) -> Diagnosis | None:
    """Codes of photos are not where random codes are: reconstructions are fine and samples are not."""
    kl, loose = _kl(log), log.weight("kl") == 0
    watch, ill = (LOOSE_WATCH, LOOSE_ILL) if loose else (FAR_WATCH, FAR_ILL)
    late = recent(kl)
    if _warming_up(log) or len(late) < 4 or (now := mean_of(late)) < watch:
        return None
    if not loose and now < kl[0][1] / 2 and now < ill:  # it starts far off, and is on its way
        return None
    gap = log.metric("encoded_random_l1_gap")
    values = {"kl": short(now), "gap": short(gap[-1][1]) if gap else 0.0, "weight": short(log.weight("kl"))}
    drawn = chart(line("kl_per_dim", kl), level=3.0)
    weight, patch = log.number("lambda_kl"), {}
    if weight is not None and log.options.get("objective") in ("bicyclegan", "cvae-gan"):
        patch = {"lambda_kl": max(0.01, short(3 * weight))}
    named = log.options.get("objective") == "cae-gan"  # it has no KL, and the paper says what follows
    severity = "ill" if now >= ill and not named else "watch"
    variant = " ".join(("no_kl",) * loose + ("unmeasured",) * (not gap))
    return Diagnosis("posterior_far", severity, log.last, values, patch, drawn, variant)


def _warming_up(log: RunLog) -> bool:
    """Whether KL has not its full weight yet: then codes are meant to run free."""
    return 0 < log.weight("kl") < 0.9 * (log.number("lambda_kl") or 0.0)


def _kl(log: RunLog) -> list[Point]:
    """Mean KL of a dim of the code, in nats."""
    return [(step, sum(values) / len(values)) for step, values in log.dims("kl_per_dim")]
