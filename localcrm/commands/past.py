"""Commands about what was: a record as it stood at a moment, and an action taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from localcrm.commands.frame import Group, Session, argument, cell_text, command, common_options, table_lines
from localcrm.kernel.i18n import N_, gettext


@click.group(
    "record",
    cls=Group,
    places={name: f"localcrm.commands.past:{place}" for name, place in {"as-of": "as_of", "undo": "undo"}.items()},
    help=N_("What a record was, and the way back."),
)
@common_options
def record() -> None:
    pass


@command("as-of", help=N_("A record as it stood at a moment (2026-11-23, or “2026-11-23 15:00”), and what it says today."))
@argument("entity")
@argument("id")
@argument("moment")
def as_of(session: Session, entity: str, id: str, moment: str) -> None:
    from localcrm.domain.admin.asof import as_of_json, parse_when

    when = parse_when(moment)
    actor = session.actor
    with session.store.read() as connection:
        document = as_of_json(connection, actor, entity=entity, id=id, moment=when)
    session.show(document, text=lambda: _lines_of(entity, document))


def _lines_of(entity: str, document: Mapping[str, Any]) -> Iterator[str]:
    states = {
        "not_there": N_("At that moment the record was not there yet."),
        "deleted": N_("It was in the recycle bin"),
        "in_use": N_("It was in use"),
    }
    yield gettext(states[document["state"]])
    if document["values"] is None:
        return
    yield from _table(entity, document)
    for kind, lines in document.get("lines", {}).items():
        for line in lines:
            yield ""
            yield from _table(kind, line)


def _table(entity: str, one: Mapping[str, Any]) -> Iterator[str]:
    """Field, value then, and a mark where it says something else today."""
    from localcrm.kernel import schema

    fields = schema.entity(entity).fields
    rows = [
        [fields[key].label, cell_text(value), "*" if key in one["changed"] else ""] for key, value in one["values"].items() if key in fields
    ]
    return table_lines(["field", "then", "changed since"], rows)


@command("undo", help=N_("Take back everything that was done together with a change, named by its number from “history --json”."))
@argument("change", type=click.IntRange(min=1))
def undo(session: Session, change: int) -> None:
    from localcrm.domain import verbs

    actor = session.actor
    session.show(verbs.run(session.store, actor, "admin.undo_action", {"change": change}))
