"""Every bench runs at a tiny size, so that none of them rots; no figure is judged here."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
TINY: dict[str, str] = {
    "capture": "measure(200, rounds=1)",
    "merge": "measure(300, rounds=1)",
    "exchange": "measure(2, 100, 300)",
    "snapshot": "measure(300, rounds=1)",
    "digests": "measure(400, rounds=1)",
    "bundles": "measure(300)",
    "metadata": "measure(400)",
    "posting": "measure(3, rounds=1)",
    "importing": "measure(70)",
    "commands": "measure(1)",
    "scale": "measure((50, 120), rounds=1, keep=False)",
    "queries": "measure((60,), rounds=1)",
    "workbench": "measure((30, 40), rounds=1, keep=False)",
    "finding": "measure((60,), rounds=1)",
    "rights": "measure(200, rounds=1)",
    "calls": "measure(400, small=200, rounds=2)",
    "start": "measure(1)",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_bench_gives_its_figures(name: str) -> None:
    code = f"import json, {name} as bench; print(json.dumps([[f.name, f.value] for f in bench.{TINY[name]}]))"
    # A process of its own: a bench declares an entity that no other test may see.
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(BENCH)}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    figures: list[list[Any]] = json.loads(result.stdout.splitlines()[-1])
    assert len(figures) >= 2
    assert all(isinstance(text, str) and value >= 0 for text, value in figures)


def test_every_bench_is_in_the_table_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    run_all = importlib.import_module("run_all")
    scripts = {path.stem for path in BENCH.glob("*.py")} - {"run_all", "bundle_size"}
    assert set(run_all.BENCHES) == set(TINY) == {name for name in scripts if not name.startswith("_")}
