"""Configuration as frozen dataclasses: what a network is, what its edges look like, what a checkpoint says.

Light on purpose (no torch), so that the command line can print help at once. Every class checks
itself when it is made and turns into plain JSON and back (`to_json`, `from_json`).
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_type_hints

from bicyclegan.errors import UserError

SCHEMA_VERSION = 1
"""Version of `config.json`. Raised when an older program could misread a newer file."""

DEFAULT_CHECKPOINT = "edges2shoes"
"""Name of the shipped checkpoint that everything starts with."""
MODEL_FILE, CONFIG_FILE, CARD_FILE = "model.safetensors", "config.json", "README.md"
EXAMPLES_FILE, LATENTS_FILE, THUMBS_FILE = "examples.ndjson", "latents.npz", "thumbs.webp"
DISCRIMINATORS_FILE = "discriminators.safetensors"
EVENTS_FILE, LOSSES_FILE = "training.jsonl", "losses.webp"
OPTIONAL_FILES = (EXAMPLES_FILE, LATENTS_FILE, THUMBS_FILE, DISCRIMINATORS_FILE, EVENTS_FILE, LOSSES_FILE)
"""Names of the files in a checkpoint folder; weights and config must be there."""
MAX_COLOUR_NAME = 40
"""Characters of what a colour of the palette is called."""

Inject = Literal["all", "input", "adain"]
Upsample = Literal["transposed", "bilinear"]
Norm = Literal["instance", "batch", "none"]
Activation = Literal["relu", "leaky_relu", "elu"]
EncoderKind = Literal["resnet", "conv", "none"]
OutputLayer = Literal["upsample", "conv7"]
Minibatch = Literal["none", "statistics", "discrimination"]
ATTENTION_SIDES = (4, 64)
"""Feature maps, in pixels, on which networks can attend: time and memory grow with the fourth power of the side."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape of the three networks (paper, appendix; official `networks.py`).

    Raises `UserError` when a value is not allowed or two values contradict each other.
    """

    image_size: int = 256
    """Side of the square pictures the model was made for, in pixels."""
    input_channels: int = 1
    """Channels of the sketch: 1 for edges, 3 for coloured label maps."""
    output_channels: int = 3
    """Channels of the photo."""
    latent_dim: int = 8
    """Length of the latent code z. 0 makes a plain pix2pix generator, one answer per sketch."""

    base_channels: int = 64
    """Generator width: channels after the first convolution (`ngf`)."""
    depth: int = 8
    """How often the U-Net halves the picture; sizes must be multiples of 2**depth."""
    inject: Inject = "all"
    """Where z enters. all, input: on planes beside the picture at every down block, or only at the input (`where_add`).
    adain: as scale and shift of what every up block paints; louder, and what a sketch costs is paid once."""
    map_code: bool = False
    """Whether z passes a linear map first, by which training keeps the codes of photos as spread as the prior."""
    upsample: Upsample = "bilinear"
    """Up blocks: bilinear + 3x3 convolution (no checkerboard), or a 4x4 transposed convolution (`basic`)."""
    norm: Norm = "instance"
    """Normalisation in all three networks. Instance norm keeps no statistics, as in current official code."""
    activation: Activation = "relu"
    """Non-linearity of the generator's up path (`nl`)."""
    dropout: float = 0.0
    """Share of features dropped in the deep up blocks while training (official: 0 or 0.5)."""
    attention: int = 0
    """Side in pixels of the feature maps on which G's up path looks at the whole picture (self-attention, Zhang et al.
    2019): image_size / 2**k, from 4 to 64. D does so too, on its finest scale, if discriminator_layers is at least k.
    0: nowhere. Starts as the identity, so that a checkpoint without it can be trained on with it."""
    residual_blocks: int = 0
    """Residual blocks of two reflection-padded 3x3 convolutions behind every up block of G but the last. They start as
    the identity, so that a checkpoint can be trained on with more of them."""
    output_layer: OutputLayer = "upsample"
    """What paints. upsample: the last up block. conv7: that block keeps base_channels and a 7x7 convolution follows,
    padded by reflection so that the border gets no frame (Johnson et al. 2016). Take it with bilinear upsampling:
    transposed up blocks still read zeros beyond the border, and 7x7 spreads that frame."""

    encoder: EncoderKind = "resnet"
    """Network that reads z from a photo; `none` for a model without one."""
    encoder_channels: int = 64
    """Encoder width (`nef`)."""
    encoder_blocks: int = 5
    """How often the encoder halves the picture: officially 4 at 128 px, 5 at 256 px."""

    discriminator_channels: int = 64
    """Discriminator width (`ndf`), halved at each coarser scale."""
    discriminator_layers: int = 3
    """Stride-2 layers of a PatchGAN: officially 2 at 128 px, 3 at 256 px."""
    num_discriminators: int = 2
    """Scales that are judged, each half the size of the one before."""
    conditional_discriminator: bool = False
    """Whether the discriminator sees the sketch beside the photo."""
    spectral_norm: bool = False
    """Whether D's convolutions are divided by their largest singular value (Miyato et al. 2018). Where instance or
    batch norm follows it undoes that: then only the first and the last convolution and attention are bounded."""
    minibatch: Minibatch = "none"
    """What D sees of the other samples before its last convolution. statistics: their mean standard deviation (Karras
    et al. 2018). discrimination: how close each is to the others (Salimans et al. 2016). Against G that paints alike;
    real and fake photos are compared among themselves, in each process on its own."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("image_size", "input_channels", "output_channels", "base_channels"):
            check_range(self, name, 1, 4096)
        for name in ("encoder_channels", "encoder_blocks"):
            check_range(self, name, 1, 1024)
        for name in ("discriminator_channels", "discriminator_layers", "num_discriminators"):
            check_range(self, name, 1, 1024)
        check_range(self, "latent_dim", 0, 1024)
        check_range(self, "depth", 2, 12)
        check_range(self, "residual_blocks", 0, 16)
        if not 0.0 <= self.dropout < 1.0:
            raise invalid(self, "dropout", "0 up to, not including, 1")
        self._check_sizes()
        self._check_latent()
        self._check_attention()

    @property
    def attention_level(self) -> int:
        """How often the picture was halved where networks attend: a place in them. 0 when they do not."""
        return (self.image_size // self.attention).bit_length() - 1 if self.attention else 0

    @property
    def size_multiple(self) -> int:
        """Picture sides that the generator and the encoder can take are multiples of this."""
        blocks = 0 if self.encoder == "none" else self.encoder_blocks
        return 2 ** max(self.depth, blocks)

    def _check_sizes(self) -> None:
        if self.image_size % self.size_multiple:
            raise invalid(
                self,
                "image_size",
                f"a multiple of {self.size_multiple}, because depth is {self.depth} and encoder_blocks is "
                f"{self.encoder_blocks}",
            )
        coarsest = self.image_size >> (self.num_discriminators - 1)
        if (coarsest >> self.discriminator_layers) < 3:
            raise invalid(
                self,
                "num_discriminators",
                f"fewer scales or discriminator_layers (now {self.discriminator_layers}): the coarsest "
                f"picture is only {coarsest} px wide",
            )

        # Instance norm of a single pixel divides by zero; the plain encoder normalises its last, smallest map.
        if self.encoder == "conv" and self.norm == "instance" and self.image_size == 2**self.encoder_blocks:
            raise invalid(self, "encoder_blocks", "smaller: instance norm needs more than the one pixel that is left")

    def _check_latent(self) -> None:
        if self.latent_dim == 0 and self.encoder != "none":
            raise invalid(self, "encoder", "'none' when latent_dim is 0, since there is no z to read")

    def _check_attention(self) -> None:
        low, high = ATTENTION_SIDES
        sides = [self.image_size >> level for level in reversed(range(1, self.depth))]  # of the up path, but the last
        allowed = [0, *(side for side in sides if low <= side <= high)]
        if self.attention not in allowed:
            raise invalid(
                self,
                "attention",
                f"one of {', '.join(map(str, allowed))}: sides of G's feature maps at image_size {self.image_size} "
                f"and depth {self.depth}, from {low} to {high} px",
            )


@dataclass(frozen=True)
class EdgeStyle:
    """How photos become edges, and how drawn strokes must look to resemble them.

    A generator only knows the edges it was trained on, so this travels with its checkpoint.
    Photo to edges: bilateral filter, then Canny on the grey picture, at the model's resolution.
    """

    detector: Literal["canny"] = "canny"
    """Edge detector."""
    low_threshold: float = 40.0
    """Canny: weakest gradient that may continue an edge (L1 norm of the Sobel gradient, 8-bit grey)."""
    high_threshold: float = 120.0
    """Canny: weakest gradient that may start an edge."""
    adaptive: bool = False
    """Scale both thresholds by the contrast of each photo, so that pale photos keep their outline."""
    bilateral_diameter: int = 5
    """Window of the bilateral filter in pixels; 0 switches it off."""
    bilateral_sigma_color: float = 40.0
    """Bilateral filter: grey levels that are smoothed together."""
    bilateral_sigma_space: float = 3.0
    """Bilateral filter: reach in pixels."""
    line_width: float = 1.0
    """Width of the lines in pixels at the model's resolution."""
    antialias: bool = False
    """False: lines are pure black and white, as Canny makes them. True: soft line borders."""

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "low_threshold", 0, 10_000)
        check_range(self, "high_threshold", 0, 10_000)
        check_range(self, "bilateral_diameter", 0, 31)
        check_range(self, "bilateral_sigma_color", 0, 1000)
        check_range(self, "bilateral_sigma_space", 0, 1000)
        check_range(self, "line_width", 0.25, 64)
        if self.low_threshold > self.high_threshold:
            raise invalid(self, "low_threshold", f"at most high_threshold ({self.high_threshold})")


@dataclass(frozen=True)
class CheckpointConfig:
    """Contents of a checkpoint's `config.json`."""

    model: ModelConfig
    """The networks."""
    name: str = "unnamed"
    """What people call this model: letters, digits, '.', '_', '-'."""
    edge_style: EdgeStyle | None = field(default_factory=EdgeStyle)
    """How its edges were made; None for models of label maps."""
    palette: tuple[str, ...] = ("#000000",)
    """Stroke colours a person may draw with, '#rrggbb'. Edges: black only. Label maps: one per class."""
    palette_names: tuple[str, ...] = ()
    """What those colours mean, such as wall or window: one for each, or none at all. Only shown: no picture changes."""
    shades: bool = False
    """Whether its sketches are pictures in any shades, not areas in the palette's colours: then pictures that a person
    brings are taken as they are. Sketches themselves are painted alike."""
    paper: str = "#ffffff"
    """Colour of an empty canvas and of the eraser."""
    training: dict[str, Any] = field(default_factory=dict)
    """Provenance: data, steps, metrics with their protocol. Free-form, shown and never interpreted."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"(?!\.+$)[\w.-]{1,64}", self.name):
            raise invalid(self, "name", "1 to 64 letters, digits, '.', '_' or '-'")
        if not isinstance(self.palette, tuple) or not 1 <= len(self.palette) <= 256:
            raise invalid(self, "palette", "1 to 256 colours")
        for colour in (*self.palette, self.paper):
            if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(colour)):
                raise invalid(self, "palette", f"colours written #rrggbb, not {colour!r}")
        self._check_names()
        if not isinstance(self.shades, bool):
            raise invalid(self, "shades", "true or false")
        if not isinstance(self.training, dict):
            raise invalid(self, "training", "a JSON object")

    @property
    def takes_label_maps(self) -> bool:
        """Whether sketches are areas, each in a colour of the palette."""
        return self.edge_style is None and len(self.palette) > 1 and not self.shades

    def _check_names(self) -> None:
        names = self.palette_names
        if not isinstance(names, tuple) or len(names) not in (0, len(self.palette)):
            raise invalid(self, "palette_names", f"one name for each of {len(self.palette)} colours, or none")
        for name in names:
            if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name.strip()) <= MAX_COLOUR_NAME:
                raise invalid(self, "palette_names", f"names of 1 to {MAX_COLOUR_NAME} characters, not {name!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dump`, schema version first.

        What is not set of the newer fields is left out, so that programs from before there were any read the file.
        """
        data = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        return {key: value for key, value in data.items() if value or key not in ("palette_names", "shades")}

    @classmethod
    def from_json(cls, data: Any) -> CheckpointConfig:
        """The inverse of `to_json`. Raises `UserError` for a newer schema or unknown fields."""
        if not isinstance(data, dict):
            raise UserError("config_type", "config.json must hold a JSON object, not {kind}.", kind=type(data).__name__)
        data = dict(data)
        version = data.pop("schema_version", None)
        if type(version) is not int or version < 1:
            raise UserError(
                "config_version", "config.json has schema_version {version!r}; expected 1.", version=version
            )
        if version > SCHEMA_VERSION:
            raise UserError(
                "config_newer",
                "This checkpoint has schema version {version}; this program reads up to {known}. Update it: git pull.",
                version=version,
                known=SCHEMA_VERSION,
            )
        data["model"] = from_json(ModelConfig, data.get("model"))
        if data.get("edge_style") is not None:
            data["edge_style"] = from_json(EdgeStyle, data["edge_style"])
        for name in ("palette", "palette_names"):
            if isinstance(data.get(name), list):
                data[name] = tuple(data[name])
        return from_json(cls, data)


def from_json(cls: type, data: Any) -> Any:
    """Make a dataclass of plain data. Unknown fields raise `UserError` and are listed with the known ones."""
    if not isinstance(data, dict):
        raise UserError(
            "config_section",
            "The {section} part must be a JSON object, not {kind}.",
            section=cls.__name__,
            kind=type(data).__name__,
        )
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise UserError(
            "config_unknown",
            "{section} has unknown field(s) {unknown}; known are {known}.",
            section=cls.__name__,
            unknown=", ".join(map(str, unknown)),
            known=", ".join(sorted(known)),
        )
    return cls(**data)


def check_types(config: Any) -> None:
    """Hold every field to its annotation: JSON files and command lines bring anything."""
    hints = get_type_hints(type(config))
    for f in dataclasses.fields(config):
        value, hint = getattr(config, f.name), hints[f.name]
        if choices := get_args(hint):
            if value not in choices:
                raise invalid(config, f.name, " | ".join(map(repr, choices)))
        elif hint is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(config, f.name, float(min(max(value, -1e9), 1e9)))  # JSON brings numbers too big for it
        elif type(value) is not hint:
            raise invalid(config, f.name, f"of type {hint.__name__}")


def check_range(config: Any, name: str, low: float, high: float) -> None:
    """Hold one number of a config to its limits. Raises `UserError`."""
    if not low <= getattr(config, name) <= high:  # NaN fails too
        raise invalid(config, name, f"from {low} to {high}")


def invalid(config: Any, name: str, allowed: str) -> UserError:
    """The error for one field of a config: its value and what is allowed."""
    return UserError(
        "config_value",
        "{section}.{name} is {value!r}; it must be {allowed}.",
        section=type(config).__name__,
        name=name,
        value=getattr(config, name),
        allowed=allowed,
    )
