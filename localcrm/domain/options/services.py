"""Setting options: everybody his own, head office the company's, a branch where it differs; and what is set, for the screen."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from localcrm.domain import policy
from localcrm.domain.options.company import Kept, branch_row, branch_rows, company_value, office_row, office_value, today, usable
from localcrm.domain.options.entities import BranchOption, CompanyOption, RoleOption
from localcrm.domain.options.personal import can_roam, choose, defaults, next_moment, own_choices
from localcrm.domain.options.table import FREE, LONGEST, Level, Option, described, option, options
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Kind, entities, entity
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import titles
from localcrm.store.uow import UnitOfWork

PERMISSION = "settings.manage"
_OFFICE_ONLY = N_("{label} is set by head office. Nothing was changed.")
_OFFICE, _BRANCH, _OF_ROLE = CompanyOption.entity_type, BranchOption.entity_type, RoleOption.entity_type


# one's own --------------------------------------------------------------------------------------------------------------


def set_option(uow: UnitOfWork, actor: Actor, *, key: str, value: str) -> dict[str, Any]:
    """Set a personal option of whoever asks; it follows him to every node. Returns {key, value, own, role}."""
    one = _personal(actor, key)
    choose(uow, actor.user_id or "", key, one.clean(value))
    return _personal_state(uow.connection, actor, one)


def reset_option(uow: UnitOfWork, actor: Actor, *, key: str) -> dict[str, Any]:
    """Give up one's own choice: from now on the default holds. Returns {key, value, own, role}; role: name of the role the default comes from."""
    one = _personal(actor, key)
    _forget(uow, actor, [key])
    return _personal_state(uow.connection, actor, one)


def reset_options(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """Give up all one's own choices, the columns of lists too. Returns {reset: keys}."""
    _require_somebody(actor)
    keys = sorted(own_choices(uow.connection, actor.user_id or ""))
    _forget(uow, actor, keys)
    return {"reset": keys}


def personal_options(uow: UnitOfWork, actor: Actor) -> list[dict[str, Any]]:
    """Every personal option: what it is, what holds for whoever asks, and whether he has chosen it himself."""
    _require_somebody(actor)
    return [{**described(one), **_personal_state(uow.connection, actor, one)} for one in options(Level.PERSONAL)]


def _forget(uow: UnitOfWork, actor: Actor, keys: list[str]) -> None:
    for key in keys:
        choose(uow, actor.user_id or "", key, None)
        uow.connection.execute("DELETE FROM user_setting WHERE user_id = ? AND key = ?", (bytes.fromhex(actor.user_id or ""), key))


def _personal(actor: Actor, key: str) -> Option:
    one = _require_personal(option(key))
    _require_somebody(actor)
    return one


def _require_personal(one: Option) -> Option:
    if one.level is not Level.PERSONAL:
        raise InvalidInput("company_option", N_("“{label}” is an option of the company, not of a person."), label=one.label, field="key")
    return one


def _require_somebody(actor: Actor) -> None:
    policy.require_acting(actor)
    if actor.user_id is None:
        raise Refused("nobody", N_("Personal options belong to a user. Say who you are with “--as”."))


def _personal_state(connection: Connection, actor: Actor, one: Option) -> dict[str, Any]:
    user = actor.user_id or ""
    own, default = usable(one, own_choices(connection, user).get(one.key)), defaults(connection, user)[one.key]
    return {
        "key": one.key,
        "value": default.value if own is None else own,
        "own": own is not None,
        "role": default.role if own is None else "",
    }


# of a role ------------------------------------------------------------------------------------------------------------------


def set_role_option(uow: UnitOfWork, actor: Actor, *, role_id: RecordId, key: str, value: str) -> dict[str, Any]:
    """At head office: what holds of a personal option, or of the columns of a list, for those who have a role and have chosen nothing.

    Of several roles of a user the one whose name stands first holds. Returns {role_id, key, value}.
    """
    one = _of_role(uow, actor, role_id, key)
    return _set_of_role(uow, role_id, key, one.clean(value) if one else _columns(value))


def reset_role_option(uow: UnitOfWork, actor: Actor, *, role_id: RecordId, key: str) -> dict[str, Any]:
    """At head office: a role no longer says anything of an option. Returns {role_id, key, value: None}."""
    _of_role(uow, actor, role_id, key)
    return _set_of_role(uow, role_id, key, None)


def role_options(uow: UnitOfWork, actor: Actor, *, role_id: RecordId) -> list[dict[str, Any]]:
    """What a role says: [{key, value, by, at}], by key."""
    policy.require(actor, PERMISSION)
    said = said_by_role(uow.connection, role_id).items()
    return [{"key": key, "value": kept.value, "by": kept.by, "at": kept.at} for key, kept in said]


def _of_role(uow: UnitOfWork, actor: Actor, role_id: RecordId, key: str) -> Option | None:
    """The option a role is to say something of; None for the columns of a list."""
    policy.require(actor, PERMISSION)
    one = None if key.startswith(FREE) else _require_personal(option(key))
    if not uow.node.is_office:
        raise Refused("office_only", _OFFICE_ONLY, label=one.label if one else gettext(N_("Columns of lists")))
    if uow.get(entity("role"), role_id)["user_id"] is not None:
        raise Refused("own_rights", N_("These are the rights of one user and no role. Nothing was changed."))
    return one


def _columns(value: str) -> str:
    """Columns as a list in the browser writes them."""
    try:
        is_list = len(value) <= LONGEST and isinstance(json.loads(value), list)
    except (ValueError, RecursionError):
        is_list = False
    if not is_list:
        raise InvalidInput("bad_option_value", N_("These are no columns of a list. Nothing was changed."), field="value")
    return value


def _set_of_role(uow: UnitOfWork, role_id: str, key: str, value: str | None) -> dict[str, Any]:
    known = uow.where(_OF_ROLE, role_id=role_id, key=key)
    if known:
        uow.update(_OF_ROLE, known[0]["id"], {"value": value})
    elif value is not None:
        uow.insert(_OF_ROLE, _OF_ROLE.validate({"role_id": role_id, "key": key, "value": value}))
    return {"role_id": role_id, "key": key, "value": value}


_ROLES = "SELECT id, name FROM role WHERE deleted = 0 AND user_id IS NULL ORDER BY name, id"


@dataclass(frozen=True, slots=True)
class Said:
    """What a role says of an option: the value, its record, and who set it when (name, ISO 8601)."""

    value: str
    record: str
    by: str | None
    at: str | None


def said_by_role(connection: Connection, role_id: str) -> dict[str, Said]:
    """What a role says that this program understands, by key of the option or list."""
    rows = connection.all(
        "SELECT key, value, id FROM role_option WHERE role_id = ? AND deleted = 0 AND value IS NOT NULL ORDER BY key, id",
        (bytes.fromhex(role_id),),
    )
    return {key: Said(value, row.hex(), *_last_change(connection, _OF_ROLE, row.hex())) for key, value, row in rows if can_roam(key, value)}


def named_roles(connection: Connection) -> dict[str, str]:
    """Names of the roles by id, in the order in which they count."""
    return {role.hex(): name for role, name in connection.all(_ROLES)}


# the company's ------------------------------------------------------------------------------------------------------------


def set_company_option(
    uow: UnitOfWork, actor: Actor, *, key: str, value: str, fixed: bool | None = None, from_day: str | None = None
) -> dict[str, Any]:
    """At head office: what holds for the company, and with ``fixed`` whether branches may differ. At a branch: where it differs.

    ``from_day`` (ISO date, later than today): until then what holds now holds on; what was planned before is replaced by it.
    Of a personal option: what holds for everybody without a choice of his own.
    Returns {key, value, source, office, fixed, locked, next_value, next_from} as ``company_options`` tells them.
    """
    policy.require(actor, PERMISSION)
    one = option(key)
    checked, day = one.clean(value), _later_day(one, from_day)
    if not uow.node.is_office and (fixed is not None or one.level is Level.PERSONAL):
        raise Refused("office_only", _OFFICE_ONLY, label=one.label)

    def said(known: Kept | None) -> _Says:
        now, planned = (known.on(today()), known.planned(today())) if known else (None, None)
        return _Says(now, checked, day) if day else _Says(checked, *(planned or (None, None)))

    return _say(uow, one, said, fixed)


def withdraw_company_option(uow: UnitOfWork, actor: Actor, *, key: str) -> dict[str, Any]:
    """What was planned here for a later day is not to happen. Returns the state; refused where nothing is planned."""
    policy.require(actor, PERMISSION)
    one = option(key)

    def said(known: Kept | None) -> _Says:
        if known is None or known.planned(today()) is None:
            raise Refused("nothing_planned", N_("No later value of “{label}” is planned here. Nothing was changed."), label=one.label)
        return _Says(known.value)

    return _say(uow, one, said, None)


def reset_company_option(uow: UnitOfWork, actor: Actor, *, key: str) -> dict[str, Any]:
    """At head office: the default again, left to branches. At a branch: what head office has set again. What was planned goes too. Returns the state."""
    policy.require(actor, PERMISSION)
    return _say(uow, option(key), lambda _known: _Says(None), fixed=False)


def company_options(uow: UnitOfWork, actor: Actor) -> list[dict[str, Any]]:
    """Every option of the company: what it is, what holds here and why, who set it when, whether and why it cannot be changed here."""
    policy.require(actor, PERMISSION)
    return [{**described(one), **state_of(uow.connection, uow.node, one).as_dict()} for one in options(Level.COMPANY)]


def option_deviations(uow: UnitOfWork, actor: Actor) -> list[dict[str, Any]]:
    """Where branches differ from head office: [{branch, code, key, label, value, office, in_force, by, at}]."""
    policy.require(actor, PERMISSION)
    return deviations(uow.connection)


class _Says(NamedTuple):
    """What a row is to say."""

    value: str | None
    next_value: str | None = None
    next_from: str | None = None


def _later_day(one: Option, text: str | None) -> str | None:
    """The day from which something is to hold, as it is kept; raises InvalidInput for one that has come."""
    if text is None:
        return None
    if one.arithmetic or one.level is Level.PERSONAL:
        raise InvalidInput(
            "not_dated",
            N_("“{label}” takes effect at once and not on a later day. Nothing was changed."),
            label=one.label,
            field="from_day",
        )
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        day = date.min
    if day <= today():
        raise InvalidInput(
            "day_not_later",
            N_("Enter a day after today, such as {day}. Nothing was changed."),
            day=(today() + timedelta(days=1)).isoformat(),
            field="from_day",
        )
    return day.isoformat()


def _say(uow: UnitOfWork, one: Option, said: Callable[[Kept | None], _Says], fixed: bool | None) -> dict[str, Any]:
    """Keep what is to be said, given what was said before; how the option stands then."""
    if uow.node.is_office:
        _set_at_office(uow, one, said(office_row(uow.connection, one.key)), fixed)
    else:
        _set_at_branch(uow, one, said(branch_row(uow.connection, uow.node, one.key)))
    return _standing(uow, one)


def _set_at_office(uow: UnitOfWork, one: Option, says: _Says, fixed: bool | None) -> None:
    if fixed and one.level is Level.PERSONAL:
        raise InvalidInput(
            "cannot_fix", N_("“{label}” is a matter of taste and cannot be fixed for others."), label=one.label, field="fixed"
        )
    known = office_row(uow.connection, one.key)
    was_fixed = known is not None and known.fixed
    turns = fixed is not None and fixed != was_fixed and any(other["key"] == one.key for other in deviations(uow.connection))
    if turns or (says.value or one.default) != office_value(uow.connection, one):
        _require_unlocked(uow.connection, one)
    values = _OFFICE.validate({"key": one.key, **says._asdict(), "fixed": was_fixed if fixed is None else fixed})
    if known is None:
        uow.insert(_OFFICE, values)
    else:
        uow.update(_OFFICE, known.id.hex(), values)


def _set_at_branch(uow: UnitOfWork, one: Option, says: _Says) -> None:
    if (office := office_row(uow.connection, one.key)) and office.fixed:
        raise Refused("fixed_by_office", N_("Head office has fixed “{label}” for all branches. Nothing was changed."), label=one.label)
    if (says.value or office_value(uow.connection, one)) != company_value(uow.connection, uow.node, one.key):
        _require_unlocked(uow.connection, one)
    known = branch_row(uow.connection, uow.node, one.key)
    if (_Says(known.value, known.next_value, known.next_from) if known else _Says(None)) != says:
        set_at = next_moment(uow, _BRANCH.fields["set_at"].load(known.set_at) if known else None)
        values = {"key": one.key, "branch_id": uow.node.branch_id, **says._asdict(), "set_at": set_at}
        uow.insert(_BRANCH, _BRANCH.validate(values))


def _standing(uow: UnitOfWork, one: Option) -> dict[str, Any]:
    """How an option stands now; who set it is known once the change is booked."""
    state = state_of(uow.connection, uow.node, one).as_dict()
    return {name: value for name, value in state.items() if not name.endswith(("by", "at"))}


def _require_unlocked(connection: Connection, one: Option) -> None:
    if one.arithmetic and has_posted(connection):
        raise Refused(
            "locked_by_posting",
            N_("“{label}” says what amounts mean and cannot change any more, because documents have been posted. Nothing was changed."),
            label=one.label,
        )


def has_posted(connection: Connection) -> bool:
    """Whether any document has been posted here or has arrived posted."""
    kinds = [kind.key for kind in entities() if kind.kind is Kind.DOCUMENT]
    return any(connection.one(f"SELECT 1 FROM \"{key}\" WHERE status = 'posted' AND deleted = 0 LIMIT 1") for key in kinds)


# what is set ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptionState:
    """How a company option stands on this node.

    source: "default", "office" or "branch", whose value holds · office: head office's value · locked: code of the reason why it
    cannot be changed here, "" when it can · kept_in: the kind of record that holds the value or a plan, None for a default · by, at: name and
    moment (ISO 8601) of the last change · next_value, next_from (ISO date): what is planned to hold here, None where nothing is ·
    next_by, next_at: who planned it when · may_withdraw: whether it was planned here.
    """

    option: Option
    value: str
    source: str
    office: str
    fixed: bool
    locked: str
    kept_in: EntityType | None
    by: str | None
    at: str | None
    next_value: str | None = None
    next_from: str | None = None
    next_by: str | None = None
    next_at: str | None = None
    may_withdraw: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("value", "source", "office", "fixed", "locked", "by", "at", "next_value", "next_from", "next_by", "next_at")
        return {"key": self.option.key, **{name: getattr(self, name) for name in names}}


def state_of(connection: Connection, node: Node, one: Option) -> OptionState:
    """How one company option stands here."""
    day, office = today(), office_row(connection, one.key)
    fixed = office is not None and office.fixed
    said = {"office": [office] if office else [], "branch": [] if node.is_office or fixed else branch_rows(connection, node, one.key)}
    kinds = {"office": _OFFICE, "branch": _BRANCH}
    source = next((name for name in ("branch", "office") if said[name] and usable(one, said[name][0].on(day)) is not None), "default")
    by, at = _set_by(connection, kinds[source], said[source], planned=False) if source != "default" else (None, None)
    # What head office plans shows at a branch that has no value of its own.
    plans = [
        name for name in ("branch", "office") if said[name] and said[name][0].planned(day) and (name == "branch" or source != "branch")
    ]
    next_value, next_from = (said[plans[0]][0].planned(day) if plans else None) or (None, None)
    next_by, next_at = _set_by(connection, kinds[plans[0]], said[plans[0]], planned=True) if plans else (None, None)
    locked = "fixed_by_office" if fixed and not node.is_office else ""
    if not locked and one.arithmetic and has_posted(connection):
        locked = "locked_by_posting"
    kept_in = source if source != "default" else plans[0] if plans else None
    return OptionState(
        option=one,
        value=company_value(connection, node, one.key),
        source=source,
        office=office_value(connection, one),
        fixed=fixed,
        locked=locked,
        kept_in=kinds[kept_in] if kept_in else None,
        by=by,
        at=at,
        next_value=usable(one, next_value),
        next_from=next_from,
        next_by=next_by,
        next_at=next_at,
        may_withdraw=bool(plans) and plans[0] == ("office" if node.is_office else "branch"),
    )


def records_of(connection: Connection, node: Node, one: Option, kind: EntityType) -> list[str]:
    """Ids of the records that have said something of an option here, newest first; together they are its history."""
    row = office_row(connection, one.key)
    said = ([row] if row else []) if kind is _OFFICE else branch_rows(connection, node, one.key)
    return [each.id.hex() for each in said]


def deviations(connection: Connection) -> list[dict[str, Any]]:
    """Where branches differ today, by branch and then by key; ``in_force`` False where head office has fixed the option."""
    rows = connection.all(
        """SELECT o.key, b.code, b.name, o.id, o.value, o.next_value, o.next_from FROM branch_option o JOIN branch b ON b.id = o.branch_id
           WHERE o.deleted = 0 ORDER BY b.code, o.key, o.set_at, o.id"""
    )
    known = {one.key: one for one in options(Level.COMPANY)}  # a newer program may have set others
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, code, name, identity, value, *planned in rows:
        one = known.get(key)
        found.pop((code, key), None)
        if one is None or (shown := usable(one, Kept(identity, value, False, *planned).on(today()))) is None:
            continue
        office, row = office_value(connection, one), office_row(connection, key)
        by, at = _last_change(connection, _BRANCH, identity.hex())
        told = {"branch": name, "code": code, "key": key, "label": one.label, "value": shown, "office": office}
        found[code, key] = {**told, "in_force": not (row and row.fixed), "by": by, "at": at}
    return [deviation for deviation in found.values() if deviation["value"] != deviation["office"]]


def _set_by(connection: Connection, kind: EntityType, said: Sequence[Kept], *, planned: bool) -> tuple[str | None, str | None]:
    """Who set, by name, and when, what holds today or what is planned; ``said``: the newest first."""
    newest = said[0]
    later = planned or (newest.next_from is not None and newest.planned(today()) is None)  # what was planned may have begun
    if kind is _OFFICE:
        return _last_change(connection, kind, newest.id.hex(), {"next_value", "next_from"} if later else {"value", "fixed"})

    def part(row: Kept) -> tuple[str | None, ...]:
        return (row.next_value, row.next_from) if later else (row.value,)

    same = list(takewhile(lambda row: part(row) == part(newest), said))  # later rows said the rest anew
    return _last_change(connection, kind, same[-1].id.hex())


def _last_change(
    connection: Connection, kind: EntityType, identity: str, fields: Container[str] | None = None
) -> tuple[str | None, str | None]:
    """Who changed a row, or some fields of it, last, by name, and when."""
    newest = next((one for one in history(connection, kind, identity) if fields is None or one.field in fields), None)
    if newest is None:
        return None, None
    user = newest.user_id
    return (titles(connection, entity("user"), [user]).get(user) if user else None), newest.at


VERBS = (
    Verb(set_option, N_("Set a personal option")),
    Verb(reset_option, N_("Reset a personal option")),
    Verb(reset_options, N_("Reset all personal options")),
    Verb(personal_options, N_("Show one's own options")),
    Verb(set_role_option, N_("Set a default of a role")),
    Verb(reset_role_option, N_("Reset a default of a role")),
    Verb(role_options, N_("Show the defaults of a role")),
    Verb(set_company_option, N_("Set an option of the company")),
    Verb(withdraw_company_option, N_("Withdraw what is planned for an option of the company")),
    Verb(reset_company_option, N_("Reset an option of the company")),
    Verb(company_options, N_("Show the options of the company")),
    Verb(option_deviations, N_("Show where branches differ")),
)
BEHAVIOURS: dict[str, Behaviour] = {}
