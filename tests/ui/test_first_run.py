"""The first page of a new folder, where something goes wrong with what is sent to it."""

from __future__ import annotations

import resource
from pathlib import Path

import httpx
from starlette.applications import Starlette

from localcrm.ui.guard import MOVED_PATH
from localcrm.ui.program import Program
from localcrm.ui.screens import first_run
from tests.ui.conftest import HOST, PORT


def files_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_a_disk_that_fills_while_a_moved_branch_arrives_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    program = Program(tmp_path, PORT)
    program.entry_token = "token"
    program.arrive = lambda _file, _passphrase: None  # type: ignore[assignment,return-value]
    wire = httpx.ASGITransport(app=Starlette(routes=first_run.routes(program)), raise_app_exceptions=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))  # as a disk with so much room
    try:
        async with httpx.AsyncClient(transport=wire, base_url=f"http://{HOST}") as browser:
            sent = {"file": ("BR01.lcmove", bytes(3_000_000))}
            answer = await browser.post(f"{MOVED_PATH}?token=token", files=sent, data={"passphrase": "x"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status_code < 500
    assert "无法写入" in answer.text or "could not be written" in answer.text, answer.text
    assert files_in(tmp_path) == []
    assert program.entry_token == "token"  # the page is still open for another try
