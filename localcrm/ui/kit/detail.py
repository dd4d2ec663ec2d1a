"""A record to read: its fields in columns, empty ones as a dash."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import EntityType, Field
from localcrm.store.query import Record, ref_titles
from localcrm.ui.kit.files import file_links
from localcrm.ui.kit.links import link_pieces, pieces
from localcrm.ui.kit.props import quoted
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
    *,
    disputed: Collection[str] = (),
) -> None:
    """Labels and values of a record; ``disputed`` fields are marked: what they say is still to be decided."""
    with ui.element("div").classes("lc-facts").mark("facts"):
        for label, text in extra:
            with _fact(label):
                _text(text)
        for field in sorted(fields, key=lambda field: field.kind in {"longtext", "files"}):
            if field.key not in record or (record[field.key] is None and not field.is_used):
                continue
            value = record[field.key]
            with _fact(field.label, whole=field.kind in {"longtext", "files"}, disputed=field.key in disputed):
                if field.kind == "files" and isinstance(value, str):
                    file_links(entity, record["id"], field, value)
                elif held := tags_of(field, value):
                    tag_chips(held)
                elif links := pieces(field, value):
                    link_pieces(links)
                else:
                    _text(show(field, value, names.get(field.key)), tone=tone(field, value), tip=exact(value))


def tag_chips(tags: Sequence[tuple[str, int]]) -> None:
    """Tags one beside the other."""
    with ui.element("span").classes("lc-tags"):
        for tag, hue in tags:
            ui.label(tag).classes("lc-chip lc-tag").style(f"--hue:{hue}")


def disputed_mark() -> None:
    """Beside a value that people changed apart, until somebody decides."""
    words = _("Changed at two places; somebody has to decide.")
    ui.icon("call_merge").classes("lc-warn-text").props(f'role="img" aria-label={quoted(words)}').tooltip(words)


@contextmanager
def _fact(label: str, *, whole: bool = False, disputed: bool = False) -> Iterator[None]:
    """A label; the block draws the value."""
    with ui.element("div").classes("lc-fact lc-whole" if whole else "lc-fact"):
        if disputed:
            with ui.element("div").classes("lc-label lc-disputed"):
                ui.label(label)
                disputed_mark()
        else:
            ui.label(label).classes("lc-label")
        yield


def _text(text: str | None, *, tone: str | None = None, tip: str | None = None) -> None:
    value = ui.label(text or "—").classes("" if text else "lc-muted")
    if tone and text:
        value.classes("lc-chip").props(f"data-tone={tone}").style("width:fit-content")
    if tip:
        value.tooltip(tip)
