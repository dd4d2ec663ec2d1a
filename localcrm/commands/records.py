"""Commands that read and write records, and run verbs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from localcrm.commands.frame import Session, argument, assignments, cell_text, command, option, table_lines
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_, gettext

# what exists ---------------------------------------------------------------------------------------------------------


@command("entities", help=N_("What records exist: fields, types, labels."))
@argument("entity", required=False)
def entities(session: Session, entity: str | None) -> None:
    from localcrm.domain import declarations as declarations  # noqa: PLC0414 -- makes every entity known
    from localcrm.kernel import schema

    session.know_own_fields()
    kinds = [schema.entity(entity)] if entity else schema.entities()
    document = {"entities": [_describe(kind) for kind in kinds]}
    session.show(document, text=lambda: _entity_lines(document, full=bool(entity)))


def _describe(kind: Any) -> dict[str, Any]:
    fields = [
        {"key": field.key, "label": field.label, "type": field.kind, "required": field.required, "ref": field.f.ref}
        for field in kind.fields.values()
    ]
    return {"key": kind.key, "label": kind.label, "fields": fields}


def _entity_lines(document: dict[str, Any], *, full: bool) -> Iterator[str]:
    if not full:
        yield from table_lines(["entity", "label"], [[kind["key"], kind["label"]] for kind in document["entities"]])
        return
    for kind in document["entities"]:
        yield f"{kind['key']}  {kind['label']}"
        columns = ["key", "label", "type", "required", "ref"]
        yield from table_lines(columns, [[field[column] for column in columns] for field in kind["fields"]])


@command("verbs", help=N_("Every action a screen can run, with its parameters."))
@argument("subject", required=False)
def verbs(session: Session, subject: str | None) -> None:
    from localcrm.domain import subjects as subjects  # noqa: PLC0414 -- declares everything
    from localcrm.domain.verbs import VERBS

    known = sorted(VERBS.values(), key=lambda verb: verb.name)
    if subject:
        known = [verb for verb in known if verb.name.split(".")[0] == subject]
        if not known:
            raise NotFound("unknown_subject", N_("There are no actions of a subject called “{subject}”."), subject=subject[:60])
    rows = [[verb.name, verb.label, ", ".join(f"{key}: {kind}" for key, kind in verb.parameters.items())] for verb in known]
    session.show(
        {"verbs": [{"name": verb.name, "label": verb.label, "params": verb.parameters} for verb in known]},
        text=lambda: table_lines(["verb", "label", "params"], rows),
    )


# reading -------------------------------------------------------------------------------------------------------------


@command("list", help=N_("List records."))
@argument("entity")
@option("--where", multiple=True, metavar="FIELD=VALUE", help=N_("Only records whose field is exactly this; may be repeated."))
@option("--search", "search_text", default="", help=N_("Only records found by this text."))
@option("--sort", default="", metavar="FIELD", help=N_("Sort by a field, -field for descending."))
@option("--limit", type=click.IntRange(min=0), help=N_("At most so many rows (default: all)."))
@option("--offset", type=click.IntRange(min=0), default=0, help=N_("Leave out the first rows."))
@option("--deleted", is_flag=True, help=N_("What is in the recycle bin."))
def list_records(
    session: Session, entity: str, where: tuple[str, ...], search_text: str, sort: str, limit: int | None, offset: int, deleted: bool
) -> None:
    from localcrm.domain import policy
    from localcrm.kernel import schema
    from localcrm.kernel.ids import parse_id
    from localcrm.store.query import Condition, ListQuery

    actor = session.actor
    kind = schema.entity(entity)
    conditions = tuple(Condition(key, "=", parse_id(value) if key == "id" else value) for key, value in assignments(where))
    view = policy.view(actor, kind)
    query = ListQuery(kind, where=conditions, search=search_text, sort=sort, offset=offset, deleted=deleted, restrict=view, exact=True)
    with session.store.read() as connection:
        total, rows = _read(connection, actor, query, limit)
        if session.json:
            _print_rows(total, rows)
        else:
            listed = list(rows)
            words = labels_of_values(connection, kind, listed)
            shown = [field for field in kind.columns if field.key not in view.hidden]
            cells = ([row["id"], *(words[field.key].get(row[field.key], row[field.key]) for field in shown)] for row in listed)
            for line in table_lines(["id", *(field.label for field in shown)], cells):
                click.echo(line)
            click.echo(gettext(N_("{shown} of {total}")).format(shown=len(listed), total=total))


def labels_of_values(connection: Any, kind: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[Any, str]]:
    """What people read instead of stored values, by field: labels of choices, titles of what references point to."""
    from localcrm.domain.typed import in_words
    from localcrm.store.query import ref_titles

    labels = {field.key: {value: gettext(msgid) for value, msgid in field.options.items()} for field in kind.readable}
    for field in kind.readable:
        if field.kind in {"choices", "files"}:
            labels[field.key] = {row[field.key]: in_words(field, row[field.key]) for row in rows if row.get(field.key)}
    return {**labels, **ref_titles(connection, kind, rows)}


def _read(connection: Any, actor: Any, query: Any, limit: int | None) -> tuple[int, Iterator[dict[str, Any]]]:
    """The total, and the rows in JSON form as they are asked for."""
    from localcrm.domain import records
    from localcrm.store.query import MAX_LIMIT, every, select

    if limit is not None and limit <= MAX_LIMIT:
        page = select(connection, replace(query, limit=limit))
        return page.total, iter(records.records_json(connection, actor, query.entity, page.rows))
    pages = every(connection, query)
    first = next(pages)

    def rows() -> Iterator[dict[str, Any]]:
        left = limit
        for page in (first, *()) if left == 0 else _chain(first, pages):
            taken = page.rows if left is None else page.rows[:left]
            yield from records.records_json(connection, actor, query.entity, taken)
            if left is not None:
                left -= len(taken)
                if not left:
                    return

    return first.total, rows()


def _chain(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


def _print_rows(total: int, rows: Iterator[dict[str, Any]]) -> None:
    """{"total", "rows"} row by row, so that a million records need the memory of a thousand."""
    click.echo(f'{{"total": {total}, "rows": [', nl=False)
    for number, row in enumerate(rows):
        click.echo((", " if number else "") + json.dumps(row, ensure_ascii=False), nl=False)
    click.echo("]}")


@command("get", help=N_("Show one record."))
@argument("entity")
@argument("id")
def get(session: Session, entity: str, id: str) -> None:
    session.show(_record(session, entity, id))


def _saved(session: Session, entity: str, record: dict[str, Any]) -> dict[str, Any]:
    """What was saved as it now stands; its id alone for somebody who may not look at it."""
    from localcrm.domain import policy

    return _record(session, entity, record["id"]) if policy.may(session.actor, f"{entity}.read") else {"id": record["id"]}


def _record(session: Session, entity: str, identity: str) -> dict[str, Any]:
    """A record in JSON form as it now stands; one in the recycle bin says so."""
    from localcrm.domain import records

    with session.store.read() as connection:
        return records.read_record(connection, session.actor, entity=entity, id=identity)


@command("search", help=N_("Find records of any kind by text, pinyin or last digits."))
@argument("text")
@option("--limit", type=click.IntRange(min=1, max=200), default=20, show_default=True, help=N_("At most so many rows."))
def search(session: Session, text: str, limit: int) -> None:
    from localcrm.domain import records

    actor = session.actor
    with session.store.read() as connection:
        hits = records.find_everywhere(connection, actor, text=text, limit=limit)
    rows = [{"entity": hit.entity, "id": hit.id, "title": hit.title, "match": hit.match} for hit in hits]
    session.show({"rows": rows}, text=lambda: table_lines(["entity", "id", "title", "match"], [list(row.values()) for row in rows]))


@command("history", help=N_("Every change of a record: when, who, where, old and new."))
@argument("entity")
@argument("id")
def history(session: Session, entity: str, id: str) -> None:
    from localcrm.domain import records
    from localcrm.domain.people.entities import User
    from localcrm.store.query import titles

    actor = session.actor
    with session.store.read() as connection:
        changes = records.read_history(connection, actor, entity=entity, id=id)
        names = titles(connection, User.entity_type, [change.user_id for change in changes if change.user_id])
    rows = [
        {
            "at": change.at,
            "user": names.get(change.user_id or "", change.user_id),
            "node": change.node,
            "field": change.field,
            "old": change.old,
            "new": change.new,
            "change": change.lseq,
        }
        for change in changes
    ]
    columns = ["at", "user", "node", "field", "old", "new"]
    session.show({"rows": rows}, text=lambda: table_lines(columns, [[cell_text(row[column]) for column in columns] for row in rows]))


# writing -------------------------------------------------------------------------------------------------------------


@command("new", help=N_("Add a record."))
@argument("entity")
@argument("values", nargs=-1, metavar="[FIELD=VALUE]...")
def new(session: Session, entity: str, values: tuple[str, ...]) -> None:
    from localcrm.domain import records

    given = dict(assignments(values))
    actor = session.actor
    with session.store.unit_of_work(actor.user_id) as uow:
        record = records.create_record(uow, actor, entity=entity, values=given)
    session.show(_saved(session, entity, record))


@command("set", help=N_("Change fields of a record; “field=” empties one."))
@argument("entity")
@argument("id")
@argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
def set_fields(session: Session, entity: str, id: str, values: tuple[str, ...]) -> None:
    from localcrm.domain import records

    given = dict(assignments(values))
    actor = session.actor
    with session.store.unit_of_work(actor.user_id) as uow:
        record = records.update_record(uow, actor, entity=entity, id=id, values=given)
    session.show(_saved(session, entity, record))


@command("delete", help=N_("Put a record into the recycle bin."))
@argument("entity")
@argument("id")
def delete(session: Session, entity: str, id: str) -> None:
    from localcrm.domain import records

    actor = session.actor
    with session.store.unit_of_work(actor.user_id) as uow:
        document = records.delete_record(uow, actor, entity=entity, id=id)
    session.show(document)


@command("undelete", help=N_("Bring a record back from the recycle bin."))
@argument("entity")
@argument("id")
def undelete(session: Session, entity: str, id: str) -> None:
    from localcrm.domain import records

    actor = session.actor
    with session.store.unit_of_work(actor.user_id) as uow:
        document = records.undelete_record(uow, actor, entity=entity, id=id)
    session.show(document)


@command("do", help=N_("Run an action, such as sales.post_order."))
@argument("verb")
@option("--args", "arguments", default="{}", metavar="JSON", help=N_("Its parameters as a JSON object."))
def do(session: Session, verb: str, arguments: str) -> None:
    from localcrm.domain import verbs as actions

    try:
        parameters = json.loads(arguments, parse_float=str)  # an amount keeps the digits it was written with
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise InvalidInput("bad_args", N_("--args is not a JSON object. Nothing was done."))
    actor = session.actor
    actions.verb(verb)
    session.show(actions.run(session.store, actor, verb, parameters))
