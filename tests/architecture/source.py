"""The package as syntax trees, for the tests of this folder."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "localcrm"


@cache
def modules() -> dict[str, ast.Module]:
    """Syntax tree of every module by its path from the root."""
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def docstrings(tree: ast.Module) -> set[int]:
    """Identities of the constants that are docstrings."""
    owners = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    first = [owner.body[0] for owner in owners if owner.body]
    return {id(statement.value) for statement in first if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)}
