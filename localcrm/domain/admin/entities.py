"""Branches, and what the merge found that a person should see."""

from __future__ import annotations

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.numbers import Reset
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, LongText, Moment, Name, Text


class Branch(Entity, key="branch", no=2, label=N_("Branch"), kind=Kind.HUB, title_field="name", order_by="code", by_hand=False):
    """Head office or one of its branches."""

    code: Annotated[Name, F(1, N_("Code"), column=1, index=True, search=8, editable=False)]
    name: Annotated[Name, F(2, N_("Name"), column=2, search=10)]
    node_no: Annotated[int, F(3, N_("Node number"), column=3, editable=False)]


class ConflictKind(Choice):
    """Why a person should look."""

    OVERWRITTEN = "overwritten", N_("Changed at two places")
    DELETED_EDITED = "deleted_edited", N_("Deleted here, changed there")
    PARENT_DELETED = "parent_deleted", N_("Deleted, but still in use")
    WATCHED = "watched", N_("Important value changed")
    QUARANTINED = "quarantined", N_("Change not accepted")
    DIGEST = "digest", N_("Data differ after the exchange")


class ConflictState(Choice):
    """A settled conflict never becomes open again."""

    OPEN = "open", N_("Open")
    RESOLVED = "resolved", N_("Settled")


class Conflict(Entity, key="conflict", no=3, label=N_("Conflict"), kind=Kind.STATE, title_field="field", by_hand=False, about=True):
    """A value that work done apart overwrote; found by head office while merging, seen everywhere."""

    kind: Annotated[ConflictKind, F(1, N_("Reason"), column=1, editable=False)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=2, editable=False)]
    record: Annotated[Text, F(3, N_("Record"), index=True, editable=False)]
    field: Annotated[Text | None, F(4, N_("Field"), column=3, editable=False)] = None
    base: Annotated[LongText | None, F(5, N_("Value before"), editable=False, widget="longtext")] = None
    kept: Annotated[LongText | None, F(6, N_("Value kept"), column=4, editable=False, widget="longtext")] = None
    lost: Annotated[LongText | None, F(7, N_("Value overwritten"), column=5, editable=False, widget="longtext")] = None
    kept_by: Annotated[Id | None, F(8, N_("Kept value by"), ref="user", editable=False)] = None
    lost_by: Annotated[Id | None, F(9, N_("Overwritten value by"), ref="user", editable=False)] = None
    kept_at: Annotated[Moment | None, F(10, N_("Kept value written"), editable=False)] = None
    lost_at: Annotated[Moment | None, F(11, N_("Overwritten value written"), editable=False)] = None
    kept_node: Annotated[Text | None, F(12, N_("Kept value from"), column=6, editable=False)] = None
    lost_node: Annotated[Text | None, F(13, N_("Overwritten value from"), column=7, editable=False)] = None
    state: Annotated[ConflictState, F(14, N_("State"), column=8, index=True, editable=False)] = ConflictState.OPEN
    resolved_by: Annotated[Id | None, F(15, N_("Settled by"), ref="user", editable=False)] = None
    resolution: Annotated[LongText | None, F(16, N_("Settled with"), editable=False, widget="longtext")] = None


class NumberRule(
    Entity, key="number_rule", no=34, label=N_("Number format"), kind=Kind.HUB, title_field="format", order_by="series", by_hand=False
):
    """How head office wants the numbers of one kind of record; without one they are as they always were."""

    series: Annotated[Text, F(1, N_("Kind of record"), column=1, index=True, editable=False)]
    format: Annotated[Text, F(2, N_("Number format"), column=2, editable=False)]
    reset: Annotated[Reset, F(3, N_("Counter starts anew"), column=3, editable=False)] = Reset.DAY
