"""The model card that a run writes beside its weights."""

from __future__ import annotations

from bicyclegan.config import CheckpointConfig

SHOWN = ("data", "training_images", "steps", "batch_size", "preset", "objective", "init_from")


def model_card(config: CheckpointConfig) -> str:
    """Markdown: what was trained, on what, how well, and what nobody knows yet."""
    training = config.training
    rows = [
        f"| {name.replace('_', ' ')} | {training[name]} |" for name in SHOWN if training.get(name) not in ("", None)
    ]
    numbers = {name: value for name, value in training.get("metrics", {}).items() if isinstance(value, (int, float))}
    metrics = [f"| {name} | {value:.4g} |" for name, value in numbers.items()]
    lines = [
        f"# {config.name}",
        "",
        f"A BicycleGAN for {config.model.image_size} px pictures, trained with BicycleGAN Studio.",
        "",
        "| training | |",
        "| --- | --- |",
        *rows,
    ]
    if metrics:
        lines += ["", "| on validation pictures | |", "| --- | --- |", *metrics]
    lines += [
        "",
        "The weights may be used as far as the licence of the training pictures allows, which this card does not know:",
        "whoever shares the model should write it here.",
    ]
    return "\n".join(lines) + "\n"
