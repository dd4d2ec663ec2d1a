"""Telephone calls: the log of what rang where, and whose number it was."""

from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, Moment, Text


class Direction(Choice):
    """Who called."""

    IN = "in", N_("Incoming")
    OUT = "out", N_("Outgoing")


class CallState(Choice):
    """What became of a call."""

    RINGING = "ringing", N_("Ringing")
    TALKING = "talking", N_("On the line")
    ANSWERED = "answered", N_("Answered call")
    MISSED = "missed", N_("Missed call")


class Source(Choice):
    """What told of a call."""

    HOOK = "hook", N_("Telephone system (HTTP)")
    SIP = "sip", N_("SIP")
    MODEM = "modem", N_("Modem")
    HAND = "hand", N_("By hand")


class Call(
    Entity,
    key="call",
    no=96,
    label=N_("Telephone call"),
    kind=Kind.MASTER,
    title_field="number",
    owner="user_id",
    home="branch_id",
    scope=("branch_id",),
    root=True,
    by_hand=False,
    order_by="-rang_at",
    indexes=(("state", "handled", "rang_at"),),
):
    """One call at one branch, which alone writes it. Whose number it is stands apart (``CallParty``): it is seen with the customer, not with the call.

    ``number``: as it is dialled within the country; None where the caller withholds it. It is not in the search index: whoever looks for a number
    looks for whose it is, and a hundred calls would stand before the customer · ``key``: what the source calls the call.
    """

    rang_at: Annotated[Moment, F(1, N_("Time"), column=1, index=True, editable=False)]
    number: Annotated[Text | None, F(2, N_("Phone number"), column=3, index=True, editable=False)] = None
    direction: Annotated[Direction, F(3, N_("Direction"), column=2, editable=False)] = Direction.IN
    state: Annotated[CallState, F(4, N_("Result"), column=4, editable=False)] = CallState.RINGING
    seconds: Annotated[int | None, Bounds(ge=0), F(5, N_("Length"), column=5, editable=False, widget="length")] = None
    user_id: Annotated[Id | None, F(6, N_("User"), ref="user", column=6)] = None
    line: Annotated[Text | None, F(7, N_("Line"), column=7, editable=False)] = None
    handled: Annotated[bool, F(8, N_("Done"), column=8, editable=False)] = False
    source: Annotated[Source, F(9, N_("Source"), editable=False)] = Source.HAND
    answered_at: Annotated[Moment | None, F(10, N_("Picked up at"), editable=False)] = None
    ended_at: Annotated[Moment | None, F(11, N_("Ended at"), editable=False)] = None
    supplier_id: Annotated[Id | None, F(12, N_("Supplier"), ref="supplier", editable=False)] = None
    recording: Annotated[Text | None, F(13, N_("Recording"), editable=False)] = None
    branch_id: Annotated[Id, F(14, N_("Branch"), ref="branch", editable=False)]
    key: Annotated[Text | None, F(15, N_("Name at the source"), index=True, editable=False)] = None


class CallParty(
    Entity,
    key="call_party",
    no=97,
    label=N_("Customer of a call"),
    kind=Kind.MASTER,
    title_field="number",
    under="customer_id",
    by_hand=False,
):
    """That a call was with a customer: seen by whoever sees the customer, so that a call tells nobody more than his rights do."""

    call_id: Annotated[Id, F(1, N_("Telephone call"), ref="call", column=1, editable=False)]
    customer_id: Annotated[Id, F(2, N_("Customer"), ref="customer", column=2, editable=False)]
    contact_id: Annotated[Id | None, F(3, N_("Contact"), ref="contact", column=3, editable=False)] = None
    number: Annotated[Text | None, F(4, N_("Phone number"), column=4, editable=False)] = None
