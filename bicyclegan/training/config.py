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
from bicyclegan.training.weights import RunLength, read_schedule, scheduled

Preset = Literal["fast", "quality", "official"]
Adversarial = Literal["lsgan", "vanilla", "hinge", "wgan", "wgan-gp"]
Distance = Literal["l1", "l2"]
Reduction = Literal["sample", "official"]
ScheduleName = Literal["constant", "linear", "linear-epochs", "step", "cosine", "plateau"]
Mix = Literal["none", "mixup", "cutmix", "augmix"]
InitName = Literal["xavier", "normal", "kaiming", "orthogonal", "default"]
Layout = Literal["auto", "photos", "side-by-side", "folders"]
MAX_STEPS = 100_000_000
MAX_WEIGHT, MAX_NOISE = 1e6, 2.0
LAMBDAS = (
    "lambda_gan",
    "lambda_gan2",
    "lambda_l1",
    "lambda_z",
    "lambda_kl",
    "lambda_gp",
    "lambda_perceptual",
    "lambda_mode_seeking",
)
SCHEDULABLE = (*LAMBDAS, "instance_noise", "condition_noise")
"""What `weight_schedule` may change."""


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
    """lsgan: squared distance to 1 and 0. vanilla: cross-entropy. hinge: D learns only from what it is unsure of. wgan,
    wgan-gp: D estimates a distance, held in bounds by clipped weights or by a penalty on its gradient."""
    clip_weights: float = 0.01
    """wgan: D's weights are held within this distance of 0, over 0 to 1."""
    lambda_gp: float = 10.0
    """wgan-gp: weight of (|gradient of D| - 1)^2 between real photos and fakes."""
    lambda_gan: float = 1.0
    """Weight of D's verdict on G(A, E(B)), or on the only path there is."""
    lambda_gan2: float = 1.0
    """Weight of D2's verdict on G(A, z) with random z."""
    lambda_l1: float = 10.0
    """Weight of |B - G(A, z)|, or its square (pixel_loss), mean over pixels."""
    pixel_loss: Distance = "l1"
    """l1: absolute difference of pixels. l2: squared; forgives small errors, blurs more."""
    lambda_z: float = 0.5
    """Weight of |z - E(G(A, z))|, or its square (latent_loss), mean over dims."""
    latent_loss: Distance = "l1"
    """l1: absolute difference of codes, 0.798 by chance. l2: squared, 1 by chance."""
    lambda_kl: float = 0.01
    """Weight of KL(E(B) || N(0, I))."""
    kl_warmup: int = 0
    """Steps over which the weight of KL rises from 0, so that E learns to speak before it is taxed."""
    free_bits: float = 0.0
    """Nats that each dim of the code may tell untaxed, on average over the batch: keeps dims from dying, 0 to 10."""
    lambda_perceptual: float = 0.0
    """Weight of the distance of G(A, E(B)) to B as a network for recognition sees them; 0 leaves it out."""
    perceptual_network: Literal["vgg19", "lpips"] = "vgg19"
    """vgg19: features of five layers (torchvision). lpips: distance fitted to people's judgement, on AlexNet."""
    lambda_mode_seeking: float = 0.0
    """Weight of |z - z'| / |G(A, z) - G(A, z')|: pictures of two codes must differ as the codes do. With two paths the
    second picture is the encoded one, held still. 0 leaves it out."""
    weight_schedule: str = ""
    """Weights that change: lambda_l1=5@30e is 5 from epoch 30 on; lambda_kl=0@0 lambda_kl=0.01@10%-30% rises between
    these shares of the run; a plain number counts updates. Any lambda, instance_noise and condition_noise."""
    reduction: Reduction = "sample"
    """sample: losses are means over samples; KL sums over dims. official: KL sums over samples too, and so does
    the adversarial loss of a single scale, so that weights mean something else at every batch size."""
    share_discriminator: bool = False
    """Judge both paths by one discriminator instead of two (`use_same_D`)."""

    @property
    def pixel_term(self) -> str:
        """Name of the loss on pixels: two kinds are two numbers that nobody should compare."""
        return self.pixel_loss

    @property
    def latent_term(self) -> str:
        """Name of the loss on codes."""
        return f"latent_{self.latent_loss}"

    @property
    def terms(self) -> dict[str, str]:
        """Losses of G and E that the objective has, each with the field that weighs it."""
        objective = OBJECTIVES[self.objective]
        gan = {"encoded": "lambda_gan", "random": "lambda_gan2" if objective.two_paths else "lambda_gan"}
        terms = {f"gan_{path.name}": gan[path.name] for path in objective.paths}
        if any(path.pixel for path in objective.paths):
            terms |= {self.pixel_term: "lambda_l1", "perceptual": "lambda_perceptual"}
        if objective.kl:
            terms["kl"] = "lambda_kl"
        if objective.latent:
            terms[self.latent_term] = "lambda_z"
        if any(path.code == "prior" for path in objective.paths):
            terms["mode_seeking"] = "lambda_mode_seeking"
        return terms

    def value(self, name: str, number: int | None = None, length: RunLength | None = None) -> float:
        """One of the lambdas in update `number`, counted from 1; in the end of the run without one."""
        return scheduled(self.weight_schedule, name, getattr(self, name), number, length)

    def weight(self, term: str, number: int | None = None, length: RunLength | None = None) -> float:
        """Weight of one of the objective's `terms`; `number` and `length` as for `value`."""
        warming_up = term == "kl" and number is not None and number < self.kl_warmup
        return self.value(self.terms[term], number, length) * (number / self.kl_warmup if warming_up else 1.0)

    def uses(self, term: str) -> bool:
        """Whether a loss of the objective ever has a weight."""
        return term in self.terms and self._ever(self.terms[term])

    @property
    def uses_penalty(self) -> bool:
        """Whether D's gradient is penalised."""
        return self.adversarial == "wgan-gp" and self._ever("lambda_gp")

    def _ever(self, name: str) -> bool:
        later = (change.value for change in read_schedule(self.weight_schedule) if change.name == name)
        return any(value > 0 for value in (getattr(self, name), *later))

    def __post_init__(self) -> None:
        check_types(self)
        for name in LAMBDAS:
            check_range(self, name, 0, MAX_WEIGHT)
        check_range(self, "clip_weights", 1e-6, 1)
        check_range(self, "kl_warmup", 0, MAX_STEPS)
        check_range(self, "free_bits", 0, 10)
        self._check_schedule()

    def _check_schedule(self) -> None:
        for change in read_schedule(self.weight_schedule):
            if change.name not in SCHEDULABLE:
                raise invalid(self, "weight_schedule", f"about {', '.join(SCHEDULABLE)}, not {change.name}")
            most = MAX_WEIGHT if change.name in LAMBDAS else MAX_NOISE
            if not 0 <= change.value <= most:
                allowed = f"made of values from 0 to {most:g} for {change.name}, not {change.value:g}"
                raise invalid(self, "weight_schedule", allowed)


@dataclass(frozen=True)
class OptimConfig:
    """How weights start and move: Adam for every network."""

    learning_rate: float = 2e-4
    """Of all networks, before the schedule."""
    encoder_rate: float = 1.0
    """Factor on E's learning rate, 0 to 10. Smaller: codes keep their meaning while G learns them."""
    discriminator_rate: float = 1.0
    """Factor on the learning rate of the discriminators, 0 to 10. Smaller where D wins, larger where it lags behind."""
    critic_steps: int = 1
    """Updates of the discriminators for each one of G and E, 1 to 100 (the authors of wgan: 5). `steps` counts those of
    the discriminators."""
    beta1: float = 0.5
    """Adam: decay of the first moment."""
    beta2: float = 0.999
    """Adam: decay of the second moment."""
    weight_decay: float = 0.0
    """Share of each weight that is taken away per update, times the learning rate (AdamW), 0 to 1."""
    clip_norm: float = 0.0
    """Largest L2 norm of each network's gradient; 0 lets all pass."""
    clip_value: float = 0.0
    """Largest value of a single gradient, to either side; 0 lets all pass."""
    accumulate: int = 1
    """Parts in which a batch is computed one after the other, to save memory; the update is that of the whole batch."""
    lr_warmup: int = 0
    """Updates over which the learning rate rises from 0."""
    schedule: ScheduleName = "linear"
    """Learning rate over time. linear: constant, then down to 0. linear-epochs: the same in steps of one epoch. cosine:
    the same along a cosine. step: times decay_factor every decay_every updates. plateau: times decay_factor when
    best_metric has not improved for a while."""
    decay_start: float = 0.5
    """linear, linear-epochs, cosine: share of the run after which the learning rate falls, 0 to 1."""
    decay_every: int = 5000
    """step: updates between two falls."""
    decay_factor: float = 0.5
    """step, plateau: what the learning rate is multiplied by, 0.01 to 0.99."""
    patience: int = 5
    """plateau: validations (see validate_every) without improvement after which the learning rate falls, 1 to 1000."""
    init: InitName = "xavier"
    """Distribution of the first weights; default is PyTorch's own."""
    encoder_init: Literal["informative", "same"] = "informative"
    """informative: E's codes of some training photos start as the prior has them, so that each dim tells something.
    same: E starts like the other networks, silent for hundreds of steps, in which G learns to ignore it."""
    init_gain: float = 0.02
    """Scale of the first weights for xavier, normal and orthogonal; the others have their own."""
    whiten_every: int = 0
    """Steps between whitenings of the code (needs map_code): the codes of photos get mean 0, variance 1 and no
    correlation, as the prior has, and no picture changes. 0 leaves that to KL, which does not see correlation. Only
    for objectives with KL."""
    ema_decay: float = 0.999
    """Saved weights are a moving average with this decay; 0 saves the weights themselves."""
    discriminator_warmup: int = 200
    """Steps in which only fresh discriminators learn, when G and E start from a checkpoint that brings none."""

    def rate_of(self, network: str) -> float:
        """Factor on the learning rate of a network, by its name."""
        if network.startswith("discriminator"):
            return self.discriminator_rate
        return self.encoder_rate if network == "encoder" else 1.0

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "learning_rate", 0, 1)
        for name in ("encoder_rate", "discriminator_rate"):
            check_range(self, name, 0, 10)
        check_range(self, "critic_steps", 1, 100)
        check_range(self, "weight_decay", 0, 1)
        for name in ("clip_norm", "clip_value"):
            check_range(self, name, 0, 1e6)
        check_range(self, "accumulate", 1, 4096)
        check_range(self, "lr_warmup", 0, MAX_STEPS)
        check_range(self, "decay_every", 1, MAX_STEPS)
        check_range(self, "decay_factor", 0.01, 0.99)
        check_range(self, "patience", 1, 1000)
        for name in ("beta1", "beta2", "ema_decay"):
            check_range(self, name, 0, 0.999999)
        check_range(self, "decay_start", 0, 1)
        check_range(self, "init_gain", 0, 100)
        check_range(self, "whiten_every", 0, MAX_STEPS)
        check_range(self, "discriminator_warmup", 0, MAX_STEPS)


@dataclass(frozen=True)
class RegularConfig:
    """Against discriminators that win and learn few pictures by heart: noise, and pairs mixed of others."""

    instance_noise: float = 0.0
    """Standard deviation of noise on all that D sees, in a range of -1 to 1; falls to 0 over the run, unless
    weight_schedule says otherwise. 0 to 2."""
    condition_noise: float = 0.0
    """Standard deviation of noise on the sketches that G gets, so that it does not trust single pixels. 0 to 2."""
    mix: Mix = "none"
    """mixup: two pairs laid over each other. cutmix: a rectangle of one in the other. augmix: one pair, turned and
    coloured in several ways, laid over itself. Sketch and photo alike."""
    mix_share: float = 0.5
    """Share of the pairs that are mixed, 0 to 1."""
    mix_alpha: float = 0.4
    """How evenly: both parameters of a Beta distribution, and of augmix's Dirichlet. Small: mostly one. 0.01 to 100."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("instance_noise", "condition_noise"):
            check_range(self, name, 0, MAX_NOISE)
        check_range(self, "mix_share", 0, 1)
        check_range(self, "mix_alpha", 0.01, 100)


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
    regular: RegularConfig = field(default_factory=RegularConfig)
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
        self._check_weights()
        self._check_parts()

    def _check_weights(self) -> None:
        loss, objective = self.loss, OBJECTIVES[self.loss.objective]
        if not any(map(loss.uses, loss.terms)):
            raise invalid(loss, "objective", f"given some weight: all of {', '.join(loss.terms)} are off")
        if objective.latent_trains_encoder and not loss.uses(loss.latent_term):
            raise invalid(loss, "lambda_z", f"over 0 for {objective.name}: nothing else trains its encoder")
        for term, name in (("perceptual", "lambda_perceptual"), ("mode_seeking", "lambda_mode_seeking")):
            if getattr(loss, name) and term not in loss.terms:
                raise invalid(loss, name, f"0 for {objective.name}, which has no path for it")
        two_critics = objective.two_paths and loss.uses("gan_encoded") and loss.uses("gan_random")
        if loss.share_discriminator and not two_critics:
            raise invalid(loss, "share_discriminator", "off: there are no two adversarial losses to share it")

    def _check_parts(self) -> None:
        if self.loss.reduction == "official" and self.optim.accumulate > 1:
            raise invalid(self.optim, "accumulate", "1 for reduction official, whose sums depend on the batch size")
        halves = 2 if OBJECTIVES[self.loss.objective].two_paths else 1
        if self.batch_size % (halves * self.optim.accumulate):
            allowed = f"a divisor of batch_size {self.batch_size}" + (
                ", halved for the two paths" if halves == 2 else ""
            )
            raise invalid(self.optim, "accumulate", allowed)
        alone = halves * self.optim.accumulate
        if self.model.minibatch != "none" and self.batch_size == alone:
            raise invalid(
                self, "batch_size", f"{2 * alone} or more: minibatch {self.model.minibatch} compares pictures"
            )
        if self.optim.schedule == "plateau" and not self.record.validate_every:
            raise invalid(self.record, "validate_every", "over 0 for the schedule plateau, which waits for validations")
        if self.regular.mix != "none" and not self.regular.mix_share:
            raise invalid(self.regular, "mix_share", f"over 0 to mix anything by {self.regular.mix}")

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> TrainConfig:
        """The inverse of `to_json`. Raises `UserError` for a newer schema or unknown fields."""
        check_version(data)
        data = {key: value for key, value in data.items() if key != "schema_version"}
        for name, hint in get_type_hints(cls).items():
            if dataclasses.is_dataclass(hint) and name in data:
                data[name] = from_json(hint, data[name])
        return from_json(cls, data)


def check_version(data: Any) -> None:
    """Raise `UserError` for what is no config of a run, or one of another schema."""
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        found = data.get("schema_version") if isinstance(data, dict) else type(data).__name__
        raise UserError(
            "run_version",
            "The run's config.json has schema_version {found!r}; this program reads {known}.",
            found=found,
            known=SCHEMA_VERSION,
        )
