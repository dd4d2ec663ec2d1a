"""Who has to agree before a document counts: flows, what was asked, and what was decided."""

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, LongText, Moment, Name, Text


class AfterRejection(Choice):
    """Where a rejected document goes on once it was corrected."""

    START = "start", N_("From the first step again")
    REJECTED = "rejected", N_("From the step that rejected it")


class Decision(Choice):
    """What somebody did about a request."""

    APPROVED = "approved", N_("Approved")
    REJECTED = "rejected", N_("Rejected")
    WITHDRAWN = "withdrawn", N_("Withdrawn")


class ApprovalFlow(Entity, key="approval_flow", no=51, label=N_("Approval flow"), kind=Kind.HUB, title_field="name", order_by="position"):
    """Which documents need an approval, and whose. The first one that fits a document is the one that counts."""

    name: Annotated[Name, F(1, N_("Name"), column=1, search=10)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=2)] = "sales_order"
    active: Annotated[bool, F(3, N_("Active"), column=3)] = True
    position: Annotated[int, F(4, N_("Sort order"), column=4, index=True)] = 0
    conditions: Annotated[LongText | None, F(5, N_("Conditions"), widget="longtext")] = None
    steps: Annotated[LongText, F(6, N_("Steps"), widget="longtext")]
    after_rejection: Annotated[AfterRejection, F(7, N_("After a rejection"))] = AfterRejection.START


class ApprovalRequest(
    Entity, key="approval_request", no=52, label=N_("Approval request"), kind=Kind.LEDGER, title_field="flow", by_hand=False, about=True
):
    """That a document as it stood was submitted, and who is asked. What became of it follows from the decisions.

    ``plan``: the seats to be filled, one after the other (see ``rules.Seat``) · ``content``: a digest of every part of
    the document, so that a later change can be named.
    """

    entity: Annotated[Text, F(1, N_("Kind of record"), column=1, editable=False)]
    record: Annotated[Text, F(2, N_("Record"), index=True, editable=False)]
    flow_id: Annotated[Id, F(3, N_("Approval flow"), ref="approval_flow", editable=False)]
    flow: Annotated[Text, F(4, N_("Name of the flow"), column=2, editable=False)]
    author_id: Annotated[Id, F(5, N_("Submitted by"), ref="user", column=3, editable=False)]
    owner_id: Annotated[Id | None, F(6, N_("Belongs to"), ref="user", editable=False)] = None
    plan: Annotated[LongText, F(7, N_("Who is asked"), editable=False)]
    content: Annotated[LongText, F(8, N_("Content submitted"), editable=False)]
    comment: Annotated[LongText | None, F(9, N_("Comment"), editable=False)] = None
    submitted_at: Annotated[Moment, F(10, N_("Submitted at"), column=4, editable=False)]
    branch_id: Annotated[Id | None, F(11, N_("Branch"), ref="branch", column=5, editable=False)] = None


class ApprovalStep(
    Entity,
    key="approval_step",
    no=53,
    label=N_("Approval decision"),
    kind=Kind.LEDGER,
    title_field="decision",
    under="request_id",
    by_hand=False,
):
    """Who decided what about a request, when and why. ``seat`` counts the places of its plan from 0; -1 for a withdrawal."""

    request_id: Annotated[Id, F(1, N_("Approval request"), ref="approval_request", editable=False)]
    seat: Annotated[int, F(2, N_("Place in the plan"), editable=False)]
    decision: Annotated[Decision, F(3, N_("Decision"), column=1, editable=False)]
    user_id: Annotated[Id, F(4, N_("Decided by"), ref="user", column=2, editable=False)]
    comment: Annotated[LongText | None, F(5, N_("Comment"), column=3, editable=False)] = None
    decided_at: Annotated[Moment, F(6, N_("Decided at"), column=4, editable=False)]
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=5, editable=False)] = None
