"""Where this computer hears of calls, and which numbers are ours: settings of this machine, not of the company, so they lie in ``meta``."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any

from localcrm.domain import policy
from localcrm.domain.calls.rules import plain_lines
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import clean_text
from localcrm.store.connection import Connection
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.uow import UnitOfWork

PERMISSION = "settings.manage"
_META = "calls"
_LONGEST = 200
_AREA = re.compile(r"0?(10|2[0-9]|[3-9][0-9]{2})", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,200}[A-Za-z0-9])?", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9._+~!*'()-]{1,80}", re.ASCII)
#: Speeds that modems are set to.
RATES = (1200, 2400, 9600, 19200, 38400, 57600, 115200)


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Off is how every source begins; nothing listens that was not switched on.

    own: lines of this office, which are nobody's call · area: area code of this place · hook_key: SHA-256 in hex of the key of the HTTP hook ·
    sip_from: addresses or networks that may announce calls, empty for this computer alone · registrar, sip_user, sip_password: where to sign in as a
    telephone, empty to listen only.
    """

    own: str = ""
    area: str = ""
    hook: bool = False
    hook_key: str = ""
    sip: bool = False
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    sip_from: str = ""
    registrar: str = ""
    sip_user: str = ""
    sip_password: str = ""
    modem: bool = False
    modem_port: str = ""
    modem_rate: int = 9600

    @property
    def own_lines(self) -> list[str]:
        """Lines of this office as they are compared."""
        return plain_lines(self.own)

    def is_key(self, key: str) -> bool:
        """Whether a key is the one that was made for the hook."""
        return bool(self.hook_key) and hmac.compare_digest(key_hash(key), self.hook_key)

    def may_announce(self, address: str) -> bool:
        """Whether a computer may tell of calls by SIP."""
        known = ip_address(address.partition("%")[0])
        networks = [ip_network(part, strict=False) for part in self.sip_from.replace(",", " ").split()]
        return any(known in network for network in networks) if networks else known.is_loopback


#: Never told again, not even to whoever set them.
SECRET = frozenset({"hook_key", "sip_password"})
_NAMES = {field.name: field.type for field in fields(CallSettings)}


def key_hash(key: str) -> str:
    """What is kept of a key."""
    return sha256(key.encode("utf-8", "replace")).hexdigest()


def call_settings(connection: Connection) -> CallSettings:
    """What is set on this computer; what another version has written besides is left out."""
    kept = json.loads(str(get_meta(connection, _META) or "{}"))
    return CallSettings(**{name: value for name, value in kept.items() if name in _NAMES})


def change_settings(uow: UnitOfWork, actor: Actor, *, values: dict[str, Any]) -> dict[str, Any]:
    """Set some of them as typed; a running program follows within a second. Returns them without secrets. An empty password leaves it as it is.

    Raises Forbidden, InvalidInput; nothing is changed then. What differs is noted in the system log.
    """
    policy.require(actor, PERMISSION)
    old = call_settings(uow.connection)
    given = {name: _typed(name, value) for name, value in values.items()}
    if not given.get("sip_password", "x"):
        del given["sip_password"]
    new = replace(old, **given)
    if new.sip and bool(new.registrar) != bool(new.sip_user):
        raise InvalidInput(
            "sip_half",
            N_("To sign in at a telephone system, enter both its address and a user name; leave both empty to listen only."),
            field="registrar" if not new.registrar else "sip_user",
        )
    if new.modem and not new.modem_port:
        raise InvalidInput("required", N_("{label} is required."), label=_label("modem_port"), field="modem_port")
    _keep(uow, old, new)
    return told(new)


def make_hook_key(uow: UnitOfWork, actor: Actor) -> dict[str, str]:
    """A new key for the HTTP hook, shown this once; one that was made before opens nothing any more. Returns {key}."""
    policy.require(actor, PERMISSION)
    key, old = secrets.token_urlsafe(24), call_settings(uow.connection)
    _keep(uow, old, replace(old, hook_key=key_hash(key)))
    return {"key": key}


def told(settings: CallSettings) -> dict[str, Any]:
    """Settings as they are shown: of secrets only whether there are any."""
    return {name: bool(value) if name in SECRET else value for name, value in asdict(settings).items()}


def _keep(uow: UnitOfWork, old: CallSettings, new: CallSettings) -> None:
    before, after = asdict(old), asdict(new)
    for name in (name for name in after if after[name] != before[name]):
        uow.log("setting", f"calls.{name}" if name in SECRET else f"calls.{name}: {_word(before[name])} → {_word(after[name])}")
    set_meta(uow.connection, _META, json.dumps(after))


def _word(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value) or "—"


def _typed(name: str, value: object) -> Any:
    if name not in _NAMES or name == "hook_key":
        raise InvalidInput("bad_call_setting", N_("There is no such setting: “{name}”."), name=str(name)[:60])
    if name in {"hook", "sip", "modem"}:
        return value in {True, "true", "1", "yes"}
    text = _text(name, value)
    if name in {"sip_port", "modem_rate"}:
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
        if not (1 <= number <= 65535 if name == "sip_port" else number in RATES):
            raise _wrong(name, text)
        return number
    if text and name in _CHECKS and not _CHECKS[name].fullmatch(text):
        raise _wrong(name, text)
    if name == "sip_host":
        _address(name, text)
    if name == "sip_from":
        for part in text.replace(",", " ").split():
            _network(name, part)
    return text


_CHECKS = {"area": _AREA, "registrar": _HOST, "sip_user": _USER}
_LABELS = {
    "own": N_("Our own numbers"),
    "area": N_("Area code of this place"),
    "sip_host": N_("Listen on"),
    "sip_port": N_("Port"),
    "sip_from": N_("Calls are announced by"),
    "registrar": N_("Telephone system"),
    "sip_user": N_("User name there"),
    "sip_password": N_("Password there"),
    "modem_port": N_("Serial port"),
    "modem_rate": N_("Speed"),
}


def _label(name: str) -> str:
    from localcrm.kernel.i18n import gettext

    return gettext(_LABELS.get(name, name))


def label(name: str) -> str:
    """What a setting is called, in the language of the moment."""
    return _label(name)


def _text(name: str, value: object) -> str:
    text = str(value if value is not None else "").strip()
    try:
        clean_text(text)
    except ValueError:
        raise _wrong(name, text) from None
    if len(text) > _LONGEST or any(not sign.isprintable() for sign in text):
        raise _wrong(name, text)
    return text


def _address(name: str, text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise _wrong(name, text) from None


def _network(name: str, text: str) -> None:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise _wrong(name, text) from None


def _wrong(name: str, text: str) -> InvalidInput:
    shown = "" if name in SECRET else text[:40].encode("utf-8", "replace").decode()
    return InvalidInput(
        "bad_call_setting_value", N_("“{value}” does not fit “{label}”. Nothing was changed."), value=shown, label=_label(name), field=name
    )


VERBS = (
    Verb(change_settings, N_("Set where calls are heard of"), PERMISSION),
    Verb(make_hook_key, N_("Make a key for the HTTP hook of the telephone system"), PERMISSION),
)
