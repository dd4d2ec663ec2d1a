"""No text of a record, a user or the company becomes a property of an element by what it holds."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest
from nicegui.props import Props

from localcrm.ui.kit.props import quoted

UI = Path(__file__).parents[2] / "localcrm" / "ui"
#: A value that was begun with a quote of its own; what addresses and data are made of are ids and keys of the program.
_BARE = re.compile(r"""(?<!\S)(?!href=|src=|data-)[\w-]+=["'][^"']*$""")


def texts_in_props() -> list[tuple[str, ast.JoinedStr]]:
    """Every text with something filled in that a call of ``props`` gets, by file and line."""
    found = []
    for path in sorted(UI.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "props":
                texts = [one for argument in node.args for one in ast.walk(argument) if isinstance(one, ast.JoinedStr)]
                found += [(f"{path.relative_to(UI)}:{text.lineno}", text) for text in texts]
    return found


def is_translated(part: ast.FormattedValue) -> bool:
    """A text of the program."""
    return isinstance(part.value, ast.Call) and isinstance(part.value.func, ast.Name) and part.value.func.id == "_"


def test_what_is_filled_into_properties_is_quoted() -> None:
    bare = [
        place
        for place, text in texts_in_props()
        for before, part in pairwise(text.values)
        if isinstance(before, ast.Constant)
        and isinstance(part, ast.FormattedValue)
        and _BARE.search(str(before.value))
        and not is_translated(part)
    ]
    assert bare == []


@pytest.mark.parametrize("text", ['x" onerror="alert(1)', "x' onclick='alert(1)", 'a\\" b=c', "两行\n字", "", "a{b}[c]=d", "\\"])
def test_a_text_stays_one_value(text: str) -> None:
    assert Props.parse(f"dense aria-label={quoted(text)} data-key=k") == {"dense": True, "aria-label": text, "data-key": "k"}
