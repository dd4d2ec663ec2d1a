"""Commands that bring in and take away whole tables of records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localcrm.commands.frame import Session, argument, command, option
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_, gettext

if TYPE_CHECKING:
    from localcrm.channels.tables import Table
    from localcrm.domain.importing import ImportResult
    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection
    from localcrm.store.query import ListQuery

_FILE = click.Path(path_type=Path)


@command("import", help=N_("Add or update records from a csv, xlsx or vcf file."))
@argument("entity")
@argument("file", type=_FILE)
@option("--map", "mapping", multiple=True, metavar="COLUMN=FIELD", help=N_("Which column is which field; may be repeated."))
@option("--update-on", metavar="FIELD", help=N_("Change the record that has the same value in this field instead of adding one."))
@option("--dry-run", is_flag=True, help=N_("Try everything, keep nothing."))
@option("--whole", is_flag=True, help=N_("Keep nothing where a single row is refused."))
@option("--errors", "errors_file", type=_FILE, metavar="FILE", help=N_("Write the refused rows with the reasons to this csv or xlsx file."))
def import_file(
    session: Session,
    entity: str,
    file: Path,
    mapping: tuple[str, ...],
    update_on: str | None,
    dry_run: bool,
    whole: bool,
    errors_file: Path | None,
) -> None:
    from localcrm.channels.tables import read_table
    from localcrm.domain.importing import import_rows, import_whole
    from localcrm.kernel.schema import entity as entity_type

    actor = session.actor
    kind = entity_type(entity)
    if errors_file is not None:
        _check_errors_file(errors_file)
    table = read_table(file)
    fields = _chosen(table, kind, mapping) if mapping else _guessed(table, kind)
    for _row in table:  # a file damaged half way is refused before anything of it is written
        pass
    if whole and not dry_run:
        result = import_whole(
            session.store, actor, entity=entity, rows=lambda: _cells(table, fields), update_on=update_on, readable=not table.errors
        )
    else:
        result = import_rows(session.store, actor, entity=entity, rows=_cells(table, fields), update_on=update_on, dry_run=dry_run)
    for error in table.errors:
        result.refuse(error.row, None, error.code, error.message)
    result.errors.sort(key=lambda error: error["row"])
    if errors_file is not None and result.errors:
        _write_errors(errors_file, table, result)
    document = {
        "created": result.created,
        "updated": result.updated,
        "skipped": result.skipped,
        "failed": result.failed,
        "errors": result.errors,
        "warnings": [{"row": note.row, "code": note.code, "message": note.message} for note in table.warnings],
    }
    session.show(document)


def _chosen(table: Table, kind: EntityType, mapping: tuple[str, ...]) -> dict[int, str]:
    """Column index → field key, as told by --map. The last "=" separates, so a column may hold one."""
    from localcrm.domain.import_columns import column_of

    fields: dict[int, str] = {}
    for pair in mapping:
        column, equals, key = pair.rpartition("=")
        if not equals or not column:
            raise click.UsageError(gettext(N_("“{pair}” is not of the form {form}.")).format(pair=pair, form="column=field"))
        if column not in table.headers:
            raise InvalidInput(
                "unknown_column",
                N_("The file has no column “{column}”. Its columns are: {columns}."),
                column=column,
                columns=", ".join(table.headers[:30]),
            )
        fields[table.headers.index(column)] = column_of(kind, key).key
    return fields


def _guessed(table: Table, kind: EntityType) -> dict[int, str]:
    from localcrm.channels.columns import recognise_columns

    found = recognise_columns(table.headers, kind)
    if not found:
        raise InvalidInput(
            "no_column_recognised",
            N_("No column of the file could be recognised. Say which is which with --map; its columns are: {columns}."),
            columns=", ".join(table.headers[:30]),
        )
    return found


def _cells(table: Table, fields: Mapping[int, str]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, cells in table:
        yield number, table.wanted(cells, fields)


def _check_errors_file(path: Path) -> None:
    """Refuse before anything is imported whose errors could not be written."""
    if not path.parent.is_dir():
        raise NotFound("no_such_folder", N_("There is no folder “{name}”."), name=str(path.parent))
    if path.suffix.lower() not in {".csv", ".xlsx"}:
        raise click.UsageError(gettext(N_("“{pair}” is not of the form {form}.")).format(pair=path.name, form="FILE.csv, FILE.xlsx"))


def _write_errors(path: Path, table: Table, result: ImportResult) -> None:
    """The refused rows as they are in the file, each with its reasons, so that they can be mended and brought again."""
    from localcrm.reports.export import write_error_rows

    reasons = {error["row"]: error["message"] for error in result.errors}
    unreadable = {error.row: list(error.cells) for error in table.errors}
    rows = {number: cells for number, cells in table if number in reasons} | unreadable
    write_error_rows(path, table.headers, ((number, rows[number], reasons[number]) for number in sorted(rows)))


@command("export", help=N_("Write all records of a kind to a csv, xlsx, jsonl or vcf file."))
@argument("entity")
@option("-o", "output", required=True, type=_FILE, metavar="FILE", help=N_("File to write; its suffix says the format."))
def export_file(session: Session, entity: str, output: Path) -> None:
    from localcrm.domain import policy
    from localcrm.kernel.schema import entity as entity_type
    from localcrm.reports.export import write_table
    from localcrm.store.query import ListQuery

    actor = session.actor
    kind = entity_type(entity)
    restrict = policy.view(actor, kind, "export")
    exact = output.suffix.lower() == ".jsonl"
    fields = [field for field in kind.readable if field.key not in restrict.hidden]
    headers, keys, kinds = [f.label for f in fields], [f.key for f in fields], [f.kind if f.kind != "ref" else "text" for f in fields]
    if exact:
        headers, keys, kinds = ["id", *headers], ["id", *keys], ["text", *kinds]
    if output.suffix.lower() == ".vcf":
        keys = ["company" if key == "customer_id" else key for key in keys]
    with session.store.read() as connection:
        count = write_table(output, headers, _rows(connection, ListQuery(kind, restrict=restrict), exact=exact), kinds=kinds, keys=keys)
    session.show({"file": str(output), "rows": count})


def _rows(connection: Connection, query: ListQuery, *, exact: bool) -> Iterator[list[Any]]:
    """Values per record: for programs as they are, for people references by title and choices by label."""
    from localcrm.commands.records import labels_of_values
    from localcrm.store.query import every

    kind, hidden = query.entity, query.restrict.hidden if query.restrict else ()
    fields = [field for field in kind.readable if field.key not in hidden]
    for page in every(connection, query):
        if exact:
            yield from ([record["id"], *(record[field.key] for field in fields)] for record in page.rows)
            continue
        words = labels_of_values(connection, kind, page.rows)
        for record in page.rows:
            yield [words[field.key].get(record[field.key], record[field.key]) for field in fields]
