"""One import from an uploaded file to its result: what the wizard shows and runs. Knows files and records, no widgets."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcrm.channels.columns import recognise_columns
from localcrm.channels.tables import MAX_BYTES, Table, read_table
from localcrm.domain import policy
from localcrm.domain.import_columns import Column, column_of, columns_of
from localcrm.domain.importing import ImportResult, import_rows, import_whole
from localcrm.domain.typed import read_text
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field, Kind, entities

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.store import Store

PREVIEW_ROWS = 20
KEEP_SECONDS = 24 * 3600
_TOKEN = re.compile(r"[0-9a-f]{32}")


class Cancelled(Exception):
    """The user stopped the import; what was written stays."""


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row of the file: its cells, and what is wrong with which column (−1: with the row)."""

    number: int
    cells: list[str]
    faults: dict[int, str]


@dataclass(slots=True)
class Progress:
    """How far a run is; rows that were read, of how many."""

    done: int = 0
    total: int = 0
    result: ImportResult = field(default_factory=ImportResult)
    cancelled: bool = False


def importable(actor: Actor) -> list[EntityType]:
    """Kinds of records that this user may bring in from a table."""
    kinds = {Kind.MASTER, Kind.LEDGER}
    return [
        kind
        for kind in entities()
        if kind.kind in kinds and policy.written_by_hand(kind) and policy.may(actor, f"{kind.key}.import") and not _has_secret(kind)
    ]


def _has_secret(kind: EntityType) -> bool:
    return any(field.secret for field in kind.fields.values())


# uploaded files --------------------------------------------------------------------------------------------------------


def upload_place(store: Store, name: str) -> tuple[str, Path]:
    """Where an uploaded file goes until it is imported: (token, path). Older ones are swept away."""
    folder = store.folder / "uploads"
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        if old.stat().st_mtime < time.time() - KEEP_SECONDS:
            old.unlink(missing_ok=True)
    token = secrets.token_hex(16)
    suffix = Path(name).suffix.lower()
    return token, folder / f"{token}{suffix if suffix in {'.csv', '.xlsx', '.vcf', '.txt'} else '.dat'}"


def uploaded(store: Store, token: str) -> Path:
    """The file of a token; raises NotFound."""
    found = next(iter((store.folder / "uploads").glob(f"{token}.*")), None) if _TOKEN.fullmatch(token) else None
    if found is None:
        raise NotFound("upload_gone", N_("The uploaded file is no longer there. Please choose it again."))
    return found


# one import ------------------------------------------------------------------------------------------------------------


class ImportJob:
    """A file, what its columns mean, and how it went. Every method may take long: call it in a worker thread."""

    def __init__(self, store: Store, actor: Actor, kind: EntityType, path: Path, name: str) -> None:
        policy.require(actor, f"{kind.key}.import")
        self.store, self.actor, self.kind, self.path, self.name = store, actor, kind, path, name
        self.table: Table = read_table(path, max_bytes=MAX_BYTES)
        self.mapping: dict[int, str] = recognise_columns(self.table.headers, kind)
        # Of somebody with several people there each row names one, and his company once more.
        names_others = any("." in key for key in self.mapping.values()) and kind.title_field in self.mapping.values()
        self.update_on: str | None = kind.title_field if names_others else None
        self.only_whole = False
        self.progress = Progress()
        self.total = 0
        self._stop = False

    @property
    def columns(self) -> list[Column]:
        """What a column may mean."""
        return columns_of(self.kind)

    @property
    def keys_to_match(self) -> list[Field]:
        """Fields that may tell which existing record a row means."""
        if self.kind.kind is Kind.LEDGER:
            return []
        used = [column_of(self.kind, key) for key in self.mapping.values()]
        return [column.field for column in used if column.field.kind == "text" and not column.along]

    def map_column(self, index: int, key: str | None) -> None:
        """Say what a column means; a field is given to one column only."""
        self.mapping = {column: known for column, known in self.mapping.items() if column != index and known != key}
        if key:
            self.mapping[index] = key
        if self.update_on not in self.mapping.values():
            self.update_on = None

    def missing(self) -> list[Column]:
        """What every record needs and no column gives."""
        return [column for column in self.columns if column.required and column.key not in self.mapping.values()]

    def count(self) -> int:
        """Rows of the file; a file damaged half way is refused here, before anything of it is written."""
        self.total = sum(1 for _row in self.table) + len(self.table.errors)
        return self.total

    def preview(self) -> list[PreviewRow]:
        """The first rows with every fault that can be told."""
        rows = list(islice(self.table, PREVIEW_ROWS))
        tried = import_rows(self.store, self.actor, entity=self.kind.key, rows=self._cells(rows), update_on=self.update_on, dry_run=True)
        refused = {error["row"]: error for error in tried.errors}
        columns = {key: index for index, key in self.mapping.items()}
        shown = []
        for number, cells in rows:
            faults = {columns.get(key, -1): text for key, text in self._faults(cells).items()} if number in refused else {}
            if number in refused:
                faults[columns.get(refused[number]["field"] or "", -1)] = refused[number]["message"]
            shown.append(PreviewRow(number, cells, faults))
        return shown

    def _faults(self, cells: list[str]) -> dict[str, str]:
        """Faults the declaration knows; those of other records (is there such a customer?) come from the trial run."""
        values: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for index, key in self.mapping.items():
            column, text = column_of(self.kind, key), cells[index].strip()
            if not text or column.field.kind == "ref":
                continue
            try:
                value = read_text(column.field, text)
            except InvalidInput as error:
                faults[key] = error.message
            else:
                if not column.along:
                    values[key] = value
        known = {key: fault.message for key, fault in self.kind.faults(values).items() if self.kind.fields[key].kind != "ref"}
        return {**known, **faults} if self.update_on is None else faults

    def run(self, *, dry_run: bool) -> Progress:
        """Import, or only try; with ``only_whole`` nothing is written where a row is refused. Stops between two portions when cancelled; whole rows stay."""
        self._stop = False
        self.progress = Progress(total=self.total or self.count())

        def heard(result: ImportResult) -> None:
            self.progress.result = result
            self.progress.done = result.created + result.updated + result.skipped + result.failed
            if self._stop:
                raise Cancelled

        how: dict[str, Any] = {"entity": self.kind.key, "update_on": self.update_on, "progress": heard}
        try:
            if self.only_whole and not dry_run:
                result = import_whole(self.store, self.actor, rows=lambda: self._cells(self.table), readable=not self.table.errors, **how)
            else:
                result = import_rows(self.store, self.actor, rows=self._cells(self.table), dry_run=dry_run, **how)
        except Cancelled:
            self.progress.cancelled = True
            return self.progress
        for error in self.table.errors:
            result.refuse(error.row, None, error.code, error.message)
        result.errors.sort(key=lambda error: error["row"])
        self.progress.result, self.progress.done = result, self.progress.total
        return self.progress

    def cancel(self) -> None:
        """Stop after the portion that is being written."""
        self._stop = True

    def write_failed_rows(self) -> Path:
        """The refused rows as they are in the file, each with its reason, to be mended and imported again."""
        from localcrm.reports.export import write_error_rows

        reasons = {error["row"]: error["message"] for error in self.progress.result.errors}
        rows = {number: cells for number, cells in self.table if number in reasons}
        rows |= {error.row: list(error.cells) for error in self.table.errors}
        target = self.path.with_suffix(".failed.xlsx")
        write_error_rows(target, self.table.headers, ((number, rows[number], reasons[number]) for number in sorted(rows)))
        return target

    def forget(self) -> None:
        """Remove the uploaded file and what was made from it."""
        for path in (self.path, self.path.with_suffix(".failed.xlsx")):
            path.unlink(missing_ok=True)

    def _cells(self, rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, Mapping[str, str]]]:
        for number, cells in rows:
            yield number, self.table.wanted(cells, self.mapping)
