"""The import contract holds, and it bites: each deliberate break is caught by the contract meant for it (ADR 0001)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, ROOT

BREAKS = {
    "kernel knows store": ("localcrm/kernel/ids.py", "import localcrm.store", "Imports run one way through the rooms"),
    "store knows domain": ("localcrm/store/__init__.py", "import localcrm.domain", "Imports run one way through the rooms"),
    "a room nobody placed": ("localcrm/attic/__init__.py", "", "Imports run one way through the rooms"),
    "a subject nobody placed": ("localcrm/domain/attic/__init__.py", "", "Subjects of the domain know only those below them"),
    "stock knows sales": (
        "localcrm/domain/stock/entities.py",
        "import localcrm.domain.sales",
        "Subjects of the domain know only those below them",
    ),
    "a declaration knows its verbs": (
        "localcrm/domain/crm/entities.py",
        "import localcrm.domain.crm.services",
        "Inside a subject: services, then rules, then entities",
    ),
    "a declaration knows the store": (
        "localcrm/domain/crm/entities.py",
        "import localcrm.store",
        "Declarations and rules do not know the store",
    ),
    "a verb knows screens": ("localcrm/domain/crm/services.py", "import nicegui", "NiceGUI only in ui"),
    "a merge speaks SQL": ("localcrm/sync/__init__.py", "import sqlcipher3", "SQLite only in store"),
}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    environment = os.environ | {"PYTHONPATH": str(root), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run([command, "--no-cache"], cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_contract_is_kept() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("case", BREAKS)
def test_a_break_is_caught(case: str, tmp_path: Path) -> None:
    file, line, contract = BREAKS[case]
    shutil.copytree(PACKAGE, tmp_path / "localcrm", ignore=shutil.ignore_patterns("__pycache__", "locale", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / file
    target.parent.mkdir(exist_ok=True)
    with target.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout
