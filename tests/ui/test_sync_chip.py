"""The chip of the bar: in whole words where there is room, on a telephone the number that waits."""

from __future__ import annotations

import pytest
from nicegui import Client, ui

from localcrm.kernel.clock import now_utc
from localcrm.ui.kit import syncstate
from tests.ui.conftest import Office


@pytest.mark.parametrize(("waiting", "whole", "short"), [(39, "⇅ 刚刚合并 · 39 条待发", "⇅ 39"), (0, "⇅ 刚刚合并", "⇅")])
async def test_a_telephone_shows_how_many_changes_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch, waiting: int, whole: str, short: str
) -> None:
    monkeypatch.setattr(syncstate, "sync_state", lambda _store: syncstate.SyncState(1, waiting, now_utc(), 7))
    session = office.program.sessions.resolve(office.token())
    assert session is not None
    with Client(ui.page("/somewhere"), request=None) as client:
        syncstate.chip(session)
        found = {label.text: " ".join(label.classes) for label in client.elements.values() if isinstance(label, ui.label)}
    client.delete()
    assert found == {whole: "lc-hide-phone", short: "lc-phone-only"}
