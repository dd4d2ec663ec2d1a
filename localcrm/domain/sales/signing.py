"""A delivery is signed for on the screen: the drawn signature is attached to it, with who signed and when."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from localcrm.domain import attachments, policy, records
from localcrm.domain.admin.pictures import MAX_BYTES, Picture, check_picture
from localcrm.domain.crm.custody import moment
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import Delivery, DeliveryStatus
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.attachments import clean_name, read_attachments
from localcrm.kernel.errors import InvalidInput, NotFound, Refused, StoreError
from localcrm.kernel.i18n import N_
from localcrm.store import blobs
from localcrm.store.query import Record
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

_DELIVERY = Delivery.entity_type


def sign_delivery(uow: UnitOfWork, actor: Actor, *, delivery_id: RecordId, signature: str, received_by: str) -> Record:
    """The receiver signs for what he got; returns the delivery, which is received then.

    signature: the picture as a field of files names it, added before · received_by: who signed. A second signature takes the
    place of the first, which stays in the history.
    """
    policy.require_record(uow.connection, actor, _DELIVERY, delivery_id, "update")
    before = uow.get(_DELIVERY, delivery_id)
    if before["status"] == DeliveryStatus.RETURNED:
        raise Refused("came_back", N_("This delivery came back; nobody signs for it any more."))
    if not received_by.strip():
        raise InvalidInput("required", N_("{label} is required."), label=_DELIVERY.fields["received_by"].label, field="received_by")
    now = moment(uow)
    signed = {"signature": _picture(uow, before, signature, received_by.strip()), "signed_at": now}
    policy.require_fields(actor, _DELIVERY, signed, before)
    uow.update(_DELIVERY, delivery_id, dict.fromkeys(signed))  # what the first one was for is open again
    values = {"status": DeliveryStatus.RECEIVED.value, "received_by": received_by.strip(), "received_on": uow.today.isoformat()}
    records.update_record(uow, actor, entity=_DELIVERY.key, id=delivery_id, values=values)
    uow.update(_DELIVERY, delivery_id, signed)
    return policy.shown(actor, _DELIVERY, uow.get(_DELIVERY, delivery_id))


def signature_of(store: Store, delivery: Mapping[str, Any]) -> Picture | None:
    """The signature of a delivery, as the actor sees that; None where there is none, or it has not arrived here yet."""
    for file in read_attachments(delivery.get("signature")):
        with suppress(NotFound, InvalidInput, StoreError):
            return check_picture(b"".join(blobs.read(store, bytes.fromhex(file.hash))))
    return None


def signer_of(delivery: Mapping[str, Any]) -> str:
    """Who signed, as the signature says, which is called after him; "" where there is none.

    Two who let sign apart do not mix when they meet: of one the signature stays, and perhaps of the other what stands in ``received_by``.
    """
    files, told = read_attachments(delivery.get("signature")), delivery.get("received_by")
    if not files:
        return ""
    name = files[-1].name
    return told if isinstance(told, str) and name == _called(told) else name.rpartition(".")[0]


def _called(signer: str) -> str:
    return clean_name(f"{signer}.png".replace("/", "_").replace("\\", "_"))


def _picture(uow: UnitOfWork, delivery: Record, line: str, signer: str) -> str:
    """The line, if it names one picture that is here; the picture is called after who signed."""
    files = read_attachments(line)
    if len(files) != 1 or files[0].size > MAX_BYTES:
        raise InvalidInput("no_signature", N_("This is not a drawn signature. Sign again."), field="signature")
    attachments.check_here(uow, _DELIVERY, {**delivery, "signature": files[0].line}, delivery)
    check_picture(b"".join(blobs.read(uow.store, bytes.fromhex(files[0].hash))))
    return replace(files[0], name=_called(signer)).line


VERBS = (Verb(sign_delivery, N_("Sign for a delivery"), "delivery.update", record="delivery_id"),)
