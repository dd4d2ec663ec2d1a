"""Attached files under the rules of the records that name them: only what is here can be attached, only who sees the field gets the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.kernel.attachments import Attachment, media_type, read_attachments
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store import blobs
from localcrm.store.query import Condition, ListQuery, select
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork


def check_here(uow: UnitOfWork, kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Refuse to attach a file whose content is not here; what was attached before may still be on its way."""
    for field in blobs.file_fields(kind):
        before = read_attachments(old[field.key]) if old else []
        added = [file for file in read_attachments(new[field.key]) if file not in before]
        here = blobs.are_here(uow.connection, added)
        for file in added:
            if file not in here:
                raise InvalidInput(
                    "file_not_added", N_("{label}: add the file “{name}” itself first."), label=field.label, name=file.name, field=field.key
                )


def find_file(store: Store, actor: Actor, *, entity: str, id: str, field: str, hash: str) -> Attachment:
    """A file that a record names in a field the actor sees; raises NotFound for anything else."""
    kind = entity_type(entity)
    view = policy.view(actor, kind)
    query = ListQuery(kind, where=(Condition("id", "=", parse_id(id)),), limit=1, restrict=view)
    with store.read() as connection:
        rows = select(connection, query).rows
    named = kind.fields.get(field)
    is_seen = bool(rows) and named is not None and named.kind == "files" and view.shows(field)
    file = next((one for one in read_attachments(rows[0][field]) if one.hash == hash), None) if is_seen else None
    if file is None:
        raise NotFound("no_such_file", N_("There is no file “{name}”."), name=hash[:12])
    return file


def shown_type(store: Store, file: Attachment) -> str | None:
    """As what a content may be shown (see ``kernel.attachments``); None where it is only handed out."""
    return media_type(next(blobs.read(store, bytes.fromhex(file.hash), upto=64), b""))


def open_file(store: Store, actor: Actor, file: Attachment, *, entity: str, at: int, upto: int, note: bool) -> Iterator[bytes]:
    """Bytes of a file that was found, in parts; ``note`` for one that leaves the program: what is shown in place is a part of the screen."""
    content = blobs.read(store, bytes.fromhex(file.hash), at=at, upto=upto)
    if note:
        store.log("export", user_id=actor.user_id, detail=f"{entity} {file.name}")
    return content
