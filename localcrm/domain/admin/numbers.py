"""Number formats that head office sets, and whether numbers are missing anywhere."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import msgspec

from localcrm.domain import policy
from localcrm.domain.admin.entities import NumberRule
from localcrm.domain.policy import Actor
from localcrm.domain.records import require_here
from localcrm.kernel.clock import to_iso
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.numbers import NumberFormat, Reset, number_format
from localcrm.kernel.schema import EntityType, entities
from localcrm.store import past
from localcrm.store.changelog import parse_diff
from localcrm.store.connection import Connection
from localcrm.store.ddl import UPDATE
from localcrm.store.node import is_of, only_code
from localcrm.store.numbers import current_format, default_format, known_formats, read_number
from localcrm.store.query import record_json
from localcrm.store.uow import UnitOfWork

_RULE = NumberRule.entity_type
PERMISSION = "settings.manage"
#: Stands for the code of any branch; no format has a space in it.
_ANY = " "


def numbered_kinds() -> list[EntityType]:
    """Kinds of records that get numbers."""
    return [kind for kind in entities() if kind.series]


# formats ---------------------------------------------------------------------------------------------------------


def set_number_format(uow: UnitOfWork, actor: Actor, *, series: str, format: str, reset: str) -> dict[str, Any]:
    """Set how the numbers of a kind of record are built from now on; returns the rule."""
    policy.require(actor, PERMISSION)
    require_here(uow, _RULE)
    kind = _numbered(series)
    form = _checked(uow.connection, kind, format, reset)
    values = {"format": form.text, "reset": form.reset}
    rules = uow.where(_RULE, series=series)
    if rules:
        uow.update(_RULE, rules[0]["id"], values)
    elif form != default_format(kind):
        uow.insert(_RULE, _RULE.validate({"series": series, **values}))
    found = uow.where(_RULE, series=series)
    return record_json(_RULE, found[0]) if found else {"series": series, **values}


def preview_number(uow: UnitOfWork, actor: Actor, *, series: str, format: str | None = None, reset: str | None = None) -> dict[str, Any]:
    """The number this node would give next, in the present format or in another one that is being thought of: {"number", "format", "reset"}."""
    policy.require(actor, PERMISSION)
    kind = _numbered(series)
    form = current_format(uow.connection, kind) if format is None else _checked(uow.connection, kind, format, reset or "")
    code, day = uow.node.number_code, uow.today
    last = uow.connection.value("SELECT last FROM number_series WHERE series = ? AND period = ?", (form.key(code), form.period(day)))
    return {"number": form.render(code, day, int(last or 0) + 1), "format": form.text, "reset": str(form.reset)}


def _numbered(series: str) -> EntityType:
    found = next((kind for kind in numbered_kinds() if kind.key == series), None)
    if found is None:
        raise InvalidInput("no_series", N_("Records of the kind “{series}” get no numbers."), series=series[:60], field="series")
    return found


def _checked(connection: Connection, kind: EntityType, text: str, reset: str) -> NumberFormat:
    """A format that gives no number twice: not by itself, not together with another series, not against numbers given before."""
    try:
        form = number_format(text.strip(), Reset(reset))
    except ValueError:
        label = _RULE.fields["reset"].label
        raise InvalidInput(
            "bad_choice", N_("{label}: “{value}” is not one of the choices."), label=label, value=reset[:60], field="reset"
        ) from None
    for other in numbered_kinds():
        if other is not kind and any(form.meets(known) or form.key(_ANY) == known.key(_ANY) for known in known_formats(connection, other)):
            raise Refused(
                "series_meet", N_("“{other}” could get the same numbers. Put another text in front, such as {series}-."),
                other=other.label, series=kind.series,
            )  # fmt: skip
    given = _given_before(connection, kind, form)
    if given:
        raise Refused(
            "number_given",
            N_("{number} was already given, and this format could give it once more. Change the text or the separators."),
            number=given,
        )
    return form


def _given_before(connection: Connection, kind: EntityType, form: NumberFormat) -> str | None:
    """A number known here that the format would come to again, because another counter has given it."""
    counted_on = [known for known in known_formats(connection, kind) if known.reset == form.reset and known.key(_ANY) == form.key(_ANY)]
    for (number,) in connection.stream(f'SELECT number FROM "{kind.key}" WHERE number IS NOT NULL'):
        if form.read(number) and not any(known.read(number) for known in counted_on):
            return str(number)
    return None


# gaps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gap:
    """Counters that are not here, one or a run of them; ``reason`` "" where nothing is known of them."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """One counter in one period, as far as it is known here: its first and last number and what is missing between.

    ``as_of``: ISO time of the last exchange with its branch; None for this node's own numbers.
    """

    series: str
    branch: str
    period: str
    first: str
    last: str
    count: int
    gaps: tuple[Gap, ...]
    as_of: str | None


def number_gaps(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """Every counter of every branch known here: {"rows": [{series, branch, period, first, last, count, gaps: [{first, last, reason}], as_of}]}."""
    policy.require(actor, PERMISSION)
    return {"rows": [asdict(run) for run in number_runs(uow.connection)]}


def number_runs(connection: Connection) -> list[Run]:
    """Every counter of every series, the newest period first."""
    exchanged: dict[str, int | None] = dict(connection.all("SELECT code, last_ok FROM sync_peer"))
    return [run for kind in numbered_kinds() for run in _runs(connection, kind, exchanged)]


def _runs(connection: Connection, kind: EntityType, exchanged: Mapping[str, int | None]) -> Iterator[Run]:
    formats, own = known_formats(connection, kind), only_code(connection)
    counters: dict[tuple[str, str, str], dict[int, str]] = defaultdict(dict)
    for (number,) in connection.stream(f'SELECT number FROM "{kind.key}" WHERE number IS NOT NULL'):
        given = read_number(formats, number)
        # Anything else was typed by hand; and of others' numbers a branch that holds its own has only some.
        if given is not None and (own is None or is_of(given.branch, own)):
            counters[given.branch, given.key, given.period][given.counter] = number
    gone = _taken_away(connection, kind, formats)
    for (branch, key, period), known in sorted(counters.items(), key=lambda item: item[0][::-1], reverse=True):
        reasons = {counter: reason for (of, within, counter), reason in gone.items() if (of, within) == (key, period)}
        gaps = tuple(_gaps(sorted(known), reasons))
        last_ok = next((at for code, at in exchanged.items() if is_of(branch, code)), None)
        as_of = to_iso(datetime.datetime.fromtimestamp(last_ok / 1000, tz=datetime.UTC)) if last_ok else None
        yield Run(kind.key, branch, period, known[min(known)], known[max(known)], len(known), gaps, as_of)


def _gaps(counters: list[int], reasons: Mapping[int, str]) -> Iterator[Gap]:
    """What is missing from 1 on; neighbours that are missing for the same reason are one gap."""
    for before, after in pairwise([0, *counters]):
        missing = range(before + 1, after)
        known = [counter for counter in missing if counter in reasons]
        edges = sorted({missing.start, missing.stop, *known, *(counter + 1 for counter in known)})
        yield from (Gap(first, stop - 1, reasons.get(first, "")) for first, stop in pairwise(edges) if first < stop)


def _taken_away(connection: Connection, kind: EntityType, formats: list[NumberFormat]) -> dict[tuple[str, str, int], str]:
    """Numbers that were given and are on no record any more: (key, period, counter) → "kept_out" or "changed"."""
    no = kind.fields["number"].no
    lost = [
        ("kept_out", value)
        for (raw,) in connection.all("SELECT raw FROM sync_quarantine WHERE tbl = ?", (kind.no,))
        for value in _named(raw, no)
    ]
    changed = f"SELECT diff ->> '$.\"{no}\"[0]' FROM sync_log WHERE tbl = ? AND op = {UPDATE} AND diff ->> '$.\"{no}\"[0]' IS NOT NULL"
    lost += [("changed", old) for (old,) in connection.all(changed, (kind.no,))]
    named = f'"{no}":['
    for change in past.changes(connection):
        if change.table == kind.no and change.op == UPDATE and named in (change.diff or ""):
            old = parse_diff(kind, change.diff or "").get(no, (None, None))[0]
            lost += [("changed", str(old))] if old is not None else []
    return {(given.key, given.period, given.counter): reason for reason, number in lost if (given := read_number(formats, str(number)))}


def _named(raw: bytes, no: int) -> Iterator[str]:
    """The number that a change which was not accepted would have written."""
    _table, _op, _pk, values, *_prev = msgspec.msgpack.decode(raw)
    return (value[-1] for value in values if value[0] == no and value[-1])
