"""Checkpoint folders: save, load, list, hash, fetch from the Hub, import official files.

A folder holds `model.safetensors` (keys `generator.*`, `encoder.*`), `config.json` and `README.md`, the
model card; often also `examples.ndjson`, sketches to start from. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bicyclegan.config import (
    CARD_FILE,
    CONFIG_FILE,
    DISCRIMINATORS_FILE,
    EXAMPLES_FILE,
    MODEL_FILE,
    OPTIONAL_FILES,
    CheckpointConfig,
    ModelConfig,
)
from bicyclegan.errors import UserError
from bicyclegan.files import replace_folder
from bicyclegan.hub import download
from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.official import build_official, merge_configs, translate_state
from bicyclegan.sketch import Sketch

DEFAULT_ROOT = Path(__file__).resolve().parent.parent / "checkpoints"
"""Shipped checkpoints, beside the package."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded folder: networks in eval mode on the CPU, float32."""

    config: CheckpointConfig
    generator: Generator
    encoder: Encoder | None
    hash: str
    folder: Path
    half: bool = False
    """Whether the weights are stored as float16."""


def save_checkpoint(
    folder: str | Path,
    config: CheckpointConfig,
    generator: Generator,
    encoder: Encoder | None,
    *,
    discriminators: dict[str, Discriminator] | None = None,
    card: str = "",
    extras: str | Path | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a checkpoint folder in one step.

    Args:
        discriminators: networks by name for training to go on from, always stored as float16.
        card: text of the model card.
        extras: folder whose optional files (examples, maps) are copied along.
        half: store weights as float16, half the size; they are used as float32 again.
        overwrite: allow an existing checkpoint folder to be replaced, its optional files included.

    Raises:
        UserError: when the folder exists and is not a checkpoint, or overwrite is off.
    """
    from safetensors.torch import save

    folder = Path(folder)
    if folder.exists() and not (overwrite and (folder / CONFIG_FILE).is_file()):
        raise UserError(
            "checkpoint_exists",
            "{folder} exists already. Choose another name, or pass overwrite if it is a checkpoint to be replaced.",
            folder=folder,
        )
    files = {MODEL_FILE: _flat_state({"generator": generator, "encoder": encoder}, half)}
    if discriminators:
        files[DISCRIMINATORS_FILE] = _flat_state(discriminators, half=True)
    with replace_folder(folder) as new:
        for name, tensors in files.items():
            (new / name).write_bytes(save(tensors))  # not `save_file`, whose error for a full disk is no OSError
        (new / CONFIG_FILE).write_text(json.dumps(config.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
        (new / CARD_FILE).write_text(card or f"# {config.name}\n", "utf-8")
        for name in OPTIONAL_FILES:
            if extras and (Path(extras) / name).is_file() and name not in files:
                shutil.copyfile(Path(extras) / name, new / name)
    return folder


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a checkpoint folder. Every way in which it can be broken has its own `UserError`."""
    folder = Path(folder)
    config = load_config(folder)
    state = _read_tensors(folder / MODEL_FILE)
    generator = _fill(Generator, config.model, state, "generator")
    encoder = _fill(Encoder, config.model, state, "encoder") if config.model.encoder != "none" else None
    left_over = [key for key in state if key.partition(".")[0] not in ("generator", "encoder" if encoder else "")]
    if left_over:
        raise _wrong_tensors(folder, f"has tensors that config.json does not ask for, first {left_over[0]!r}")
    half = all(value.dtype == torch.float16 for value in state.values() if value.is_floating_point())
    return Checkpoint(config, generator, encoder, content_hash(folder), folder, half)


def load_discriminators(folder: str | Path, config: ModelConfig) -> dict[str, Discriminator]:
    """The discriminators that a folder brings, by name, in eval mode; none if it has no file of them.

    Raises `UserError` when they do not fit `config`.
    """
    path = Path(folder) / DISCRIMINATORS_FILE
    if not path.is_file():
        return {}
    state = _read_tensors(path)
    names = sorted({key.partition(".")[0] for key in state})
    return {name: _fill(Discriminator, config, state, name) for name in names}


def load_config(folder: str | Path) -> CheckpointConfig:
    """Read `config.json` alone: enough to list and describe a checkpoint."""
    folder = Path(folder)
    _check_files(folder)
    try:
        data = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # syntax, encoding, a number of 5,000 digits, a tower of brackets
        raise UserError(
            "config_json", "{path} is not valid JSON: {why}.", path=folder / CONFIG_FILE, why=error
        ) from None
    return CheckpointConfig.from_json(data)


def load_card(folder: str | Path) -> str:
    """The model card without its front matter and pictures, or an empty string.

    Pictures lie in the folder or elsewhere on the net: a page that shows the text can reach neither.
    """
    path = Path(folder) / CARD_FILE
    text = path.read_text("utf-8") if path.is_file() else ""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    return re.sub(r"^!\[[^\]]*\]\([^)]*\)\n*", "", text, flags=re.MULTILINE).strip()


def load_examples(folder: str | Path) -> list[Sketch]:
    """Sketches that show what this checkpoint can paint: one Sketch JSON or Quick, Draw! record a line.

    Raises `UserError` that names a line which is neither.
    """
    path = Path(folder) / EXAMPLES_FILE
    examples = []
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.is_file() else [], start=1):
        try:
            examples += [read_example(line)] if line.strip() else []
        except UserError as error:
            raise UserError(
                "examples_line", "{path}, line {number}: {why}", path=path, number=number, why=error
            ) from None
    return examples


def read_example(line: str) -> Sketch:
    """Sketch JSON or a Quick, Draw! record. Raises `UserError`."""
    return Sketch.from_quickdraw(line) if '"drawing"' in line else Sketch.from_json(line)


def list_checkpoints(root: str | Path = DEFAULT_ROOT) -> list[Path]:
    """Checkpoint folders below `root`, by name. A root that does not exist has none."""
    root = Path(root)
    if not root.is_dir():
        return []
    return sorted(path.parent for path in root.glob(f"*/{CONFIG_FILE}") if not path.parent.name.startswith("."))


def content_hash(folder: str | Path) -> str:
    """SHA-256 (64 hex digits) of all that decides a picture: weights, architecture, edge style, colours.

    Fields at their defaults do not count, so that a field that is added later leaves old hashes as they are.
    """
    folder = Path(folder)
    config = load_config(folder)
    drawn = {
        "model": _set_fields(config.model),
        "edge_style": config.edge_style and _set_fields(config.edge_style),
        "palette": config.palette,
        "paper": config.paper,
    }
    digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode())
    with (folder / MODEL_FILE).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _set_fields(config: Any) -> dict[str, Any]:
    """Fields of a dataclass that differ from their defaults."""
    values = {field: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {field.name: value for field, value in values.items() if value != field.default}


def resolve(path_or_id: str | Path, revision: str | None = None) -> Path:
    """The folder that is meant: a path, the name of a shipped checkpoint, or a Hub id `user/name` (downloaded).

    A path wins over a Hub id, and `checkpoints/...` is never one, so that a typing error stays offline.
    """
    path, text = Path(path_or_id), str(path_or_id)
    if path.exists():
        return path
    if re.fullmatch(r"(checkpoints/)?[\w.-]+", text):
        return DEFAULT_ROOT / path.name
    if re.fullmatch(r"[\w.-]+/[\w.-]+", text) and not path.parent.exists():
        return download(text, revision)
    return path


def import_official(path: str | Path, options: dict[str, Any]) -> nn.Module:
    """Build the official network that `options` describe and load its `.pth` file into it.

    Args:
        path: `latest_net_G.pth` and the like, a state dict; read with `weights_only=True`.
        options: option names of the official code plus "network": generator | encoder | discriminator.

    Returns:
        Our module with those weights, in eval mode, float32.
    """
    with torch.device("meta"):  # options may ask for gigabytes: first see whether the file has them
        described = build_official(options)
    state = translate_state(described, _read_official(Path(path)))
    network = build_official(options)
    network.load_state_dict(state)
    return network.eval()


def import_official_pair(
    generator_path: str | Path, encoder_path: str | Path | None, options: dict[str, Any]
) -> tuple[ModelConfig, Generator, Encoder | None]:
    """A generator and its encoder under one config. `options` has the parts "generator" and "encoder"."""
    generator = import_official(generator_path, {"network": "generator", **_part(options, "generator")})
    encoder = None
    if encoder_path is not None:
        encoder = import_official(encoder_path, {"network": "encoder", **_part(options, "encoder")})
    config = merge_configs(generator.config, encoder.config if encoder else None)
    generator.config = config
    if encoder:
        encoder.config = config
    return config, generator, encoder


def _part(options: dict[str, Any], name: str) -> dict[str, Any]:
    """Options of one network: its own part, or, when the file is flat as the official `opt.txt` is, all of it."""
    part = options.get(name, options)
    if not isinstance(part, dict):
        raise UserError(
            "official_part",
            "The part {name!r} of the options is {value!r}; it must be a JSON object with the official option names.",
            name=name,
            value=part,
        )
    return {key: value for key, value in part.items() if key != "network"}


def _read_official(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError("official_missing", "There is no file {path}.", path=path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged and for unsafe files
        raise UserError(
            "official_unreadable",
            "{path} cannot be read as a plain state dict ({why}). It is damaged, or it holds more than weights.",
            path=path,
            why=str(error).splitlines()[0][:120] if str(error) else type(error).__name__,
        ) from None
    plain = isinstance(state, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    if not plain:
        raise UserError("official_content", "{path} holds no state dict (names and tensors).", path=path)
    return state


def _flat_state(networks: Mapping[str, nn.Module | None], half: bool) -> dict[str, Tensor]:
    """All tensors of the networks there are under `name.key`, on the CPU; floats as float16 if asked."""
    return {
        f"{name}.{key}": (value.half() if half and value.is_floating_point() else value).detach().cpu().contiguous()
        for name, network in networks.items()
        if network is not None
        for key, value in network.state_dict().items()
    }


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        available = ", ".join(path.name for path in list_checkpoints(folder.parent)) or "none"
        raise UserError(
            "checkpoint_missing",
            "There is no checkpoint folder {folder}. Checkpoints beside it: {available}.",
            folder=folder,
            available=available,
        )
    for name in (CONFIG_FILE, MODEL_FILE):
        if not (folder / name).is_file():
            there = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
            raise UserError(
                "checkpoint_file",
                "{folder} has no {name} (it holds: {there}). Restore the file or rename it back.",
                folder=folder,
                name=name,
                there=there,
            )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors, refusing pickles by their first bytes and naming damage."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise UserError(
            "checkpoint_pickle",
            "{path} is a PyTorch pickle under another name and is never loaded, since pickles can run code. "
            "Official weights: python -m bicyclegan import-official.",
            path=path,
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            "checkpoint_damaged",
            "{path} is damaged or incomplete ({size:,} bytes; {why}). Copy or download it again.",
            path=path,
            size=path.stat().st_size,
            why=error,
        ) from None


def _fill(kind: type[nn.Module], config: ModelConfig, state: dict[str, Tensor], name: str) -> Any:
    """Make a network and give it the tensors below `name.`; no memory is taken before shapes are known to fit."""
    with torch.device("meta"):
        network = kind(config)
    tensors = {key.partition(".")[2]: value for key, value in state.items() if key.startswith(f"{name}.")}
    for key, expected in network.state_dict().items():
        found = tensors.get(key)
        if found is None:
            raise _wrong_tensors(name, f"has no tensor {key!r}")
        if found.shape != expected.shape:
            raise _wrong_tensors(
                name, f"has {key!r} of shape {tuple(found.shape)}, but config.json asks for {tuple(expected.shape)}"
            )
        if not found.isfinite().all():
            raise UserError(
                "checkpoint_nan",
                "The {part} has NaN or infinite weights in {key!r}: its training failed. Use an earlier checkpoint.",
                part=name,
                key=key,
            )
        # A copy: what `load_file` gives is the file itself, mapped, and would change or vanish with it.
        tensors[key] = found.to(expected.dtype, copy=True)
    extra = sorted(set(tensors) - set(network.state_dict()))
    if extra:
        raise _wrong_tensors(name, f"has {len(extra)} tensors more than config.json asks for, first {extra[0]!r}")
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _wrong_tensors(part: object, problem: str) -> UserError:
    return UserError(
        "checkpoint_tensors",
        "The weights do not fit config.json: {part} {problem}. The two files are of different models.",
        part=part,
        problem=problem,
    )
