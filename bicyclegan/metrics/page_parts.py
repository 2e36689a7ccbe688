"""What pages that stand alone have in common: no network, no script but their own, texts escaped, the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bicyclegan.metrics.reading import plain


def page_environment(folder: Path) -> Environment:
    """Templates of a folder. All texts are escaped, and what a template names must be there."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment


def page_json(data: Any) -> str:
    """JSON that can stand in a page: no tag can begin in it. Raises `ValueError` for NaN and infinity."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def security_policy(scripts: list[str]) -> str:
    """Content security policy: nothing from the network, no script but these (by hash), pictures from the file."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def plotly_js() -> str:
    """Plotly's script, to stand in a page."""
    from plotly.offline import get_plotlyjs

    return _as_parsed(get_plotlyjs())


def read_static(path: Path) -> str:
    """A style or script file, to stand in a page."""
    return _as_parsed(path.read_text("utf-8"))


def _as_parsed(text: str) -> str:
    """As a browser reads it from a page: what is hashed must be what is run."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
