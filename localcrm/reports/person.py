"""Everything known of one person as a file to hand over: a page to read, and the same as data."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from localcrm.kernel.i18n import N_, current_language, gettext
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.files import open_atomically

PAGE = "person.html"
_STYLE = "body{font:14px/1.5 sans-serif;margin:24px}table{border-collapse:collapse;margin:8px 0 20px}td,th{border:1px solid #ccc;padding:4px 8px;text-align:left;vertical-align:top}"


def write_person(path: Path, data: Mapping[str, Any]) -> None:
    """Write what ``admin.person_data`` returns as a zip: one page for people, one JSON file per part."""
    with open_atomically(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PAGE, person_page(data))
        for part, content in data.items():
            if part != "entity":
                archive.writestr(f"{part}.json", json.dumps(content, ensure_ascii=False, indent=1))


def person_page(data: Mapping[str, Any]) -> str:
    """The page, in the language of the moment."""
    kind = entity_type(data["entity"])
    title = str(data["record"].get(kind.title_field) or "")
    parts = [
        _table(kind.label, ((_label(kind, key), value) for key, value in data["record"].items())),
        _rows(gettext(N_("History")), data["history"], kind),
        *(_rows(entity_type(key).label, rows, entity_type(key)) for key, rows in data["related"].items()),
        _rows(gettext(N_("System log")), data["log"]),
        _rows(gettext(N_("Sign-ins")), data["sessions"]),
        _table(gettext(N_("Settings")), data["settings"].items()),
    ]
    language = "zh-CN" if current_language() == "zh_CN" else "en"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>"
    )


def _table(title: str, pairs: Iterable[tuple[str, Any]]) -> str:
    lines = "".join(f"<tr><th>{escape(label)}</th><td>{_text(value)}</td></tr>" for label, value in pairs if value not in (None, ""))
    return f"<h2>{escape(title)}</h2><table>{lines}</table>" if lines else ""


def _rows(title: str, rows: list[dict[str, Any]], kind: EntityType | None = None) -> str:
    if not rows:
        return ""
    keys = [key for key in rows[0] if any(row.get(key) not in (None, "") for row in rows)]
    heads = "".join(f"<th>{escape(_label(kind, key))}</th>" for key in keys)
    lines = "".join("<tr>" + "".join(f"<td>{_text(row.get(key))}</td>" for key in keys) + "</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{heads}</tr>{lines}</table>"


def _label(kind: EntityType | None, key: str) -> str:
    return kind.fields[key].label if kind and key in kind.fields else key


def _text(value: Any) -> str:
    return "" if value is None else escape(str(value))
