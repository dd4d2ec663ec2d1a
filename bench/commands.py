"""What a command costs before it does anything: ``localcrm entities`` against an interpreter that imports pydantic and click.

python bench/commands.py [ROUNDS]
"""

from __future__ import annotations

import sys
from functools import partial

from _measure import Figure, python, rotated, show

_RUN = "import sys; sys.argv = ['localcrm', *sys.argv[1:]]; from localcrm.__main__ import main; main()"


def measure(rounds: int = 7) -> list[Figure]:
    """Ratios of CPU time, each command in a process of its own."""
    works = {
        "bare": ("from pydantic import BaseModel; import click",),
        "entities": (_RUN, "entities"),
        "entities --json": (_RUN, "entities", "--json"),
        "--version": (_RUN, "--version"),
    }
    best = rotated({name: partial(_cpu, *arguments) for name, arguments in works.items()}, rounds=rounds)
    return [
        Figure("localcrm entities / interpreter with pydantic and click", best["entities"] / best["bare"], goal=3),
        Figure("localcrm entities --json / the same", best["entities --json"] / best["bare"], goal=3),
        Figure("localcrm --version / the same", best["--version"] / best["bare"]),
        Figure("localcrm entities, CPU", best["entities"] * 1000, "ms"),
    ]


def _cpu(*arguments: str) -> float:
    return python(*arguments)["cpu"]


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
