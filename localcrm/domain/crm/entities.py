"""Customers, the people there, and what was said and done with them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import (
    Attachments,
    Choice,
    Day,
    Entity,
    F,
    Id,
    Kind,
    LongText,
    Moment,
    Money,
    Name,
    Price,
    Quantity,
    Text,
    Total,
)

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
    merged="merged_into_id",
):
    """A company or person we sell to."""

    number: Annotated[Text | None, F(1, N_("Customer no."), column=8, index=True, search=6)] = None
    name: Annotated[Name, F(2, N_("Customer name"), column=1, index=True, search=10, mark="name")]
    short_name: Annotated[Text | None, F(3, N_("Short name"), search=8)] = None
    level: Annotated[Text | None, F(4, N_("Level"), column=2, index=True, options=LEVELS)] = None
    phone: Annotated[Text | None, F(5, N_("Phone"), column=3, search=7, widget="phone", mark="phone")] = None
    address: Annotated[Text | None, F(6, N_("Address"), column=4, search=3, section=N_("Details"))] = None
    credit_limit: Annotated[Money, F(7, N_("Credit limit"), column=5, section=N_("Details"), merge="always_show")] = Decimal("0.00")
    owner_id: Annotated[Id | None, F(8, N_("Salesperson"), ref="user", column=6)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", column=7, editable=True)] = None
    source: Annotated[Text | None, F(10, N_("Source"), section=N_("Details"))] = None
    tax_no: Annotated[Text | None, F(11, N_("Tax no."), search=4, section=N_("Details"), mark="code")] = None
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
    files: Annotated[Attachments | None, F(22, N_("Files"), index=True, widget="files", section=N_("Details"))] = None
    pool_id: Annotated[Id | None, F(26, N_("Pool"), ref="pool", editable=False, section=N_("Ownership"))] = None
    owner_since: Annotated[Moment | None, F(27, N_("Salesperson since"), editable=False, section=N_("Ownership"))] = None
    released_at: Annotated[Moment | None, F(28, N_("In the pool since"), index=True, editable=False, section=N_("Ownership"))] = None
    previous_owner_id: Annotated[Id | None, F(29, N_("Former salesperson"), ref="user", editable=False, section=N_("Ownership"))] = None
    locked: Annotated[bool, F(30, N_("Locked against reclaiming"), editable=False, section=N_("Ownership"))] = False
    protected_until: Annotated[Day | None, F(31, N_("Protected until"), editable=False, section=N_("Ownership"))] = None
    merged_into_id: Annotated[Id | None, F(40, N_("Merged into"), ref="customer", editable=False)] = None
    former_numbers: Annotated[LongText | None, F(41, N_("Former numbers"), search=6, editable=False, section=N_("Details"))] = None
    former_names: Annotated[LongText | None, F(42, N_("Former names"), search=5, editable=False, section=N_("Details"), mark="name")] = None
    inactive: Annotated[bool, F(43, N_("No longer dealt with"), section=N_("Details"))] = False


#: What somebody has to say when his company buys.
PARTS = {"decides": N_("Decides"), "influences": N_("Influences"), "uses": N_("Uses it"), "opposes": N_("Is against it")}
GENDERS = {"male": N_("Male"), "female": N_("Female")}
#: How a contact ended.
RESULTS = {
    "agreed": N_("Agreed"),
    "interested": N_("Is interested"),
    "thinks": N_("Thinks about it"),
    "refused": N_("Said no"),
    "unreached": N_("Not reached"),
}


class Contact(Entity, key="contact", no=11, label=N_("Contact"), kind=Kind.MASTER, title_field="name", under="customer_id"):
    """A person at a customer."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=2)]
    name: Annotated[Name, F(2, N_("Name"), column=1, index=True, search=10)]
    title: Annotated[Text | None, F(3, N_("Position"), column=3)] = None
    phone: Annotated[Text | None, F(4, N_("Phone"), column=4, search=7, widget="phone", mark="phone")] = None
    email: Annotated[Text | None, F(5, N_("E-mail"), column=5, search=4)] = None
    wechat: Annotated[Text | None, F(6, N_("WeChat"), column=6, search=3)] = None
    is_main: Annotated[bool, F(7, N_("Main contact"), column=7)] = False
    birthday: Annotated[Day | None, F(8, N_("Birthday"), index=True)] = None
    remark: Annotated[LongText | None, F(9, N_("Remark"), widget="longtext")] = None
    part: Annotated[Text | None, F(10, N_("Part in decisions"), column=8, index=True, options=PARTS)] = None
    gender: Annotated[Text | None, F(11, N_("Gender"), options=GENDERS)] = None
    second_phone: Annotated[Text | None, F(12, N_("Second phone"), search=7, widget="phone", mark="phone")] = None
    other_phones: Annotated[Text | None, F(13, N_("Other phones"), index=True, search=7, widget="phone", mark="phone")] = None
    lunar_birthday: Annotated[Text | None, F(14, N_("Lunar birthday"), index=True, widget="lunar")] = None
    likes: Annotated[LongText | None, F(15, N_("Likes and dislikes"), widget="longtext")] = None
    has_left: Annotated[bool, F(16, N_("Has left the company"), column=9)] = False


class ActivityType(Choice):
    """How we were in touch."""

    CALL = "call", N_("Phone call")
    VISIT = "visit", N_("Visit")
    WECHAT = "wechat", N_("WeChat")
    EMAIL = "email", N_("E-mail")
    MEETING = "meeting", N_("Meeting")
    OTHER = "other", N_("Other")


class Activity(
    Entity,
    key="activity",
    no=12,
    label=N_("Activity record"),
    kind=Kind.MASTER,
    title_field="content",
    under="customer_id",
    order_by="-at",
    indexes=(("customer_id", "at", "next_at"),),
):
    """One call, visit or message, and what comes next."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=4)]
    at: Annotated[Moment | None, F(2, N_("Time"), column=1, index=True)] = None
    type: Annotated[ActivityType, F(3, N_("Way"), column=2)] = ActivityType.CALL
    content: Annotated[LongText, F(4, N_("Content"), column=3, search=5, widget="longtext")]
    contact_id: Annotated[Id | None, F(5, N_("Contact"), ref="contact", column=5)] = None
    next_at: Annotated[Moment | None, F(6, N_("Next contact"), column=6, index=True)] = None
    user_id: Annotated[Id | None, F(7, N_("Recorded by"), ref="user", column=7)] = None
    subject: Annotated[Text | None, F(8, N_("Subject"), search=6)] = None
    result: Annotated[Text | None, F(9, N_("Result"), column=8, options=RESULTS)] = None
    next_plan: Annotated[LongText | None, F(10, N_("Next step"), search=3, widget="longtext")] = None
    files: Annotated[Attachments | None, F(11, N_("Files"), index=True, widget="files")] = None
    written_at: Annotated[Moment | None, F(12, N_("Entered on"), editable=False)] = None
    late: Annotated[bool, F(13, N_("Entered later"), column=9, editable=False)] = False
    author: Annotated[Text | None, F(14, N_("Original author"))] = None


class Comment(
    Entity,
    key="comment",
    no=67,
    label=N_("Comment on a record"),
    kind=Kind.LEDGER,
    title_field="text",
    under="activity_id",
    order_by="at",
    by_hand=False,
):
    """What a colleague says about an activity record. Only added to."""

    activity_id: Annotated[Id, F(1, N_("Activity record"), ref="activity", column=1, editable=False)]
    user_id: Annotated[Id, F(2, N_("User"), ref="user", column=2, editable=False)]
    at: Annotated[Moment, F(3, N_("Time"), column=3, index=True, editable=False)]
    text: Annotated[LongText, F(4, N_("Comment text"), column=4, widget="longtext", editable=False)]
    mentions: Annotated[LongText | None, F(5, N_("Mentions"), refs="user", editable=False)] = None
    branch_id: Annotated[Id, F(6, N_("Branch"), ref="branch", column=5, editable=False)]


class Reminder(Entity, key="reminder", no=68, label=N_("Reminder"), kind=Kind.MASTER, title_field="text", under="user_id", by_hand=False):
    """What somebody wants to be reminded of. What the program reminds of by itself follows from other records and is stored nowhere."""

    user_id: Annotated[Id, F(1, N_("User"), ref="user", column=1, editable=False)]
    at: Annotated[Moment, F(2, N_("Time"), column=2, index=True, editable=False)]
    text: Annotated[Name, F(3, N_("Reminder"), column=3, editable=False)]
    customer_id: Annotated[Id | None, F(4, N_("Customer"), ref="customer", column=4, editable=False)] = None


class ReminderMark(
    Entity, key="reminder_mark", no=69, label=N_("Settled reminder"), kind=Kind.LEDGER, title_field="key", under="user_id", by_hand=False
):
    """That a user is done with a reminder, or wants it later. Only added to; of several for one reminder the one set last holds.

    ``key`` names the occasion (``crm.reminders``): every node works out the same one, so what was settled at one is settled at all.
    """

    user_id: Annotated[Id, F(1, N_("User"), ref="user", column=1, editable=False)]
    key: Annotated[Text, F(2, N_("Occasion"), column=2, index=True, editable=False)]
    until: Annotated[Moment | None, F(3, N_("Put off until"), column=3, editable=False)] = None
    set_at: Annotated[Moment, F(4, N_("Set on"), column=4, editable=False)]
    branch_id: Annotated[Id, F(5, N_("Branch"), ref="branch", column=5, editable=False)]


# opportunities ---------------------------------------------------------------------------------------------------


class Phase(Choice):
    """The three parts of the life of an opportunity."""

    OPPORTUNITY = "opportunity", N_("Opportunity")
    PROJECT = "project", N_("Project")
    AFTERCARE = "aftercare", N_("Aftercare")


class DealState(Choice):
    """What became of an opportunity. A won one is ``closed`` when its aftercare ends."""

    OPEN = "negotiating", N_("Being negotiated")
    WON = "won", N_("Won")
    LOST = "lost", N_("Lost")
    CLOSED = "closed", N_("Closed deal")


#: Reasons offered; a company may write others of its own.
WON_REASONS = {
    "price": N_("Better price"),
    "quality": N_("Better goods"),
    "delivery": N_("Faster delivery"),
    "relation": N_("Long acquaintance"),
    "service": N_("Better service"),
}
LOST_REASONS = {
    "dear": N_("Too expensive"),
    "competitor": N_("A competitor got it"),
    "budget": N_("No budget"),
    "dropped": N_("The customer gave the plan up"),
    "terms": N_("Terms not acceptable"),
    "silent": N_("No answer any more"),
}


#: A larger amount is a slip of the finger; sums over a million such deals can still be counted.
MOST_EXPECTED = 10_000_000_000


class Opportunity(
    Entity, key="opportunity", no=70, label=N_("Opportunity"), kind=Kind.MASTER, title_field="title", owner="owner_id", series="OP"
):
    """A deal from the first word to the end of its aftercare. How long it has been in its stage follows from the changes of stage."""

    number: Annotated[Text | None, F(1, N_("Opportunity no."), column=9, index=True, search=6)] = None
    title: Annotated[Name, F(2, N_("Subject"), column=1, index=True, search=10)]
    customer_id: Annotated[Id, F(3, N_("Customer"), ref="customer", column=2)]
    contact_id: Annotated[Id | None, F(4, N_("Contact"), ref="contact")] = None
    amount: Annotated[Money, Bounds(ge=0, le=MOST_EXPECTED), F(5, N_("Expected amount"), column=3)] = Decimal("0.00")
    expected_on: Annotated[Day | None, F(6, N_("Expected on"), column=6, index=True)] = None
    probability: Annotated[int | None, Bounds(ge=0, le=100), F(7, N_("Own probability, %"))] = None
    phase: Annotated[Phase, F(8, N_("Phase"), column=4, index=True, editable=False)] = Phase.OPPORTUNITY
    stage_id: Annotated[Id | None, F(9, N_("Stage"), ref="stage", column=5, editable=False)] = None
    state: Annotated[DealState, F(10, N_("Outcome"), column=7, index=True, editable=False)] = DealState.OPEN
    reason: Annotated[Text | None, F(11, N_("Reason"), options={**WON_REASONS, **LOST_REASONS}, editable=False)] = None
    decided_on: Annotated[Day | None, F(12, N_("Decided on"), index=True, editable=False)] = None
    next_step: Annotated[Text | None, F(13, N_("Next step"), section=N_("Next step"))] = None
    next_on: Annotated[Day | None, F(14, N_("Next step on"), index=True, section=N_("Next step"))] = None
    owner_id: Annotated[Id | None, F(15, N_("Salesperson"), ref="user", column=8, section=N_("Details"))] = None
    branch_id: Annotated[Id | None, F(16, N_("Branch"), ref="branch", section=N_("Details"))] = None
    service_branch_id: Annotated[Id | None, F(17, N_("Branch that serves"), ref="branch", section=N_("Details"))] = None
    competitors: Annotated[Text | None, F(18, N_("Competitors"), section=N_("Details"))] = None
    remark: Annotated[LongText | None, F(19, N_("Remark"), widget="longtext", section=N_("Details"))] = None
    files: Annotated[Attachments | None, F(20, N_("Files"), index=True, widget="files", section=N_("Details"))] = None


class OpportunityLine(
    Entity, key="opportunity_line", no=71, label=N_("Product wanted"), kind=Kind.MASTER, title_field="description", under="opportunity_id"
):
    """A product that an opportunity is about. What it comes to is quantity × price and stored nowhere."""

    opportunity_id: Annotated[Id, F(1, N_("Opportunity"), ref="opportunity", column=5)]
    product_id: Annotated[Id | None, F(2, N_("Product"), ref="product", column=1)] = None
    description: Annotated[Text | None, F(3, N_("Description"), column=2, search=3)] = None
    quantity: Annotated[Quantity, Bounds(ge=0), F(4, N_("Quantity"), column=3)] = Decimal("1.0000")
    price: Annotated[Price | None, Bounds(ge=0), F(5, N_("Price"), column=4)] = None


class Stage(Entity, key="stage", no=72, label=N_("Stage of opportunities"), kind=Kind.HUB, title_field="name", order_by="position"):
    """A step on the way of an opportunity, a project or its aftercare. ``checklist``: one item a line; ``stuck_days`` 0: never too long."""

    name: Annotated[Name, F(1, N_("Name"), column=1)]
    phase: Annotated[Phase, F(2, N_("Phase"), column=2, index=True)] = Phase.OPPORTUNITY
    position: Annotated[int, Bounds(ge=0, le=10_000), F(3, N_("Sort order"), column=3, index=True)] = 0
    probability: Annotated[int, Bounds(ge=0, le=100), F(4, N_("Probability, %"), column=4)] = 0
    stuck_days: Annotated[int, Bounds(ge=0, le=3650), F(5, N_("Too long after days"), column=5)] = 0
    checklist: Annotated[LongText | None, F(6, N_("Checklist, one item a line"), widget="longtext")] = None


class StageChange(
    Entity,
    key="opportunity_stage_change",
    no=73,
    label=N_("Change of stage"),
    kind=Kind.LEDGER,
    title_field="remark",
    under="opportunity_id",
    by_hand=False,
    order_by="at",
):
    """That an opportunity went from one stage to another, or what became of it: time in a stage and funnel follow from these."""

    opportunity_id: Annotated[Id, F(1, N_("Opportunity"), ref="opportunity", column=5, editable=False)]
    at: Annotated[Moment, F(2, N_("Time"), column=1, index=True, editable=False)]
    user_id: Annotated[Id | None, F(3, N_("Moved by"), ref="user", column=2, editable=False)] = None
    from_stage_id: Annotated[Id | None, F(4, N_("From stage"), ref="stage", column=3, editable=False)] = None
    to_stage_id: Annotated[Id | None, F(5, N_("To stage"), ref="stage", column=4, editable=False)] = None
    phase: Annotated[Phase, F(6, N_("Phase"), editable=False)] = Phase.OPPORTUNITY
    state: Annotated[DealState, F(7, N_("Outcome"), editable=False)] = DealState.OPEN
    remark: Annotated[Text | None, F(8, N_("Remark"), column=6, editable=False)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", editable=False)] = None


class StageTick(
    Entity,
    key="opportunity_tick",
    no=74,
    label=N_("Item done of a checklist"),
    kind=Kind.MASTER,
    title_field="item",
    under="opportunity_id",
    by_hand=False,
):
    """That an item of a stage's checklist is done. A row each, so that what two branches tick apart comes together."""

    opportunity_id: Annotated[Id, F(1, N_("Opportunity"), ref="opportunity", column=2)]
    stage_id: Annotated[Id, F(2, N_("Stage"), ref="stage", column=3, editable=False)]
    item: Annotated[Text, F(3, N_("Checklist item"), column=1, editable=False)]
    user_id: Annotated[Id | None, F(4, N_("Done by"), ref="user", column=4, editable=False)] = None


class ProjectTask(
    Entity,
    key="project_task",
    no=75,
    label=N_("Project task"),
    kind=Kind.MASTER,
    title_field="title",
    under="opportunity_id",
    order_by="due_on",
):
    """Something to be done for a project, and what it cost. A milestone is shown to the customer."""

    opportunity_id: Annotated[Id, F(1, N_("Project"), ref="opportunity", column=2)]
    title: Annotated[Name, F(2, N_("Subject"), column=1, search=4)]
    milestone: Annotated[bool, F(3, N_("Milestone"), column=7)] = False
    due_on: Annotated[Day | None, F(4, N_("Due on"), column=3, index=True)] = None
    done_on: Annotated[Day | None, F(5, N_("Done on"), column=4)] = None
    user_id: Annotated[Id | None, F(6, N_("Who does it"), ref="user", column=5)] = None
    cost: Annotated[Money, Bounds(ge=0), F(7, N_("Cost"), column=6)] = Decimal("0.00")
    remark: Annotated[LongText | None, F(8, N_("Remark"), widget="longtext")] = None


class Interval(Choice):
    """The unit in which visits come round."""

    DAY = "day", N_("days")
    WEEK = "week", N_("weeks")
    MONTH = "month", N_("months")
    YEAR = "year", N_("years")


class ServicePlan(
    Entity,
    key="service_plan",
    no=76,
    label=N_("Maintenance plan"),
    kind=Kind.MASTER,
    title_field="title",
    under="opportunity_id",
    order_by="next_on",
):
    """Visits that come round. The branch that serves makes an activity record of each, ``ahead`` days before it is due."""

    opportunity_id: Annotated[Id, F(1, N_("Opportunity"), ref="opportunity", column=2)]
    title: Annotated[Name, F(2, N_("Subject"), column=1, search=4)]
    every: Annotated[int, Bounds(ge=1, le=1000), F(3, N_("Comes round every"), column=3)] = 3
    unit: Annotated[Interval, F(4, N_("Counted in"), column=4)] = Interval.MONTH
    starts_on: Annotated[Day | None, F(5, N_("First visit"))] = None
    next_on: Annotated[Day | None, F(6, N_("Next visit"), column=5, index=True)] = None
    until: Annotated[Day | None, F(7, N_("Until"), column=6)] = None
    ahead: Annotated[int, Bounds(ge=0, le=366), F(8, N_("Days ahead"))] = 7
    user_id: Annotated[Id | None, F(9, N_("Who goes"), ref="user", column=7)] = None
    branch_id: Annotated[Id | None, F(10, N_("Branch that serves"), ref="branch", column=8)] = None
    active: Annotated[bool, F(11, N_("In use"), column=9)] = True


class ShownTo(Choice):
    """Who has a saved query or a grouping."""

    PRIVATE = "private", N_("Only me")
    EVERYBODY = "everybody", N_("Everybody")
    TEMPLATE = "template", N_("Template of head office")


class SavedQuery(
    Entity, key="saved_query", no=77, label=N_("Saved query"), kind=Kind.MASTER, title_field="name", under="owner_id", by_hand=False
):
    """Conditions of a list under a name, with the columns that go with them. ``tree`` as in ``domain.conditions``."""

    name: Annotated[Name, F(1, N_("Name"), column=1, editable=False)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=2, editable=False)]
    tree: Annotated[LongText, F(3, N_("Conditions"), widget="longtext", editable=False)]
    columns: Annotated[LongText | None, F(4, N_("Columns"), widget="longtext", editable=False)] = None
    pinned: Annotated[bool, F(5, N_("Pinned above the list"), column=3, editable=False)] = False
    owner_id: Annotated[Id, F(6, N_("Saved by"), ref="user", column=4, editable=False)]
    shown_to: Annotated[ShownTo, F(7, N_("Shown to"), column=5, editable=False)] = ShownTo.PRIVATE


class Grouping(Entity, key="grouping", no=78, label=N_("Grouping"), kind=Kind.MASTER, title_field="first", under="owner_id", by_hand=False):
    """How the records of a list are counted beside it: by the values of a field, perhaps within those of another."""

    entity: Annotated[Text, F(1, N_("Kind of record"), column=1, editable=False)]
    first: Annotated[Text, F(2, N_("Grouped by"), column=2, editable=False)]
    second: Annotated[Text | None, F(3, N_("Then by"), column=3, editable=False)] = None
    measure: Annotated[Text | None, F(4, N_("Sum shown"), column=4, editable=False)] = None
    owner_id: Annotated[Id, F(5, N_("Saved by"), ref="user", column=5, editable=False)]
    shown_to: Annotated[ShownTo, F(6, N_("Shown to"), column=6, editable=False)] = ShownTo.PRIVATE


class CustomerDistinct(
    Entity,
    key="customer_distinct",
    no=65,
    label=N_("Not the same customer"),
    kind=Kind.MASTER,
    title_field="note",
    under="one_id",
    by_hand=False,
):
    """That somebody looked at two customers who look like one and found them to be two."""

    one_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=1, editable=False)]
    other_id: Annotated[Id, F(2, N_("Other customer"), ref="customer", column=2, editable=False)]
    note: Annotated[Text | None, F(3, N_("Note"), column=3, editable=False)] = None
    decided_by: Annotated[Id | None, F(4, N_("Decided by"), ref="user", column=4, editable=False)] = None
    decided_at: Annotated[Moment | None, F(5, N_("Decided at"), column=5, editable=False)] = None


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
