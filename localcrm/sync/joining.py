"""Joining over the network: the branch has heard words or seen a picture, and everything else travels by itself.

From the words follows the secret of an invite. The branch asks head office for that invite by its id, without the secret; as the signature of
what it gets is over the secret too, only the head office that made the invite can have signed it. The branch sends its request, a person
at head office compares the fingerprint and approves, and the branch, which goes on asking, gets the reply that otherwise comes as a file.
Nothing here relies on who carries it: what is said proves itself or is sealed, so a stranger on the line can only disturb.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from localcrm.domain import policy
from localcrm.kernel.errors import ExchangeError, InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.spoken import read_checked
from localcrm.store import eventlog
from localcrm.sync import enrol, http, node_sync
from localcrm.sync.identity import (
    SPOKEN_BYTES,
    Invite,
    JoinRequest,
    NodeKeys,
    check_not_expired,
    peek_request,
    read_join_request,
    secret_from,
    sign_invite,
    with_secret,
    without_secret,
)

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.store import Store

_QUESTION = b"LCQ1"
_PICTURE = "LCJ1."


class _Picture(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a picture holds: where head office answers, and the whole invite."""

    url: Annotated[str, Meta(max_length=300)]
    invite: Annotated[bytes, Meta(max_length=2_000)]


# what people are given ------------------------------------------------------------------------------------------------------


def picture_text(invitation: enrol.Invitation, url: str) -> str:
    """The text of the picture (QR) of an invite."""
    packed = msgspec.msgpack.encode(_Picture(url.strip().rstrip("/"), invitation.file))
    return _PICTURE + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_told(store: Store, keys: NodeKeys, text: str, *, url: str) -> None:
    """A branch takes in the text of a picture or the words, and keeps the invite they stand for; words are looked up at ``url``.

    Raises InvalidInput (word_unknown, words_missing, words_mistyped, bad_picture, url_needed) and what reading an invite raises.
    """
    text, url = text.strip(), http.check_url(url)
    if text.startswith(_PICTURE):
        told = _read_picture("".join(text[len(_PICTURE) :].split()))
        enrol.ask_to_join(store, keys, told.invite, url=url or http.check_url(told.url) or None)
        return
    secret = secret_from(read_checked(text, SPOKEN_BYTES))
    if not url:
        raise InvalidInput("url_needed", N_("With the words the address of head office is needed too."), field="url")
    invite_id = Invite.id_of(secret)
    data = with_secret(http.post_small(url, http.JOIN_PATH, _QUESTION + invite_id) or b"", secret, now_ms=store.clock.now_ms())
    enrol.ask_to_join(store, keys, data, url=url)


def _read_picture(text: str) -> _Picture:
    try:
        return msgspec.msgpack.decode(base64.b64decode(text[:4_000] + "=" * (-len(text) % 4), altchars=b"-_", validate=True), type=_Picture)
    except (ValueError, msgspec.MsgspecError) as error:  # binascii.Error is a ValueError
        raise InvalidInput(
            "bad_picture", N_("The text of the picture is incomplete or was altered. Copy it again."), field="text"
        ) from error


# the branch -----------------------------------------------------------------------------------------------------------------


def join_url(store: Store) -> str:
    """Where this branch asks to join over the network; "" where it does so by file."""
    return str(store.meta("join.url") or "")


def ask_again(store: Store, keys: NodeKeys) -> bool:
    """Send the request, or ask what became of it; whether the branch belongs to the company now. Raises ExchangeError."""
    request, url = enrol.request_again(store, keys), join_url(store)
    if request is None or not url:
        return store.node.enrolled
    answer = http.post_small(url, http.JOIN_PATH, request)
    if answer is None:
        return False
    if not node_sync.is_reply(answer):
        raise ExchangeError(
            "bad_approval", N_("This is not the approval for this branch, or it is damaged. Ask head office to send it again.")
        )
    node_sync.join(store, keys, answer)
    return store.node.enrolled


# head office ------------------------------------------------------------------------------------------------------------------


def answer(store: Store, keys: NodeKeys, data: bytes) -> bytes | None:
    """What a branch that wants to join is told: the invite it asks for, the reply to its request; None while that waits for a person.

    Raises Refused(not_office), ExchangeError(bad_request, invite_expired, wrong_company …) for everything else, and changes nothing then.
    """
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    if data[:4] == _QUESTION:
        return _tell_invite(store, keys, data[4:])
    request = _proven(store, data)
    with store.read() as connection:
        used, approval, known, sign_key, last_ok = connection.one(
            """SELECT i.used, i.approval, i.request, p.sign_key, p.last_ok FROM sync_invite i LEFT JOIN sync_peer p ON p.node_no = i.node_no
               WHERE i.invite_id = ?""",
            (request.invite_id,),
        ) or (0, None, None, None, None)
    if used:
        # It may ask again as long as it has not been heard with its new certificate: the answer may have been lost on its way.
        if approval is None or sign_key != request.keys.sign_key or last_ok is not None:
            _refuse()
        return node_sync.reply(store, keys, approval, request.node_no)
    if known is None or peek_request(known).keys != request.keys:
        with store.housekeeping() as connection:
            connection.execute("UPDATE sync_invite SET request = ? WHERE invite_id = ? AND used = 0", (data, request.invite_id))
            now = store.clock.now_ms()
            eventlog.append(connection, at=now, kind="join_asked", detail=f"{request.code} {request.name}", sign=store.sign_log)
    return None


def _tell_invite(store: Store, keys: NodeKeys, invite_id: bytes) -> bytes:
    with store.read() as connection:
        row = connection.one(
            "SELECT code, node_no, secret, expires, office_key FROM sync_invite WHERE invite_id = ? AND used = 0", (invite_id,)
        )
    if row is None:
        _refuse()
    code, node_no, secret, expires, office_key = row
    check_not_expired(expires, now_ms=store.clock.now_ms())
    node, keys = store.node, keys.with_id(office_key)
    invite = Invite(node.company_id, node.name, keys.public, code, node_no, secret, expires)
    return without_secret(sign_invite(keys, invite))


def _proven(store: Store, data: bytes) -> JoinRequest:
    def secret_of(invite_id: bytes) -> bytes | None:
        with store.read() as connection:
            row = connection.one("SELECT secret, expires FROM sync_invite WHERE invite_id = ?", (invite_id,))
        if row is None:
            return None
        check_not_expired(row[1], now_ms=store.clock.now_ms())
        return bytes(row[0])

    return read_join_request(data, company_id=store.node.company_id, secret_of=secret_of)


def waiting_request(store: Store, actor: Actor, code: str) -> JoinRequest:
    """The request of a branch that waits for a person; raises NotFound(no_request_waits)."""
    policy.require(actor, "sync.manage")
    return enrol.look_at_request(store, _waiting(store, code))


def approve_waiting(store: Store, keys: NodeKeys, actor: Actor, code: str, *, fingerprint: str) -> None:
    """Let a branch in whose request waits; ``fingerprint``: what was compared, Refused(other_request_waits) where another waits by now."""
    data = _waiting(store, code)
    compared = "".join(enrol.look_at_request(store, data).keys.fingerprint.split())
    if not hmac.compare_digest(compared.encode(), "".join(fingerprint.split()).encode()):
        raise Refused("other_request_waits", N_("Another request waits for this branch by now. Nothing was changed; compare once more."))
    enrol.approve(store, keys, actor, data)


def _waiting(store: Store, code: str) -> bytes:
    with store.read() as connection:
        data: bytes | None = connection.value(
            "SELECT request FROM sync_invite WHERE code = ? AND used = 0 AND request IS NOT NULL", (code.strip().upper(),)
        )
    if data is None:
        raise NotFound("no_request_waits", N_("No request of a branch “{code}” waits."), code=code[:40])
    return data


def _refuse() -> NoReturn:
    raise ExchangeError(
        "unknown_invite",
        N_("Head office knows no such invite: the words are of another one, it has been used, or a newer one was made. Ask for a new one."),
    )
