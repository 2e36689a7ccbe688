"""Who may import whom, what `import bicyclegan` costs, and that nothing is unpickled."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from code_search import ROOT, calls, imported, package_files

NETWORKS = ("bicyclegan.models", "bicyclegan.losses")
BELOW_NETWORKS = ("bicyclegan.config", "bicyclegan.errors")
ABOVE_PIPELINE = ("bicyclegan.training", "bicyclegan.metrics", "bicyclegan.ui")
UI = "bicyclegan.ui"
HEAVY = ["gradio", "umap", "lpips", "cv2", "huggingface_hub", "plotly", "pydantic", "torchvision"]
PICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def within(name: str, *modules: str) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def wrong_imports(module: str, source: str, is_package: bool = False) -> set[str]:
    """Names that `module` imports against the rules of the architecture."""
    names = imported(source, module, is_package)
    ours = {name for name in names if within(name, "bicyclegan")}
    wrong: set[str] = set()
    if within(module, *NETWORKS):
        wrong |= {name for name in ours if not within(name, *NETWORKS, *BELOW_NETWORKS)}
    if within(module, "bicyclegan.pipeline"):
        wrong |= {name for name in ours if within(name, *ABOVE_PIPELINE)}
    if not within(module, UI):
        wrong |= {name for name in names if within(name, UI, "gradio", "gradio_client")}
    return wrong


@pytest.mark.parametrize(("module", "path"), package_files().items(), ids=package_files())
def test_import_directions(module: str, path: Path) -> None:
    wrong = wrong_imports(module, path.read_text("utf-8"), path.name == "__init__.py")
    assert not wrong, f"{module} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bicyclegan.models.layers", "import bicyclegan.pipeline"),
        ("bicyclegan.models.layers", "from ..images import to_tensor"),
        ("bicyclegan.models.layers", "from bicyclegan import Pipeline"),
        ("bicyclegan.models", "def late():\n    from bicyclegan import checkpoints"),
        ("bicyclegan.losses", "from . import pipeline"),
        ("bicyclegan.pipeline", "def late():\n    from .training import step"),
        ("bicyclegan.pipeline", "from bicyclegan import metrics"),
        ("bicyclegan.cli", "import importlib\nimportlib.import_module('bicyclegan.ui.app')"),
        ("bicyclegan.cli", "from .ui import app"),
        ("bicyclegan.sketch.strokes", "if True:\n    import gradio as gr"),
        ("bicyclegan.deploy", "from gradio.blocks import Blocks"),
    ],
)
def test_the_check_sees_violations(module: str, source: str) -> None:
    assert wrong_imports(module, source, is_package=module == "bicyclegan.models")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bicyclegan.models.generator", "from bicyclegan.config import ModelConfig\nfrom .layers import conv"),
        ("bicyclegan.models.generator", "from bicyclegan.models import layers\nfrom ..errors import UserError"),
        ("bicyclegan.models.generator", "import torch\nfrom bicyclegan import config, losses"),
        ("bicyclegan.losses", "import torch.nn.functional as F"),
        ("bicyclegan.pipeline", "from bicyclegan import checkpoints\nimport uiautomation"),
        ("bicyclegan.ui.tabs.draw", "import gradio\nfrom ..studio import Studio\nfrom bicyclegan import Pipeline"),
    ],
)
def test_the_check_lets_the_rest_pass(module: str, source: str) -> None:
    assert not wrong_imports(module, source)


def test_import_of_the_package_is_light() -> None:
    code = (
        "import json, sys, bicyclegan\n"
        "assert bicyclegan.__file__ and bicyclegan.Pipeline\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []


def unpickling(source: str) -> list[str]:
    """Lines that could run code out of a file."""
    found = sorted(name for name in imported(source) if name.split(".")[0] in PICKLE)
    for name in ("torch.load", "torch.serialization.load"):
        found += [ast.unparse(call) for call in calls(source, name) if not _keyword_is(call, "weights_only", True)]
    allowed = (False, None)  # NumPy's default refuses pickles
    found += [
        ast.unparse(call) for call in calls(source, "numpy.load") if not _keyword_is(call, "allow_pickle", *allowed)
    ]
    return found


def _keyword_is(call: ast.Call, name: str, *values: object) -> bool:
    """Whether the keyword is one of `values`, written out; None among them allows it to be absent."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == name]
    if not given:
        return None in values
    return isinstance(given[0], ast.Constant) and given[0].value in values


def test_nothing_is_unpickled() -> None:
    files = [*package_files().values(), *ROOT.glob("*.py"), *ROOT.glob("benchmarks/*.py")]
    found = {path.name: lines for path in files if (lines := unpickling(path.read_text("utf-8")))}
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def late():\n    from pickle import loads",
        "import torch\ntorch.load('a.pth')",
        "import torch as t\nt.load('a.pth', weights_only=False)",
        "from torch import load as read\nread('a.pth', weights_only=flag)",
        "import numpy as np\nnp.load('a.npz', allow_pickle=True)",
    ],
)
def test_the_search_sees_pickles(source: str) -> None:
    assert unpickling(source)


def test_the_search_lets_safe_loading_pass() -> None:
    assert not unpickling(
        "import json, torch\nimport numpy as np\nfrom safetensors.torch import load\n"
        "load(b''), json.load(f), np.load('a.npz'), torch.load('a.pth', map_location='cpu', weights_only=True)"
    )
