"""Chinese lives in the catalogue, so that one file is all a third language needs (ARCHITECTURE.md, Translation)."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch

from tests.architecture.source import docstrings, modules

CHINESE = re.compile(r"[\u3400-\u9fff]")
ALLOWED = {
    "localcrm/demo*.py": "the demo company has Chinese names and goods",
    "localcrm/domain/*/demo*.py": "the demo company has Chinese names and goods",
    "localcrm/domain/demo*.py": "the demo company has Chinese names and goods",
    "localcrm/kernel/money.py": "capital digits of amounts are a rule of the Chinese central bank, not a text",
    "localcrm/domain/areas.py": "the kinds of areas that people leave out are part of Chinese names",
    "localcrm/kernel/i18n.py": "a language is named in itself",
}


def literals(tree: ast.Module) -> list[tuple[int, str]]:
    skip = docstrings(tree)
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip and CHINESE.search(node.value)
    ]


def test_no_chinese_literal_outside_the_catalogue() -> None:
    found = [
        f"{file}:{line}: {text!r}"
        for file, tree in modules().items()
        if not any(fnmatch(file, pattern) for pattern in ALLOWED)
        for line, text in literals(tree)
    ]
    assert found == []


def test_the_rule_sees_a_literal_and_leaves_docstrings_alone() -> None:
    tree = ast.parse('"""客户"""\nname = "客户"\nother = f"{1}客户"\n')
    assert literals(tree) == [(2, "客户"), (3, "客户")]
