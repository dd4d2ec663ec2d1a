"""Who speaks: the keys of a node, what head office vouches for, and how a branch joins.

A branch joins in three steps, each a small file or message: head office writes an **invite** with a one-time code; the branch makes its
keys and answers with a **join request** that proves it holds the code; people compare the fingerprint, and head office sends the
**approval** with the branch's certificate. Afterwards every message travels in a signed **frame**.

Everything signed has one form: four letters that name its kind, the msgpack body, 64 bytes of Ed25519 signature. The letters and the
project's name are signed along, so that nothing signed for one purpose serves another. Times are Unix milliseconds.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.errors import ExchangeError, StoreError
from localcrm.kernel.i18n import N_
from localcrm.store.signatures import has_signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

INVITE_HOURS = 72
MAX_FRAME = 16 << 20
#: No enrolment file is longer; an approval carries the certificates of all nodes.
MAX_DOCUMENT = 1 << 20

Id = Annotated[bytes, Meta(min_length=16, max_length=16)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
NodeNo = Annotated[int, Meta(ge=0, le=65_535)]
Role = Literal["branch", "office"]
Millis = Annotated[int, Meta(ge=0, le=2**53)]
Code = Annotated[str, Meta(min_length=1, max_length=16)]
Name = Annotated[str, Meta(max_length=200)]


# --- keys -----------------------------------------------------------------------------------------------------------


class NodePublic(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The public half of a node's keys."""

    sign_key: Key
    box_key: Key

    @property
    def key_id(self) -> bytes:
        """Eight bytes that name these keys in a header."""
        return sha256(self.sign_key + self.box_key).digest()[:8]

    @property
    def spoken_fingerprint(self) -> bytes:
        """Eight bytes for two people to compare as words (``kernel.spoken``)."""
        return sha256(b"localcrm spoken fingerprint\0" + self.sign_key + self.box_key).digest()[:8]

    @property
    def fingerprint(self) -> str:
        """Six groups of five digits (100 bits) for two people to compare by telephone."""
        digest = sha256(b"localcrm fingerprint\0" + self.sign_key + self.box_key).digest()
        return " ".join(f"{int.from_bytes(digest[start : start + 5]) % 100_000:05d}" for start in range(0, 30, 5))

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is by the owner of these keys."""
        return has_signed(self.sign_key, message, signature)


@dataclass(frozen=True)
class NodeKeys:
    """The secret half: 32 bytes to sign with (Ed25519), 32 bytes to open with (X25519)."""

    sign_seed: bytes = field(repr=False)
    box_seed: bytes = field(repr=False)
    older: tuple[NodeKeys, ...] = field(default=(), repr=False)
    """Pairs the node had before, which still open what was sealed to them."""

    @classmethod
    def generate(cls) -> NodeKeys:
        """New keys from the system's randomness."""
        return cls(os.urandom(32), os.urandom(32))

    @classmethod
    def from_bytes(cls, data: bytes) -> NodeKeys:
        """Keys as ``to_bytes`` gave them; StoreError ``bad_key_file`` for anything else."""
        if len(data) != 64:
            raise StoreError("bad_key_file", N_("The key file is damaged. Restore the folder “keys” from a backup."))
        return cls(data[:32], data[32:])

    def to_bytes(self) -> bytes:
        """64 secret bytes; whoever stores them wraps them (``store.keys.wrap_secret``)."""
        return self.sign_seed + self.box_seed

    def sign(self, message: bytes) -> bytes:
        """A signature of 64 bytes."""
        return self._sign_key.sign(message)

    def agree(self, their_box_key: bytes) -> bytes:
        """The X25519 secret shared with the owner of a public key; ValueError for a degenerate key."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        return self._box_key.exchange(X25519PublicKey.from_public_bytes(their_box_key))

    def with_id(self, key_id: bytes | None) -> NodeKeys:
        """The pair of this or of former times that has the id; the present one where there is none."""
        return next((pair for pair in self.older if pair.public.key_id == key_id), self)

    @cached_property
    def public(self) -> NodePublic:
        """The half that others may know."""
        return NodePublic(self._sign_key.public_key().public_bytes_raw(), self._box_key.public_key().public_bytes_raw())

    @cached_property
    def _sign_key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.sign_seed)

    @cached_property
    def _box_key(self) -> X25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return X25519PrivateKey.from_private_bytes(self.box_seed)


# --- certificate ----------------------------------------------------------------------------------------------------


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """What head office vouches for: these keys are this node of this company."""

    company_id: Id
    node_no: NodeNo
    code: Code
    """The branch's code, such as BR01."""
    name: Name
    role: Role
    epoch: Annotated[int, Meta(ge=0)]
    """Random, 64 bits."""
    epoch_index: Annotated[int, Meta(ge=0, le=65_535)]
    keys: NodePublic
    issued_at: Millis
    valid_until: Millis

    def is_valid_at(self, moment_ms: int) -> bool:
        """Whether the certificate has not run out; a day of slack for clocks that are ahead or behind."""
        day = 86_400_000
        return self.issued_at - day <= moment_ms <= self.valid_until + day


def issue_certificate(hub_keys: NodeKeys, certificate: Certificate) -> bytes:
    """The certificate with head office's signature."""
    return _sign(b"LCC1", hub_keys, msgspec.msgpack.encode(certificate))


def verify_certificate(data: bytes, hub: NodePublic) -> Certificate:
    """The certificate, if head office has signed it; ExchangeError ``bad_certificate`` or ``bad_signature``.

    Whether it still holds (``is_valid_at``, revocation, company) is for the caller to ask.
    """
    return _open(b"LCC1", data, Certificate, hub, "bad_certificate")


def peek_certificate(data: bytes) -> Certificate:
    """What a certificate says, whoever signed it; ExchangeError ``bad_certificate``."""
    return _decode(_split(b"LCC1", data, "bad_certificate")[0], Certificate, "bad_certificate")


# --- invite, request, approval ----------------------------------------------------------------------------------------


class Invite(Struct, frozen=True, forbid_unknown_fields=True):
    """What head office gives to a new branch; whoever holds it may ask to join, once, for 72 hours."""

    company_id: Id
    company: Name
    hub: NodePublic
    code: Code
    """The branch's code, such as BR01."""
    node_no: NodeNo
    secret: Id
    """The one-time code, 128 bits."""
    expires_at: Millis

    @property
    def invite_id(self) -> bytes:
        """Eight bytes by which a request names its invite without telling the secret."""
        return self.id_of(self.secret)

    @staticmethod
    def id_of(secret: bytes) -> bytes:
        """The id of the invite with this secret."""
        return sha256(b"localcrm invite\0" + secret).digest()[:8]


#: Bytes that people say as words; the secret of the invite follows from them.
SPOKEN_BYTES = 10


def secret_from(spoken: bytes) -> bytes:
    """The secret of an invite, from the SPOKEN_BYTES random bytes that people say."""
    return sha256(b"localcrm spoken invite\0" + spoken).digest()[:16]


def make_invite(
    hub_keys: NodeKeys, *, company_id: bytes, company: str, code: str, node_no: int, now_ms: int, secret: bytes | None = None
) -> tuple[Invite, bytes]:
    """A new invite, and the file that carries it; head office keeps ``invite_id``, ``secret`` and ``expires_at``."""
    invite = Invite(
        company_id=company_id,
        company=company,
        hub=hub_keys.public,
        code=code,
        node_no=node_no,
        secret=secret or os.urandom(16),
        expires_at=now_ms + INVITE_HOURS * 3_600_000,
    )
    return invite, sign_invite(hub_keys, invite)


def sign_invite(hub_keys: NodeKeys, invite: Invite) -> bytes:
    """The file of an invite."""
    return _sign(b"LCI1", hub_keys, msgspec.msgpack.encode(invite))


def without_secret(data: bytes) -> bytes:
    """An invite for the network: its signature stays over the whole, so only who knows the secret can have made it or can use it."""
    return _with_secret(data, bytes(16))


def with_secret(data: bytes, secret: bytes, *, now_ms: int) -> bytes:
    """The invite again, of the head office that knows the secret; raises what ``read_invite`` does."""
    whole = _with_secret(data, secret)
    read_invite(whole, now_ms=now_ms)
    return whole


def _with_secret(data: bytes, secret: bytes) -> bytes:
    body, signature = _split(b"LCI1", data, "bad_invite")
    return b"LCI1" + msgspec.msgpack.encode(msgspec.structs.replace(_decode(body, Invite, "bad_invite"), secret=secret)) + signature


def read_invite(data: bytes, *, now_ms: int) -> Invite:
    """The invite in a file; ExchangeError ``bad_invite``, ``bad_signature`` or ``invite_expired``."""
    body, _ = _split(b"LCI1", data, "bad_invite")
    # The file brings the keys it is signed with: it proves itself whole, and people vouch for where it came from.
    invite = _open(b"LCI1", data, Invite, _decode(body, Invite, "bad_invite").hub, "bad_invite")
    check_not_expired(invite.expires_at, now_ms=now_ms)
    return invite


def check_not_expired(expires_at: int, *, now_ms: int) -> None:
    """Raises ExchangeError ``invite_expired`` when the invite's 72 hours are over."""
    if now_ms > expires_at:
        raise ExchangeError(
            "invite_expired",
            N_("This invite has expired: it is good for {hours} hours. Ask head office for a new one."),
            hours=INVITE_HOURS,
        )


class JoinRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A branch's answer to an invite."""

    company_id: Id
    invite_id: Annotated[bytes, Meta(min_length=8, max_length=8)]
    node_no: NodeNo
    code: Code
    keys: NodePublic
    name: Name
    """What the branch calls its machine; shown to whoever approves."""
    mac: Annotated[bytes, Meta(max_length=32)] = b""
    """HMAC-SHA256 with the invite's secret over all the above."""


def make_join_request(keys: NodeKeys, invite: Invite, *, name: str) -> bytes:
    """The file with which a branch asks to join."""
    request = JoinRequest(
        company_id=invite.company_id, invite_id=invite.invite_id, node_no=invite.node_no, code=invite.code, keys=keys.public, name=name
    )
    request = msgspec.structs.replace(request, mac=_request_mac(request, invite.secret))
    return _sign(b"LCR1", keys, msgspec.msgpack.encode(request))


def read_join_request(data: bytes, *, company_id: bytes, secret_of: Callable[[bytes], bytes | None]) -> JoinRequest:
    """The request in a file, proven to come from who held the invite and owns the keys.

    ``secret_of(invite_id)`` gives the secret of an open invite, None for an unknown, used or withdrawn one (``bad_request``), and may
    raise (``check_not_expired``). Raises ExchangeError ``bad_request``, ``bad_signature`` or ``wrong_company``.
    """
    body, _ = _split(b"LCR1", data, "bad_request")
    request = _open(b"LCR1", data, JoinRequest, _decode(body, JoinRequest, "bad_request").keys, "bad_request")
    _check_company(request.company_id, company_id)
    secret = secret_of(request.invite_id)
    if secret is None or not hmac.compare_digest(request.mac, _request_mac(request, secret)):
        _refuse("bad_request")
    return request


def peek_request(data: bytes) -> JoinRequest:
    """What a request says, whoever made it; ExchangeError ``bad_request``."""
    return _decode(_split(b"LCR1", data, "bad_request")[0], JoinRequest, "bad_request")


def _request_mac(request: JoinRequest, secret: bytes) -> bytes:
    plain = msgspec.msgpack.encode(msgspec.structs.replace(request, mac=b""))
    return hmac.digest(secret, b"localcrm join\0" + plain, "sha256")


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """Head office's answer: the branch's certificate, and those of the nodes it should know."""

    certificate: Annotated[bytes, Meta(max_length=4_096)]
    """As ``issue_certificate`` made it."""
    hub: NodePublic
    known: Annotated[list[Annotated[bytes, Meta(max_length=4_096)]], Meta(max_length=10_000)]
    """Certificates of the other nodes."""


class Admission(NamedTuple):
    """What a branch learns from its approval."""

    certificate: Certificate
    certificate_bytes: bytes
    hub: NodePublic
    known: list[Certificate]


def make_approval(hub_keys: NodeKeys, certificate: bytes, *, known: list[bytes]) -> bytes:
    """The file that lets the branch in."""
    return _sign(b"LCA1", hub_keys, msgspec.msgpack.encode(Approval(certificate, hub_keys.public, known)))


def read_approval(data: bytes, *, invite: Invite, keys: NodeKeys) -> Admission:
    """The approval in a file, if it is from the head office of the invite and for these keys.

    Raises ExchangeError ``bad_approval``, ``bad_signature``, ``bad_certificate`` or ``wrong_company``.
    """
    approval = _open(b"LCA1", data, Approval, invite.hub, "bad_approval")
    certificate = verify_certificate(approval.certificate, invite.hub)
    _check_company(certificate.company_id, invite.company_id)
    if approval.hub != invite.hub or certificate.keys != keys.public or certificate.node_no != invite.node_no:
        _refuse("bad_approval")
    known = [verify_certificate(other, invite.hub) for other in approval.known]
    return Admission(certificate, approval.certificate, approval.hub, known)


def _check_company(theirs: bytes, ours: bytes) -> None:
    if theirs != ours:
        raise ExchangeError("wrong_company", N_("This file belongs to another company. Nothing was changed."))


# --- succession -------------------------------------------------------------------------------------------------------


class Succession(Struct, frozen=True, forbid_unknown_fields=True):
    """A node has changed its keys: signed by the former ones, and inside it a proof that the new ones are in the same hands."""

    company_id: Id
    node_no: NodeNo
    old: NodePublic
    new: NodePublic
    at: Millis
    """By the clock of the node."""
    policy: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    """Of head office: the last version of rights that the former keys have signed."""
    proof: Annotated[bytes, Meta(max_length=64)] = b""
    """The new keys' signature over all the above."""

    @property
    def proven(self) -> bytes:
        """What ``proof`` is over."""
        return b"localcrm new keys\0" + msgspec.msgpack.encode(msgspec.structs.replace(self, proof=b""))


class Introduced(NamedTuple):
    """A succession as it was found, and whether the former keys have signed it; the new ones have."""

    said: Succession
    is_signed: bool


def make_succession(old: NodeKeys | None, new: NodeKeys, said: Succession) -> bytes:
    """The document by which others follow a node from one pair to the next; without the lost former keys only people can believe it."""
    said = msgspec.structs.replace(said, proof=new.sign(said.proven))
    body = msgspec.msgpack.encode(said)
    return _sign(b"LCK1", old, body) if old else b"LCK1" + body + bytes(64)


def read_succession(data: bytes) -> Introduced:
    """A succession whose new keys are in the hands of who wrote it; ExchangeError ``bad_succession``."""
    body, signature = _split(b"LCK1", data, "bad_succession")
    said = _decode(body, Succession, "bad_succession")
    if said.old == said.new or not said.new.has_signed(said.proven, said.proof):
        _refuse("bad_succession")
    return Introduced(said, said.old.has_signed(b"localcrm LCK1\0" + body, signature))


# --- frames ---------------------------------------------------------------------------------------------------------
# "LCF1" | u16 node_no | 16 bytes nonce | payload | signature over (context and all before)


class FrameHead(NamedTuple):
    """What can be read before the signature is checked: enough to find the sender's keys and to notice a replay."""

    node_no: int
    nonce: bytes


def sign_frame(keys: NodeKeys, node_no: int, payload: bytes, *, context: bytes) -> bytes:
    """A message as it travels by HTTP. ``context`` is not sent, both sides know it: company, path, the nonce that is answered."""
    frame = b"LCF1" + node_no.to_bytes(2) + os.urandom(16) + payload
    if len(frame) + 64 > MAX_FRAME:
        _refuse_frame()
    return frame + keys.sign(_frame_message(frame, context))


def frame_head(frame: bytes) -> FrameHead:
    """The sender that a frame names, not yet proven; ExchangeError ``bad_frame``."""
    if not 86 <= len(frame) <= MAX_FRAME or frame[:4] != b"LCF1":
        _refuse_frame()
    return FrameHead(int.from_bytes(frame[4:6]), frame[6:22])


def open_frame(frame: bytes, public: NodePublic, *, context: bytes) -> bytes:
    """The payload, if the owner of ``public`` signed it for this context; ExchangeError ``bad_frame`` or ``bad_signature``."""
    frame_head(frame)
    if not public.has_signed(_frame_message(frame[:-64], context), frame[-64:]):
        _refuse("bad_signature")
    return frame[22:-64]


def _frame_message(frame: bytes, context: bytes) -> bytes:
    return b"localcrm frame\0" + len(context).to_bytes(4) + context + frame


def _refuse_frame() -> NoReturn:
    raise ExchangeError("bad_frame", N_("A message of the exchange is damaged or too long and was refused. Nothing of it was applied."))


# --- the common form --------------------------------------------------------------------------------------------------

_T = TypeVar("_T")

_TEXTS = {
    "bad_invite": N_("This is not an invite file, or it is damaged. Ask head office to send it again."),
    "bad_request": N_(
        "This is not a join request for an open invite, or it is damaged. Ask the branch to send it again, or make a new invite."
    ),
    "bad_approval": N_("This is not the approval for this branch, or it is damaged. Ask head office to send it again."),
    "bad_certificate": N_("The certificate of a branch is damaged or not from this head office. Nothing was changed."),
    "bad_succession": N_("What tells of new keys is damaged or false. Nothing was changed."),
    "bad_signature": N_("The signature does not fit: the file or message was altered, or it is from somebody else. Nothing was changed."),
}


def _sign(magic: bytes, keys: NodeKeys, body: bytes) -> bytes:
    return magic + body + keys.sign(b"localcrm " + magic + b"\0" + body)


def _split(magic: bytes, data: bytes, code: str) -> tuple[bytes, bytes]:
    """Body and signature."""
    if not 68 < len(data) <= MAX_DOCUMENT or data[:4] != magic:
        _refuse(code)
    return data[4:-64], data[-64:]


def _open(magic: bytes, data: bytes, kind: type[_T], public: NodePublic, code: str) -> _T:
    body, signature = _split(magic, data, code)
    if not public.has_signed(b"localcrm " + magic + b"\0" + body, signature):
        _refuse("bad_signature")
    return _decode(body, kind, code)


def _decode(body: bytes, kind: type[_T], code: str) -> _T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ExchangeError(code, _TEXTS[code]) from error


def _refuse(code: str) -> NoReturn:
    raise ExchangeError(code, _TEXTS[code])
