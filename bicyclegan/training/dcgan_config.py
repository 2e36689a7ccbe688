"""Everything that decides the training of a DCGAN, as a frozen dataclass with a JSON round trip. No torch here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bicyclegan.config import SCHEMA_VERSION, ModelConfig, check_range, check_types, from_json, invalid
from bicyclegan.training.config import MAX_STEPS, DataConfig, TrainConfig, check_version
from bicyclegan.training.presets import model_for_size

SIZES = (32, 64)
RECORD = ("log_every", "measure_every", "sample_every", "validate_every", "checkpoint_every")
CHANGEABLE = ("steps", "learning_rate", "discriminator_rate", *RECORD)
"""Fields that somebody may change before a run goes on; all others are in its networks, moments or data."""
RESUMABLE = ("data", "out", "cache_dir", "steps", "device", *RECORD)
"""Fields with which a run goes on as if it had never stopped."""


@dataclass(frozen=True)
class DcganConfig:
    """One training of a DCGAN. Raises `UserError` when a value is not allowed."""

    kind: ClassVar[str] = "dcgan"

    data: str = ""
    """Folder of photos, or of pairs whose photos are taken."""
    out: str = ""
    """Run folder to make."""
    steps: int = 600
    """Updates to make, of both networks each."""
    batch_size: int = 32
    """Photos, and as many fakes, in one update; 2 to 4096."""
    seed: int = 0
    """Of everything random: first weights, order, codes. 0 to 4294967295."""
    image_size: int = 64
    """Side of the photos in px: 32 or 64."""
    latent_dim: int = 64
    """Length of the code, 1 to 1024."""
    channels: int = 32
    """Width of both networks at half the picture's size; doubled each further level. 1 to 128."""
    learning_rate: float = 2e-4
    """Of both networks (Adam)."""
    beta1: float = 0.5
    """Adam: decay of the first moment."""
    discriminator_rate: float = 1.0
    """Factor on D's learning rate, 0 to 10."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    log_every: int = 10
    """Steps between lines of losses."""
    measure_every: int = 50
    """Steps between measurements of whether G is reached by its loss; 0: never."""
    sample_every: int = 100
    """Steps between sheets of samples with fixed codes; 0: none."""
    validate_every: int = 100
    """Steps between measurements on photos that were set aside; 0: none."""
    checkpoint_every: int = 200
    """Steps between checkpoints. Always one at the end."""
    max_images: int = 0
    """Use at most so many training photos; 0 uses all."""
    cache_dir: str = ""
    """Folder for decoded pictures; by default `.cache` beside the run folder."""

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "steps", 1, MAX_STEPS)
        check_range(self, "batch_size", 2, 4096)
        check_range(self, "seed", 0, 2**32 - 1)
        if self.image_size not in SIZES:
            raise invalid(self, "image_size", " or ".join(map(str, SIZES)))
        check_range(self, "latent_dim", 1, 1024)
        check_range(self, "channels", 1, 128)
        check_range(self, "learning_rate", 0, 1)
        check_range(self, "beta1", 0, 0.999999)
        check_range(self, "discriminator_rate", 0, 10)
        for name in ("log_every", "checkpoint_every"):
            check_range(self, name, 1, MAX_STEPS)
        for name in ("measure_every", "sample_every", "validate_every"):
            check_range(self, name, 0, MAX_STEPS)
        check_range(self, "max_images", 0, MAX_STEPS)

    def pictures(self) -> TrainConfig:
        """The config of a run that would read the same pictures."""
        return TrainConfig(
            data=self.data,
            out=self.out,
            seed=self.seed,
            source=DataConfig(max_images=self.max_images, cache_dir=self.cache_dir),
            model=model_for_size(ModelConfig(), self.image_size),
        )

    def options(self) -> dict[str, Any]:
        """What a run's first event tells of it."""
        return {**dataclasses.asdict(self), "objective": self.kind, "adversarial": "vanilla"}

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`."""
        return {"schema_version": SCHEMA_VERSION, "kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> DcganConfig:
        """The inverse of `to_json`. Raises `UserError` for another schema, another kind of run or unknown fields."""
        check_version(data)
        own = data.get("kind") == cls.kind
        left_out = ("schema_version", "kind") if own else ("schema_version",)
        return from_json(cls, {key: value for key, value in data.items() if key not in left_out})


def read_config(data: Any) -> TrainConfig | DcganConfig:
    """The config of a run of either kind, from its JSON. Raises `UserError` where it cannot be read."""
    is_dcgan = isinstance(data, dict) and data.get("kind") == DcganConfig.kind
    return DcganConfig.from_json(data) if is_dcgan else TrainConfig.from_json(data)
