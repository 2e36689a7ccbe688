"""Pipeline: a checkpoint ready to use. Sketch in, photos out.

>>> pipe = Pipeline.from_pretrained("checkpoints/edges2shoes")     # doctest: +SKIP
>>> out = pipe("shoe.png", num_samples=8, seed=0)                  # doctest: +SKIP
>>> out.images[0].save("shoe-0.png")                               # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bicyclegan import images
from bicyclegan.checkpoints import Checkpoint, load_card, load_checkpoint, resolve, save_checkpoint
from bicyclegan.config import CARD_FILE, CheckpointConfig, EdgeStyle, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.latent import check_codes, sample_codes
from bicyclegan.models.inference import FastGenerator
from bicyclegan.recipe import Recipe
from bicyclegan.sketch import Sketch, photo_to_edges
from bicyclegan.sketch.labels import prepare_picture

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
SketchSource: TypeAlias = "Sketch | images.ImageSource"

CPU_CHUNK, CPU_CHUNK_VALUES = 8, 16 << 20
"""Samples in one forward pass on a CPU, and pixels times base channels in it.

Measured on two cores, samples/s in chunks of 1, 4, 8, 16: 62, 96, 110, 89 at 128 px and 32 channels; 20, 22, 22, 17
at 256 px and 32; 9.0, 8.5, 7.1, 6.8 at 256 px and 64. Larger ones leave the caches and only cost memory.
"""
CUDA_CHUNK, CUDA_CHUNK_VALUES = 64, 128 << 20
"""The same on CUDA, where memory is the limit. Estimated: five values of 4 bytes alive for each make 2.5 GB."""
ENCODE_CHUNK = 16
"""Photos in one pass of the encoder."""


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class PreparedSketch:
    """A sketch that went through all that does not depend on z. Immutable and cheap."""

    pipeline: Pipeline
    sketch: Sketch
    """The document; a picture that was given becomes its raster layer."""
    raster: np.ndarray
    """(image_size, image_size) uint8, 0 = line, 255 = paper; or (image_size, image_size, 3). Read-only."""
    features: tuple[Tensor, ...]
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
        self.half = checkpoint.half
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
            precision: "fp32" paints the same picture on every device; "bf16" (CUDA only) is faster and less
                exact (`pytest -m gpu -s` prints by how much).
            revision: branch, tag or commit of a Hub id.

        Raises:
            UserError: when the checkpoint is missing, damaged or of a newer version, or a value is not allowed.
        """
        return cls(load_checkpoint(resolve(path_or_id, revision)), device=device, precision=precision)

    def __call__(
        self,
        sketch: SketchSource | PreparedSketch,
        num_samples: int = 8,
        seed: int = 0,
        *,
        z: np.ndarray | None = None,
        truncation: float = 1.0,
    ) -> Output:
        """Paint a sketch several times.

        Args:
            sketch: `Sketch`, path, PIL image or uint8 array (H, W) or (H, W, 3): a drawing of any size; or what
                `prepare` made of one.
            num_samples: photos to make, 1 to 1024; ignored when z is given.
            seed: 0 to 2**32 - 1. Photo k of a seed is the same in any number of samples, on any device.
            z: (N, latent_dim) codes instead of a seed.
            truncation: scale of random codes, 0 to 3.
        """
        prepared = sketch if isinstance(sketch, PreparedSketch) else self.prepare(sketch)
        if prepared.pipeline is not self:
            raise UserError("other_pipeline", "This sketch was prepared by another Pipeline. Prepare it with this one.")
        if z is not None:
            return prepared.render(z)
        codes = sample_codes(seed, num_samples, self.config.model.latent_dim, truncation=truncation)
        return replace(prepared.render(codes), seed=int(seed), truncation=float(truncation))

    @torch.inference_mode()
    def prepare(self, sketch: SketchSource) -> PreparedSketch:
        """Do once what all photos of a sketch share. Raises `UserError` for a picture that cannot be used."""
        document, raster = self.rasterise(sketch)
        x = images.to_float(raster).to(self.device)
        if x.shape[1] == 1:  # official models of grey edges may take them in three equal channels
            x = x.expand(-1, self.config.model.input_channels, -1, -1)
        features = self._fast.prepare(x) if self._fast else (x,)
        return PreparedSketch(self, document, raster, features)

    def rasterise(self, sketch: SketchSource) -> tuple[Sketch, np.ndarray]:
        """What `prepare` starts from, without the network: the document, and it as the model sees it.

        Returns the sketch itself, or what a picture becomes, and its `raster`, see `PreparedSketch`. Raises `UserError`
        for a picture that cannot be used.
        """
        size, style = self.config.model.image_size, self.config.edge_style
        if not isinstance(sketch, Sketch):
            picture = images.load_image(sketch)
            sketch = Sketch.from_raster(prepare_picture(picture, self.config))
        # Pictures too, so that a recipe, which holds the document, goes the same way.
        raster = sketch.rasterise(size, style or EdgeStyle(), self.config.palette, self.config.paper)
        raster.setflags(write=False)
        return sketch, raster

    def encode(self, photo: images.ImageSource) -> np.ndarray:
        """Read the style of a photo: posterior mean, (1, latent_dim) float32."""
        return self.encode_distribution([photo])[0]

    @torch.inference_mode()
    def encode_distribution(self, photos: Sequence[images.ImageSource]) -> tuple[np.ndarray, np.ndarray]:
        """Read photos with how sure the encoder is: means and log variances of q(z | photo), N(mu, exp(logvar)).

        Returns:
            mu and logvar, (N, latent_dim) float32 each.

        Raises:
            UserError: for a model without encoder, or a picture that cannot be used.
        """
        if self.encoder is None:
            raise UserError("no_encoder", "{name} has no encoder: it cannot read photos.", name=self.config.name)
        codes = np.zeros((2, len(photos), self.config.model.latent_dim), np.float32)
        for start in range(0, len(photos), ENCODE_CHUNK):
            part = slice(start, start + ENCODE_CHUNK)
            x = images.to_float(np.stack([self._fit(photo) for photo in photos[part]])).to(self.device)
            with _exact_float32(self.device):
                codes[:, part] = torch.stack(self.encoder(x)).cpu().numpy()
        return codes[0], codes[1]

    def reconstruct(self, photo: images.ImageSource) -> Output:
        """Paint a photo's own edges in its own style: what the code keeps of it. One picture."""
        return self.prepare(self.edges(photo)).render(self.encode(photo))

    def edges(self, photo: images.ImageSource, style: EdgeStyle | None = None) -> np.ndarray:
        """A photo as the edges that this checkpoint was trained on: (image_size, image_size) uint8, 0 = edge."""
        style = style or self.config.edge_style
        if style is None:
            raise UserError("no_edges", "{name} draws from label maps, not edges.", name=self.config.name)
        return photo_to_edges(images.load_image(photo), style, self.config.model.image_size)

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False, half: bool | None = None) -> Path:
        """Write this checkpoint to a folder.

        half: weights as 16-bit floats (True) or 32-bit ones (False). By default as they were stored, so that the
        hash stays the same and recipes find the copy.
        Raises `UserError` when the folder is in use.
        """
        path = self.folder / CARD_FILE
        card = path.read_text("utf-8") if path.is_file() else ""
        return save_checkpoint(
            folder,
            self.config,
            self.generator,
            self.encoder,
            card=card,
            extras=self.folder,
            overwrite=overwrite,
            half=self.half if half is None else half,
        )

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload this checkpoint as a model repository and return its address. The token is used, never stored."""
        from bicyclegan.hub import upload_checkpoint

        return upload_checkpoint(self, repo_id, private=private, token=token)

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return load_card(self.folder)

    @torch.inference_mode()
    def _paint(self, features: tuple[Tensor, ...], z: np.ndarray) -> list[Image.Image]:
        codes = torch.from_numpy(z).to(self.device)
        chunk = chunk_size(self.config.model, self.device)
        pictures: list[Image.Image] = []
        for start in range(0, len(codes), chunk):
            pictures += images.to_pil(self._forward(features, codes[start : start + chunk]))
        return pictures

    def _fit(self, photo: images.ImageSource) -> np.ndarray:
        """A photo as the encoder takes it: (image_size, image_size, 3) uint8."""
        return np.asarray(images.fit_photo(images.load_image(photo), self.config.model.image_size))

    def _forward(self, features: tuple[Tensor, ...], codes: Tensor) -> Tensor:
        if self._fast:
            return self._fast(features, codes)
        x = features[0].expand(len(codes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        bf16 = self.precision == "bf16"
        with _exact_float32(self.device), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            return self.generator(x, codes).float()


def choose_device(device: str) -> torch.device:
    """ "auto" | "cpu" | "cuda" as a torch device. Raises `UserError` for CUDA where there is none."""
    if device not in ("auto", "cpu", "cuda"):
        raise UserError("device_name", "Device is {value!r}; use auto, cpu or cuda.", value=device)
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UserError("no_cuda", "There is no usable CUDA device here. Use device auto or cpu.")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def chunk_size(model: ModelConfig, device: torch.device) -> int:
    """Samples in one forward pass. Model and device decide alone, so that a batch is cut the same way every time."""
    most, values = (CPU_CHUNK, CPU_CHUNK_VALUES) if device.type == "cpu" else (CUDA_CHUNK, CUDA_CHUNK_VALUES)
    return min(most, max(1, values // (model.image_size**2 * model.base_channels)))


def _check_precision(precision: str, device: torch.device) -> Precision:
    if precision not in ("fp32", "bf16"):
        raise UserError("precision_name", "Precision is {value!r}; use fp32 or bf16.", value=precision)
    if precision == "bf16" and device.type == "cpu":
        raise UserError("precision_cpu", "bf16 is for CUDA; on a CPU it is far slower than fp32. Use fp32.")
    return precision


_CUDNN_FLAGS = Lock()
"""They belong to the process: without it, one thread would put back what another still needs."""


@contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """Full float32 in cuDNN, whose default rounds inputs to TF32, and no sums in changing order.

    So CPU and CUDA paint the same picture, and a recipe rebuilds the same pixels.
    """
    if device.type == "cpu":
        yield
        return
    with _CUDNN_FLAGS, torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
