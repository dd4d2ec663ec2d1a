"""Data for lists, pickers and the palette as plain JSON over HTTP: large answers do not travel through the page's socket.

Every route runs behind the guard (session, Host, Origin) and asks the services, which check the rights of the moment.
``session_of(request)`` gives the signed-in session; what changes something must carry the header X-Localcrm (see guard).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from localcrm.domain import policy, records
from localcrm.domain.area_finder import find_areas
from localcrm.domain.conditions import Asking, read_tree
from localcrm.domain.options.table import SECTIONS
from localcrm.domain.people.sessions import log_event
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import EntityType, Field as Column, entity as entity_type
from localcrm.store import search
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, Cursor, ListQuery, ref_titles, select, titles
from localcrm.store.view import Masked
from localcrm.ui.export_note import note_of
from localcrm.ui.finding import OPTIONS_PATH, SEARCH_PATH, find_options, find_screens
from localcrm.ui.kit.columns import row_json
from localcrm.ui.kit.values import show
from localcrm.ui.registry import screens_for
from localcrm.ui.sessions import Session

BLOCK = 100
MAX_BLOCK = 500
PICKS = 12
EXPORT_LIMIT = 1_000_000


def session_of(request: Request) -> Session:
    """The session that the guard found for this request."""
    session: Session = request.scope["localcrm.session"]
    return session


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("/api/list/{entity}", answering(list_page), methods=["POST"]),
        Route("/api/pick/{entity}", answering(pick), methods=["GET"]),
        Route("/api/areas", answering(pick_area), methods=["GET"]),
        Route("/api/search", answering(find), methods=["GET"]),
        Route("/api/export/{entity}.{suffix}", export, methods=["GET"]),
    ]


def answering(function: Callable[[Session, Mapping[str, str], Any], Any]) -> Callable[[Request], Any]:
    """A route of a plain function (session, path and query parameters, body) that runs in a worker thread."""

    async def endpoint(request: Request) -> Response:
        body: Any = None
        if request.method == "POST":
            try:
                body = json.loads(await request.body())
            except ValueError:
                return _refusal(InvalidInput("bad_request", N_("The request cannot be understood.")))
        parameters = {**request.query_params, **request.path_params}
        try:
            return JSONResponse(await asyncio.to_thread(function, session_of(request), parameters, body))
        except AppError as error:
            return _refusal(error)

    return endpoint


def _refusal(error: AppError) -> JSONResponse:
    return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)


# lists -------------------------------------------------------------------------------------------------------------


class _FromBrowser(BaseModel):
    """A part of a request; scripts write its names in their own way."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class SortPart(_FromBrowser):
    """One column a list is sorted by; only the first counts."""

    col_id: str = ""
    sort: str = "asc"


class FilterPart(_FromBrowser):
    """What the grid's filter of one column says."""

    type: str
    filter_type: str = "text"
    filter: str | int | float | None = None
    filter_to: str | int | float | None = None
    date_from: str | None = None
    date_to: str | None = None


class ListRequest(_FromBrowser):
    """What a list asks for: a block of rows, how they are sorted and narrowed, and the cursor of the block before."""

    start_row: int = Field(0, ge=0, le=2**40)
    end_row: int | None = Field(None, ge=0, le=2**40)
    sort_model: list[SortPart] = []
    filter_model: dict[str, FilterPart] = {}
    search: str = Field("", max_length=200)
    where: list[tuple[str, str, Any]] = []
    tree: dict[str, Any] | None = None  # see domain.conditions
    deleted: bool = False
    cursor: tuple[Any, int] | None = None


def list_page(session: Session, parameters: Mapping[str, str], body: Any) -> dict[str, Any]:
    """One block of a list: rows, lastRow (−1 while unknown), total, capped, cursor for the next block."""
    request = read_request(body)
    query = list_query(session, entity_type(parameters["entity"]), request)
    with session.store.read() as connection:
        page = select(connection, query)
        rows = row_json(connection, session.actor, query.entity, page.rows, ref_titles(connection, query.entity, page.rows))
    end_known = len(page.rows) < query.limit
    last = request.start_row + len(page.rows) if end_known else -1 if page.capped else page.total
    return {"rows": rows, "lastRow": last, "total": page.total, "capped": page.capped, "cursor": _cursor_json(page.next)}


def read_request(body: Any) -> ListRequest:
    """A request as it came from a browser, checked; raises InvalidInput."""
    try:
        return ListRequest.model_validate(body)
    except ValidationError:
        raise InvalidInput("bad_request", N_("The request cannot be understood.")) from None


def list_query(session: Session, entity: EntityType, request: ListRequest, action: str = "read") -> ListQuery:
    """What a list asks for as a typed query; unknown fields and operators are refused by ``store.query``."""
    end = request.end_row if request.end_row is not None else request.start_row + BLOCK
    sort = "".join(("-" if part.sort == "desc" else "") + part.col_id for part in request.sort_model[:1] if part.col_id)
    where = [Condition(field, operator, value) for field, operator, value in request.where]  # type: ignore[arg-type]
    where += [condition for field, part in request.filter_model.items() for condition in _filter(entity, field, part)]
    return ListQuery(
        entity,
        where=tuple(where),
        search=request.search,
        sort=sort,
        limit=max(1, min(end - request.start_row, MAX_BLOCK)),
        offset=request.start_row,
        after=_cursor(request.cursor),
        deleted=request.deleted,
        restrict=policy.view(session.actor, entity, action),
        tree=read_tree(entity, request.tree, Asking(session.actor)) if request.tree else None,
        among=partial(policy.seen, session.actor),
    )


_OPERATORS = {
    "contains": "contains",
    "startsWith": "starts",
    "equals": "=",
    "notEqual": "!=",
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
    "blank": "blank",
    "notBlank": "filled",
}


_COMPARED: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda label, wanted: wanted in label,
    "startsWith": lambda label, wanted: label.startswith(wanted),
    "equals": lambda label, wanted: label == wanted,
}


def _options_that_fit(column: Column, part: FilterPart) -> list[str]:
    """Stored values whose labels fit what was typed: people filter by what they read."""
    wanted, fits = search.normalise(str(part.filter or "")), _COMPARED[part.type]
    return [value for value, msgid in column.options.items() if fits(search.normalise(_(msgid)), wanted)]


def _filter(entity: EntityType, field: str, part: FilterPart) -> Iterator[Condition]:
    """Conditions of the filter of one column."""
    column = entity.fields.get(field)
    if column is not None and column.options and part.type in _COMPARED:
        values = _options_that_fit(column, part)
        if column.kind == "choices":
            yield Condition(field, "any", values)
            return
        if values or column.choices:  # an open list holds what people typed, too
            yield Condition(field, "in", values)
            return
    if column is not None and column.f.widget == "tags" and part.type == "equals":
        yield Condition(field, "any", [str(part.filter or "")])
        return
    day = part.filter_type == "date"
    low = (part.date_from or "")[:10] if day else part.filter
    if part.type == "inRange":
        yield Condition(field, ">=", low)
        yield Condition(field, "<=", (part.date_to or "")[:10] if day else part.filter_to)
    elif part.type in _OPERATORS:
        yield Condition(field, _OPERATORS[part.type], low)  # type: ignore[arg-type]
    else:
        raise InvalidInput("bad_filter", N_("Lists cannot be filtered by “{field}”."), field=field[:60])


def _cursor_json(cursor: Cursor | None) -> list[Any] | None:
    if cursor is None:
        return None
    value = cursor.value
    return [{"hex": value.hex()} if isinstance(value, bytes) else value, cursor.rid]


def _cursor(value: tuple[Any, int] | None) -> Cursor | None:
    match value:
        case None:
            return None
        case ({"hex": str(digits)}, rid):
            try:
                return Cursor(bytes.fromhex(digits), rid)
            except ValueError:
                raise InvalidInput("bad_request", N_("The request cannot be understood.")) from None
        case (int() | str() | None as stored, rid):
            return Cursor(stored, rid)
    raise InvalidInput("bad_request", N_("The request cannot be understood."))


# pickers and palette -------------------------------------------------------------------------------------------------


def pick(session: Session, parameters: Mapping[str, str], body: Any) -> dict[str, Any]:  # noqa: ARG001
    """Records to choose from for what was typed: {"rows": [{id, title, second}]}; the newest ones for nothing typed."""
    entity = entity_type(parameters["entity"])
    where = tuple(Condition(key[2:], "=", value) for key, value in parameters.items() if key.startswith("w."))
    restrict = policy.view(session.actor, entity)
    query = ListQuery(entity, where=where, search=parameters.get("q", "")[:100], sort="", limit=PICKS, restrict=restrict)
    with session.store.read() as connection:
        page = select(connection, query)
        names = ref_titles(connection, entity, page.rows)
    return {"rows": [{"id": r["id"], "title": title_of(entity, r), "second": second_line(entity, r, names)} for r in page.rows]}


def pick_area(session: Session, parameters: Mapping[str, str], body: Any) -> dict[str, Any]:  # noqa: ARG001
    """Areas to choose from for what was typed, as ``pick`` answers."""
    return {"rows": [{"id": area, "title": area, "second": ""} for area in find_areas(parameters.get("q", "")[:100])]}


def title_of(entity: EntityType, record: Mapping[str, Any]) -> str:
    """What a record is called."""
    return show(entity.fields[entity.title_field], record[entity.title_field]) or _("(no name)")


def second_line(entity: EntityType, record: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]) -> str:
    """What tells records with the same title apart: the first filled columns beside it."""
    parts = (
        show(field, record[field.key], names.get(field.key))
        for field in entity.columns
        if field.key in record and field.key != entity.title_field and field.kind in {"text", "ref", "date", "datetime", "choice"}
    )
    retired = _("Out of use") if record.get("active") is False else ""
    return " · ".join([part for part in (retired, *parts) if part][:3])


def find(session: Session, parameters: Mapping[str, str], body: Any) -> dict[str, Any]:  # noqa: ARG001
    """Screens, settings and records for the palette: {"screens": [{title, path}], "settings": …, "rows": [{entity, label, id, title, match, path}]}."""
    text = parameters.get("q", "")[:100].strip()
    pages, settings = find_screens(session, text), find_options(session, text) if text else []
    hits: list[tuple[search.Hit, str]] = []
    if text:
        with session.store.read() as connection:
            ways = Ways(session, connection)
            found = records.find_everywhere(connection, session.actor, text=text, limit=20)
            hits = [(hit, ways.to(entity_type(hit.entity), hit.id) or f"{SEARCH_PATH}?{urlencode({'q': text})}") for hit in found]
    return {
        "screens": [{"title": screen.label, "path": screen.path, "icon": screen.icon} for screen in pages[:8]],
        "settings": [
            {"title": one.label, "path": f"{OPTIONS_PATH}?at={one.key}", "second": _(SECTIONS[one.section])} for one in settings[:6]
        ],
        "rows": [
            {
                "entity": hit.entity,
                "label": entity_type(hit.entity).label,
                "id": hit.id,
                "title": hit.title or _("(no name)"),
                "match": "" if hit.match == hit.title else hit.match[:80],
                "path": path,
            }
            for hit, path in hits
        ],
    }


#: Entities whose records are shown by a screen of their own rather than by the generic one.
OWN_PAGES: dict[str, str] = {
    "customer": "/customers?open={id}",
    "activity": "/activities/{id}",
    "opportunity": "/opportunities?open={id}",
    "sales_order": "/orders/{id}",
    "quote": "/quotes/{id}",
    "delivery": "/deliveries/{id}",
    "user": "/people?open={id}",
    "call": "/calls?open={id}",
    "ticket": "/tickets/{id}",
    "supplier": "/suppliers?open={id}",
    "partner": "/partner/{id}",
    "department": "/people",
    "role": "/roles",
    "legal_entity": "/settings/organisation",
    "approval_flow": "/approval-flows",
    "pool": "/settings/pools",
    "reclaim_rule": "/settings/pools",
    "allot_rule": "/settings/pools",
    "service_level": "/settings/service",
    "work_hours": "/settings/service",
    "calendar_day": "/settings/service",
}


def record_path(entity: str, identity: str) -> str:
    """Address of a record's page."""
    return OWN_PAGES.get(entity, "/records/{entity}?open={id}").format(entity=entity, id=identity)


def page_path(entity: str, identity: str) -> str:
    """The same, but a customer on a page of its own: it tells of a deleted one too, and a phone shows it at once."""
    return f"/customers/{identity}" if entity == "customer" else record_path(entity, identity)


class Ways:
    """Where a user opens what was found: the screens he may open, asked once for many records."""

    def __init__(self, session: Session, connection: Connection) -> None:
        self._open = {screen.path for screen in screens_for(session)}
        self._connection = connection

    def to(self, kind: EntityType, identity: str) -> str:
        """Address of a record, or of what it is seen under; "" where no screen shows it to this user."""
        while OWN_PAGES.get(kind.key, f"/records/{kind.key}").partition("?")[0] not in self._open:
            if kind.under is None:
                return ""
            above = self._connection.value(f'SELECT "{kind.under}" FROM "{kind.key}" WHERE id = ?', (bytes.fromhex(identity),))
            if above is None:
                return ""
            kind, identity = entity_type(kind.fields[kind.under].f.ref or ""), above.hex()
        return record_path(kind.key, identity)


# export --------------------------------------------------------------------------------------------------------------


async def export(request: Request) -> Response:
    """The whole filtered list as a file; the query travels as JSON in ``query``, the columns in ``columns``."""
    session = session_of(request)
    try:
        entity = entity_type(request.path_params["entity"])
        suffix = request.path_params["suffix"]
        body = json.loads(request.query_params.get("query", "{}"))
        keys = [key for key in request.query_params.get("columns", "").split(",") if key in entity.fields and not entity.fields[key].secret]
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory)
        asked = read_request(body)
        query = list_query(session, entity, asked, "export")
        narrowed = bool(asked.where or asked.filter_model)
        note = await asyncio.to_thread(note_of, session, entity, asked.tree, search=asked.search, narrowed=narrowed)
        path = Path(folder.name) / note.file_name(suffix)
        await asyncio.to_thread(_write_export, session, query, path, keys, note.text)
    except AppError as error:
        return _refusal(error)
    except ValueError:
        return _refusal(InvalidInput("bad_request", N_("The request cannot be understood.")))
    disposition = f"attachment; filename*=UTF-8''{quote(path.name)}"
    return FileResponse(path, headers={"Content-Disposition": disposition}, background=BackgroundTask(folder.cleanup))


def _write_export(session: Session, query: ListQuery, path: Path, keys: Sequence[str], note: str = "") -> None:
    from localcrm.reports.export import write_table

    hidden = query.restrict.hidden if query.restrict else frozenset()
    is_card = path.suffix == ".vcf"  # which holds what there is, whatever columns are shown
    chosen = query.entity.readable if is_card else [query.entity.field(key) for key in keys] or query.entity.columns
    fields = [field for field in chosen if field.key not in hidden]
    kinds = ["text" if field.kind in {"ref", "choice", "files"} or field.options else field.kind for field in fields]

    def cell(field: Any, record: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]) -> Any:
        plain = field.kind not in {"ref", "files"} and not field.f.refs and not field.options and not isinstance(record[field.key], Masked)
        return record[field.key] if plain else show(field, record[field.key], names.get(field.key))

    def rows() -> Iterator[list[Any]]:
        from dataclasses import replace

        with session.store.read() as connection:
            part = replace(query, limit=1000, offset=0, after=None)
            while True:
                page = select(connection, part)
                names = ref_titles(connection, query.entity, page.rows)
                for record in page.rows:
                    yield [cell(field, record, names) for field in fields]
                if page.next is None:
                    return
                part = replace(part, after=page.next)

    names = ["company" if is_card and field.key == "customer_id" else field.key for field in fields]
    count = write_table(path, [field.label for field in fields], rows(), kinds=kinds, keys=names, note=note)
    log_event(session.store, "export", user_id=session.user_id, detail=f"{query.entity.key} {path.suffix} {count}")


def record_title(session: Session, entity: str, identity: str | None) -> str:
    """Title of one record, for a picker that shows a stored reference."""
    if not identity:
        return ""
    with session.store.read() as connection:
        return titles(connection, entity_type(entity), [identity]).get(identity, "")
