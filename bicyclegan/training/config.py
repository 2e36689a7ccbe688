"""Everything that decides a training run, as frozen dataclasses with a JSON round trip.

Light on purpose (no torch): the command line builds its `train` options from these fields. Names are
unique over all groups, so that each is one flag (`--lambda-kl`, `--image-size`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

from bicyclegan.config import SCHEMA_VERSION, EdgeStyle, ModelConfig, check_range, check_types, from_json, invalid
from bicyclegan.errors import UserError
from bicyclegan.training.objectives import OBJECTIVES, ObjectiveName

Preset = Literal["fast", "quality", "official"]
Adversarial = Literal["lsgan", "vanilla"]
Reduction = Literal["sample", "official"]
ScheduleName = Literal["constant", "linear", "linear-epochs", "cosine"]
InitName = Literal["xavier", "normal", "kaiming", "orthogonal", "default"]
Layout = Literal["auto", "photos", "side-by-side", "folders"]
MAX_STEPS = 100_000_000


@dataclass(frozen=True)
class DataConfig:
    """Which pictures are learnt from, and how they become pairs of a sketch (A) and a photo (B)."""

    layout: Layout = "auto"
    """photos: a folder of photos, their edges are computed. side-by-side: each file holds both pictures, as in
    pix2pix. folders: two folders with equal file names. auto finds out."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Pairs: which picture is the sketch. AtoB: the left one, or folder A; BtoA: the right one, or folder B."""
    val_data: str = ""
    """Folder of pairs or photos to validate on; by default a folder val or test beside train, else `val_share`."""
    val_share: float = 0.05
    """Share of the pictures that is set aside for validation when there is no folder for it, 0.01 to 0.5."""
    max_images: int = 0
    """Use at most so many training pictures; 0 uses all."""
    cache_dir: str = ""
    """Folder for decoded pictures, shared by runs; by default `.cache` beside the run folder."""

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "val_share", 0.01, 0.5)
        check_range(self, "max_images", 0, MAX_STEPS)


@dataclass(frozen=True)
class AugmentConfig:
    """Changes of a pair that keep it a pair. Geometry is applied to both sides alike."""

    flip: float = 0.5
    """Probability of mirroring left to right, so that shoes drawn to the left work."""
    crop: float = 0.0
    """Pictures are read larger by this share and cropped at random, 0 to 0.5 (official: 286 to 256 px, 0.117)."""
    rotation: float = 0.0
    """Largest rotation in degrees to either side, 0 to 180."""
    scale: float = 0.0
    """Largest zoom in or out: 0.1 is 90 % to 110 %, 0 to 0.5."""
    hue: float = 0.0
    """Probability of turning the colours of the photo; its edges stay. Against photos that are mostly grey, too."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("flip", "hue"):
            check_range(self, name, 0, 1)
        for name in ("crop", "scale"):
            check_range(self, name, 0, 0.5)
        check_range(self, "rotation", 0, 180)


@dataclass(frozen=True)
class StrokeConfig:
    """Makes computed edges as imperfect as drawings of people, so that drawings work (layout photos only)."""

    threshold_jitter: float = 0.0
    """Both edge thresholds are multiplied by 2 to the power of -x to x: more or fewer lines. 0 to 4."""
    drop_strokes: float = 0.0
    """Largest share of the lines that is left out, whole strokes at a time, 0 to 0.9."""
    width_jitter: float = 0.0
    """Largest widening of the lines in pixels, 0 to 8."""
    wobble: float = 0.0
    """How far lines stray from their place, in pixels, 0 to 8."""
    silhouette: float = 0.0
    """Probability of showing the outline of the object alone, 0 to 1."""

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "threshold_jitter", 0, 4)
        check_range(self, "drop_strokes", 0, 0.9)
        for name in ("width_jitter", "wobble"):
            check_range(self, name, 0, 8)
        check_range(self, "silhouette", 0, 1)


@dataclass(frozen=True)
class LossConfig:
    """What is minimised (paper, section 3). A term with weight 0 is not computed, nor are networks only it needs."""

    objective: ObjectiveName = "bicyclegan"
    """Which paths are trained; the paper compares all six in section 4."""
    adversarial: Adversarial = "lsgan"
    """lsgan: squared distance to 1 and 0. vanilla: cross-entropy."""
    lambda_gan: float = 1.0
    """Weight of D's verdict on G(A, E(B)), or on the only path there is."""
    lambda_gan2: float = 1.0
    """Weight of D2's verdict on G(A, z) with random z."""
    lambda_l1: float = 10.0
    """Weight of |B - G(A, z)|, mean over pixels."""
    lambda_z: float = 0.5
    """Weight of |z - E(G(A, z))|, mean over dims."""
    lambda_kl: float = 0.01
    """Weight of KL(E(B) || N(0, I))."""
    kl_warmup: int = 0
    """Steps over which the weight of KL rises from 0, so that E learns to speak before it is taxed."""
    free_bits: float = 0.0
    """Nats that each dim of the code may tell untaxed: keeps dims from dying, 0 to 10."""
    reduction: Reduction = "sample"
    """sample: losses are means over samples; KL sums over dims. official: KL sums over samples too, and so does
    the adversarial loss of a single scale, so that weights mean something else at every batch size."""
    share_discriminator: bool = False
    """Judge both paths by one discriminator instead of two (`use_same_D`)."""

    def weight(self, term: str, step: int | None = None) -> float:
        """Weight of one of the objective's terms in update number `step`, counted from 1; in the end without one."""
        weights = {
            "gan_encoded": self.lambda_gan,
            "gan_random": self.lambda_gan2 if OBJECTIVES[self.objective].two_paths else self.lambda_gan,
            "l1": self.lambda_l1,
            "kl": self.lambda_kl,
            "latent_l1": self.lambda_z,
        }
        warming_up = term == "kl" and step is not None and step < self.kl_warmup
        return weights[term] * (step / self.kl_warmup if warming_up else 1.0)

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("lambda_gan", "lambda_gan2", "lambda_l1", "lambda_z", "lambda_kl"):
            check_range(self, name, 0, 1e6)
        check_range(self, "kl_warmup", 0, MAX_STEPS)
        check_range(self, "free_bits", 0, 10)


@dataclass(frozen=True)
class OptimConfig:
    """How weights start and move: Adam for every network."""

    learning_rate: float = 2e-4
    """Of all networks, before the schedule."""
    encoder_rate: float = 1.0
    """Factor on E's learning rate, 0 to 10. Smaller: codes keep their meaning while G learns them."""
    beta1: float = 0.5
    """Adam: decay of the first moment."""
    beta2: float = 0.999
    """Adam: decay of the second moment."""
    schedule: ScheduleName = "linear"
    """Learning rate over time. linear: constant, then down to 0. linear-epochs: the same in steps of one epoch."""
    decay_start: float = 0.5
    """Share of the run after which the learning rate falls, 0 to 1."""
    init: InitName = "xavier"
    """Distribution of the first weights; default is PyTorch's own."""
    encoder_init: Literal["informative", "same"] = "informative"
    """informative: E's codes of some training photos start as the prior has them, so that each dim tells something.
    same: E starts like the other networks, silent for hundreds of steps, in which G learns to ignore it."""
    init_gain: float = 0.02
    """Scale of the first weights (xavier, normal, orthogonal)."""
    whiten_every: int = 0
    """Steps between whitenings of the code (needs map_code): the codes of photos get mean 0, variance 1 and no
    correlation, as the prior has, and no picture changes. 0 leaves that to KL, which does not see correlation. Only
    for objectives with KL."""
    ema_decay: float = 0.999
    """Saved weights are a moving average with this decay; 0 saves the weights themselves."""
    discriminator_warmup: int = 200
    """Steps in which only fresh discriminators learn, when G and E start from a checkpoint that brings none."""

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "learning_rate", 0, 1)
        check_range(self, "encoder_rate", 0, 10)
        for name in ("beta1", "beta2", "ema_decay"):
            check_range(self, name, 0, 0.999999)
        check_range(self, "decay_start", 0, 1)
        check_range(self, "init_gain", 0, 100)
        check_range(self, "whiten_every", 0, MAX_STEPS)
        check_range(self, "discriminator_warmup", 0, MAX_STEPS)


@dataclass(frozen=True)
class RecordConfig:
    """What is written down, and how often. All in steps; 0 switches a thing off."""

    log_every: int = 20
    """Steps between lines of losses, learning rates and speed."""
    measure_every: int = 200
    """Steps between measurements of each loss's share of G's gradient; one costs about a step."""
    sample_every: int = 500
    """Steps between sheets of samples with fixed codes."""
    validate_every: int = 500
    """Steps between validations: metrics and the codes of a fixed set."""
    checkpoint_every: int = 500
    """Steps between checkpoints: the most that a power cut can cost. Always one at the end."""
    keep_checkpoints: int = 2
    """Checkpoints to resume from that are kept, newest first, 1 to 1000."""
    validation_images: int = 64
    """Validation pictures that are measured, the same each time, 2 to 1000."""
    best_metric: str = ""
    """Metric that decides what is kept in `best/`; by default the reconstruction error."""
    log_with: Literal["tensorboard", "wandb", "none"] = "tensorboard"
    """Where curves go beside the run folder's own events.jsonl."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("log_every", "checkpoint_every"):
            check_range(self, name, 1, MAX_STEPS)
        for name in ("measure_every", "sample_every", "validate_every"):
            check_range(self, name, 0, MAX_STEPS)
        check_range(self, "keep_checkpoints", 1, 1000)
        check_range(self, "validation_images", 2, 1000)


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Raises `UserError` when a value is not allowed or two contradict each other."""

    data: str = ""
    """Folder to learn from: photos, side-by-side pairs, or two folders of pairs; often with train/ and val/ inside."""
    out: str = ""
    """Run folder to make, such as runs/shoes; its last part becomes the model's name."""
    preset: Preset = "fast"
    """Defaults of all other options. fast: 128 px, narrow. quality: 256 px. official: the authors' own training."""
    steps: int = 20_000
    """Updates to make."""
    batch_size: int = 8
    """Pairs read for one update. Objectives with two paths need an even number: one half for each."""
    seed: int = 0
    """Of everything random: first weights, order, augmentation, codes. 0 to 4294967295."""
    init_from: str = ""
    """Checkpoint to start from (folder, name in checkpoints/ or Hub id): fine-tuning. Its networks are taken over."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Numbers inside the networks: auto is bf16 on CUDA, fp32 on a CPU, where bf16 is very slow."""
    num_workers: int = -1
    """Processes that read pictures; -1 chooses: none on a CPU, one for each core up to 8 with CUDA."""

    source: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    strokes: StrokeConfig = field(default_factory=StrokeConfig)
    edge_style: EdgeStyle = field(default_factory=EdgeStyle)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    record: RecordConfig = field(default_factory=RecordConfig)

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "steps", 1, MAX_STEPS)
        check_range(self, "batch_size", 1, 4096)
        check_range(self, "seed", 0, 2**32 - 1)
        check_range(self, "num_workers", -1, 256)
        self._check_objective()

    def _check_objective(self) -> None:
        objective = OBJECTIVES[self.loss.objective]
        if objective.needs_code != (self.model.latent_dim > 0):
            raise invalid(self.model, "latent_dim", f"{'over 0' if objective.needs_code else '0'} for {objective.name}")
        if objective.needs_encoder and self.model.encoder == "none":
            raise invalid(
                self.model, "encoder", f"'resnet' or 'conv' for {objective.name}, which reads codes of photos"
            )
        if objective.kl and self.optim.whiten_every and not self.model.map_code:
            raise invalid(self.optim, "whiten_every", "0 without map_code: there is nowhere to fold the map of z")
        if objective.two_paths and self.batch_size % 2:
            raise invalid(self, "batch_size", f"even for {objective.name}: each of its two paths takes one half")
        if not any(self.loss.weight(term) for term in objective.terms):
            raise invalid(self.loss, "objective", f"given some weight: all of {', '.join(objective.terms)} are off")
        if objective.latent_trains_encoder and not self.loss.lambda_z:
            raise invalid(self.loss, "lambda_z", f"over 0 for {objective.name}: nothing else trains its encoder")
        if self.loss.share_discriminator and not (
            objective.two_paths and self.loss.lambda_gan and self.loss.lambda_gan2
        ):
            raise invalid(self.loss, "share_discriminator", "off: there are no two adversarial losses to share it")

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> TrainConfig:
        """The inverse of `to_json`. Raises `UserError` for a newer schema or unknown fields."""
        if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
            found = data.get("schema_version") if isinstance(data, dict) else type(data).__name__
            raise UserError(
                "run_version",
                "The run's config.json has schema_version {found!r}; this program reads {known}.",
                found=found,
                known=SCHEMA_VERSION,
            )
        data = {key: value for key, value in data.items() if key != "schema_version"}
        for name, hint in get_type_hints(cls).items():
            if dataclasses.is_dataclass(hint) and name in data:
                data[name] = from_json(hint, data[name])
        return from_json(cls, data)
