"""Customers, the people there, and what was said and done with them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Moment, Money, Name, Text, Total

#: Customer levels offered; a company may write others of its own.
LEVELS = {"deal": N_("Deal customer"), "developing": N_("Developing customer"), "prospect": N_("Prospect")}
STAGES = {
    "new": N_("Just found"),
    "contacted": N_("In contact"),
    "interested": N_("Interested"),
    "quoted": N_("Quoted"),
    "dealt": N_("Dealt"),
}
INDUSTRIES = {
    "manufacturing": N_("Manufacturing"),
    "trade": N_("Commerce"),
    "construction": N_("Construction"),
    "food": N_("Food and catering"),
    "it": N_("IT and internet"),
    "services": N_("Services"),
    "education": N_("Education"),
    "health": N_("Health care"),
    "government": N_("Public bodies"),
}
SIZES = {
    "micro": N_("Under 20 people"),
    "small": N_("20 to 99 people"),
    "medium": N_("100 to 499 people"),
    "large": N_("500 people and more"),
}
PRICE_LEVELS = {"retail": N_("Retail price"), "trade": N_("Trade price"), "member": N_("Member price"), "special": N_("Special price")}


class Customer(
    Entity,
    key="customer",
    no=10,
    label=N_("Customer"),
    kind=Kind.MASTER,
    title_field="name",
    owner="owner_id",
    series="C",
    totals=(Total(name="customer_by_level", by=("level",)), Total(name="customer_by_owner", by=("owner_id",))),
):
    """A company or person we sell to."""

    number: Annotated[Text | None, F(1, N_("Customer no."), column=8, index=True, search=6)] = None
    name: Annotated[Name, F(2, N_("Customer name"), column=1, index=True, search=10)]
    short_name: Annotated[Text | None, F(3, N_("Short name"), search=8)] = None
    level: Annotated[Text | None, F(4, N_("Level"), column=2, index=True, options=LEVELS)] = None
    phone: Annotated[Text | None, F(5, N_("Phone"), column=3, search=7, widget="phone")] = None
    address: Annotated[Text | None, F(6, N_("Address"), column=4, search=3, section=N_("Details"))] = None
    credit_limit: Annotated[Money, F(7, N_("Credit limit"), column=5, section=N_("Details"), merge="always_show")] = Decimal("0.00")
    owner_id: Annotated[Id | None, F(8, N_("Salesperson"), ref="user", column=6)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", column=7, editable=True)] = None
    source: Annotated[Text | None, F(10, N_("Source"), section=N_("Details"))] = None
    tax_no: Annotated[Text | None, F(11, N_("Tax no."), search=4, section=N_("Details"))] = None
    remark: Annotated[LongText | None, F(12, N_("Remark"), widget="longtext", section=N_("Details"))] = None
    stage: Annotated[Text | None, F(13, N_("Stage"), index=True, options=STAGES)] = None
    industry: Annotated[Text | None, F(14, N_("Industry"), index=True, options=INDUSTRIES, section=N_("Details"))] = None
    size: Annotated[Text | None, F(15, N_("Company size"), index=True, options=SIZES, section=N_("Details"))] = None
    area: Annotated[Text | None, F(16, N_("Area"), index=True, widget="area", section=N_("Details"))] = None
    invoice_title: Annotated[Text | None, F(17, N_("Invoice title"), section=N_("Invoicing and terms"))] = None
    bank: Annotated[Text | None, F(18, N_("Bank"), section=N_("Invoicing and terms"))] = None
    bank_account: Annotated[Text | None, F(19, N_("Bank account no."), section=N_("Invoicing and terms"))] = None
    credit_days: Annotated[int | None, Bounds(ge=0, le=3650), F(20, N_("Days of credit"), section=N_("Invoicing and terms"))] = None
    price_level: Annotated[Text | None, F(21, N_("Price level"), options=PRICE_LEVELS, section=N_("Invoicing and terms"))] = None
    files: Annotated[Attachments | None, F(22, N_("Files"), widget="files", section=N_("Details"))] = None
    pool_id: Annotated[Id | None, F(26, N_("Pool"), ref="pool", editable=False, section=N_("Ownership"))] = None
    owner_since: Annotated[Moment | None, F(27, N_("Salesperson since"), editable=False, section=N_("Ownership"))] = None
    released_at: Annotated[Moment | None, F(28, N_("In the pool since"), index=True, editable=False, section=N_("Ownership"))] = None
    previous_owner_id: Annotated[Id | None, F(29, N_("Former salesperson"), ref="user", editable=False, section=N_("Ownership"))] = None
    locked: Annotated[bool, F(30, N_("Locked against reclaiming"), editable=False, section=N_("Ownership"))] = False
    protected_until: Annotated[Day | None, F(31, N_("Protected until"), editable=False, section=N_("Ownership"))] = None


class Contact(Entity, key="contact", no=11, label=N_("Contact"), kind=Kind.MASTER, title_field="name", under="customer_id"):
    """A person at a customer."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=2)]
    name: Annotated[Name, F(2, N_("Name"), column=1, index=True, search=10)]
    title: Annotated[Text | None, F(3, N_("Position"), column=3)] = None
    phone: Annotated[Text | None, F(4, N_("Phone"), column=4, search=7, widget="phone")] = None
    email: Annotated[Text | None, F(5, N_("E-mail"), column=5, search=4)] = None
    wechat: Annotated[Text | None, F(6, N_("WeChat"), column=6, search=3)] = None
    is_main: Annotated[bool, F(7, N_("Main contact"), column=7)] = False
    birthday: Annotated[Day | None, F(8, N_("Birthday"))] = None
    remark: Annotated[LongText | None, F(9, N_("Remark"), widget="longtext")] = None


class ActivityType(Choice):
    """How we were in touch."""

    CALL = "call", N_("Phone call")
    VISIT = "visit", N_("Visit")
    WECHAT = "wechat", N_("WeChat")
    EMAIL = "email", N_("E-mail")
    MEETING = "meeting", N_("Meeting")
    OTHER = "other", N_("Other")


class Activity(
    Entity, key="activity", no=12, label=N_("Activity record"), kind=Kind.MASTER, title_field="content", under="customer_id", order_by="-at"
):
    """One call, visit or message, and what comes next."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=4)]
    at: Annotated[Moment | None, F(2, N_("Time"), column=1, index=True)] = None
    type: Annotated[ActivityType, F(3, N_("Way"), column=2)] = ActivityType.CALL
    content: Annotated[LongText, F(4, N_("Content"), column=3, search=5, widget="longtext")]
    contact_id: Annotated[Id | None, F(5, N_("Contact"), ref="contact", column=5)] = None
    next_at: Annotated[Moment | None, F(6, N_("Next contact"), column=6, index=True)] = None
    user_id: Annotated[Id | None, F(7, N_("Recorded by"), ref="user", column=7)] = None


# whose a customer is ----------------------------------------------------------------------------------------------------

#: Fields of a customer that a pool can show; others stay covered until somebody has picked it.
POOL_FIELDS = ("name", "level", "area", "industry", "size", "phone", "address", "source", "remark")


class Pool(Entity, key="pool", no=60, label=N_("Customer pool"), kind=Kind.HUB, title_field="name", order_by="name"):
    """Customers without a salesperson, and who may pick them. Head office says what pools there are.

    ``home_id``: its home, the one node that gives its customers away; None for head office · ``members``, ``departments``: who may pick
    (departments with all below); nobody named: whoever has the right · ``shown``: fields of customers to be seen before picking.
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


class ChangeKind(Choice):
    """How a customer came to another salesperson."""

    ASSIGN = "assign", N_("Assigned")
    HAND_OVER = "hand_over", N_("Handed over")
    PICK = "pick", N_("Picked")
    RELEASE = "release", N_("Released")
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
    altered or written twice without showing; ``beside``: digests of links made apart that this one brings together with it.
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


class ReclaimRule(Entity, key="reclaim_rule", no=63, label=N_("Reclaim rule"), kind=Kind.HUB, title_field="name", order_by="name"):
    """When a customer that nobody looks after goes to a pool. ``since``: when it was switched on; no customer's days count from before."""

    name: Annotated[Name, F(1, N_("Name"), column=1, search=10)]
    active: Annotated[bool, F(2, N_("Active"), column=2)] = True
    pool_id: Annotated[Id, F(3, N_("Into the pool"), ref="pool", column=3)]
    level: Annotated[Text | None, F(4, N_("Level (empty: those without a rule of their own)"), column=4, options=LEVELS)] = None
    days: Annotated[int, Bounds(ge=1, le=3650), F(5, N_("Days without an activity record"), column=5)] = 30
    remind_days: Annotated[int, Bounds(ge=0, le=365), F(6, N_("Remind so many days before"), column=6)] = 7
    spare_deals: Annotated[bool, F(7, N_("Not deal customers"))] = True
    spare_open: Annotated[bool, F(8, N_("Not where an order is open"))] = True
    since: Annotated[Moment | None, F(9, N_("Switched on at"), editable=False)] = None


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
