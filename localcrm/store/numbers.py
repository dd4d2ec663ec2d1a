"""The formats that numbers of a kind of record are given in: head office's rule, or the one everybody starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.kernel.numbers import Given, NumberFormat, Reset
from localcrm.kernel.schema import entity as entity_type
from localcrm.store import changelog
from localcrm.store.ddl import UPDATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection


def default_format(entity: EntityType) -> NumberFormat:
    """The format where nothing is set: SO-BR01-20261118-0007 for what has a date, C-BR01-000012 for what has none."""
    if "date" in entity.fields:
        return NumberFormat(f"{entity.series}-{{branch}}-{{yyyyMMdd}}-{{0000}}", Reset.DAY)
    return NumberFormat(f"{entity.series}-{{branch}}-{{000000}}", Reset.NEVER)


def current_format(connection: Connection, entity: EntityType) -> NumberFormat:
    """The format the next number is given in."""
    found = connection.one("SELECT format, reset FROM number_rule WHERE series = ? AND deleted = 0", (entity.key,))
    return NumberFormat(found[0], Reset(found[1])) if found else default_format(entity)


def known_formats(connection: Connection, entity: EntityType) -> list[NumberFormat]:
    """Every format this kind's numbers may have been given in, the current one first."""
    formats = [current_format(connection, entity)]
    rule = entity_type("number_rule")
    numbers = rule.fields["format"].no, rule.fields["reset"].no
    ids = [row[0] for row in connection.all("SELECT id FROM number_rule WHERE series = ?", (entity.key,))]
    for identity, values in changelog.first_values(connection, rule, ids).items():
        earlier = [dict(values)]
        for change in changelog.changes_of(connection, rule, [identity]):
            if change.op == UPDATE:
                earlier.append(earlier[-1] | {no: new for no, (_old, new) in changelog.parse_diff(rule, change.diff or "{}").items()})
        formats += [NumberFormat(str(row[numbers[0]]), Reset(str(row[numbers[1]]))) for row in reversed(earlier)]
    return list(dict.fromkeys([*formats, default_format(entity)]))


def read_number(formats: Sequence[NumberFormat], number: str) -> Given | None:
    """What a number says in the first of these formats that it is of; None for one that a person made up."""
    return next(filter(None, (form.read(number) for form in formats)), None)
