"""What the page of today shows: a card for each thing that may wait for somebody. Every chapter adds its own to ``CARDS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from localcrm.domain import policy
from localcrm.domain.admin.conflicts import MOST_AT_ONCE, count_open, find_items
from localcrm.domain.admin.entities import ConflictState
from localcrm.domain.calls.services import missed, names_of
from localcrm.domain.conditions import PRESETS, Asking, is_askable, tree_query
from localcrm.domain.crm.birthdays import kept_within, next_birthday
from localcrm.domain.crm.entities import Contact, Customer, Opportunity, ProjectTask
from localcrm.domain.crm.questions import BIRTHDAY_DAYS
from localcrm.domain.crm.reminders import reminders
from localcrm.domain.sales.entities import InstalledProduct
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.service.desk import Line as TicketLine, Wanted, undone
from localcrm.domain.service.rules import RUNNING
from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.clock import moment, now_utc
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select
from localcrm.ui.calls.words import shown_number
from localcrm.ui.conflict_words import Teller
from localcrm.ui.kit.presets import MINE
from localcrm.ui.kit.reminders import HEADS, place_of
from localcrm.ui.kit.syncstate import sync_state
from localcrm.ui.kit.values import ago, near_day, near_moment
from localcrm.ui.registry import screens_for
from localcrm.ui.service.words import glance

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.ui.sessions import Session

#: Records that a card names, and among how many of a list it looks for those that come first.
MOST_NAMED, AMONG = 5, 60
_CUSTOMER, _CONTACT = Customer.entity_type, Contact.entity_type
_PIECE = InstalledProduct.entity_type
_TASK, _DEAL = ProjectTask.entity_type, Opportunity.entity_type


@dataclass(frozen=True, slots=True)
class Line:
    """One record that a card names: what it is called, what is said of it, and where it opens."""

    title: str
    second: str
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """What waits: how many, the first of them, and ``note`` where a number says too little."""

    count: int
    lines: tuple[Line, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One thing that may wait. ``look`` reads it in a worker thread, with the rights of the session, of his own (``mine``) or of all he sees.

    path: where the number leads, from ``mine`` · entities: read again when one of these changes · tone: colour of a number above zero ·
    asked: whether this user has the card at all · place: lowest first.
    """

    id: str
    label_msgid: str
    icon: str
    path: Callable[[bool], str]
    look: Callable[[Session, bool], Found]
    entities: frozenset[str]
    tone: str = ""
    place: int = 50
    asked: Callable[[Session], bool] = lambda _session: True

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        return gettext(self.label_msgid)


def cards_for(session: Session) -> list[Card]:
    """The cards of a user, in their order."""
    return sorted((card for card in CARDS if card.asked(session)), key=lambda card: card.place)


def look(session: Session, card: Card, mine: bool) -> Found:
    """What a card finds."""
    read = partial(card.look, session, mine)
    return session.remembered((card.id, mine), read) if card.entities else read()


# customers -----------------------------------------------------------------------------------------------------------------


def _may_ask(key: str) -> Callable[[Session], bool]:
    def asked(session: Session) -> bool:
        return session.may("customer.read") and is_askable(_CUSTOMER, PRESETS[_CUSTOMER.key][key].tree, Asking(session.actor))

    return asked


def _customers(key: str, session: Session, mine: bool) -> Found:
    tree = PRESETS[_CUSTOMER.key][key].tree
    query = tree_query(_CUSTOMER, {"all": [{"ask": "mine"}, tree]} if mine else tree, Asking(session.actor), limit=AMONG)
    with session.store.read() as connection:
        page = select(connection, query)
        second = _birthdays if key == "birthday" else _plans
        said = second(connection, session, [row["id"] for row in page.rows])
    first = sorted(page.rows, key=lambda row: (row["id"] not in said, said[row["id"]][0] if row["id"] in said else 0))[:MOST_NAMED]
    lines = tuple(Line(row["name"], said.get(row["id"], (0, ""))[1], f"/customers?open={row['id']}") for row in first)
    return Found(page.total, lines)


def _plans(connection: Connection, session: Session, ids: list[str]) -> dict[str, tuple[float, str]]:
    """Of each customer when he is to be contacted, to order by and in words."""
    found = customer_glances(connection, session.actor, ids)
    return {
        one: (glance.next_contact.timestamp(), near_moment(glance.next_contact)) for one, glance in found.items() if glance.next_contact
    }


def _birthdays(connection: Connection, session: Session, ids: list[str]) -> dict[str, tuple[float, str]]:
    """Of each customer the contact whose birthday comes next, ordered by the day."""
    today = Asking(session.actor).today
    soon, seen = kept_within(today, BIRTHDAY_DAYS), policy.view(session.actor, _CONTACT)
    said: dict[str, tuple[float, str]] = {}
    for one in ids:
        rows = select(
            connection, ListQuery(_CONTACT, where=(Condition("customer_id", "=", one),), tree=soon, limit=MOST_NAMED, restrict=seen)
        ).rows
        days = [(day, row["name"]) for row in rows if (day := next_birthday(row["birthday"], row["lunar_birthday"], today))]
        if days:
            day, name = min(days)
            said[one] = day.toordinal(), f"{name} {day:%m-%d}"
    return said


def _customer_card(key: str, icon: str, place: int, tone: str = "") -> Card:
    return Card(
        id=key,
        label_msgid=PRESETS[_CUSTOMER.key][key].label,
        icon=icon,
        path=lambda mine: f"/customers?query={key}{'&mine=1' if mine else ''}",
        look=partial(_customers, key),
        entities=frozenset({"customer", "activity", "contact"}),
        tone=tone,
        place=place,
        asked=_may_ask(key),
    )


# deals ---------------------------------------------------------------------------------------------------------------------


def _asked_of(kind: EntityType, key: str) -> Callable[[Session], bool]:
    """Whether a user may ask a preset of some kind, of his own records too."""
    tree = {"all": [MINE, PRESETS[kind.key][key].tree]}
    return lambda session: session.may(f"{kind.key}.read") and is_askable(kind, tree, Asking(session.actor))


def _asked_plainly(kind: EntityType, key: str) -> Callable[[Session], bool]:
    """Whether a user may ask a preset of some kind."""
    return lambda session: session.may(f"{kind.key}.read") and is_askable(kind, PRESETS[kind.key][key].tree, Asking(session.actor))


def _due(kind: EntityType, key: str, day: str, path: Callable[[Record], str], session: Session, mine: bool) -> Found:
    """Records that a preset finds, by the ``day`` they are due."""
    tree = PRESETS[kind.key][key].tree
    query = tree_query(kind, {"all": [MINE, tree]} if mine else tree, Asking(session.actor), sort=day, limit=MOST_NAMED)
    with session.store.read() as connection:
        page = select(connection, query)
    return Found(page.total, tuple(Line(str(row.get(kind.title_field) or ""), near_day(row[day]), path(row)) for row in page.rows))


def _consumables(session: Session, mine: bool) -> Found:
    """Products in use whose consumable is due, the longest due first."""
    tree = PRESETS[_PIECE.key]["consumable_mine" if mine else "consumable"].tree
    query = tree_query(_PIECE, tree, Asking(session.actor), sort="consumable_on", limit=MOST_NAMED)
    with session.store.read() as connection:
        page = select(connection, query)
        names = ref_titles(connection, _PIECE, page.rows)
    lines = []
    for row in page.rows:
        customer, product = (names.get(key, {}).get(str(row.get(key)), "") for key in ("customer_id", "product_id"))
        path = f"/customers?open={row.get('customer_id')}&tab=products"
        lines.append(Line(" · ".join(filter(None, (customer, product))), near_day(row["consumable_on"]), path))
    return Found(page.total, tuple(lines))


# service ------------------------------------------------------------------------------------------------------------------


def _tickets(session: Session, mine: bool) -> Found:
    """Tickets that run out before the day is over, or have."""
    now = now_utc()
    tonight = now.astimezone().replace(hour=23, minute=59, second=59)
    with session.store.read() as connection:
        found = undone(connection, session.actor, Wanted(assignee_id=session.actor.user_id if mine else None), now, states=RUNNING)
    due = [line for line in found if line.due <= tonight]
    return Found(len(due), tuple(_ticket_line(line) for line in due[:MOST_NAMED]))


def _ticket_line(line: TicketLine) -> Line:
    text, _tone = glance(line.clocks, str(line.record.get("state")))
    return Line(str(line.record.get("title") or line.record.get("number") or ""), text, f"/tickets/{line.record['id']}")


def _to_ask_again(session: Session, mine: bool) -> Found:
    """Closed tickets whose customers are to be asked again by today."""
    view = policy.view(session.actor, TICKET)
    where = [
        Condition("state", "=", "closed"),
        Condition("revisit_on", "<=", now_utc().astimezone().date()),
        Condition("revisit_result", "blank"),
    ]
    if mine:
        where.append(Condition("assignee_id", "=", session.actor.user_id))
    if not all(view.shows(part.field) for part in where):
        return Found(0)
    with session.store.read() as connection:
        page = select(connection, ListQuery(TICKET, where=tuple(where), sort="revisit_on", limit=MOST_NAMED, restrict=view))
        names = ref_titles(connection, TICKET, page.rows).get("customer_id", {})
    lines = tuple(
        Line(names.get(row.get("customer_id") or "", ""), str(row.get("title") or ""), f"/tickets/{row['id']}") for row in page.rows
    )
    return Found(page.total, lines)


# the company ---------------------------------------------------------------------------------------------------------------


def _badge(screen: str) -> Callable[[Session, bool], Found]:
    """What a screen counts for the navigation."""

    def look(session: Session, _mine: bool) -> Found:
        badge = next(one.badge for one in screens_for(session) if one.id == screen)
        return Found(badge.count(session) if badge else 0)

    return look


def _has_screen(screen: str) -> Callable[[Session], bool]:
    return lambda session: any(one.id == screen for one in screens_for(session))


def _conflicts(session: Session, mine: bool) -> Found:
    """Those the user sees, or those about his own work and customers; the newest are named."""
    with session.store.read() as connection:
        if not count_open(connection, session.actor):
            return Found(0)
        most = MOST_AT_ONCE if mine else MOST_NAMED
        total, items = find_items(connection, session.actor, [Condition("state", "=", ConflictState.OPEN)], limit=most)
        if mine:
            items = [item for item in items if item.mine]
            total = len(items)
        told = list(Teller(connection, session.actor, items[:MOST_NAMED]))
    lines = tuple(Line(one.title, one.label or one.reason, f"/conflicts?record={one.item.conflict.get('record')}") for one in told)
    return Found(total, lines)


def _reminders(session: Session, _mine: bool) -> Found:
    """What the user is reminded of by now, the latest first."""
    with session.store.read() as connection:
        due = reminders(connection, session.store.node, session.actor, now=moment(session.store.clock))[::-1]
    lines = tuple(Line(one.title, gettext(HEADS[one.kind]), place_of(one) or "/reminders") for one in due[:MOST_NAMED])
    return Found(len(due), lines)


def _sync(session: Session, _mine: bool) -> Found:
    state = sync_state(session.store)
    if not state.peers:
        return Found(0, note=_("There are no other branches."))
    note = _("Never merged yet.") if state.last is None else _("Last merged {ago}.").format(ago=ago(state.last, now_utc()))
    return Found(state.waiting, note=note)


def _missed(session: Session, mine: bool) -> Found:
    with session.store.read() as connection:
        page = select(connection, missed(session.actor, mine=mine, limit=MOST_NAMED))
        names = names_of(connection, session.actor, page.rows)
    lines = tuple(
        Line(told["party"] or shown_number(row.get("number")), near_moment(row["rang_at"]), f"/calls?show=missed&open={row['id']}")
        for row, told in zip(page.rows, names, strict=True)
    )
    return Found(page.total, lines)


CARDS: list[Card] = [
    _customer_card("due_today", "phone_in_talk", 10),
    _customer_card("overdue", "event_busy", 11, "bad"),
    _customer_card("birthday", "cake", 12),
    Card(
        id="missed-calls",
        label_msgid=N_("Missed calls"),
        icon="phone_missed",
        path=lambda mine: f"/calls?show=missed{'&mine=1' if mine else ''}",
        look=_missed,
        entities=frozenset({"call", "call_party", "customer"}),
        tone="bad",
        place=13,
        asked=lambda session: session.may("call.read"),
    ),
    Card(
        id="tasks",
        label_msgid=N_("Tasks due"),
        icon="task_alt",
        path=lambda mine: f"/records/project_task?query=due{'&mine=1' if mine else ''}",
        look=partial(_due, _TASK, "due", "due_on", lambda row: f"/opportunities?open={row.get('opportunity_id') or ''}"),
        entities=frozenset({"project_task"}),
        tone="warn",
        place=14,
        asked=_asked_of(_TASK, "due"),
    ),
    Card(
        id="steps",
        label_msgid=N_("Next steps due"),
        icon="redo",
        path=lambda mine: f"/opportunities/list?query=step_due{'&mine=1' if mine else ''}",
        look=partial(_due, _DEAL, "step_due", "next_on", lambda row: f"/opportunities?open={row['id']}"),
        entities=frozenset({"opportunity"}),
        tone="warn",
        place=15,
        asked=_asked_of(_DEAL, "step_due"),
    ),
    Card(
        id="consumables",
        label_msgid=N_("Consumables due"),
        icon="autorenew",
        path=lambda mine: f"/records/installed_product?query=consumable{'_mine' if mine else ''}",
        look=_consumables,
        entities=frozenset({"installed_product", "customer"}),
        place=16,
        asked=_asked_plainly(_PIECE, "consumable"),
    ),
    Card(
        id="reminders",
        label_msgid=N_("Reminders"),
        icon="notifications",
        path=lambda _mine: "/reminders",
        look=_reminders,
        entities=frozenset(
            {"reminder", "reminder_mark", "activity", "contact", "customer", "owner_change", "claim_answer", "project_task", "opportunity"}
        ),
        tone="warn",
        place=20,
        asked=_has_screen("reminders"),
    ),
    Card(
        id="tickets",
        label_msgid=N_("Tickets due today"),
        icon="confirmation_number",
        path=lambda mine: f"/tickets{'?mine=1' if mine else ''}",
        look=_tickets,
        entities=frozenset({"ticket", "ticket_event", "service_level", "work_hours", "calendar_day"}),
        tone="warn",
        place=24,
        asked=_has_screen("tickets"),
    ),
    Card(
        id="revisits",
        label_msgid=N_("Customers to ask again"),
        icon="support_agent",
        path=lambda mine: f"/tickets/list?again=1{'&mine=1' if mine else ''}",
        look=_to_ask_again,
        entities=frozenset({"ticket"}),
        place=25,
        asked=_has_screen("tickets"),
    ),
    Card(
        id="approvals",
        label_msgid=N_("Waiting for your approval"),
        icon="task_alt",
        path=lambda _mine: "/approvals",
        look=_badge("approvals"),
        entities=frozenset({"approval_request", "approval_step"}),
        tone="warn",
        place=30,
        asked=_has_screen("approvals"),
    ),
    Card(
        id="conflicts",
        label_msgid=N_("Conflicts to settle"),
        icon="call_split",
        path=lambda mine: f"/conflicts{'?mine=1' if mine else ''}",
        look=_conflicts,
        entities=frozenset({"conflict"}),
        tone="bad",
        place=40,
        asked=lambda session: session.may("conflict.read"),
    ),
    Card(
        id="sync",
        label_msgid=N_("Changes not yet merged"),
        icon="sync",
        path=lambda _mine: "/sync",
        look=_sync,
        entities=frozenset(),
        tone="warn",
        place=41,
        asked=_has_screen("sync"),
    ),
]
