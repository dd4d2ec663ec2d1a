"""A command answers at once: what costs time to import is imported where it is used (ARCHITECTURE.md, Set-up)."""

from __future__ import annotations

import subprocess
import sys

SLOW = (
    "nicegui fastapi starlette uvicorn openpyxl xlsxwriter cryptography pypinyin vobject babel httpx apscheduler sqlite_utils phonenumbers segno serial"
).split()


def test_the_command_line_imports_nothing_slow() -> None:
    program = f"import localcrm.__main__, sys; print(*sorted(set({SLOW!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
