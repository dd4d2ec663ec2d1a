"""Which certificate a branch takes for head office's when it reaches it by HTTPS: that of the key that head office has signed for.

The certificate of a local network is made there and vouched for by nobody above. So head office says in each Welcome which key it serves with,
and the branch keeps that pin. Where another one answers, or none is known yet, it asks what head office has signed last; only a newer statement
with head office's signature moves the pin. An address with a certificate that the system trusts is good without.

Bundles prove and seal themselves whatever carries them; the pin keeps a stranger from learning who talks, and how much.
"""

from __future__ import annotations

import ssl
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.errors import ExchangeError, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import OFFICE_NO
from localcrm.store.tls import served_pin
from localcrm.sync import http, rotation
from localcrm.sync.bundle import MAX_INTRODUCTIONS
from localcrm.sync.identity import Id, Millis, NodeKeys

if TYPE_CHECKING:
    from localcrm.store.store import Store

#: Meta keys of a branch: the pin, and since when it is that of head office, as that says.
PIN, SINCE = "office.tls_pin", "office.tls_since"
#: Meta keys of head office: the pin it spoke of last, and since when it does.
_TOLD, _TOLD_SINCE = "tls.pin", "tls.since"
_Pin = Annotated[bytes, Meta(min_length=32, max_length=32)]


class _News(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What head office signs: the key it serves with, since when."""

    company_id: Id
    pin: _Pin
    since: Millis


class _Told(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A statement as it travels: signed body, signature, by which keys, and the way to those for who knows former ones."""

    body: Annotated[bytes, Meta(max_length=300)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    key_id: Annotated[bytes, Meta(min_length=8, max_length=8)]
    introductions: Annotated[list[Annotated[bytes, Meta(max_length=1_024)]], Meta(max_length=MAX_INTRODUCTIONS)]


# head office ------------------------------------------------------------------------------------------------------------------


def served(store: Store) -> tuple[bytes, int]:
    """The pin that head office serves with and since when, Unix milliseconds; (b"", 0) where it has no certificate of its own.

    A later pin is always later in time than the one before: a clock that was ahead once must not make all that follows look old.
    """
    pin = served_pin(store.folder)
    if pin is None:
        return b"", 0
    if store.meta(_TOLD) != pin:
        with store.housekeeping() as connection:
            if get_meta(connection, _TOLD) != pin:
                set_meta(connection, _TOLD_SINCE, max(0, store.clock.now_ms(), int(get_meta(connection, _TOLD_SINCE) or 0) + 1))
                set_meta(connection, _TOLD, pin)
    return pin, int(store.meta(_TOLD_SINCE) or 0)


def tell(store: Store, keys: NodeKeys) -> bytes:
    """What head office serves with, signed; raises Refused(not_office, no_own_certificate)."""
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    pin, since = served(store)
    if not pin:
        raise Refused("no_own_certificate", N_("Head office serves no certificate of its own."))
    body = msgspec.msgpack.encode(_News(store.node.company_id, pin, since))
    told = _Told(body, keys.sign(_message(body)), keys.public.key_id, rotation.all_introductions(store))
    return msgspec.msgpack.encode(told)


# a branch ---------------------------------------------------------------------------------------------------------------------


def keep(store: Store, pin: bytes, since: int, *, is_news: bool) -> None:
    """Head office said, inside a bundle, with which key it serves since when; b"": with none of its own.

    ``is_news``: the bundle tells of changes that are not here yet, so it is no old one; it then counts whatever the time.
    """
    if not pin or store.meta(PIN) == pin:
        return
    with store.housekeeping() as connection:
        if is_news or since > int(get_meta(connection, SINCE) or 0):
            set_meta(connection, PIN, pin)
            set_meta(connection, SINCE, since)


def post(store: Store, keys: NodeKeys, url: str, request: Path, answer: Path) -> None:
    """Post a bundle to head office, by HTTPS only to the one that is pinned or that the system trusts.

    Raises what ``http.post_bundle`` does, ExchangeError("other_certificate") for somebody else.
    """
    if not url.startswith("https://"):
        http.post_bundle(url, request, answer)
        return
    pin = store.meta(PIN)
    for context in [*([_pinned(pin)] if isinstance(pin, bytes) else []), _trusted()]:
        try:
            http.post_bundle(url, request, answer, verify=context)
        except ExchangeError as error:
            if not _is_about_certificate(error):
                raise
        else:
            return
    try:
        http.post_bundle(url, request, answer, verify=_pinned(_ask(store, keys, url)))
    except ExchangeError as error:
        if _is_about_certificate(error):
            _refuse()
        raise


def _ask(store: Store, keys: NodeKeys, url: str) -> bytes:
    """The pin that head office has signed for, asked of whoever answers there."""
    data = http.post_small(url, http.TLS_PATH, b"")
    try:
        told = msgspec.msgpack.decode(data or b"", type=_Told)
        news = msgspec.msgpack.decode(told.body, type=_News)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        _refuse()
    signer = rotation.Speaker(store, keys).introduced(OFFICE_NO, told.key_id, told.introductions)
    is_genuine = signer is not None and signer.key_id == told.key_id and signer.has_signed(_message(told.body), told.signature)
    if not is_genuine or news.company_id != store.node.company_id or news.since <= int(store.meta(SINCE) or 0):
        _refuse()
    with store.housekeeping() as connection:
        set_meta(connection, PIN, news.pin)
        set_meta(connection, SINCE, news.since)
    return news.pin


def _message(body: bytes) -> bytes:
    return b"localcrm tls\0" + body


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _pinned(pin: bytes) -> ssl.SSLContext:
    """Takes the one key, whatever else its certificate says."""

    class Pinned(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            if _pin_of(self.getpeercert(binary_form=True) or b"") != pin:
                raise ssl.SSLCertVerificationError("another key than the pinned one")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.sslsocket_class = Pinned
    return context


def _pin_of(certificate: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        return b""
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _refuse() -> NoReturn:
    raise ExchangeError(
        "other_certificate",
        N_(
            "Who answers at the address of head office cannot prove to be head office. Nothing was exchanged. Check the address; if it is right, somebody else has taken it, or sits in between."
        ),
    )
