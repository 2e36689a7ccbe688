"""What stand-alone pages share: JSON that no tag can begin in, and a policy that allows their own scripts alone."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from bicyclegan.metrics.page_parts import page_environment, page_json, read_static, security_policy


def test_json_of_a_page_holds_no_tag_and_means_the_same() -> None:
    data = {"</script><!--": ["<b>", "a & b", 1.5, None]}
    text = page_json(data)
    assert not {"<", ">", "&"} & set(text)
    assert json.loads(text) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_of_a_page_is_json(value: float) -> None:
    with pytest.raises(ValueError):
        page_json([value])


def test_the_policy_names_each_script_by_its_hash() -> None:
    policy = security_policy(["one()", "two()"])
    digest = base64.b64encode(hashlib.sha256(b"two()").digest()).decode()
    assert policy.count("'sha256-") == 2 and f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_static_files_are_hashed_as_browsers_read_them(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(b"one()\r\ntwo()\rthree()\n")
    assert read_static(tmp_path / "a.js") == "one()\ntwo()\nthree()\n"


def test_templates_escape_and_miss_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ name }}|{{ name|plain(4) }}", "utf-8")
    template = page_environment(tmp_path).get_template("page.html")
    assert template.render(name="<b>&\u202etext") == "&lt;b&gt;&amp;\u202etext|&lt;b&gt;…"
    with pytest.raises(Exception, match="'name' is undefined"):
        template.render()
