"""The data doctor: whether a data file is whole, and rebuilding what is derived.

Each check is one function that yields what it finds; none changes anything. What can be computed anew (triggers, totals,
search index) is rebuilt on request; everything else needs a person, because guessing would hide the damage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Kind, entities, entity as entity_type
from localcrm.store import blobs, ddl, digests, eventlog, marks, past, search, witness
from localcrm.store.changelog import all_changes, parse_diff
from localcrm.store.node import is_of, may_lack, only_code
from localcrm.store.numbers import known_formats, read_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcrm.store.connection import Connection
    from localcrm.store.past import Logged
    from localcrm.store.store import Store

#: More logged updates than this are not replayed: the check must answer within seconds.
MAX_REPLAY = 200_000
#: Problems of one kind that are listed; the rest only repeats them.
MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: a stable code and a sentence."""

    code: str
    text: str
    params: dict[str, Any]

    @property
    def message(self) -> str:
        """The sentence in the language of the moment."""
        return gettext(self.text).format(**self.params)


#: Yields what it finds, and changes nothing.
Examination = Callable[["Connection"], Iterable["Problem"]]


def check(store: Store, *, repair: bool = False, log_key: bytes | None = None, others: Sequence[Examination] = ()) -> dict[str, Any]:
    """Everything that can be wrong with a data file: {"ok", "problems": [{"code", "message"}]}.

    ``log_key`` is the public key the head of the system log must be signed with; without it signatures are not looked at.
    ``others`` examine what only other rooms understand.

    With ``repair`` totals, triggers, indexes and the search index are rebuilt first where they are wrong; what is
    reported is the state afterwards.
    """
    with store.read() as connection:
        problems = find_problems(connection, log_key, others)
    problems += islice(_attachments(store), MAX_LISTED)
    if repair and any(problem.code in _REPAIRS for problem in problems):
        with store.housekeeping() as connection:
            for code in dict.fromkeys(problem.code for problem in problems):
                if code in _REPAIRS:
                    _REPAIRS[code](connection)
        with store.read() as connection:
            problems = [*find_problems(connection, log_key, others), *islice(_attachments(store), MAX_LISTED)]
    return {"ok": not problems, "problems": [{"code": problem.code, "message": problem.message} for problem in problems]}


def find_problems(connection: Connection, log_key: bytes | None = None, others: Sequence[Examination] = ()) -> list[Problem]:
    """Every finding, at most MAX_LISTED of a kind."""
    problems: list[Problem] = list(_file(connection)) or list(islice(_past(connection), MAX_LISTED))
    if problems:  # nothing read from a damaged file can be trusted
        return problems
    examinations: tuple[Examination, ...] = (
        _shape,
        _log,
        _log_and_rows,
        _totals,
        _references,
        _search,
        _marks,
        _merged,
        _documents,
        _numbers,
        _replay,
        _outside,
        lambda connection: log_problems(connection, log_key),
        *others,
    )
    for examine in examinations:
        counts: dict[str, int] = defaultdict(int)
        for problem in examine(connection):
            counts[problem.code] += 1
            if counts[problem.code] <= MAX_LISTED:
                problems.append(problem)
    return problems


def _attachments(store: Store) -> Iterator[Problem]:
    """Contents of attached files are what their names say."""
    for digest in blobs.problems(store):
        yield _problem(
            "file_damaged",
            N_("The attached file {hash} is missing in the folder “blobs” or is damaged. Restore it from a backup."),
            hash=digest[:12],
        )


def _problem(code: str, text: str, /, **params: Any) -> Problem:
    return Problem(code, text, params)


# --- the file ---------------------------------------------------------------------------------------------------------


def _file(connection: Connection) -> Iterator[Problem]:
    # A reader that has searched before another one rebuilt the index would compare its old picture with the new pages and
    # cry damage (SQLite 3.53); a search makes it look again.
    connection.all("SELECT rowid FROM search WHERE search MATCH 'a' LIMIT 1")
    for (message,) in connection.all("PRAGMA integrity_check(20)"):
        if message != "ok":
            yield _problem("damaged", N_("The data file is damaged ({detail}). Restore the last backup."), detail=str(message)[:200])


def _shape(connection: Connection) -> Iterator[Problem]:
    """Tables, indexes and triggers are as declared."""
    present = {(kind, name): sql for kind, name, sql in connection.all("SELECT type, name, sql FROM sqlite_master")}
    triggers = ddl.all_triggers()
    for entity in entities():
        columns = {row[1] for row in connection.all(f'PRAGMA table_info("{entity.key}")')}
        missing = {"rid", "id", "deleted", "version", *entity.fields} - columns
        if missing:
            yield _problem("missing_column", N_("The table “{name}” is not as declared."), name=entity.key)
        for name in ddl.index_sqls(entity):
            if ("index", name) not in present:
                yield _problem("missing_index", N_("The index “{name}” is missing."), name=name)
    for name, sql in triggers.items():
        if present.get(("trigger", name)) != sql:
            yield _problem("wrong_trigger", N_("The rule “{name}” of the data file is missing or was altered."), name=name)
    for kind, name in present:
        if kind == "trigger" and name not in triggers:
            yield _problem("wrong_trigger", N_("The rule “{name}” of the data file is missing or was altered."), name=name)


def _past(connection: Connection) -> Iterator[Problem]:
    """What has left the change log can be read, and nothing of it is missing."""
    for number in past.faults(connection):
        yield _problem("past_hole", N_("The older part of the change log is not whole at change {number}."), number=number)


# --- the change log -----------------------------------------------------------------------------------------------------


def _log(connection: Connection) -> Iterator[Problem]:
    """Every transaction owns the log rows it says, and changes are numbered without a hole.

    What head office keeps out keeps its number there, but does not travel: a branch can only vouch for its own numbers.
    """
    logged = {
        tx: (count, first, last)
        for tx, count, first, last in connection.all("SELECT tx, count(*), min(lseq), max(lseq) FROM sync_log GROUP BY tx")
    }
    booked, horizon = connection.all("SELECT tx, count, first_lseq FROM sync_tx"), past.horizon(connection)
    for tx, count, first in booked:
        begin, end = max(first, horizon + 1), first + count - 1  # the beginning of a transaction may have left the log before its end
        if logged.pop(tx, None) != (end - begin + 1, begin, end):
            yield _problem("log_hole", N_("The change log is not whole at transaction {number}."), number=tx)
    for tx in logged:
        yield _problem("log_hole", N_("The change log is not whole at transaction {number}."), number=tx)
    yield from _sequences(connection)


def _sequences(connection: Connection) -> Iterator[Problem]:
    expected: dict[int, int] = {}
    is_office = connection.value("SELECT value FROM meta WHERE key = 'node.role'") == "office"
    sure = "WHERE origin " + ("IN (SELECT origin FROM sync_origin WHERE node_no <> 0)" if is_office else "= (SELECT origin FROM sync_ctx)")
    booked = "SELECT origin, first_oseq, count FROM sync_past_span UNION ALL SELECT origin, first_oseq, count FROM sync_tx"
    for origin, first, count in connection.all(f"SELECT * FROM ({booked}) {sure} ORDER BY origin, first_oseq"):
        if first != expected.get(origin, 1):
            yield _problem(
                "sequence_hole", N_("Changes of “{code}” are missing before number {number}."), code=_code(connection, origin), number=first
            )
        expected[origin] = first + count
    for origin, code, have in connection.all(f"SELECT origin, code, have_oseq FROM sync_origin {sure}"):
        if have != expected.get(origin, 1) - 1:
            yield _problem("sequence_hole", N_("Changes of “{code}” are missing before number {number}."), code=code, number=have)


def _code(connection: Connection, origin: int) -> str:
    return str(connection.value("SELECT code FROM sync_origin WHERE origin = ?", (origin,)) or "?")


def _log_and_rows(connection: Connection) -> Iterator[Problem]:
    """Each row was logged when it was added, and each addition logged has its row."""
    logged = "SELECT 1 FROM sync_log l WHERE l.tbl = {no} AND l.pk = {pk} AND l.op = {op}"
    for entity in entities():
        inserted = logged.format(no=entity.no, pk="e.id", op=ddl.INSERT)
        older = f"SELECT 1 FROM sync_past_row p WHERE p.tbl = {entity.no} AND p.pk = e.id"
        count = connection.value(f'SELECT count(*) FROM "{entity.key}" e WHERE NOT EXISTS ({inserted}) AND NOT EXISTS ({older})')
        if count:
            yield _problem(
                "row_not_logged", N_("{entity}: {count} records are missing from the change log."), entity=entity.label, count=count
            )
        removed = logged.format(no=entity.no, pk="i.pk", op=ddl.GONE)
        count = connection.value(
            f"SELECT count(*) FROM sync_log i WHERE i.tbl = {entity.no} AND i.op = {ddl.INSERT} "
            f'AND NOT EXISTS (SELECT 1 FROM "{entity.key}" e WHERE e.id = i.pk) AND NOT EXISTS ({removed})'
        )
        missing = connection.all(
            f"SELECT i.pk FROM sync_past_row i WHERE i.tbl = {entity.no} "
            f'AND NOT EXISTS (SELECT 1 FROM "{entity.key}" e WHERE e.id = i.pk) AND NOT EXISTS ({removed})'
        )
        pks = [row[0] for row in missing]
        gone = {change.pk for change in past.changes_of(connection, entity.no, pks) if change.op == ddl.GONE}
        count += len(set(pks) - gone)
        if count:
            yield _problem("row_lost", N_("{entity}: {count} records of the change log are missing."), entity=entity.label, count=count)


def _replay(connection: Connection) -> Iterator[Problem]:
    """The last logged value of each column is the one the row has."""
    updates = connection.value(f"SELECT count(*) FROM sync_log WHERE op = {ddl.UPDATE}")
    if updates + past.horizon(connection) > MAX_REPLAY:
        return
    nodes = {row[0]: row[1:] for row in connection.all("SELECT origin, node_no, epoch FROM sync_origin")}
    logged: dict[int, list[Logged]] = defaultdict(list)
    for change in all_changes(connection):
        if change.op == ddl.UPDATE:
            logged[change.table].append(change)
    for entity in entities():
        if entity.kind is Kind.MASTER and entity.no in logged:
            changes = sorted(logged[entity.no], key=lambda change: (change.tx.eff_hlc, *nodes[change.tx.origin], change.oseq))
            yield from _replay_table(connection, entity, changes)


def _replay_table(connection: Connection, entity: EntityType, changes: Iterable[Logged]) -> Iterator[Problem]:
    fields = {field.no: field for field in entity.fields.values() if field.f.merge in {"lww", "always_show", "set"}}
    last: dict[bytes, dict[int, Any]] = defaultdict(dict)
    for change in changes:
        diff = parse_diff(entity, change.diff or "{}")
        last[change.pk or b""].update({no: new for no, (_old, new) in diff.items() if no in fields})
    columns = ", ".join(f'"{field.key}"' for field in fields.values())
    different = 0
    for identity, *values in connection.stream(f'SELECT id, {columns} FROM "{entity.key}"') if last else ():
        row = dict(zip(fields, values, strict=True))
        different += any(row[no] != value for no, value in last.get(identity, {}).items())
    if different:
        yield _problem(
            "replay_differs", N_("{entity}: {count} records are not what the change log says."), entity=entity.label, count=different
        )


def _outside(connection: Connection) -> Iterator[Problem]:
    """Rows are as the program wrote them, as far as digests of them were ever kept."""
    for entity in digests.altered(connection):
        yield _problem(
            "altered_outside",
            N_(
                "{entity}: records were changed or removed outside the program. The next exchange mends what it can; save a record again to keep it as it is."
            ),
            entity=entity.label,
        )


# --- the system log -------------------------------------------------------------------------------------------------------

_EVENT_TEXTS = {
    "event_altered": N_("Row {first} of the system log, of {time}, was altered."),
    "event_missing": N_("The system log has a gap: rows {first} to {last} were removed."),
    "event_cut": N_("The end of the system log was cut off: rows {first} to {last} are missing."),
    "event_added": N_("Rows {first} to {last} of the system log were not written by this program."),
    "event_head": N_("The head of the system log is missing; whether the end was cut off cannot be told."),
    "event_start": N_(
        "The beginning of the system log is not signed with the key of this installation: rows 1 to {last} were removed by somebody."
    ),
    "event_countersignature": N_("The countersignature over the system log is not from head office: somebody has put it there."),
    "event_rolled_back": N_(
        "Rows {first} to {last} of the system log are missing, though head office countersigned them on {time}: "
        "the end was cut off, or the data file was put back to an earlier state."
    ),
    "event_rewritten": N_("The system log is not the one that head office countersigned up to row {last} on {time}: it was rewritten."),
    "event_signature": N_("The head of the system log is not signed with the key of this installation: the log was rewritten or replaced."),
}


def log_problems(connection: Connection, log_key: bytes | None) -> Iterator[Problem]:
    """The rows of the system log follow each other as they were written, up to the head that this node has signed."""
    for fault in (*eventlog.verify(connection, log_key), *witness.faults(connection)):
        time = "" if fault.at is None else f"{_local(fault.at):%Y-%m-%d %H:%M:%S}"
        yield _problem(fault.code, _EVENT_TEXTS[fault.code], first=fault.first, last=fault.last, time=time)


def log_blind_spot(connection: Connection) -> str:
    """What ``log_problems`` cannot know, in the language of the moment."""
    text, number, at = witness.blind_spot(connection)
    return gettext(text).format(count=number, time=f"{_local(at):%Y-%m-%d %H:%M}")


def _local(milliseconds: int) -> datetime:
    """A moment that may be nonsense, since somebody may have altered it."""
    return datetime.fromtimestamp(min(max(milliseconds, 0), 2**47) / 1000, tz=UTC).astimezone()


# --- what is derived ----------------------------------------------------------------------------------------------------


def _totals(connection: Connection) -> Iterator[Problem]:
    """Sums kept by triggers are the sums of the rows."""
    for entity in entities():
        for total in entity.totals:
            columns = ", ".join(f'"{key}"' for key in (*total.by, "total"))
            kept = f'SELECT {columns} FROM "{total.name}" WHERE total <> 0'
            computed = f"SELECT {columns} FROM ({ddl.total_select(entity, total)}) WHERE total <> 0"
            wrong = connection.value(
                f"SELECT (SELECT count(*) FROM ({kept} EXCEPT {computed})) + (SELECT count(*) FROM ({computed} EXCEPT {kept}))"
            )
            if wrong:
                yield _problem("wrong_total", N_("The totals “{name}” do not fit the records."), name=total.name)


def _search(connection: Connection) -> Iterator[Problem]:
    """Every live record can be found, but for what has just come."""
    if search.is_behind(connection):
        return
    for entity in entities():
        if entity.searched:
            indexed = search.count_rows(connection, entity)
            live = connection.value(f'SELECT count(*) FROM "{entity.key}" WHERE deleted = 0')
            if indexed != live:
                yield _problem("search_index", N_("{entity}: the search index is not up to date."), entity=entity.label)


def _marks(connection: Connection) -> Iterator[Problem]:
    """What records are known by is what they say."""
    if not marks.is_right(connection):
        yield _problem("wrong_marks", N_("What finds records that were entered twice is not up to date."))


def _references(connection: Connection) -> Iterator[Problem]:
    """What a record refers to exists, be it deleted; a branch that holds only its own lacks what is others'."""
    lacking = may_lack(connection)
    for entity in entities():
        for field in entity.refs:
            if lacking(entity_type(field.f.ref or "")):
                continue
            count = connection.value(
                f'SELECT count(*) FROM "{entity.key}" e WHERE e."{field.key}" IS NOT NULL '
                f'AND NOT EXISTS (SELECT 1 FROM "{field.f.ref}" r WHERE r.id = e."{field.key}")'
            )
            if count:
                yield _problem(
                    "orphan",
                    N_("{entity}: {count} records refer to a {field} that does not exist here."),
                    entity=entity.label,
                    count=count,
                    field=field.label,
                )


# --- documents ------------------------------------------------------------------------------------------------------------


def _merged(connection: Connection) -> Iterator[Problem]:
    """What was merged into another record lies in the recycle bin: in use, it would be counted with both."""
    for entity in entities():
        if entity.merged:
            live = f'SELECT lower(hex(id)) FROM "{entity.key}" WHERE deleted = 0 AND "{entity.merged}" IS NOT NULL LIMIT 20'
            for (record,) in connection.all(live):
                yield _problem(
                    "merged_yet_live",
                    N_("{entity} {record} is in use although it was merged into another one."),
                    entity=entity.label,
                    record=record,
                )


def _documents(connection: Connection) -> Iterator[Problem]:
    """The amounts of a posted document are the sums of its lines (rule R3)."""
    for line in entities():
        if line.kind is not Kind.LINE or not line.parent:
            continue
        document = entity_type(line.fields[line.parent].f.ref or "")
        shared = [
            f.key for f in line.fields.values() if f.kind == "money" and f.key in document.fields and document.fields[f.key].kind == "money"
        ]
        sums = ", ".join(f'sum("{key}") AS "{key}"' for key in shared)
        differs = " OR ".join(f'd."{key}" <> coalesce(s."{key}", 0)' for key in shared)
        # What was owed before these books has an amount and no lines.
        entered = " AND d.opening = 0" if "opening" in document.fields else ""
        rows = connection.all(
            f'SELECT d."{document.title_field}" FROM "{document.key}" d '
            f'LEFT JOIN (SELECT "{line.parent}" AS parent, {sums} FROM "{line.key}" WHERE deleted = 0 GROUP BY "{line.parent}") s ON s.parent = d.id '
            f"WHERE d.status = 'posted'{entered} AND ({differs})"
        )
        for (number,) in rows:
            yield _problem("document_total", N_("{number}: the total is not the sum of the lines."), number=number or "?")


def _numbers(connection: Connection) -> Iterator[Problem]:
    """Printed numbers are unique, and without a gap per branch, epoch and period; others' are not all here where a branch holds its own."""
    own = only_code(connection)
    for entity in entities():
        field = entity.fields.get("number")
        if field is None or not entity.series or field.f.editable:  # numbers that people may type have gaps by right
            continue
        formats = known_formats(connection, entity)
        series: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for (number,) in connection.stream(f'SELECT number FROM "{entity.key}" WHERE number IS NOT NULL'):
            given = read_number(formats, number)
            if given is not None and (own is None or is_of(given.branch, own)):
                series[given.key, given.period].append((given.counter, number))
        yield from _number_faults(series)


def _number_faults(series: dict[tuple[str, str], list[tuple[int, str]]]) -> Iterator[Problem]:
    for (key, period), given in sorted(series.items()):
        head = f"{key}-{period}".removesuffix("-")
        used = sorted({counter for counter, _number in given})
        if len({number for _counter, number in given}) != len(given):
            yield _problem("number_twice", N_("A number of the series {series} was given twice."), series=head)
        missing = next((place for place, counter in enumerate(used, start=1) if place != counter), None)
        if missing is not None:
            yield _problem("number_gap", N_("{series}: the number {number} is missing."), series=head, number=f"{missing:04d}")


# --- mending --------------------------------------------------------------------------------------------------------------


def _rebuild_totals(connection: Connection) -> None:
    for entity in entities():
        for total in entity.totals:
            connection.execute(f'DELETE FROM "{total.name}"')
            connection.execute(f'INSERT INTO "{total.name}" {ddl.total_select(entity, total)}')


def _rebuild_triggers(connection: Connection) -> None:
    for (name,) in connection.all("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.script(ddl.all_triggers().values())


def _rebuild_indexes(connection: Connection) -> None:
    present = {row[0] for row in connection.all("SELECT name FROM sqlite_master WHERE type = 'index'")}
    connection.script(sql for entity in entities() for name, sql in ddl.index_sqls(entity).items() if name not in present)


_REPAIRS: dict[str, Callable[[Connection], None]] = {
    "wrong_trigger": _rebuild_triggers,
    "missing_index": _rebuild_indexes,
    "wrong_total": _rebuild_totals,
    "search_index": search.reindex,
    "wrong_marks": marks.rebuild,
}
#: Codes of what a repair puts right.
REPAIRABLE = frozenset(_REPAIRS)
