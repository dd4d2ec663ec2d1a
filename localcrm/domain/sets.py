"""Fields that hold a set, such as tags or colleagues: what each place added and took away counts, wherever it was done apart.

Like any field one column travels and the last writer's value stands first (ADR 0004). At head office, where changes made apart come together, the
set is then worked out anew from the log, which holds the value before and after each change, and written where it differs (ADR 0049).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from localcrm.kernel.schema import EntityType, Field, Stored, as_set, write_set
from localcrm.store import changelog
from localcrm.store.ddl import UPDATE
from localcrm.store.uow import UnitOfWork

#: By place in the order of changes: the value before and after.
Steps = dict[tuple[int, int, int, int], tuple[Stored, Stored]]
_AT_ONCE = 500


def columns(kind: EntityType) -> Mapping[int, Field]:
    """Fields of a kind that hold a set, by wire number; a company's own fields are none."""
    return {field.no: field for field in kind.declared.fields.values() if field.f.merge == "set"}


def bring_together(uow: UnitOfWork, kind: EntityType, ids: Sequence[str]) -> None:
    """At head office, after a merge: let the sets of these records hold what all places made of them."""
    if not uow.node.is_office:
        return
    for field in columns(kind).values():
        for start in range(0, len(ids), _AT_ONCE):
            for identity, whole in _apart(uow, kind, field, [bytes.fromhex(one) for one in ids[start : start + _AT_ONCE]]):
                record = uow.find(kind, identity)
                if record is not None and record[field.key] != whole:
                    uow.update(kind, identity, {field.key: whole})


def _apart(uow: UnitOfWork, kind: EntityType, field: Field, ids: Sequence[bytes]) -> Iterator[tuple[str, str | None]]:
    """Those of some records whose set was changed at more than one node, with what all of it comes to."""
    no = field.no
    touched = [
        row[0]
        for row in uow.connection.all(
            f"""SELECT DISTINCT pk FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({",".join("?" * len(ids))})
                AND op = ? AND instr(diff, ?)""",
            (kind.no, *ids, UPDATE, f'"{no}":'),
        )
    ]
    nodes = {origin: (node, epoch) for origin, node, epoch in uow.connection.all("SELECT origin, node_no, epoch FROM sync_origin")}
    steps: dict[bytes, Steps] = defaultdict(dict)
    places: dict[bytes, set[int]] = defaultdict(set)
    for change in changelog.changes_of(uow.connection, kind, touched):
        if change.op == UPDATE and change.pk and no in (diff := changelog.parse_diff(kind, change.diff or "{}")):
            node, epoch = nodes[change.tx.origin]
            steps[change.pk][change.tx.eff_hlc, node, epoch, change.oseq] = diff[no]
            places[change.pk].add(node)
    for pk, found in steps.items():
        if len(places[pk]) > 1:
            yield pk.hex(), together([found[place] for place in sorted(found)], field.between)


def together(steps: Sequence[tuple[Stored, Stored]], between: str = "\n") -> str | None:
    """What changes (before, after) in their order come to, whichever of them their authors had seen.

    >>> together([("x", "x\\ny"), ("x", "x\\nz")]).split()
    ['x', 'y', 'z']
    """
    found = _values(steps[0][0], between)
    for before, after in steps:
        was, is_now = _values(before, between), _values(after, between)
        found = {key: tag for key, tag in found.items() if key in is_now or key not in was}
        found |= {key: tag for key, tag in is_now.items() if key not in was}
    return write_set(found, between) or None


def _values(stored: Stored, between: str) -> dict[str, str]:
    """A stored set; what comes from elsewhere is taken as it is."""
    return as_set(part for part in str(stored).split(between) if part) if stored else {}
