"""What the tests of the whole project ask of source code: imports, names, calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bicyclegan"


def package_files() -> dict[str, Path]:
    """Dotted module name -> file, for every module of the package."""
    return {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str = "", is_package: bool = False) -> set[str]:
    """Dotted names that a module imports, at its top or inside functions, relative ones resolved.

    `from a import b` gives `a.b`: whether b is a module or a name in one, it is below a.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package)
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and re.search(r"(^|\.)(__import__|import_module)$", ast.unparse(node.func)):
            names |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return names


def calls(source: str, target: str, module: str = "", is_package: bool = False) -> Iterator[ast.Call]:
    """Calls of the function with the dotted name `target`, whatever it is called in this module."""
    tree = ast.parse(source)
    bound = _bindings(tree, module, is_package)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func, bound) == target:
            yield node


def literal(node: ast.expr | None) -> str | None:
    """The text of a string literal, also of one written as "a" + "b"; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = literal(node.left), literal(node.right)
        return None if left is None or right is None else left + right
    return None


def _base(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """`from ..x import y` in a.b.c -> a.x"""
    parts = module.split(".") if is_package else module.split(".")[:-1]
    above = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _bindings(tree: ast.AST, module: str, is_package: bool) -> dict[str, str]:
    """Local name -> dotted name of what was imported under it."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package)
            bound |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
    return bound


def _dotted(node: ast.expr, bound: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return bound.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, bound)
        return f"{base}.{node.attr}" if base else None
    return None
