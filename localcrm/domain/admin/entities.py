"""Branches, what the merge found that a person should see, and what a company adds to the declared fields."""

from typing import Annotated

from localcrm.kernel.custom import FieldType
from localcrm.kernel.i18n import N_
from localcrm.kernel.numbers import Reset
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, LongText, Moment, Name, Text


class BranchHolds(Choice):
    """What head office sends to a branch."""

    ALL = "all", N_("Everything")
    OWN = "own", N_("Of orders, stock and money only its own")
    CUSTOMERS = "own_customers", N_("Of customers too, and of what hangs on them, only its own")


class Branch(Entity, key="branch", no=2, label=N_("Branch"), kind=Kind.HUB, title_field="name", order_by="code", by_hand=False):
    """Head office or one of its branches."""

    code: Annotated[Name, F(1, N_("Code"), column=1, index=True, search=8, editable=False)]
    name: Annotated[Name, F(2, N_("Name"), column=2, search=10)]
    node_no: Annotated[int, F(3, N_("Node number"), column=3, editable=False)]
    legal_entity_id: Annotated[Id | None, F(10, N_("Own company"), ref="legal_entity")] = None
    address: Annotated[Text | None, F(11, N_("Address"))] = None
    phone: Annotated[Text | None, F(12, N_("Phone"), widget="phone")] = None
    holds: Annotated[BranchHolds, F(13, N_("Holds"))] = BranchHolds.ALL


class ConflictKind(Choice):
    """Why a person should look."""

    OVERWRITTEN = "overwritten", N_("Changed at two places")
    DELETED_EDITED = "deleted_edited", N_("Deleted at one place, changed at another")
    PARENT_DELETED = "parent_deleted", N_("Deleted, but still in use")
    WATCHED = "watched", N_("Important value changed")
    QUARANTINED = "quarantined", N_("Change not accepted")
    DIGEST = "digest", N_("Data differ after the exchange")
    DUPLICATE = "duplicate", N_("Same value twice")
    MERGED = "merged", N_("Merged at two places in different ways")


class ConflictState(Choice):
    """Whether a conflict waits for somebody; the later word counts, as everywhere (ADR 0024)."""

    OPEN = "open", N_("Open")
    RESOLVED = "resolved", N_("Settled")


class Conflict(
    Entity, key="conflict", no=3, label=N_("Conflict"), kind=Kind.STATE, title_field="field", by_hand=False, about=True, scope=("record",)
):
    """A value that work done apart overwrote; found by head office while merging, seen wherever the record is."""

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
    other: Annotated[Text | None, F(17, N_("Other record"), index=True, editable=False)] = None
    resolved_at: Annotated[Moment | None, F(18, N_("Settled at"), editable=False)] = None
    resolved_nodes: Annotated[Text | None, F(19, N_("Settled in"), editable=False, merge="set")] = None


class CustomFieldRecord(
    Entity, key="custom_field", no=14, label=N_("Custom field"), kind=Kind.MASTER, title_field="label", home="branch_id", by_hand=False
):
    """A field that the company, or one branch for itself, added to a kind of record (see ``kernel.custom``)."""

    entity: Annotated[Text, F(1, N_("Kind of record"), column=2, editable=False, fixed=True)]
    number: Annotated[int, F(2, N_("Field number"), editable=False, fixed=True)]
    label: Annotated[Name, F(3, N_("Name"), column=1)]
    type: Annotated[FieldType, F(4, N_("Type"), column=3)]
    required: Annotated[bool, F(5, N_("Required"), column=4)] = False
    unique: Annotated[bool, F(6, N_("No two records alike"), column=5)] = False
    preset: Annotated[Text | None, F(7, N_("Value of a new record"))] = None
    least: Annotated[Text | None, F(8, N_("Smallest value"))] = None
    most: Annotated[Text | None, F(9, N_("Largest value or length"))] = None
    hint: Annotated[Text | None, F(10, N_("Explanation"))] = None
    section: Annotated[Text | None, F(11, N_("Section of the form"))] = None
    position: Annotated[int, F(12, N_("Sort order"))] = 0
    searched: Annotated[bool, F(13, N_("Found by the search"))] = False
    listed: Annotated[bool, F(14, N_("Column of the list"))] = False
    retired: Annotated[bool, F(15, N_("No longer used"), column=6)] = False
    branch_id: Annotated[Id | None, F(16, N_("Branch"), ref="branch", column=7, editable=False)] = None


class FieldOption(
    Entity, key="field_option", no=15, label=N_("Option"), kind=Kind.MASTER, title_field="label", home="branch_id", by_hand=False
):
    """One entry of an option list; ``value`` is what records keep and never changes, ``label`` what people read."""

    entity: Annotated[Text, F(1, N_("Kind of record"), column=2, editable=False, fixed=True)]
    field: Annotated[Text, F(2, N_("Field"), column=3, editable=False, fixed=True)]
    value: Annotated[Name, F(3, N_("Stored value"), editable=False, fixed=True)]
    label: Annotated[Name, F(4, N_("Name"), column=1)]
    position: Annotated[int, F(5, N_("Sort order"), column=4)] = 0
    retired: Annotated[bool, F(6, N_("No longer used"), column=5)] = False
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=6, editable=False)] = None


class FieldName(
    Entity, key="field_name", no=16, label=N_("Own name"), kind=Kind.MASTER, title_field="text", home="branch_id", by_hand=False
):
    """What the company, or one branch for itself, calls a field or (with ``field`` empty) a kind of record, in one language."""

    entity: Annotated[Text, F(1, N_("Kind of record"), column=2, editable=False, fixed=True)]
    field: Annotated[Text | None, F(2, N_("Field"), column=3, editable=False, fixed=True)] = None
    language: Annotated[Text, F(3, N_("Language"), column=4, editable=False, fixed=True)]
    text: Annotated[Text | None, F(4, N_("Name"), column=1)] = None
    branch_id: Annotated[Id | None, F(5, N_("Branch"), ref="branch", column=5, editable=False)] = None


class NumberRule(
    Entity, key="number_rule", no=34, label=N_("Number format"), kind=Kind.HUB, title_field="format", order_by="series", by_hand=False
):
    """How head office wants the numbers of one kind of record; without one they are as they always were."""

    series: Annotated[Text, F(1, N_("Kind of record"), column=1, index=True, editable=False)]
    format: Annotated[Text, F(2, N_("Number format"), column=2, editable=False)]
    reset: Annotated[Reset, F(3, N_("Counter starts anew"), column=3, editable=False)] = Reset.DAY


class LegalEntity(Entity, key="legal_entity", no=35, label=N_("Own company"), kind=Kind.HUB, title_field="name", order_by="name"):
    """A company of ours, as it stands on letterheads and invoices. Pictures are written by a verb, as base64."""

    name: Annotated[Name, F(1, N_("Full name"), column=1, search=10)]
    short_name: Annotated[Text | None, F(2, N_("Short name"), column=2, search=8)] = None
    tax_no: Annotated[Text | None, F(3, N_("Tax no."), column=3)] = None
    legal_person: Annotated[Text | None, F(4, N_("Legal person"))] = None
    address: Annotated[Text | None, F(5, N_("Address"), column=4)] = None
    phone: Annotated[Text | None, F(6, N_("Phones"), column=5)] = None
    invoice_title: Annotated[Text | None, F(7, N_("Invoice title"))] = None
    logo: Annotated[LongText | None, F(8, N_("Logo"), widget="picture", editable=False)] = None
    seal: Annotated[LongText | None, F(9, N_("Seal"), widget="picture", editable=False)] = None
    remark: Annotated[LongText | None, F(10, N_("Remark"), widget="longtext")] = None


class BankAccount(
    Entity,
    key="bank_account",
    no=36,
    label=N_("Bank account"),
    kind=Kind.HUB,
    title_field="account",
    under="legal_entity_id",
    order_by="bank",
):
    """An account of one of our companies."""

    legal_entity_id: Annotated[Id, F(1, N_("Own company"), ref="legal_entity", column=3)]
    bank: Annotated[Name, F(2, N_("Bank"), column=1)]
    account: Annotated[Name, F(3, N_("Account no."), column=2)]
    is_default: Annotated[bool, F(4, N_("Default account"), column=4)] = False
    remark: Annotated[Text | None, F(5, N_("Remark"))] = None


class Erasure(Entity, key="erasure", no=37, label=N_("Erased data"), kind=Kind.HUB, title_field="subject", order_by="-at", by_hand=False):
    """An order to erase one person's data, carried out by every node that receives it. It names the record, never the person."""

    subject: Annotated[Text, F(1, N_("Kind of record"), column=1, editable=False)]
    record_id: Annotated[Text, F(2, N_("Record"), column=2, index=True, editable=False)]
    at: Annotated[Moment | None, F(3, N_("Time"), column=3, index=True, editable=False)] = None
    by_id: Annotated[Id | None, F(4, N_("Erased by"), ref="user", column=4, editable=False)] = None
