"""The rights that hold: what head office has signed, kept beside the tables that rights are edited in.

Everything that decides about rights (departments, roles and what they say, who has them, what head office says of users) is written down
canonically, numbered and signed with head office's key, in the transaction of each change. The signature travels as a record; each node
keeps the newest text that fits it, and works out rights from that text alone. So a table changed by hand, or a merge that has
arrived in part, grants nothing: what was signed last stays in force (ADR 0019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from localcrm.domain.people.entities import Department, Policy, Role, RoleField, RoleFilter, RoleRight, User, UserRole
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Field, Stored
from localcrm.store import digests, eventlog, search
from localcrm.store.check import Problem
from localcrm.store.connection import Connection
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import OFFICE_NO
from localcrm.store.signatures import has_signed, sign_keys
from localcrm.store.store import Store
from localcrm.store.uow import WATCHES, UnitOfWork

_USER, _POLICY = User.entity_type, Policy.entity_type
#: Fields of a user that head office alone says.
HUB_FIELDS = tuple(column for column in _USER.fields.values() if column.f.merge == "hub")
#: What decides about rights, and is signed.
SIGNED: Mapping[EntityType, tuple[Field, ...]] = {
    _USER: HUB_FIELDS,
    Department.entity_type: (Department.entity_type.fields["parent_id"],),
    Role.entity_type: (Role.entity_type.fields["user_id"],),
    **{kind.entity_type: tuple(kind.entity_type.fields.values()) for kind in (RoleRight, RoleField, RoleFilter, UserRole)},
}
_KEPT, _SEEN, _FAULT = "policy.kept", "policy.seen", "policy.fault"
#: What does not fit, in words; {number} is the version in force.
FAULTS: Mapping[str, str] = {
    "policy_altered": N_("Roles and rights in this data file are not those that head office signed. Version {number} stays in force."),
    "policy_forged": N_("The newest roles and rights are not signed by head office and were refused. Version {number} stays in force."),
    "policy_old": N_(
        "Roles and rights older than those already in force were put in their place and refused. Version {number} stays in force."
    ),
    "policy_missing": N_("The signature of head office over roles and rights is missing. Version {number} stays in force."),
    "policy_unproven": N_(
        "The keys of this installation are missing, so roles and rights cannot be proven or changed. Restore the folder “keys” from a backup."
    ),
    "policy_lost": N_(
        "No roles and rights signed by head office are left here, so nobody has any right. Restore the last backup, or enrol this branch anew."
    ),
}


class _Claim(NamedTuple):
    """A signature over a version of the rights, whatever it is worth."""

    number: int
    digest: bytes
    signature: bytes


class _Signed(Struct, frozen=True, array_like=True):
    """A version of the rights with its signature, as a node keeps it."""

    number: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    content: bytes
    signature: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of what it says."""
        return sha256(self.content).digest()


@dataclass(frozen=True)
class Granted:
    """What head office grants: by kind of record the rows that decide, by id, in stored form with ids in hex."""

    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def of(self, kind: EntityType) -> Mapping[str, Mapping[str, Any]]:
        """Rows of one kind by id."""
        return self.rows.get(kind.key, {})

    def user(self, identity: str) -> Mapping[str, Any]:
        """What head office says of a user; of one it has not spoken about, what every new user begins with."""
        return self.of(_USER).get(identity) or _BLANK_USER


_BLANK_USER: Mapping[str, Any] = {column.key: column.store(column.default) for column in HUB_FIELDS}


# what is in force -----------------------------------------------------------------------------------------------------


def granted(store: Store, connection: Connection) -> Granted:
    """What is in force here: what was signed last; the tables where nobody has signed yet, nothing where no signature fits."""
    found = _in_force(store, connection)
    return Granted() if found is None else _read(found.content)


def _in_force(store: Store, connection: Connection) -> _Signed | None:
    if not _has_begun(store, connection):
        return _Signed(0, content_of(connection), b"")
    is_proven = _prover(store, connection)
    for look in (_kept, _standing):
        found = look(connection)
        if found is not None and found.number >= _seen(connection) and (is_proven is None or is_proven(found)):
            return found
    return None


def _has_begun(store: Store, connection: Connection) -> bool:
    """Whether anybody has ever signed rights here; before that the tables count, as they did in older programs."""
    if _kept(connection) is not None or _seen(connection):
        return True
    return _newest(connection) is not None and _prover(store, connection) is not None


def _prover(store: Store, connection: Connection) -> Callable[[_Claim | _Signed], bool] | None:
    """Tells whether head office has signed something; None at a head office without its key, where nothing can be told."""
    company = store.node.company_id
    if not store.node.is_office:
        keys = list(sign_keys(connection, OFFICE_NO))
        return lambda claim: any(
            claim.number <= known.policy and has_signed(known.key, _message(company, claim), claim.signature) for known in keys
        )
    sign = store.sign_log
    if sign is None or not sign(b"localcrm policy"):
        return None
    return lambda claim: sign(_message(company, claim)) == claim.signature


def _message(company: bytes, claim: _Claim | _Signed) -> bytes:
    return b"localcrm policy\0" + company + claim.number.to_bytes(8) + claim.digest


def _kept(connection: Connection) -> _Signed | None:
    data = get_meta(connection, _KEPT)
    try:
        return msgspec.msgpack.decode(data, type=_Signed) if isinstance(data, bytes) else None
    except msgspec.MsgspecError:
        return None


def _seen(connection: Connection) -> int:
    """The highest version that was ever in force here."""
    seen = get_meta(connection, _SEEN)
    return seen if isinstance(seen, int) else 0


def _newest(connection: Connection) -> _Claim | None:
    """The signature that has arrived last."""
    row = connection.one("SELECT number, digest, signature FROM policy WHERE deleted = 0 ORDER BY number DESC LIMIT 1")
    return None if row is None else _Claim(max(row[0] or 0, 0), _bytes(row[1]), _bytes(row[2]))


def _standing(connection: Connection) -> _Signed | None:
    """What the tables say, with the signature that has arrived last."""
    newest = _newest(connection)
    return None if newest is None else _Signed(newest.number, content_of(connection), newest.signature)


def _bytes(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""


# what is signed -------------------------------------------------------------------------------------------------------


def content_of(connection: Connection) -> bytes:
    """What the tables of this moment say about rights, canonically: the same rows give the same bytes everywhere.

    Fields by wire number, defaults left out: a program that knows more fields writes the same as long as nobody uses them.
    """
    return msgspec.json.encode({str(kind.no): list(_lines(connection, kind, fields)) for kind, fields in SIGNED.items()})


def _lines(connection: Connection, kind: EntityType, fields: tuple[Field, ...]) -> Iterator[list[Any]]:
    # Whether a user is in the bin is not head office's alone to say.
    live = "1" if kind is _USER else "deleted = 0"
    columns = ", ".join(f'"{column.key}"' for column in fields)
    parts = [(str(column.no), column.store(column.default), column.kind == "ref") for column in fields]
    for identity, *values in connection.all(f'SELECT id, {columns} FROM "{kind.key}" WHERE {live} ORDER BY id'):
        said = {
            no: value.hex() if is_ref else value for (no, default, is_ref), value in zip(parts, values, strict=True) if value != default
        }
        if said or kind is not _USER:
            yield [identity.hex(), said]


@lru_cache(maxsize=4)
def _read(content: bytes) -> Granted:
    written = msgspec.json.decode(content, type=dict[str, list[tuple[str, dict[str, Any]]]])
    return Granted(
        {
            kind.key: {
                identity: {column.key: said.get(str(column.no), column.store(column.default)) for column in fields}
                for identity, said in written.get(str(kind.no), [])
            }
            for kind, fields in SIGNED.items()
        }
    )


# signing, at head office ------------------------------------------------------------------------------------------------


def _watch(uow: UnitOfWork) -> Callable[[], None]:
    """Head office signs anew when a section has changed rights; what somebody else changed by hand is never signed along."""
    if not uow.node.is_office or uow.store.sign_log is None:
        return lambda: None
    before = content_of(uow.connection)

    def last_step() -> None:
        if content_of(uow.connection) == before:
            return
        _require_as_signed(uow.connection, before)
        sign_anew(uow)

    return last_step


def change_keys(uow: UnitOfWork, sign: eventlog.Sign) -> int:
    """Head office signs what stands with new keys, if that is what it signed last; returns the last version of the former keys."""
    last = _seen(uow.connection)
    if last:
        _require_as_signed(uow.connection, content_of(uow.connection))
        sign_anew(uow, sign)
    return last


def _require_as_signed(connection: Connection, content: bytes) -> None:
    kept = _kept(connection)
    if kept is not None and kept.content != content:
        raise Refused(
            "policy_altered",
            N_(
                "Roles and rights in this data file are not those that were signed last, so they were not changed. "
                "Look them through, then sign them as they stand: “localcrm do people.sign_rights”."
            ),
        )


WATCHES.update({kind.key: _watch for kind in SIGNED})


def sign_anew(uow: UnitOfWork, sign: eventlog.Sign | None = None) -> int:
    """Sign what the tables say under the next number, as the node signs or with ``sign``; returns it, 0 where there is no key and never was."""
    connection, sign = uow.connection, sign or uow.store.sign_log
    kept, newest = _kept(connection), _newest(connection)
    number = max(_seen(connection), *(known.number for known in (kept, newest) if known), 0) + 1
    unsigned = _Signed(number, content_of(connection), b"")
    signature = sign(_message(uow.node.company_id, unsigned)) if sign else b""
    if not signature:
        if kept is None:
            return 0
        raise Refused("policy_unproven", FAULTS["policy_unproven"])
    signed = msgspec.structs.replace(unsigned, signature=signature)
    record = {"number": number, "digest": signed.digest.hex(), "signature": signature.hex()}
    known = uow.where(_POLICY)
    if known:
        uow.update(_POLICY, known[-1]["id"], record)
    else:
        uow.insert(_POLICY, record)
    _keep(connection, signed)
    return number


def _keep(connection: Connection, signed: _Signed) -> None:
    set_meta(connection, _KEPT, msgspec.msgpack.encode(signed))
    set_meta(connection, _SEEN, max(signed.number, _seen(connection)))


# taking over, and what does not fit -----------------------------------------------------------------------------------


def concerns(tables: AbstractSet[int]) -> bool:
    """Whether rights may be different after a change of these tables, by wire number."""
    return not tables.isdisjoint({_POLICY.no, *(kind.no for kind in SIGNED)})


def take_over(store: Store, connection: Connection) -> None:
    """Let a newer version come into force, inside the transaction that brought it, once the tables fit its signature."""
    newer = _newer(store, connection)
    if newer is not None:
        _keep(connection, newer)


def _newer(store: Store, connection: Connection) -> _Signed | None:
    """What the tables say, if that is signed and not what is kept already."""
    kept, newest, is_proven = _kept(connection), _newest(connection), _prover(store, connection)
    if newest is None or is_proven is None or newest.number < _seen(connection):
        return None
    if kept is not None and newest == (kept.number, kept.digest, kept.signature):
        return None
    stands = _standing(connection)
    return stands if stands is not None and is_proven(stands) else None


def examine(store: Store) -> None:
    """Bring the rights in force up to date where that is possible, and note in the system log what newly does not fit."""
    with store.read() as connection:
        begins = store.node.is_office and not _has_begun(store, connection) and _prover(store, connection) is not None
    if begins:
        with store.unit_of_work(None) as uow:
            sign_anew(uow)
    with store.read() as connection:
        is_due = _newer(store, connection) is not None or (fault(store, connection) or "") != known_fault(connection)
    if not is_due:
        return
    with store.housekeeping() as connection:
        take_over(store, connection)
        code = fault(store, connection) or ""
        if code != known_fault(connection):
            set_meta(connection, _FAULT, code)
            kind, detail = ("rights_refused", f"{code} {_number(store, connection)}") if code else ("rights_fit", "")
            eventlog.append(connection, at=store.clock.now_ms(), kind=kind, detail=detail, sign=store.sign_log)


def put_back(store: Store, connection: Connection) -> None:
    """Write what is in force back into tables that somebody changed by hand, unless a newer version has come in meanwhile."""
    kept, newest = _kept(connection), _newest(connection)
    if kept is None or newest is None or kept.digest != newest.digest or fault(store, connection) != "policy_altered":
        return
    for kind, fields in SIGNED.items():
        signed = _read(kept.content).of(kind)
        columns = ", ".join(f'"{column.key}"' for column in fields)
        for rid, identity, deleted, *values in connection.all(f'SELECT rid, id, deleted, {columns} FROM "{kind.key}"'):
            said = signed.get(identity.hex()) or (_BLANK_USER if kind is _USER else None)
            right = values if said is None else [_stored(column, said[column.key]) for column in fields]
            gone = deleted if kind is _USER else int(said is None)
            if [*values, deleted] != [*right, gone]:
                assigned = ", ".join(f'"{column.key}" = ?' for column in fields)
                connection.execute(f'UPDATE "{kind.key}" SET {assigned}, deleted = ? WHERE rid = ?', (*right, gone, rid))
                search.index_rows(connection, kind, [rid])
                digests.mark(connection, kind, identity)
        if len(fields) == len(kind.fields):  # of others it is not known what else stood in a row that was removed
            present = {identity.hex() for (identity,) in connection.all(f'SELECT id FROM "{kind.key}"')}
            for lost, said in signed.items():
                if lost not in present:
                    values = [_stored(column, said[column.key]) for column in fields]
                    marks = ", ?" * len(fields)
                    connection.execute(f'INSERT INTO "{kind.key}"(id, {columns}) VALUES (?{marks})', (bytes.fromhex(lost), *values))
                    digests.mark(connection, kind, bytes.fromhex(lost))


def _stored(column: Field, value: Any) -> Stored:
    return bytes.fromhex(value) if column.kind == "ref" and value is not None else value


def known_fault(connection: Connection) -> str:
    """What did not fit when the rights were examined last, as a key of FAULTS; "" where everything did."""
    return str(get_meta(connection, _FAULT) or "")


def warning(store: Store) -> str:
    """The same as a sentence, for people who sign in or work; "" where everything fits."""
    with store.read() as connection:
        code = known_fault(connection)
        if code not in FAULTS:
            return ""
        text = gettext(FAULTS[code]).format(number=_number(store, connection))
    return gettext(N_("{fault} Please tell an administrator.")).format(fault=text)


def problems(store: Store, connection: Connection) -> Iterator[Problem]:
    """For the data doctor: what does not fit at this moment."""
    code = fault(store, connection)
    if code is not None:
        yield Problem(code, FAULTS[code], {"number": _number(store, connection)})


def _number(store: Store, connection: Connection) -> int:
    found = _in_force(store, connection)
    return 0 if found is None else found.number


def fault(store: Store, connection: Connection) -> str | None:
    """What does not fit, as a key of FAULTS; None where everything does, or where nobody has signed yet."""
    if not _has_begun(store, connection):
        return None
    is_proven, newest, stands = _prover(store, connection), _newest(connection), _standing(connection)
    if is_proven is None:
        return "policy_unproven"
    if _in_force(store, connection) is None:
        return "policy_lost"
    if newest is None or stands is None:
        return "policy_missing"
    if newest.number < _seen(connection):
        return "policy_old"
    if not is_proven(newest):
        return "policy_forged"
    return None if newest.digest == stands.digest else "policy_altered"
