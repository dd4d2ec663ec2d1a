"""What was said and done with customers, and what somebody wants to be reminded of."""

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Entity, F, Id, Kind, LongText, Moment, Name, Text, Total

#: How a contact ended.
RESULTS = {
    "agreed": N_("Agreed"),
    "interested": N_("Is interested"),
    "thinks": N_("Thinks about it"),
    "refused": N_("Said no"),
    "unreached": N_("Not reached"),
}


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
    totals=(Total(name="activity_newest", by=("customer_id",), field="at", newest=True),),
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
    opportunity_id: Annotated[Id | None, F(15, N_("Opportunity"), ref="opportunity")] = None
    contract_id: Annotated[Id | None, F(16, N_("Contract"), ref="contract")] = None
    participants: Annotated[LongText | None, F(17, N_("Colleagues who were there"), refs="user", merge="set")] = None


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
