"""Opportunities, the projects they become, and the maintenance after them."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Moment, Money, Name, Price, Quantity, Text


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
    Entity,
    key="opportunity",
    no=70,
    label=N_("Opportunity"),
    kind=Kind.MASTER,
    title_field="title",
    owner="owner_id",
    seen_with="customer_id",
    series="OP",
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
    department_id: Annotated[Id | None, F(7, N_("Department (empty: the company)"), ref="department")] = None


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
    """Something to be done for a project, and what it cost: what was paid for it, and hours at what one costs. A milestone is shown to the customer."""

    opportunity_id: Annotated[Id, F(1, N_("Project"), ref="opportunity", column=2)]
    title: Annotated[Name, F(2, N_("Subject"), column=1, search=4)]
    milestone: Annotated[bool, F(3, N_("Milestone"), column=7)] = False
    due_on: Annotated[Day | None, F(4, N_("Due on"), column=3, index=True)] = None
    done_on: Annotated[Day | None, F(5, N_("Done on"), column=4)] = None
    user_id: Annotated[Id | None, F(6, N_("Who does it"), ref="user", column=5)] = None
    cost: Annotated[Money, Bounds(ge=0), F(7, N_("Cost"), column=6)] = Decimal("0.00")
    remark: Annotated[LongText | None, F(8, N_("Remark"), widget="longtext")] = None
    hours: Annotated[Quantity | None, Bounds(ge=0, le=100_000), F(9, N_("Hours worked"))] = None
    hour_cost: Annotated[Money | None, Bounds(ge=0, le=1_000_000), F(10, N_("Cost of an hour"))] = None


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
    contract_id: Annotated[Id | None, F(12, N_("Contract"), ref="contract", column=10)] = None
