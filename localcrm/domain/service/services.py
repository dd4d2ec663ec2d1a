"""The verbs and behaviours of service, gathered from its subjects."""

from __future__ import annotations

from dataclasses import replace

from localcrm.domain.service import desk, parts, promises, satisfaction, tickets

BEHAVIOURS = {**promises.BEHAVIOURS, "ticket": replace(tickets.BEHAVIOURS["ticket"], derive=desk.derive_tickets)}
VERBS = (*tickets.VERBS, *parts.VERBS, *promises.VERBS, *desk.VERBS, *satisfaction.VERBS)
