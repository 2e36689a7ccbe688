"""Pairs of a sketch (A) and a photo (B) from folders: opened, checked, augmented and delivered in batches.

Everything random is a function of the run's seed, the epoch and the picture's index: any step can be asked for
first, and the number of processes changes nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from PIL import Image

from bicyclegan.data.augment import Geometry, random_geometry, warp_labels, warp_lines, warp_photo
from bicyclegan.data.cache import Pictures, PixelSpec, Progress, load_pictures
from bicyclegan.data.check import DataReport, check_sketches, make_report
from bicyclegan.data.files import DataFiles, find_files
from bicyclegan.data.mix import Pair, augmix, cutmix, mixup
from bicyclegan.data.recolour import recolour
from bicyclegan.errors import UserError
from bicyclegan.images import fit_box, fit_square
from bicyclegan.sketch.amateur import amateur_edges
from bicyclegan.sketch.foreground import find_object
from bicyclegan.sketch.lines import resize_lines
from bicyclegan.training.config import StrokeConfig, TrainConfig

ORDER, AUGMENTATION, MIXING = 1, 2, 3
"""What a random stream is for: its second seed, after the run's."""
PLAIN_BACKGROUND = 0.75
"""Share of a photo's border in one colour from which its object can be told from its background."""
SEAM_BACKGROUND = 0.5
"""The share up to which `photo_to_edges` removes the line between a photo and the filling around it."""
SEAM = 2
"""Half the width of what is removed there, in pixels."""
NO_STROKES = StrokeConfig()

_of_this_thread = threading.local()


class PairDataset(torch.utils.data.Dataset):
    """Pairs of one split. Knows nothing of steps: a key says which picture, and how it is augmented."""

    def __init__(self, pictures: Pictures, config: TrainConfig):
        self.pictures = pictures
        self.config = config

    @property
    def names(self) -> tuple[str, ...]:
        """Path of each photo within its folder."""
        return self.pictures.names

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """(epoch, index) -> sketch (S, S, input_channels) and photo (S, S, output_channels), augmented, uint8."""
        pair = self._augmented(*key)
        return pair if self.config.regular.mix == "none" else self._mixed(pair, *key)

    def _mixed(self, pair: Pair, epoch: int, index: int) -> Pair:
        """Some of the pairs mixed with another of the epoch, or with themselves."""
        regular, random = self.config.regular, np.random.RandomState([self.config.seed, MIXING, epoch, index])
        if random.uniform() >= regular.mix_share:
            return pair
        share = random.beta(regular.mix_alpha, regular.mix_alpha)
        if regular.mix == "augmix":
            plain = self.pictures.plainness[index] >= PLAIN_BACKGROUND
            return augmix(pair, partial(self._moved, plain), share, regular.mix_alpha, random)
        other = self._augmented(epoch, int(random.randint(len(self))))
        return mixup(pair, other, share) if regular.mix == "mixup" else cutmix(pair, other, share, random)

    def _moved(self, plain: bool, pair: Pair, geometry: Geometry) -> Pair:
        """An augmented pair, moved once more."""
        sketch, photo = pair
        if self.pictures.spec.sketch in ("computed", "lines"):
            moved = warp_lines(sketch[..., 0], geometry, plain, self.config.edge_style.antialias)
        else:
            moved = self._warped(sketch, geometry, plain)
        return self._with_channels(moved, warp_photo(photo, geometry, plain))

    def _augmented(self, epoch: int, index: int) -> Pair:
        """The pair as every epoch sees it in another way."""
        config, augment = self.config, self.config.augment
        random = _stream(config.seed, AUGMENTATION, epoch, index)
        geometry = random_geometry(augment, self.pictures.spec.size, config.model.image_size, random)
        sketch, photo = self.pictures.read(index)
        plain = self.pictures.plainness[index] >= PLAIN_BACKGROUND
        photo = warp_photo(photo, geometry, plain)
        paper = self.pictures.papers[index] if plain else None
        if sketch is None:
            seams = self._seams(index, geometry)
            sketch = amateur_edges(photo, config.edge_style, config.strokes, random, paper, seams)
        else:
            sketch = self._warped(sketch, geometry, plain)
        if random.uniform() < augment.hue:
            photo = recolour(photo, random, None if paper is None else find_object(photo, paper))
        return self._with_channels(sketch, photo)

    def plain(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The pair as it is, for validation: its sketch is what inference would make of the photo or the drawing.

        Exactly so where pictures are not read larger to be cropped, which validation pictures never are.
        """
        size, spec = self.config.model.image_size, self.pictures.spec
        sketch, photo = self.pictures.read(index)
        if spec.size != size:
            photo = np.asarray(fit_square(Image.fromarray(photo), size))
        if sketch is None:
            box = fit_box(*self.pictures.sizes[index].tolist(), size)
            wipe = seam_mask(box, size) if self._has_seams(index) else None
            sketch = amateur_edges(photo, self.config.edge_style, NO_STROKES, _stream(0), wipe=wipe)
        elif spec.size != size:
            sketch = self._resized(sketch, size)
        return self._with_channels(sketch, photo)

    def _has_seams(self, index: int) -> bool:
        return self.pictures.plainness[index] <= SEAM_BACKGROUND

    def _seams(self, index: int, geometry: Geometry) -> np.ndarray | None:
        """Where the filling around a photo begins, in the augmented picture; None if that is invisible."""
        import cv2

        if not self._has_seams(index):
            return None
        mask = seam_mask(tuple(self.pictures.boxes[index].tolist()), self.pictures.spec.size)
        if not mask.any():
            return None
        moved = warp_labels(mask.astype(np.uint8), geometry, plain=False)
        return (moved if geometry.whole else cv2.dilate(moved, np.ones((3, 3), np.uint8))) > 0

    def _warped(self, sketch: np.ndarray, geometry: Geometry, plain: bool) -> np.ndarray:
        if self.pictures.spec.sketch == "lines":
            return warp_lines(sketch[..., 0], geometry, plain, self.config.edge_style.antialias)
        return (warp_labels if self.pictures.spec.sketch == "labels" else warp_photo)(sketch, geometry, plain)

    def _resized(self, sketch: np.ndarray, size: int) -> np.ndarray:
        if self.pictures.spec.sketch == "lines":
            return resize_lines(sketch[..., 0], size, size, self.config.edge_style)
        return np.asarray(fit_square(Image.fromarray(sketch), size, flat=self.pictures.spec.sketch == "labels"))

    def _with_channels(self, sketch: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        model = self.config.model
        return _with_channels(sketch, model.input_channels), _with_channels(photo, model.output_channels)


@dataclass(frozen=True)
class Data:
    """A data set that is ready to be learnt from."""

    train: PairDataset
    validation: PairDataset
    report: DataReport
    palette: tuple[str, ...]
    """Colours '#rrggbb' of the sketches: black for lines; the most frequent first for label maps."""


def open_data(config: TrainConfig, progress: Progress | None = None) -> Data:
    """Find, decode and check all pictures of a run. A second time they are found decoded.

    progress: called with what is being done, how much is done, and how much there is.
    Raises `UserError` when the folder is wrong or holds too little.
    """
    _check_channels(config)
    files = find_files(config.source, config.data)
    sketches = check_sketches(config, files)
    left = config.source.direction == "AtoB"
    spec = PixelSpec(config.model.image_size, files.layout, sketches.kind, left, config.edge_style)
    train, validation = _load(config, files, spec, progress)
    skipped: tuple[str, ...] = ()
    if files.set_aside and not len(validation):  # the few pictures set aside are all broken: set others aside
        skipped = validation.unreadable
        files = find_files(config.source, config.data, without={entry.name for entry in files.validation})
        train, validation = _load(config, files, spec, progress)
    report = make_report(config, files, train, validation, sketches.warnings, skipped)
    return Data(PairDataset(train, config), PairDataset(validation, config), report, sketches.palette)


def _load(
    config: TrainConfig, files: DataFiles, spec: PixelSpec, progress: Progress | None
) -> tuple[Pictures, Pictures]:
    """Decoded pictures to train on, larger by what is cropped, and to validate on."""
    larger = replace(spec, size=round(spec.size * (1 + config.augment.crop)))
    folder = cache_folder(config)
    return load_pictures(files.train, larger, folder, progress), load_pictures(files.validation, spec, folder, progress)


def check_data(config: TrainConfig) -> DataReport:
    """The report of `open_data`."""
    return open_data(config).report


def cache_folder(config: TrainConfig) -> Path:
    """Where decoded pictures lie: `cache_dir`, or `.cache` beside the run folder."""
    if config.source.cache_dir:
        return Path(config.source.cache_dir).expanduser()
    return Path(config.out or "runs/run").expanduser().parent / ".cache"


def step_keys(
    length: int, batch_size: int, seed: int, step: int, rank: int = 0, world_size: int = 1, halves: bool = True
) -> list[tuple[int, int]]:
    """Keys (epoch, index) of the pictures that process `rank` of `world_size` reads at a step.

    All processes together walk through an endless stream of epochs, each in an order of its own.
    halves: each gets its part of the first half of the batch (encoded path) and of the second (random path).
    """
    positions = (step * batch_size + place for place in _places_of_rank(batch_size, rank, world_size, halves))
    places = (divmod(position, length) for position in positions)
    return [(epoch, int(_order(length, seed, epoch)[place])) for epoch, place in places]


def check_shared(batch_size: int, world_size: int, halves: bool = True) -> None:
    """Raise `UserError` unless so many processes can each have the same part of a batch, or of both its halves."""
    multiple = (2 if halves else 1) * world_size
    if batch_size % multiple:
        raise UserError(
            "data_processes",
            "batch_size {batch_size} cannot be shared by {world_size} process(es): use a multiple of {multiple}.",
            batch_size=batch_size,
            world_size=world_size,
            multiple=multiple,
        )


def make_loader(
    dataset: PairDataset,
    config: TrainConfig,
    *,
    start_step: int,
    stop_step: int,
    rank: int = 0,
    world_size: int = 1,
    halves: bool = True,
    num_workers: int,
    pin_memory: bool = False,
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of the steps from `start_step` up to, not including, `stop_step`: this process's part of each.

    Yields uint8 (n, S, S, input_channels) and (n, S, S, output_channels); `images.to_float` converts them.
    num_workers: processes that read ahead; 0 reads in this one. The batches are the same for any number.
    """
    places = _places_of_rank(config.batch_size, rank, world_size, halves)
    assert places, "a batch of nothing"
    steps = _Steps(len(dataset), config, range(start_step, stop_step), rank, world_size, halves)
    return torch.utils.data.DataLoader(
        dataset,
        batch_sampler=steps,
        num_workers=num_workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
    )


def seam_mask(box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """Bool (size, size): a few pixels around the border of a photo at left, top, width, height in its square."""
    left, top, width, height = box
    mask = np.zeros((size, size), bool)
    for seams, along in (((left, left + width), mask.T), ((top, top + height), mask)):
        for seam in seams:
            if 0 < seam < size:
                along[max(0, seam - SEAM) : seam + SEAM] = True
    return mask


@dataclass(frozen=True)
class _Steps:
    """Keys of each step's batch, in order: a batch sampler without state."""

    length: int
    config: TrainConfig
    steps: range
    rank: int
    world_size: int
    halves: bool

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        size, seed = self.config.batch_size, self.config.seed
        for step in self.steps:
            yield step_keys(self.length, size, seed, step, self.rank, self.world_size, self.halves)


def _places_of_rank(batch_size: int, rank: int, world_size: int, halves: bool) -> list[int]:
    parts = 2 if halves else 1
    check_shared(batch_size, world_size, halves)
    share = batch_size // (parts * world_size)
    starts = (part * batch_size // parts + rank * share for part in range(parts))
    return [place for start in starts for place in range(start, start + share)]


@lru_cache(maxsize=8)
def _order(length: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.RandomState([seed, ORDER, epoch]).permutation(length)


def _stream(*key: int) -> np.random.RandomState:
    """This thread's generator, started anew by the key: making another takes ten times as long as that."""
    if not hasattr(_of_this_thread, "random"):
        _of_this_thread.random = np.random.RandomState(0)
    _of_this_thread.random.seed(key)
    return _of_this_thread.random


def _collate(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    sketches, photos = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    return sketches, photos


def _start_worker(_: int) -> None:
    """Of the processes that read: one thread each; Ctrl+C and SIGTERM are the main process's to answer."""
    import cv2

    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _survive_once)


def _survive_once(number: int, frame: FrameType | None) -> None:
    """A whole process group may get SIGTERM: its main process still needs batches, or at least no dead readers."""
    signal.signal(number, signal.SIG_DFL)


def _with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(S, S) or (S, S, 1 | 3) -> (S, S, channels)."""
    import cv2

    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]


def _check_channels(config: TrainConfig) -> None:
    for name in ("input_channels", "output_channels"):
        value = getattr(config.model, name)
        if value not in (1, 3):
            raise UserError(
                "data_channels", "{name} is {value}; pictures have 1 (grey) or 3 (colours).", name=name, value=value
            )
