"""Whether an order or a quote waits for somebody's consent, or needs it."""

from __future__ import annotations

from typing import Any

from localcrm.domain.approvals.documents import standing
from localcrm.domain.approvals.rules import State
from localcrm.kernel.i18n import gettext
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import records_by_id
from localcrm.ui.kit.approval import TONES


def approval_of(connection: Connection, kind: EntityType, identity: str) -> dict[str, Any]:
    """{waiting, needed, chips}: whether it waits, whether it needs an approval before it goes on, and the chip that says so."""
    now = standing(connection, kind, records_by_id(connection, kind, [identity])[0])
    chips = []
    if now.request is not None and now.request.state != State.WITHDRAWN and not (now.request.state == State.APPROVED and now.changed):
        chips = [{"label": gettext(now.request.state.label), "tone": TONES[now.request.state]}]
    return {"waiting": now.is_waiting, "needed": now.flow is not None, "chips": chips}
