"""A record to read: its fields in columns, empty ones as a dash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.kernel.schema import EntityType, Field
from localcrm.store.query import Record, ref_titles
from localcrm.ui.kit.files import file_links
from localcrm.ui.kit.links import Piece, link_pieces, pieces
from localcrm.ui.kit.values import exact, show, tags_of, tone

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def ref_names(session: Session, entity: EntityType, record: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Titles of what a record points to: field → id → title."""
    with session.store.read() as connection:
        return ref_titles(connection, entity, [record])


def facts(
    entity: EntityType,
    record: Record,
    names: Mapping[str, Mapping[str, str]],
    fields: Sequence[Field],
    extra: Sequence[tuple[str, str]] = (),
) -> None:
    """Labels and values of a record."""
    with ui.element("div").classes("lc-facts").mark("facts"):
        for label, text in extra:
            _fact(label, text)
        for field in sorted(fields, key=lambda field: field.kind in {"longtext", "files"}):
            if field.key not in record or (record[field.key] is None and not field.is_used):
                continue
            value = record[field.key]
            if field.kind == "files" and isinstance(value, str):
                with ui.element("div").classes("lc-fact lc-whole"):
                    ui.label(field.label).classes("lc-label")
                    file_links(entity, record["id"], field, value)
                continue
            if held := tags_of(field, value):
                with ui.element("div").classes("lc-fact"):
                    ui.label(field.label).classes("lc-label")
                    tag_chips(held)
                continue
            _fact(
                field.label,
                show(field, value, names.get(field.key)),
                tone=tone(field, value),
                tip=exact(value),
                whole=field.kind == "longtext",
                links=pieces(field, value),
            )


def tag_chips(tags: Sequence[tuple[str, int]]) -> None:
    """Tags one beside the other."""
    with ui.element("span").classes("lc-tags"):
        for tag, hue in tags:
            ui.label(tag).classes("lc-chip lc-tag").style(f"--hue:{hue}")


def _fact(
    label: str, text: str | None, *, tone: str | None = None, tip: str | None = None, whole: bool = False, links: Sequence[Piece] = ()
) -> None:
    with ui.element("div").classes("lc-fact lc-whole" if whole else "lc-fact"):
        ui.label(label).classes("lc-label")
        if links:
            link_pieces(links)
            return
        value = ui.label(text or "—").classes("" if text else "lc-muted")
        if tone and text:
            value.classes("lc-chip").props(f"data-tone={tone}").style("width:fit-content")
        if tip:
            value.tooltip(tip)
