"""What the numbers of a run are called, what each shows, and which direction is good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bicyclegan.metrics.reading import base_name, plain


@dataclass(frozen=True)
class Words:
    """A title, and one sentence on how to read it."""

    title: str
    sentence: str


PATHS = {"encoded": "encoded path", "random": "random path"}
"""Where the code comes from that a photo is painted with."""
NETWORKS = {
    "generator": "G",
    "encoder": "E",
    "discriminator": "D",
    "discriminator2": "D2",
}
LOSSES = {
    "l1": Words(
        "Pixel error, L1",
        "How far the painted photo is from the real one, pixel by pixel. Lower is closer; on its own it likes blur.",
    ),
    "l2": Words(
        "Pixel error, L2",
        "How far the painted photo is from the real one, squared, pixel by pixel. Lower is closer; it likes blur.",
    ),
    "perceptual": Words(
        "Perceptual loss",
        "How far the painted photo is from the real one as a network that knows pictures sees it. Lower is closer.",
    ),
    "latent_l1": Words(
        "Latent L1",
        "How far the code that E reads back is from the one G painted with. Lower is better; at the dashed line, "
        "0.798, E only guesses and G ignores the code.",
    ),
    "latent_l2": Words(
        "Latent L2",
        "How far the code that E reads back is from the one G painted with, squared. Lower is better; 1 is guessing.",
    ),
    "kl": Words(
        "KL as the loss counts it",
        "What the codes of photos are taxed for. Free bits and the official reduction change how it counts: to compare "
        "runs, read the sum over dims.",
    ),
    "mode_seeking": Words(
        "Mode seeking",
        "How little two photos of one sketch differ for codes that differ. Lower means more varied results.",
    ),
}
LOSS_ORDER = (
    "l1",
    "l2",
    "perceptual",
    "latent_l1",
    "latent_l2",
    "kl",
    "mode_seeking",
    "gan_encoded",
    "gan_random",
    "d_encoded",
    "d_random",
    "penalty",
)
METRIC_ORDER = (
    "diversity",
    "reconstruction_l1",
    "latent_l1",
    "active_dims",
    "kl",
    "high_frequency",
    "border_energy",
    "encoded_random_gap",
    "encoded_random_l1_gap",
)
"""How names of losses and of metrics begin, in the order of the page; others come last."""
KL_SUM = Words(
    "KL of the code, sum over dims",
    "How much the codes of photos say, in nats. Near 0 the code is empty and all results look alike; much above what "
    "others have, random codes miss what G was trained on.",
)
METRIC_WORDS = {
    "diversity_lpips": Words(
        "Diversity (LPIPS)",
        "How much samples of one sketch differ, as a network that knows pictures sees them. Higher is more varied; "
        "look at the samples too, for noise is varied as well.",
    ),
    "diversity_rgb": Words(
        "Diversity (colour)",
        "How much the colours of samples of one sketch differ. Higher is more varied; noise is varied too.",
    ),
    "reconstruction_l1": Words(
        "Reconstruction (L1)",
        "How far a photo that is painted again from its edges and its own code is from the original. Lower is better.",
    ),
    "latent_l1": Words(
        "Latent L1",
        "How far a code that is read back from the result is from the true one. Lower is better; 0.798, the dashed "
        "line of its chart, is guessing.",
    ),
    "kl": Words(
        "KL to the prior",
        "How far codes of photos are from random ones, in nats. Neither direction is good alone: 0 is an empty code.",
    ),
    "active_dims": Words(
        "Active dims",
        "Numbers of the code that tell photos apart. More is a richer code; the others do nothing.",
    ),
    "encoded_random_l1_gap": Words(
        "Random codes against the photo's own, in pixels",
        "How much further from the photo a random code paints than the photo's own. Above 0 where the code matters; "
        "neither direction is good alone.",
    ),
    "encoded_random_gap": Words(
        "Random codes against the photo's own, as D sees it",
        "How much better D likes results with codes of photos than with random ones. Best near 0: random codes, which "
        "people draw with, then paint as well.",
    ),
    "high_frequency": Words(
        "Sharpness",
        "Energy of fine detail in samples against that of photos. Best near 1: below is blur, above is noise.",
    ),
    "border_energy": Words(
        "Border",
        "Energy of edges along the border of samples against that of photos. Best near 1: above are artefacts.",
    ),
}
NO_WORDS = "A number that this program has no words for: it comes from another version."


def loss_words(name: str) -> Words:
    """Of a training loss by its name in the events."""
    kind, _, path = name.partition("_")
    if kind == "gan" and path in PATHS:
        sentence = (
            "How far G is from fooling D. Neither direction is good alone, for both learn: steady is healthy, a long "
            "climb is a D that wins."
        )
        return Words(f"G against D, {PATHS[path]}", sentence)
    if kind == "d" and path in PATHS:
        sentence = (
            "How far D is from telling real from painted. Falling to 0 is a D that has won, and G learns no more."
        )
        return Words(f"D's loss, {PATHS[path]}", sentence)
    if kind == "penalty":
        sentence = "How far D's gradient is from length 1. Low and steady is a D that keeps to its rule."
        return Words(f"Gradient penalty, {PATHS.get(path, plain(path, 40))}", sentence)
    return LOSSES.get(name) or Words(plain(name.replace("_", " "), 60), NO_WORDS)


def metric_words(name: str) -> Words:
    """Of a metric of validation by its name in the events."""
    return METRIC_WORDS.get(base_name(name)) or Words(plain(name.replace("_", " "), 60), NO_WORDS)


def network_name(name: str) -> str:
    """What a network is called in a title."""
    return NETWORKS.get(name) or plain(name, 40)


def place_among(order: Sequence[str]) -> Callable[[str], int]:
    """By the first of `order` that a name begins with; others come last."""
    return lambda name: next((place for place, start in enumerate(order) if name.startswith(start)), len(order))
