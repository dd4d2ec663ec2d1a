"""Bringing in many records at once: each row stands or falls by itself, and the same rules hold as for a record typed by hand.

Rows come as texts, the way a spreadsheet shows them. Labels of choices are understood in every language, references by
number, login, code or name, dates in the forms people write. A row that is refused leaves no trace, not even a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field as data_field
from itertools import islice
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.import_columns import BESIDE, Beside, brought_along, split_row
from localcrm.domain.policy import Actor
from localcrm.domain.typed import read_text
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, NotFound, Refused, StoreError
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Field, Kind, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

#: Rows written in one transaction: long enough to be fast, short enough that colleagues can save in between.
PORTION = 500

TextRow = tuple[int, Mapping[str, str]]
_SCIENTIFIC = re.compile(r"[+-]?\d(?:\.\d+)?E\+?\d{1,3}", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class ImportResult:
    """What became of the rows; an error is {"row", "field", "code", "message"}."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0
    errors: list[dict[str, Any]] = data_field(default_factory=list)

    def add(self, other: ImportResult) -> None:
        """Count what became of further rows."""
        self.created, self.updated = self.created + other.created, self.updated + other.updated
        self.skipped, self.failed = self.skipped + other.skipped, self.failed + other.failed
        self.errors += other.errors

    def refuse(self, row: int, field: str | None, code: str, message: str) -> None:
        """Count a row as failed and say why."""
        self.failed += 1
        self.errors.append({"row": row, "field": field, "code": code, "message": message})


def import_rows(
    store: Store,
    actor: Actor,
    *,
    entity: str,
    rows: Iterable[TextRow],
    update_on: str | None = None,
    dry_run: bool = False,
    progress: Callable[[ImportResult], None] | None = None,
) -> ImportResult:
    """Add a record per row, or change the one whose ``update_on`` field is the same; blank cells change nothing.

    A row may bring a record along that stands under its own (``import_columns``: a customer with a person there); that one is recognised by
    its title among those under the same record. Both stand or fall together, and the row counts as what became of its own record, or as
    updated where only what it brought along is new.
    A row that equals what is there is skipped. With ``dry_run`` everything is tried and nothing kept. ``progress`` hears
    of every portion written. A portion that the data file refuses (a full disk) ends the import; the ones before it stay. Raises
    StoreError("import_stopped") then, Forbidden, Refused("not_by_hand", "ledger_row"), NotFound("unknown_entity", "unknown_field").
    """
    kind = entity_type(entity)
    policy.require(actor, f"{entity}.import")
    if not policy.written_by_hand(kind):
        raise Refused("not_by_hand", N_("Records of the kind “{entity}” are not entered by hand."), entity=kind.label)
    matched = kind.field(update_on) if update_on else None
    if matched is not None and kind.kind is Kind.LEDGER:
        raise Refused("ledger_row", N_("A posted movement is never changed. Enter a correcting movement instead."))
    if matched is not None and (matched.secret or matched.kind == "longtext" or not policy.view(actor, kind).shows(matched.key)):
        raise InvalidInput("bad_update_on", N_("Records cannot be recognised by “{field}”."), field=matched.key)
    result = ImportResult()
    reader = _Rows(kind, actor, matched)
    remaining = iter(rows)
    try:
        while portion := list(islice(remaining, PORTION)):
            try:
                result.add(_write(store, actor, reader, portion, dry_run=dry_run))
            except StoreError as error:
                if dry_run or not result.created + result.updated:
                    raise
                raise _stopped(error, portion[0][0], result) from error
            if progress:
                progress(result)
    finally:
        if not dry_run:
            _note(store, actor, entity, result)
    return result


def import_whole(
    store: Store,
    actor: Actor,
    *,
    entity: str,
    rows: Callable[[], Iterable[TextRow]],
    update_on: str | None = None,
    readable: bool = True,
    progress: Callable[[ImportResult], None] | None = None,
) -> ImportResult:
    """As ``import_rows``, but only if every row is valid: all are tried first, and where one is refused nothing is written.

    ``rows`` gives them anew, for they are read twice · readable: False where the file has other rows that cannot be read at all. What somebody writes between the two can still have a row refused, which the result says;
    one transaction over all of them would keep everybody else from saving meanwhile.
    """
    tried = import_rows(store, actor, entity=entity, rows=rows(), update_on=update_on, dry_run=True, progress=progress)
    if tried.failed or not readable:
        return ImportResult(failed=tried.failed, errors=tried.errors)
    return import_rows(store, actor, entity=entity, rows=rows(), update_on=update_on, progress=progress)


_CAUSES = {
    "disk_full": N_("the disk is full"),
    "busy": N_("another program is writing to the data file"),
    "read_only": N_("the data file is read-only"),
}


class _DryRunEnd(Exception):
    """Takes back what a dry run wrote."""


def _stopped(error: StoreError, row: int, result: ImportResult) -> StoreError:
    """What is true of an import that the data file ended half way: the rows before are there and need no second import."""
    return StoreError(
        "import_stopped",
        N_(
            "The import stopped at row {row}: {cause}. {created} new and {updated} changed records before it are kept. "
            "Mend that, then import the rows from {row} on."
        ),
        row=row,
        created=result.created,
        updated=result.updated,
        cause=gettext(_CAUSES.get(error.code, N_("the data file reports a fault"))),
    )


def _note(store: Store, actor: Actor, entity: str, result: ImportResult) -> None:
    """What was imported goes into the system log, also of an import that stopped or was cancelled half way."""
    counts = f"created={result.created} updated={result.updated} skipped={result.skipped} failed={result.failed}"
    with suppress(StoreError):  # a file that refuses rows refuses this one too; why, the import says
        store.log("import", user_id=actor.user_id, detail=f"{entity} {counts}")


def _write(store: Store, actor: Actor, reader: _Rows, portion: list[TextRow], *, dry_run: bool) -> ImportResult:
    """One portion in one transaction; a fault of the data file takes all of it back."""
    result = ImportResult()
    try:
        with store.unit_of_work(actor.user_id) as uow:
            reader.begin()
            for number, cells in portion:
                if dry_run:
                    reader.bring_back(uow, cells)
                try:
                    with alone(uow):
                        outcome = reader.take(uow, cells, dry_run=dry_run)
                except (InvalidInput, Refused, NotFound, Forbidden) as error:
                    result.refuse(number, error.params.get("field"), error.code, error.message)
                else:
                    setattr(result, outcome, getattr(result, outcome) + 1)
            if dry_run:
                raise _DryRunEnd
    except _DryRunEnd:
        pass
    return result


@contextmanager
def alone(uow: UnitOfWork) -> Iterator[None]:
    """Part of a transaction that vanishes by itself when it is refused, with the numbers it took."""
    uow.connection.execute("SAVEPOINT one_row")
    try:
        yield
    except AppError:
        if uow.connection.in_transaction:
            uow.connection.execute("ROLLBACK TO one_row")
        raise
    finally:
        if uow.connection.in_transaction:
            uow.connection.execute("RELEASE one_row")


@dataclass(slots=True)
class _Earlier:
    """A row that passed a dry run, and the portion in which what it would have left is there: a change of a record, or a new one."""

    portion: int
    identity: str | None
    values: Mapping[str, Any]

    def write(self, uow: UnitOfWork, actor: Actor, kind: EntityType) -> None:
        """Do it again."""
        if self.identity is None:
            records.create_record(uow, actor, entity=kind.key, values=self.values)
        else:
            records.update_record(uow, actor, entity=kind.key, id=self.identity, values=self.values)


class _Reader:
    """Texts of a row to values, remembering what it had to look up."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._references: dict[tuple[str, str], str] = {}

    def read(self, uow: UnitOfWork, kind: EntityType, cells: Mapping[str, str]) -> dict[str, Any]:
        """Values of filled cells, by field."""
        return {key: self._value(uow, kind.field(key), text) for key, text in cells.items()}

    def _value(self, uow: UnitOfWork, field: Field, text: str) -> Any:
        if field.kind == "ref":
            return self._reference(uow, field, text)
        if field.kind == "text" and _SCIENTIFIC.fullmatch(text):
            raise InvalidInput(
                "lost_digits",
                N_("{label}: “{value}” has lost digits. Format the column as text in the spreadsheet, enter the number again and save."),
                label=field.label,
                value=text,
                field=field.key,
            )
        return read_text(field, text)

    def _reference(self, uow: UnitOfWork, field: Field, text: str) -> str:
        target = entity_type(field.f.ref or "")
        place = (target.key, text)
        if place not in self._references:
            self._references[place] = look_up(uow.connection, self._actor, field, text)
        return self._references[place]


class _BroughtAlong:
    """Records that rows bring along, each under the record of its row."""

    def __init__(self, kind: EntityType, actor: Actor, reader: _Reader) -> None:
        assert kind.under
        self._kind, self._actor, self._reader, self._under = kind, actor, reader, kind.under

    def take(self, uow: UnitOfWork, parent: str | None, cells: Mapping[str, str]) -> str:
        """Write one; says "created", "updated" or "skipped". Without a ``parent``, which a dry run did not keep, only what it says is checked."""
        with _fields_named(self._kind.key):
            policy.require(self._actor, f"{self._kind.key}.import")
            values = self._reader.read(uow, self._kind, cells)
            if parent is None:
                if faults := self._kind.faults({**values, self._under: "0" * 32}):
                    raise next(iter(faults.values()))
                return "created"
            found = self._find(uow, parent, values)
            if found is None:
                records.create_record(uow, self._actor, entity=self._kind.key, values={**values, self._under: parent})
                return "created"
            return _change(uow, self._actor, self._kind, found, values)

    def _find(self, uow: UnitOfWork, parent: str, values: Mapping[str, Any]) -> str | None:
        title = self._kind.fields[self._kind.title_field]
        if not values.get(title.key):
            return None  # the rules of a new record say what is missing
        found = uow.where(self._kind, **{self._under: parent, title.key: values[title.key]})
        if len(found) > 1:
            raise _ambiguous(title)
        return str(found[0]["id"]) if found else None


class _WrittenBeside:
    """What verbs make of cells beside the record of a row."""

    def __init__(self, beside: Beside, actor: Actor) -> None:
        self._beside, self._actor = beside, actor

    def take(self, uow: UnitOfWork, parent: str | None, cells: Mapping[str, str]) -> str:
        """Write it; says "created" or "skipped". Without a ``parent``, which a dry run did not keep, only what it says is checked."""
        beside = self._beside
        with _fields_named(beside.key):
            policy.require(self._actor, beside.permission)
            values = {key: read_text(beside.field(key), text) for key, text in cells.items()}
            if parent is None:
                beside.check(values)
                return "created"
            return beside.write(uow, self._actor, parent, values)


@contextmanager
def _fields_named(brought: str) -> Iterator[None]:
    """A fault names its column as the row does."""
    try:
        yield
    except AppError as error:
        if field := error.params.get("field"):
            error.params["field"] = f"{brought}.{field}"
        raise


def _change(uow: UnitOfWork, actor: Actor, kind: EntityType, identity: str, values: Mapping[str, Any]) -> str:
    before: Record = uow.get(kind, identity)
    after = records.update_record(uow, actor, entity=kind.key, id=identity, values=values)
    return "skipped" if after["version"] == before["version"] else "updated"


def _ambiguous(field: Field) -> InvalidInput:
    return InvalidInput(
        "ambiguous_match",
        N_("Several records have the same {label}, so it is not clear which one to change. Change it by hand."),
        label=field.label,
        field=field.key,
    )


class _Rows:
    """Turns rows into records."""

    def __init__(self, kind: EntityType, actor: Actor, matched: Field | None) -> None:
        self._kind, self._actor, self._matched = kind, actor, matched
        self._known: dict[Any, str | None] | None = None  # key → id; None when several records have it
        self._tried: dict[Any, dict[str, Any]] = {}  # what a dry run would have created
        self._portion = 0
        self._earlier: dict[tuple[str, str], _Earlier] = {}  # what a dry run would have left, by field and value that must not repeat
        self._reader = _Reader(actor)
        self._along: dict[str, _BroughtAlong | _WrittenBeside] = {}
        if along := brought_along(kind):
            self._along[along.key] = _BroughtAlong(along, actor, self._reader)
        if beside := BESIDE.get(kind.key):
            self._along[beside.key] = _WrittenBeside(beside, actor)

    def take(self, uow: UnitOfWork, cells: Mapping[str, str], *, dry_run: bool) -> str:
        """Write one row; says "created", "updated" or "skipped"."""
        own, beside = split_row(cells)
        values = self._reader.read(uow, self._kind, own)
        key = None if self._matched is None else _match_key(self._matched, values.get(self._matched.key))
        tried = self._tried.get(key) if key is not None else None
        found = None
        if tried is not None:
            outcome, identity = "skipped" if values.items() <= tried.items() else "updated", None
        elif key is not None and (found := self._find(uow, key)) is not None:
            outcome, identity = _change(uow, self._actor, self._kind, found, values), found
        else:
            outcome, identity = "created", records.create_record(uow, self._actor, entity=self._kind.key, values=values)["id"]
        for brought, said in beside.items():
            if brought in self._along and self._along[brought].take(uow, identity, said) != "skipped" and outcome == "skipped":
                outcome = "updated"
        if tried is None:  # all of the row stands
            if outcome == "created" and key is not None and self._known is not None:
                if dry_run:
                    self._tried[key] = values
                else:
                    self._known[key] = identity
            self._remember(own, _Earlier(self._portion, found, values), dry_run=dry_run)
        return outcome

    # what must not repeat ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The next portion; of a dry run nothing of those before is there any more."""
        self._portion += 1

    def bring_back(self, uow: UnitOfWork, cells: Mapping[str, str]) -> None:
        """In a dry run: write again what an earlier portion would have left with a value that this row repeats.

        So the rules themselves say whether it may; a whole file in one transaction would keep colleagues from saving.
        """
        for place in self._places(cells):
            earlier = self._earlier.get(place)
            if earlier is not None and earlier.portion != self._portion:
                with suppress(InvalidInput, Refused, NotFound, Forbidden), alone(uow):
                    earlier.write(uow, self._actor, self._kind)
                earlier.portion = self._portion

    def _remember(self, cells: Mapping[str, str], earlier: _Earlier, *, dry_run: bool) -> None:
        if dry_run:
            self._earlier |= dict.fromkeys(self._places(cells), earlier)

    def _places(self, cells: Mapping[str, str]) -> list[tuple[str, str]]:
        """Field and value of all in a row that must not repeat; values that differ in case only are for the rules to tell apart."""
        distinct = records.BEHAVIOURS.get(self._kind.key, records.Behaviour()).distinct
        own = (field.key for field in self._kind.fields.values() if field.custom is not None and field.custom.unique)
        return [(key, text) for key in (*distinct, *own) if (text := cells.get(key, "").strip().casefold())]

    # recognising -------------------------------------------------------------------------------------------------

    def _find(self, uow: UnitOfWork, key: Any) -> str | None:
        assert self._matched is not None
        if self._known is None:
            self._known = _keys_in_use(uow, policy.view(self._actor, self._kind), self._matched)
        if key not in self._known:
            return None
        found = self._known[key]
        if found is None:
            raise _ambiguous(self._matched)
        return found


def _keys_in_use(uow: UnitOfWork, view: View, field: Field) -> dict[Any, str | None]:
    """Records by what they are recognised with; those one may not see are not recognised, and so not given away."""
    known: dict[Any, str | None] = {}
    table = f'"{view.entity.key}"'
    condition, params = view.condition(table, finds=True)
    rows = uow.connection.stream(
        f'SELECT id, "{field.key}" FROM {table} WHERE deleted = 0 AND "{field.key}" IS NOT NULL AND {condition}', params
    )
    for identity, stored in rows:
        key = _match_key(field, field.load(stored))
        known[key] = None if key in known else identity.hex()
    return known


def _match_key(field: Field, value: Any) -> Any:
    """What two values must share to be the same: of a telephone number its digits."""
    if value is None or value == "":
        return None
    if field.f.widget == "phone":
        digits = "".join(character for character in str(value) if character.isdigit())
        return digits or value
    return field.to_json(value)


def look_up(connection: Connection, actor: Actor, field: Field, text: str) -> str:
    """The id of the record that a cell names by id, number, login, code or title, among those the actor may see.

    Raises InvalidInput("no_such_record", "ambiguous_reference").
    """
    target = entity_type(field.f.ref or "")
    view = policy.seen(actor, target) or View(target, rows=())
    condition, params = view.condition(f'"{target.key}"')
    among = f'SELECT id FROM "{target.key}" WHERE deleted = 0 AND {condition}'
    if _ID.fullmatch(text.lower()) and connection.one(f"{among} AND id = ?", (*params, bytes.fromhex(text))):
        return text.lower()
    for key in dict.fromkeys(("number", "login", "code", target.title_field)):
        if key not in target.fields or not view.shows(key):
            continue
        found = connection.all(f'{among} AND "{key}" = ? LIMIT 2', (*params, text))
        if len(found) == 1:
            return str(found[0][0].hex())
        if found:
            raise InvalidInput(
                "ambiguous_reference",
                N_("{label}: several records are called “{value}”. Write the number or code instead."),
                label=field.label,
                value=text[:60],
                field=field.key,
            )
    raise InvalidInput("no_such_record", N_("{label}: there is no “{value}”."), label=field.label, value=text[:60], field=field.key)
