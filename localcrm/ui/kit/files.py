"""Attached files on the screen: a field that takes and shows them, and links that hand them out (see ``ui.attachments``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.kernel.attachments import Attachment, read_attachments, shown_as, write_attachments
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import file_size
from localcrm.ui.operations import show_failure

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Field


def files_path(entity: EntityType, identity: str, field: Field) -> str:
    """Below it the files of a record's field are handed out, each by its hash."""
    return f"/api/file/{entity.key}/{identity}/{field.key}"


def file_links(entity: EntityType, identity: str, field: Field, value: str) -> None:
    """The files of a record: pictures and papers to look at, sounds to listen to, others to save."""
    with ui.element("div").classes("lc-files"):
        for file in read_attachments(value):
            _shown(file, files_path(entity, identity, field))


_ICONS = {"picture": "image", "sound": "graphic_eq", "paper": "picture_as_pdf", "": "attach_file"}
#: What a click does, beside following the link: a picture opens over the page (``static/viewer.js``), a paper in a tab of its own.
_LINKS = {"picture": "data-picture", "sound": "download", "paper": "target=_blank rel=noopener", "": "download"}


def _shown(file: Attachment, path: str | None) -> None:
    """Name and size; where the file can be had, a link with a small picture, or something that plays it."""
    kind = shown_as(file.name)
    link = f'href="{file_path(path, file)}" {_LINKS[kind]}' if path else ""
    with ui.element("a" if path else "div").classes("lc-file").props(link).mark("file"):
        if path and kind == "picture":
            ui.element("img").classes("lc-thumb").props(f'src={quoted(file_path(path, file))} alt="" loading=lazy')
        ui.icon(_ICONS[kind])
        ui.label(file.name).classes("lc-file-name")
        ui.label(file_size(file.size)).classes("lc-muted lc-small-text")
    if path and kind == "sound":
        ui.element("audio").classes("lc-sound").props(f'src="{file_path(path, file)}?show=1" controls preload=none')


def file_path(path: str, file: Attachment) -> str:
    """Where a file is handed out, or shown where a click on it shows it."""
    return f"{path}/{file.hash}{'?show=1' if shown_as(file.name) in {'picture', 'paper'} else ''}"


class FilesInput(ui.element):
    """Files of one field: those that are there, each with a cross, and a place to choose or drop more."""

    def __init__(self, label: str, *, on_change: Callable[[], Any]) -> None:
        super().__init__("div")
        self.classes("lc-files-input")
        self._files: list[Attachment] = []
        self._changed = on_change
        self._saved: dict[Attachment, str] = {}
        self._locked = False
        with self:
            self._list = ui.element("div").classes("lc-files")
            with ui.element("div").classes("lc-files-more") as self._places:
                self._place("attach_file", _("Add a file, or drop it here"), f"type=file multiple aria-label={quoted(label)}")
                photo = _("Take a photo")
                camera = f'type=file accept="image/*" capture=environment aria-label={quoted(photo)}'
                self._place("photo_camera", photo, camera).classes("lc-touch-only")
        ui.timer(0.05, lambda: ui.run_javascript("localcrm.uploads()"), once=True)

    def _place(self, icon: str, text: str, chooser: str) -> ui.element:
        """Where files come from, by a chooser with these properties."""
        with ui.element("label").classes("lc-add-file").props("data-upload=/api/upload/attachment data-local tabindex=0") as place:
            ui.icon(icon)
            ui.label(text)
            ui.element("input").props(chooser).mark("file-chooser").style("display:none")
            ui.element("progress").props("max=100 value=0").style("display:none;width:120px")
        return place.on("uploaded", self._arrived, args=["detail"])

    @property
    def value(self) -> str | None:
        """What the field holds (see ``kernel.attachments``)."""
        return write_attachments(self._files)

    def set_value(self, value: str | None, path: str | None = None) -> None:
        """Show files; those of a saved record are handed out below ``path``."""
        self._files = read_attachments(value)
        if path:
            self._saved = dict.fromkeys(self._files, path)
        self._draw()

    def protect(self) -> None:
        """They may be read, not changed."""
        self._locked = True
        self._places.set_visibility(False)
        self._draw()

    def _draw(self) -> None:
        self._list.clear()
        with self._list:
            for file in self._files:
                with ui.element("div").classes("lc-file-row"):
                    _shown(file, self._saved.get(file))
                    if not self._locked:
                        ui.button(icon="close", on_click=lambda file=file: self._remove(file)).props(
                            f'flat dense round size=xs aria-label="{_("Remove")}"'
                        ).mark("remove-file")

    def _remove(self, file: Attachment) -> None:
        self._files.remove(file)
        self._changed()  # before the button that was pressed is gone
        self._draw()

    def _arrived(self, event: events.GenericEventArguments) -> None:
        answer = event.args.get("detail") or {}
        if "error" in answer:
            show_failure(InvalidInput("upload_failed", N_("{reason}"), reason=str(answer["error"])[:300]))
        for file in read_attachments(str(answer.get("line", ""))):
            if file not in self._files:
                self._files.append(file)
        self._draw()
        if not answer.get("left"):  # whoever saves them at once may draw this anew, and what comes after it would be lost
            self._changed()
