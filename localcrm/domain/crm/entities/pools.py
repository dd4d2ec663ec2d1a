"""Whose a customer is: pools, changes of salesperson, requests and reclaim rules."""

from typing import Annotated

from pydantic import Field as Bounds

from localcrm.domain.crm.entities.customers import LEVELS
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, LongText, Moment, Name, Text

#: Fields of a customer that a pool can show; others stay covered until somebody has picked it.
POOL_FIELDS = ("name", "level", "area", "industry", "size", "phone", "address", "source", "remark")


class Pool(Entity, key="pool", no=60, label=N_("Customer pool"), kind=Kind.HUB, title_field="name", order_by="name"):
    """Customers without a salesperson, and who may pick them. Head office says what pools there are.

    ``home_id``: its home, the one node that gives its customers away; None for head office · ``members``, ``departments``: who may pick
    (departments with all below); nobody named: whoever has the right · ``shown``: fields of customers to be seen before picking ·
    ``admins``: who looks after it, and moves, gives out and takes back its customers without the right to do so everywhere.
    """

    name: Annotated[Name, F(1, N_("Name"), column=1, search=10)]
    active: Annotated[bool, F(2, N_("Active"), column=2)] = True
    home_id: Annotated[Id | None, F(3, N_("Given out by (empty: head office)"), ref="branch", column=3)] = None
    members: Annotated[LongText | None, F(4, N_("Members"), refs="user")] = None
    departments: Annotated[LongText | None, F(5, N_("Departments"), refs="department")] = None
    shown: Annotated[LongText | None, F(6, N_("Fields shown before picking"))] = "name level area industry phone"
    mask_phone: Annotated[bool, F(7, N_("Telephone covered until picked"))] = True
    picks_per_day: Annotated[int | None, Bounds(ge=0, le=10_000), F(8, N_("Picks per person and day (empty: any number)"))] = None
    held_most: Annotated[int | None, Bounds(ge=0, le=1_000_000), F(9, N_("Customers per person at most (empty: any number)"))] = None
    deals_free: Annotated[bool, F(10, N_("Deal customers do not count"))] = True
    barred_days: Annotated[int, Bounds(ge=0, le=3650), F(11, N_("Days before a former salesperson may pick again"))] = 0
    protect_days: Annotated[int, Bounds(ge=0, le=3650), F(12, N_("Days a picked customer is safe from reclaiming"))] = 0
    claim_days: Annotated[int, Bounds(ge=1, le=365), F(13, N_("Days until an unanswered request lapses"))] = 7
    away: Annotated[LongText | None, F(14, N_("On leave: given nothing for now"), refs="user")] = None
    admins: Annotated[LongText | None, F(15, N_("Looked after by"), refs="user")] = None
    looks_per_day: Annotated[int | None, Bounds(ge=1, le=10_000), F(16, N_("Looks into it per person and day (empty: any number)"))] = None
    fresh_days: Annotated[int, Bounds(ge=0, le=3650), F(17, N_("Days a customer new in the pool may not be picked"))] = 0


class ChangeKind(Choice):
    """How a customer came to another salesperson."""

    ASSIGN = "assign", N_("Assigned")
    HAND_OVER = "hand_over", N_("Handed over")
    PICK = "pick", N_("Picked")
    RELEASE = "release", N_("Released")
    MOVED = "moved", N_("Moved to another pool")
    RECLAIM = "reclaim", N_("Reclaimed")
    LEFT = "left", N_("Salesperson left")
    UNDONE = "undone", N_("Taken back")
    SETTLED = "settled", N_("Settled by head office")


class OwnerChange(
    Entity,
    key="owner_change",
    no=61,
    label=N_("Change of salesperson"),
    kind=Kind.LEDGER,
    title_field="kind",
    under="customer_id",
    order_by="-at",
    by_hand=False,
):
    """One link of the chain of hands a customer went through. ``previous`` names the link before by its digest, so none can be left out,
    altered or written twice without showing; ``beside``: digests of links made apart that this one brings together with it. ``along``: "opportunity:2 quote:1",
    how many records of which kinds went along.
    """

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=2, editable=False)]
    from_id: Annotated[Id | None, F(2, N_("Former salesperson"), ref="user", column=3, editable=False)] = None
    to_id: Annotated[Id | None, F(3, N_("New salesperson"), ref="user", column=4, editable=False)] = None
    kind: Annotated[ChangeKind, F(4, N_("Kind"), column=1, editable=False)]
    reason: Annotated[LongText | None, F(5, N_("Reason"), column=5, editable=False)] = None
    by_id: Annotated[Id | None, F(6, N_("Changed by"), ref="user", column=6, editable=False)] = None
    at: Annotated[Moment, F(7, N_("Time"), column=7, index=True, editable=False)]
    branch_id: Annotated[Id | None, F(8, N_("Branch"), ref="branch", column=8, editable=False)] = None
    pool_id: Annotated[Id | None, F(9, N_("Pool"), ref="pool", editable=False)] = None
    previous: Annotated[Text | None, F(10, N_("Link before"), editable=False)] = None
    beside: Annotated[LongText | None, F(11, N_("Links brought together"), editable=False)] = None
    claim_id: Annotated[Id | None, F(12, N_("Request"), ref="pool_claim", editable=False)] = None
    digest: Annotated[Text, F(13, N_("Digest"), editable=False)]
    along: Annotated[Text | None, F(14, N_("What went along"), column=9, editable=False)] = None


class PoolClaim(
    Entity,
    key="pool_claim",
    no=62,
    label=N_("Request for a customer"),
    kind=Kind.LEDGER,
    title_field="title",
    under="customer_id",
    order_by="-at",
    by_hand=False,
):
    """That somebody wants a customer of a pool whose home is elsewhere. It holds nothing by itself, and lapses if nobody answers in time.

    ``home_id``: the home of the pool when it was made; None for head office.
    """

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", editable=False)]
    title: Annotated[Text, F(2, N_("Customer name"), column=1, editable=False)]
    pool_id: Annotated[Id, F(3, N_("Pool"), ref="pool", column=2, editable=False)]
    user_id: Annotated[Id, F(4, N_("Requested by"), ref="user", column=3, editable=False)]
    at: Annotated[Moment, F(5, N_("Time"), column=4, index=True, editable=False)]
    expires_at: Annotated[Moment, F(6, N_("Lapses at"), column=5, editable=False)]
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", editable=False)] = None
    home_id: Annotated[Id | None, F(8, N_("Addressed to"), ref="branch", editable=False)] = None


class Together(Choice):
    """Which of the terms of a rule must be over."""

    ANY = "any", N_("one of them is enough")
    ALL = "all", N_("all of them are needed")


class ReclaimRule(Entity, key="reclaim_rule", no=63, label=N_("Reclaim rule"), kind=Kind.HUB, title_field="name", order_by="name"):
    """When a customer that nobody looks after goes to a pool. ``since``: when it was switched on; no customer's days count from before.

    A deal is a posted order, a signed contract or an opportunity that was won.
    """

    name: Annotated[Name, F(1, N_("Name"), column=1, search=10)]
    active: Annotated[bool, F(2, N_("Active"), column=2)] = True
    pool_id: Annotated[Id, F(3, N_("Into the pool"), ref="pool", column=3)]
    level: Annotated[Text | None, F(4, N_("Level (empty: those without a rule of their own)"), column=4, options=LEVELS)] = None
    days: Annotated[int, Bounds(ge=0, le=3650), F(5, N_("Days without an activity record (0: not asked)"), column=5)] = 30
    remind_days: Annotated[int, Bounds(ge=0, le=365), F(6, N_("Remind so many days before"), column=6)] = 7
    spare_deals: Annotated[bool, F(7, N_("Not deal customers"))] = True
    spare_open: Annotated[bool, F(8, N_("Not while an opportunity, a contract or an order is open"))] = True
    since: Annotated[Moment | None, F(9, N_("Switched on at"), editable=False)] = None
    opportunity_days: Annotated[int | None, Bounds(ge=1, le=3650), F(10, N_("Days without an open opportunity"))] = None
    deal_days: Annotated[int | None, Bounds(ge=1, le=3650), F(11, N_("Days without a deal"))] = None
    contract_days: Annotated[int | None, Bounds(ge=1, le=3650), F(12, N_("Days since its last contract ended"))] = None
    after_protection: Annotated[bool, F(14, N_("When its protection has run out"))] = False
    together: Annotated[Together, F(13, N_("Where several are asked"))] = Together.ANY


class AllotRule(
    Entity, key="allot_rule", no=79, label=N_("Rule of allotting"), kind=Kind.HUB, title_field="name", order_by="position", by_hand=True
):
    """Who is given which customers of a pool, where somebody has them given out: the first rule that fits one and has somebody with room.

    ``members`` get them in turn. Empty conditions fit every customer; an area fits those within it.
    """

    name: Annotated[Name, F(1, N_("Name"), column=1, search=10)]
    active: Annotated[bool, F(2, N_("Active"), column=2)] = True
    pool_id: Annotated[Id, F(3, N_("Pool"), ref="pool", column=3)]
    position: Annotated[int, Bounds(ge=0, le=10_000), F(4, N_("Sort order"), column=4, index=True)] = 0
    area: Annotated[Text | None, F(5, N_("Only of the area"), column=5, widget="area")] = None
    source: Annotated[Text | None, F(6, N_("Only of the source"), column=6)] = None
    level: Annotated[Text | None, F(7, N_("Only of the level"), column=7, options=LEVELS)] = None
    members: Annotated[LongText | None, F(8, N_("Given in turn to"), refs="user")] = None
    held_most: Annotated[
        int | None, Bounds(ge=0, le=1_000_000), F(9, N_("Until each has so many customers (empty: the limit of the pool)"))
    ] = None


class ClaimOutcome(Choice):
    """What became of a request for a customer."""

    GRANTED = "granted", N_("Granted")
    TAKEN = "taken", N_("Somebody else has it already")
    LAPSED = "lapsed", N_("The request lapsed before it arrived")
    NO_MEMBER = "no_member", N_("Not a member of the pool")
    CLOSED = "closed", N_("The pool was closed")
    BARRED = "barred", N_("Had this customer before; the waiting time is not over")
    FULL = "full", N_("Has as many customers as allowed")
    DAY_FULL = "day_full", N_("Picked as many on that day as allowed")
    GONE = "gone", N_("The customer was deleted")
    FRESH = "fresh", N_("Too new in the pool")


class ClaimAnswer(
    Entity,
    key="claim_answer",
    no=64,
    label=N_("Answer to a request"),
    kind=Kind.MASTER,
    title_field="outcome",
    under="customer_id",
    home="branch_id",
    by_hand=False,
):
    """What the home of a pool decided about a request; one from elsewhere says nothing."""

    claim_id: Annotated[Id, F(1, N_("Request"), ref="pool_claim", editable=False, fixed=True)]
    outcome: Annotated[ClaimOutcome, F(2, N_("Outcome"), column=1, editable=False, fixed=True)]
    winner_id: Annotated[Id | None, F(3, N_("Who has it"), ref="user", column=2, editable=False, fixed=True)] = None
    at: Annotated[Moment, F(4, N_("Answered at"), column=3, editable=False, fixed=True)]
    branch_id: Annotated[Id, F(5, N_("Answered in"), ref="branch", column=4, editable=False, fixed=True)]
    customer_id: Annotated[Id, F(6, N_("Customer"), ref="customer", editable=False, fixed=True)]
