"""Pipeline: a checkpoint ready to use. Sketch in, photos out.

>>> pipe = Pipeline.from_pretrained("checkpoints/edges2shoes")     # doctest: +SKIP
>>> out = pipe("shoe.png", num_samples=8, seed=0)                  # doctest: +SKIP
>>> out.images[0].save("shoe-0.png")                               # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bicyclegan import images
from bicyclegan.checkpoints import Checkpoint, load_card, load_checkpoint, resolve, save_checkpoint
from bicyclegan.config import CheckpointConfig, EdgeStyle
from bicyclegan.errors import UserError
from bicyclegan.latent import check_codes, sample_codes
from bicyclegan.models.inference import FastGenerator
from bicyclegan.recipe import Recipe
from bicyclegan.sketch import Sketch, photo_to_edges, prepare_drawing

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
SketchSource: TypeAlias = "Sketch | images.ImageSource"

CHUNK_BYTES = 256 << 20
"""Activations that one forward pass may hold; more samples are rendered in chunks."""


@dataclass(frozen=True)
class Output:
    """Photos of one sketch and the codes they were made from."""

    images: list[Image.Image]
    """N pictures, RGB, image_size square."""
    z: np.ndarray
    """(N, latent_dim) float32; picture k was made from row k."""
    prepared: PreparedSketch
    """The sketch as the model saw it."""
    seed: int | None = None
    """Where z came from; None when codes were given."""
    truncation: float | None = None
    """Scale of the codes that was used with `seed`."""

    def recipe(self, index: int) -> Recipe:
        """All that rebuilds picture `index` to the same pixels."""
        pipe = self.prepared.pipeline
        return Recipe(
            checkpoint=pipe.config.name,
            checkpoint_hash=pipe.hash,
            sketch=self.prepared.sketch,
            z=self.z,
            index=index,
            seed=self.seed,
            truncation=self.truncation,
        )


@dataclass(frozen=True)
class PreparedSketch:
    """A sketch that went through all that does not depend on z. Immutable and cheap."""

    pipeline: Pipeline
    sketch: Sketch
    """The document; a picture that was given becomes its raster layer."""
    raster: np.ndarray
    """(image_size, image_size) uint8, 0 = line, 255 = paper; or (image_size, image_size, 3)."""
    features: Tensor
    """What the generator starts from, on the pipeline's device."""

    def render(self, z: np.ndarray) -> Output:
        """Paint the sketch once for each code: (N, latent_dim) -> N photos. Raises `UserError` for bad codes."""
        z = check_codes(z, self.pipeline.config.model.latent_dim)
        return Output(images=self.pipeline._paint(self.features, z), z=z, prepared=self)


class Pipeline:
    """A generator and its encoder with all conversions around them. Holds no state of any one user."""

    def __init__(self, checkpoint: Checkpoint, *, device: Device = "auto", precision: Precision = "fp32"):
        self.config: CheckpointConfig = checkpoint.config
        self.hash = checkpoint.hash
        self.folder = checkpoint.folder
        self.device = choose_device(device)
        self.precision = _check_precision(precision, self.device)
        self.generator = checkpoint.generator.to(self.device)
        self.encoder = checkpoint.encoder.to(self.device) if checkpoint.encoder else None
        self._fast = None
        if self.device.type == "cpu":
            self._fast = FastGenerator(self.generator)
        else:
            self.generator.to(memory_format=torch.channels_last)

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path,
        *,
        device: Device = "auto",
        precision: Precision = "fp32",
        revision: str | None = None,
    ) -> Pipeline:
        """Load a checkpoint.

        Args:
            path_or_id: a checkpoint folder, or a Hugging Face Hub id `user/name`, which is downloaded.
            device: "auto" takes CUDA where there is one.
            precision: "fp32" paints the same picture on every device; "bf16" (CUDA only) is faster and
                differs by a few levels of 255.
            revision: branch, tag or commit of a Hub id.

        Raises:
            UserError: when the checkpoint is missing, damaged or of a newer version, or a value is not allowed.
        """
        return cls(load_checkpoint(resolve(path_or_id, revision)), device=device, precision=precision)

    def __call__(
        self,
        sketch: SketchSource,
        num_samples: int = 8,
        seed: int = 0,
        *,
        z: np.ndarray | None = None,
        truncation: float = 1.0,
    ) -> Output:
        """Paint a sketch several times.

        Args:
            sketch: `Sketch`, path, PIL image or uint8 array (H, W) or (H, W, 3): a drawing of any size.
            num_samples: photos to make, 1 to 1024; ignored when z is given.
            seed: 0 to 2**32 - 1. Photo k of a seed is the same in any number of samples, on any device.
            z: (N, latent_dim) codes instead of a seed.
            truncation: scale of random codes, 0 to 3.
        """
        prepared = self.prepare(sketch)
        if z is not None:
            return prepared.render(z)
        codes = sample_codes(seed, num_samples, self.config.model.latent_dim, truncation=truncation)
        return replace(prepared.render(codes), seed=int(seed), truncation=float(truncation))

    @torch.inference_mode()
    def prepare(self, sketch: SketchSource) -> PreparedSketch:
        """Do once what all photos of a sketch share. Raises `UserError` for a picture that cannot be used."""
        document, raster = self._rasterise(sketch)
        x = images.to_float(raster).to(self.device)
        features = self._fast.prepare(x) if self._fast else x
        return PreparedSketch(self, document, raster, features)

    @torch.inference_mode()
    def encode(self, photo: images.ImageSource) -> np.ndarray:
        """Read the style of a photo: posterior mean, (1, latent_dim) float32."""
        if self.encoder is None:
            raise UserError("no_encoder", "{name} has no encoder: it cannot read styles.", name=self.config.name)
        square = images.fit_square(images.load_image(photo), self.config.model.image_size)
        with _exact_float32():
            mu, _ = self.encoder(images.to_float(np.asarray(square)).to(self.device))
        return mu.cpu().numpy()

    def reconstruct(self, photo: images.ImageSource) -> Output:
        """Paint a photo's own edges in its own style: what the code keeps of it. One picture."""
        return self.prepare(self.edges(photo)).render(self.encode(photo))

    def edges(self, photo: images.ImageSource, style: EdgeStyle | None = None) -> np.ndarray:
        """A photo as the edges that this checkpoint was trained on: (image_size, image_size) uint8, 0 = edge."""
        style = style or self.config.edge_style
        if style is None:
            raise UserError("no_edges", "{name} draws from label maps, not edges.", name=self.config.name)
        return photo_to_edges(images.load_image(photo), style, self.config.model.image_size)

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False, half: bool = False) -> Path:
        """Write this checkpoint to a folder. Raises `UserError` when the folder is in use."""
        card = (self.folder / "README.md").read_text("utf-8") if (self.folder / "README.md").is_file() else ""
        return save_checkpoint(
            folder,
            self.config,
            self.generator,
            self.encoder,
            card=card,
            extras=self.folder,
            overwrite=overwrite,
            half=half,
        )

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload this checkpoint as a model repository and return its address. The token is used, never stored."""
        from bicyclegan.hub import upload_checkpoint

        return upload_checkpoint(self, repo_id, private=private, token=token)

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return load_card(self.folder)

    def _rasterise(self, sketch: SketchSource) -> tuple[Sketch, np.ndarray]:
        size, style = self.config.model.image_size, self.config.edge_style
        if isinstance(sketch, Sketch):
            palette, paper = self.config.palette, self.config.paper
            return sketch, sketch.rasterise(size, style or EdgeStyle(), palette, paper)
        picture = images.load_image(sketch)
        if style is None:
            raster = np.asarray(images.fit_square(picture, size))
        else:
            raster = prepare_drawing(picture, size, style)
        return Sketch.from_raster(raster), raster

    @torch.inference_mode()
    def _paint(self, features: Tensor, z: np.ndarray) -> list[Image.Image]:
        codes = torch.from_numpy(z).to(self.device)
        chunk = chunk_size(self.config.model.image_size, self.config.model.base_channels)
        pictures: list[Image.Image] = []
        for start in range(0, len(codes), chunk):
            pictures += images.to_pil(self._forward(features, codes[start : start + chunk]))
        return pictures

    def _forward(self, features: Tensor, codes: Tensor) -> Tensor:
        if self._fast:
            return self._fast(features, codes)
        x = features.expand(len(codes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        bf16 = self.precision == "bf16"
        with _exact_float32(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            return self.generator(x, codes).float()


def choose_device(device: str) -> torch.device:
    """ "auto" | "cpu" | "cuda" as a torch device. Raises `UserError` for CUDA where there is none."""
    if device not in ("auto", "cpu", "cuda"):
        raise UserError("device_name", "Device is {value!r}; use auto, cpu or cuda.", value=device)
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UserError("no_cuda", "There is no usable CUDA device here. Use device auto or cpu.")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def chunk_size(image_size: int, base_channels: int) -> int:
    """Samples in one forward pass. Depends on the model alone, so that a batch is cut the same way every time."""
    # Measured peak of the CPU path: about 14 values per pixel and base channel are alive at once.
    bytes_per_sample = 14 * image_size**2 * base_channels * 4 // 8
    return int(np.clip(CHUNK_BYTES // bytes_per_sample, 1, 64))


def _check_precision(precision: str, device: torch.device) -> Precision:
    if precision not in ("fp32", "bf16"):
        raise UserError("precision_name", "Precision is {value!r}; use fp32 or bf16.", value=precision)
    if precision == "bf16" and device.type == "cpu":
        raise UserError("precision_cpu", "bf16 is for CUDA; on a CPU it is far slower than fp32. Use fp32.")
    return precision


def _exact_float32():
    """Full float32 in cuDNN, whose default rounds inputs to TF32: the same picture on CPU and CUDA."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False)
