"""What the script of the search centre asks for, as plain JSON. Texts and places in them: whoever shows them writes text, never markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from localcrm.domain import verbs
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finding.centre import FILES, Found, Preview, look_up, preview
from localcrm.domain.finding.highlight import excerpt, spans
from localcrm.domain.finding.narrowing import Narrowing, Whose
from localcrm.domain.finding.rules import LONGEST, PERIODS, read_recent, with_recent
from localcrm.domain.finding.services import is_told_of_others
from localcrm.domain.people.preferences import preferences
from localcrm.kernel.attachments import read_attachments, shown_as
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.erase import SEARCHES
from localcrm.store.query import Record, ref_titles
from localcrm.store.view import Masked
from localcrm.ui.endpoints import Ways, answering, second_line
from localcrm.ui.kit.files import file_path, files_path
from localcrm.ui.kit.values import exact, file_size, show, tone

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

_CUSTOMER = Customer.entity_type
#: Marked text: pieces, every second of them marked.
Marked = list[str]


def find(session: Session, parameters: Mapping[str, str], _body: Any) -> dict[str, Any]:
    """Everything that answers ``q``: {"kinds": [{key, label, count, capped}], "rows": [hit], "capped", "sole": number of a row or null, "hidden": whether to ask for more}.

    ``kind``: rows of this one only, ``whose``, ``branch``, ``days``: see ``Narrowing``. A hit: {entity, label, id, title, second, matches, path, …}.
    """
    text = parameters.get("q", "")[:LONGEST].strip()
    narrowing, kind = _narrowing(parameters), parameters.get("kind", "")[:60]
    with session.store.read() as connection:
        found = look_up(connection, session.actor, text, narrowing, kind=kind, now_ms=session.store.clock.now_ms())
        rows = _rows(session, connection, found.hits, text)
    kinds = [{"key": key, "label": _label(key), "count": count, "capped": key in found.capped} for key, count in found.counts.items()]
    return {
        "kinds": kinds,
        "rows": rows,
        "capped": bool(found.capped),
        "sole": found.sole,
        "hidden": narrowing == Narrowing() and is_told_of_others(session.actor),
    }


def _narrowing(parameters: Mapping[str, str]) -> Narrowing:
    whose, branch, days = (parameters.get(key, "") for key in ("whose", "branch", "days"))
    if whose not in set(Whose) or days not in {"", *map(str, PERIODS)}:
        raise InvalidInput("bad_request", N_("The request cannot be understood."))
    return Narrowing(Whose(whose), parse_id(branch) if branch else "", int(days or 0))


def _label(kind: str) -> str:
    return _("Attached files") if kind == FILES else entity_type(kind).label


def _rows(session: Session, connection: Connection, hits: Sequence[Found], text: str) -> list[dict[str, Any]]:
    ways, names = Ways(session, connection), {}
    for kind in {hit.kind for hit in hits}:
        names[kind.key] = ref_titles(connection, kind, [hit.record for hit in hits if hit.kind is kind])
    return [_row(hit, names[hit.kind.key], ways, text) for hit in hits]


def _row(hit: Found, names: Mapping[str, Mapping[str, str]], ways: Ways, text: str) -> dict[str, Any]:
    kind, record = hit.kind, hit.record
    title = _title(kind, record, names)
    if hit.file:
        title, second = hit.file.file.name, f"{kind.label} · {title}"
    else:
        second = second_line(kind, record, names)
    others = [] if hit.file else [match for match in hit.matches if match.field.key != kind.title_field and match.text not in second]
    return {
        "entity": kind.key,
        "group": FILES if hit.file else kind.key,
        "label": _label(FILES if hit.file else kind.key),
        "id": record["id"],
        "title": marked(title, text),
        "second": marked(second, text),
        "matches": [{"label": match.field.label, "text": _pieces(*excerpt(match.text, match.places))} for match in others[:2]],
        "path": ways.to(kind, record["id"]),
    }


def _title(kind: EntityType, record: Record, names: Mapping[str, Mapping[str, str]]) -> str:
    field = kind.fields[kind.title_field]
    return show(field, record.get(field.key), names.get(field.key)) or _("(no name)")


def marked(text: str, wanted: str) -> Marked:
    """A text of one line in pieces: plain, marked, plain, …"""
    return _pieces(*excerpt(text, spans(text, wanted))) if len(text) > LONGEST else _pieces(text, spans(text, wanted))


def _pieces(text: str, places: Sequence[tuple[int, int]]) -> Marked:
    pieces, end = [], 0
    for start, stop in places:
        pieces += [text[end:start], text[start:stop]]
        end = stop
    return [*pieces, text[end:]]


# what is beyond his rights ----------------------------------------------------------------------------------------------------


def beyond(session: Session, _parameters: Mapping[str, str], body: Any) -> dict[str, Any]:
    """Customers he may not see that are called exactly like ``text``: {"rows": [{reason, whose}], "braked"}; asked by itself, for it is noted."""
    text = _text_of(body)[:LONGEST].strip()
    if not text:
        return {"rows": [], "braked": False}
    found = verbs.run(session.store, session.actor, "finding.search_beyond", {"text": text})
    rows = [
        {"reason": _CUSTOMER.fields[row["reason"]].label, "whose": " · ".join(one for one in (row["owner"], row["branch"]) if one)}
        for row in found["rows"]
    ]
    return {"rows": rows, "braked": found["braked"]}


# preview and what was looked for ----------------------------------------------------------------------------------------------


def show_preview(session: Session, parameters: Mapping[str, str], _body: Any) -> dict[str, Any]:
    """One record to look at: {label, title, path, facts: [{label, text, tone, whole}], files: [{name, size, path, shown}], below: [{label, count, rows}]}."""
    text, kind = parameters.get("q", "")[:LONGEST].strip(), entity_type(parameters.get("entity", ""))
    with session.store.read() as connection:
        found = preview(connection, session.actor, kind, parameters.get("id", ""))
        names, ways = ref_titles(connection, kind, [found.record]), Ways(session, connection)
        below = _below(connection, found, ways, text)
        path = ways.to(kind, found.record["id"])
    return {
        "label": kind.label,
        "title": marked(_title(kind, found.record, names), text),
        "path": path,
        "facts": _facts(found, names, text),
        "files": _files(found, text),
        "below": below,
    }


def _facts(found: Preview, names: Mapping[str, Mapping[str, str]], text: str) -> list[dict[str, Any]]:
    facts = []
    for field in sorted(found.kind.readable, key=lambda field: field.kind == "longtext"):
        value = found.record.get(field.key)
        shown = None if field.kind == "files" or field.f.widget == "picture" else show(field, value, names.get(field.key))
        if shown is None or value is False or field.key == found.kind.title_field:
            continue
        wanted = "" if isinstance(value, Masked) else text
        whole = field.kind == "longtext"
        pieces = _pieces(shown[:2000], spans(shown, wanted) if field.f.search else [])
        facts.append({"label": field.label, "text": pieces, "tone": tone(field, value), "whole": whole, "tip": exact(value)})
    title = found.kind.fields[found.kind.title_field]
    long = str(found.record.get(title.key) or "") if title.kind == "longtext" else ""
    if len(long) > LONGEST:  # the title shows only its beginning
        facts.append({"label": title.label, "text": _pieces(long[:2000], spans(long, text)), "tone": None, "whole": True, "tip": None})
    return facts


def _files(found: Preview, text: str) -> list[dict[str, Any]]:
    return [
        {
            "name": marked(file.name, text),
            "size": file_size(file.size),
            "path": file_path(files_path(found.kind, found.record["id"], field), file),
            "shown": shown_as(file.name),
        }
        for field in found.kind.fields.values()
        if field.kind == "files" and not isinstance(found.record.get(field.key), Masked)
        for file in read_attachments(found.record.get(field.key))
    ]


def _below(connection: Connection, found: Preview, ways: Ways, text: str) -> list[dict[str, Any]]:
    below = []
    for part in found.below:
        names = ref_titles(connection, part.kind, part.rows)
        hits = []
        for row in part.rows:
            second = second_line(part.kind, {key: value for key, value in row.items() if key != part.kind.under}, names)
            hits.append(
                {
                    "title": marked(_title(part.kind, row, names), text),
                    "second": marked(second, text),
                    "path": ways.to(part.kind, row["id"]),
                }
            )
        below.append({"label": part.kind.label, "count": part.total, "rows": hits})
    return below


def recent(session: Session, _parameters: Mapping[str, str], body: Any) -> dict[str, Any]:
    """Keep what was looked for, or forget all of it ({"text": ""}); returns {"recent": [text]}."""
    text = _text_of(body)
    if session.looking_as:  # an administrator who looks on leaves no traces in what is another's, nor in his own
        return {"recent": []}
    session.save_setting(SEARCHES, with_recent(_kept(session), text[:LONGEST]) if text else None)
    return {"recent": recent_of(session)}


def _text_of(body: Any) -> str:
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise InvalidInput("bad_request", N_("The request cannot be understood."))
    return text


def recent_of(session: Session) -> list[str]:
    """What a user looked for lately; nothing of his own while an administrator looks with another's eyes."""
    return [] if session.looking_as else read_recent(_kept(session))


def _kept(session: Session) -> str:
    """As the data file has it: a person who was erased there is not remembered here."""
    return preferences(session.store, session.user_id).get(SEARCHES, "")


ROUTES = [
    Route("/api/centre/search", answering(find), methods=["GET"]),
    Route("/api/centre/beyond", answering(beyond), methods=["POST"]),
    Route("/api/centre/preview", answering(show_preview), methods=["GET"]),
    Route("/api/centre/recent", answering(recent), methods=["POST"]),
]
