"""Tickets, what happened to them, the parts they took, and what head office promises customers."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Moment, Money, Name, Price, Quantity, Text

NOTHING = Decimal("0.00")


class TicketType(Choice):
    """What a customer comes with."""

    ENQUIRY = "enquiry", N_("Enquiry")
    COMPLAINT = "complaint", N_("Complaint")
    REPAIR = "repair", N_("Repair job")
    RETURN = "return", N_("Return or exchange")


class Priority(Choice):
    """How soon it has to be seen to, the most pressing first."""

    URGENT = "urgent", N_("Urgent")
    HIGH = "high", N_("High")
    USUAL = "usual", N_("Usual")
    LOW = "low", N_("Low")


class TicketState(Choice):
    """Where a ticket stands. While it waits for the customer no clock runs."""

    OPEN = "new", N_("Not taken up")
    WORKING = "working", N_("Being worked on")
    WAITING = "waiting", N_("Customer's turn")
    CLOSED = "closed", N_("Ticket closed")
    MERGED = "merged", N_("Merged into another")


class Satisfaction(Choice):
    """How content a customer was: one to five stars."""

    ONE = "1", N_("1 · very discontented")
    TWO = "2", N_("2 · discontented")
    THREE = "3", N_("3 · so so")
    FOUR = "4", N_("4 · content")
    FIVE = "5", N_("5 · very content")


#: Ways by which a customer gets in touch; a company may write others of its own.
CHANNELS = {
    "telephone": N_("By telephone"),
    "wechat": N_("By WeChat"),
    "e-mail": N_("By e-mail"),
    "counter": N_("At the counter"),
    "visit": N_("During a visit"),
}


class Ticket(
    Entity,
    key="ticket",
    no=87,
    label=N_("Ticket"),
    kind=Kind.MASTER,
    title_field="title",
    owner="assignee_id",
    seen_with="customer_id",
    series="TK",
    order_by="-opened_at",
):
    """Something a customer wants of us: a question, a complaint, a repair, a return.

    ``warranty_until`` is what the product in use said when the ticket was opened; whether parts are free follows from it. ``merged_into``
    names the ticket that goes on in its place.
    """

    number: Annotated[Text | None, F(1, N_("Ticket no."), column=1, index=True, search=9)] = None
    title: Annotated[Name, F(2, N_("Subject"), column=2, search=8)]
    customer_id: Annotated[Id, F(3, N_("Customer"), ref="customer", column=3)]
    contact_id: Annotated[Id | None, F(4, N_("Contact"), ref="contact")] = None
    type: Annotated[TicketType, F(5, N_("Type"), column=4, index=True)] = TicketType.REPAIR
    priority: Annotated[Priority, F(6, N_("Priority"), column=5, index=True)] = Priority.USUAL
    channel: Annotated[Text | None, F(7, N_("Came in"), options=CHANNELS)] = "telephone"
    serial: Annotated[Text | None, F(8, N_("Serial no."), index=True, search=7)] = None
    product_id: Annotated[Id | None, F(9, N_("Product"), ref="product", column=7)] = None
    installed_id: Annotated[Id | None, F(10, N_("Product in use"), ref="installed_product")] = None
    warranty_until: Annotated[Day | None, F(11, N_("Warranty until"), editable=False)] = None
    text: Annotated[LongText | None, F(12, N_("What the customer says"), search=3, widget="longtext")] = None
    assignee_id: Annotated[Id | None, F(13, N_("Assignee"), ref="user", column=8)] = None
    branch_id: Annotated[Id | None, F(14, N_("Branch"), ref="branch", editable=True)] = None
    opened_at: Annotated[Moment | None, F(15, N_("Reported at"), column=9, index=True)] = None
    state: Annotated[TicketState, F(16, N_("State"), column=6, index=True, editable=False)] = TicketState.OPEN
    solution: Annotated[LongText | None, F(17, N_("Solution"), search=3, widget="longtext", editable=False)] = None
    fee: Annotated[Money, Bounds(ge=0), F(18, N_("Fee for the work"), section=N_("Details"))] = NOTHING
    satisfaction: Annotated[Satisfaction | None, F(19, N_("Satisfaction"), index=True, editable=False)] = None
    revisit_on: Annotated[Day | None, F(20, N_("Ask again on"), index=True, section=N_("Details"))] = None
    revisit_result: Annotated[LongText | None, F(21, N_("What the customer said later"), widget="longtext", editable=False)] = None
    merged_into: Annotated[Id | None, F(22, N_("Goes on in"), ref="ticket", editable=False)] = None
    order_id: Annotated[Id | None, F(23, N_("Billed by"), ref="sales_order", editable=False)] = None
    files: Annotated[Attachments | None, F(24, N_("Files"), index=True, widget="files", section=N_("Details"))] = None
    opportunity_id: Annotated[Id | None, F(25, N_("Opportunity"), ref="opportunity", section=N_("Details"))] = None


class EventKind(Choice):
    """What happened to a ticket."""

    OPENED = "opened", N_("Entered")
    TAKEN = "taken", N_("Taken up")
    ASSIGNED = "assigned", N_("Handed to")
    PRIORITY = "priority", N_("Priority changed")
    REMARK = "remark", N_("Internal remark")
    ANSWER = "answer", N_("Answer to the customer")
    VISIT = "visit", N_("Visit at the customer's")
    WAITING = "waiting", N_("Waits for the customer")
    RESUMED = "resumed", N_("Customer has answered")
    CLOSED = "closed", N_("Closed with a solution")
    REOPENED = "reopened", N_("Taken up again")
    REVISIT = "revisit", N_("Asked again")
    MERGED = "merged", N_("Merged")
    SPLIT = "split", N_("Taken apart again")


class TicketEvent(
    Entity,
    key="ticket_event",
    no=88,
    label=N_("Ticket event"),
    kind=Kind.LEDGER,
    title_field="text",
    under="ticket_id",
    by_hand=False,
    order_by="at",
):
    """One thing that happened to a ticket, with the state it was in afterwards. Clocks follow from these rows alone.

    ``user``: who it was handed to · ``other_id``: the ticket it was merged with.
    """

    ticket_id: Annotated[Id, F(1, N_("Ticket"), ref="ticket", column=5, editable=False)]
    at: Annotated[Moment, F(2, N_("Time"), column=1, index=True, editable=False)]
    kind: Annotated[EventKind, F(3, N_("Kind"), column=2, editable=False)]
    state: Annotated[TicketState, F(4, N_("State"), column=3, editable=False)]
    text: Annotated[LongText | None, F(5, N_("What was said"), column=4, widget="longtext", editable=False)] = None
    by_id: Annotated[Id | None, F(6, N_("Handled by"), ref="user", column=6, editable=False)] = None
    user_id: Annotated[Id | None, F(7, N_("Handed to"), ref="user", editable=False)] = None
    other_id: Annotated[Id | None, F(8, N_("Other ticket"), ref="ticket", editable=False)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", editable=False)] = None


class TicketPart(
    Entity,
    key="ticket_part",
    no=89,
    label=N_("Part used"),
    kind=Kind.LEDGER,
    title_field="remark",
    under="ticket_id",
    by_hand=False,
    scope=("branch_id", "warehouse_id"),
    order_by="at",
):
    """A part that a ticket took from stock; taken back by a row with the opposite quantity that names the first.

    ``cost``: of the whole quantity, None where it is not known · ``covered``: within the warranty, so that we bear it; otherwise ``amount`` is asked of the customer.
    """

    ticket_id: Annotated[Id, F(1, N_("Ticket"), ref="ticket", column=5, editable=False)]
    at: Annotated[Moment, F(2, N_("Time"), column=1, index=True, editable=False)]
    product_id: Annotated[Id, F(3, N_("Product"), ref="product", column=2, editable=False)]
    warehouse_id: Annotated[Id, F(4, N_("Warehouse"), ref="warehouse", editable=False)]
    quantity: Annotated[Quantity, F(5, N_("Quantity"), column=3, editable=False)]
    cost: Annotated[Money | None, F(6, N_("What it cost us"), column=4, editable=False)] = None
    covered: Annotated[bool, F(7, N_("We bear it"), column=6, editable=False)] = False
    price: Annotated[Price | None, F(8, N_("Unit price"), editable=False)] = None
    amount: Annotated[Money, F(9, N_("Amount to charge"), column=7, editable=False)] = NOTHING
    reverses_id: Annotated[Id | None, F(10, N_("Takes back"), ref="ticket_part", editable=False)] = None
    move_id: Annotated[Id, F(11, N_("Stock movement"), ref="stock_move", editable=False)]
    expense_id: Annotated[Id | None, F(12, N_("Expense"), ref="expense", editable=False)] = None
    by_id: Annotated[Id | None, F(13, N_("Handled by"), ref="user", editable=False)] = None
    branch_id: Annotated[Id | None, F(14, N_("Branch"), ref="branch", editable=False)] = None
    remark: Annotated[Text | None, F(15, N_("Remark"), editable=False)] = None


class CannedAnswer(Entity, key="canned_answer", no=90, label=N_("Ready answer"), kind=Kind.MASTER, title_field="title", order_by="title"):
    """A text for an answer that is given often; ``{customer}``, ``{contact}``, ``{number}`` stand for those of the ticket."""

    title: Annotated[Name, F(1, N_("Title"), column=1, index=True, search=8)]
    text: Annotated[LongText, Bounds(min_length=1), F(2, N_("Text of the answer"), column=2, search=3, widget="longtext")]
    type: Annotated[TicketType | None, F(3, N_("Only for tickets of the type"), column=3)] = None


class Told(Choice):
    """When the superior of whoever is responsible hears of a ticket."""

    SOON = "soon", N_("When it is due soon")
    LATE = "late", N_("When it is overdue")
    NEVER = "never", N_("Never")


class ServiceLevel(
    Entity, key="service_level", no=91, label=N_("Service level"), kind=Kind.HUB, title_field="priority", order_by="priority"
):
    """What is promised for tickets of a priority, in minutes of working time. ``warn``: so many minutes before it is due soon."""

    priority: Annotated[Priority, F(1, N_("Priority"), column=1, index=True)]
    answer: Annotated[int, Bounds(ge=1, le=100_000), F(2, N_("First answer within, minutes"), column=2)] = 240
    solve: Annotated[int, Bounds(ge=1, le=100_000), F(3, N_("Solution within, minutes"), column=3)] = 1440
    warn: Annotated[int, Bounds(ge=0, le=100_000), F(4, N_("Due soon, minutes before"), column=4)] = 60
    superior: Annotated[Told, F(5, N_("The superior hears of it"), column=5)] = Told.LATE


class Weekday(Choice):
    """The days of the week."""

    MONDAY = "1", N_("Monday")
    TUESDAY = "2", N_("Tuesday")
    WEDNESDAY = "3", N_("Wednesday")
    THURSDAY = "4", N_("Thursday")
    FRIDAY = "5", N_("Friday")
    SATURDAY = "6", N_("Saturday")
    SUNDAY = "7", N_("Sunday")


class WorkHours(Entity, key="work_hours", no=92, label=N_("Working hours"), kind=Kind.HUB, title_field="weekday", order_by="weekday"):
    """Working hours of a weekday, as "09:00-12:00 13:30-18:00"; empty for a day on which nobody works."""

    weekday: Annotated[Weekday, F(1, N_("Weekday"), column=1, index=True)]
    hours: Annotated[Text | None, F(2, N_("Hours"), column=2)] = None


class DayKind(Choice):
    """How a single day differs from its weekday."""

    FREE = "free", N_("Day off")
    WORKED = "worked", N_("Worked though it is a weekend")


class CalendarDay(
    Entity, key="calendar_day", no=93, label=N_("Day of the work calendar"), kind=Kind.HUB, title_field="name", order_by="day"
):
    """A single day that is free or worked whatever its weekday says: public holidays and the weekends worked for them."""

    day: Annotated[Day, F(1, N_("Day"), column=1, index=True)]
    kind: Annotated[DayKind, F(2, N_("Kind"), column=2)] = DayKind.FREE
    name: Annotated[Name, F(3, N_("Name"), column=3)]
