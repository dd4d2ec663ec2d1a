"""A fault nobody expected must reach somebody: catch the errors you know, or pass the rest on (kernel.errors)."""

from __future__ import annotations

import ast

from tests.architecture.source import modules

EVERYTHING = {"Exception", "BaseException"}


def swallowing(tree: ast.Module) -> list[int]:
    """Lines of handlers that catch everything and do not raise it again."""
    return [
        handler.lineno
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and _catches_all(handler) and not _raises(handler)
    ]


def _catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in EVERYTHING for kind in kinds)


def _raises(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def test_no_handler_swallows_every_error() -> None:
    assert [f"{file}:{line}" for file, tree in modules().items() for line in swallowing(tree)] == []


def test_the_rule_sees_bare_and_broad_handlers() -> None:
    source = "try: a()\nexcept: raise\ntry: a()\nexcept Exception: b()\ntry: a()\nexcept Exception: raise\ntry: a()\nexcept (OSError, BaseException): b()\n"
    assert swallowing(ast.parse(source)) == [2, 4, 8]
