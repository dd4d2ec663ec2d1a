"""A node changes its keys, and the others follow it from the old ones to the new ones.

The change counts at once and here, in one transaction. What the node writes from then on is signed with the new keys and brings the
**successions** by which the other side gets to them, each signed with the keys before, until the other side has sealed something to the new
ones. So nobody has to be reached at the moment of the change, and who was silent for years follows over several changes.

What was made with former keys before is still good: for GRACE_DAYS after the other side has heard of the change, and what was sealed to
them opens for 400 days. Stolen or lost keys head office revokes at once; then no signature of theirs counts any more, and people compare
the fingerprint of the new ones, as when the branch joined (ADR 0032).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import msgspec

from localcrm.domain import policy
from localcrm.domain.people import signing
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import ExchangeError, NotFound, Refused, StoreError
from localcrm.kernel.i18n import N_
from localcrm.store import eventlog, tls
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import OFFICE_NO
from localcrm.store.signatures import has_signed
from localcrm.sync import keyring
from localcrm.sync.bundle import MAX_INTRODUCTIONS
from localcrm.sync.identity import (
    NodeKeys,
    NodePublic,
    Succession,
    issue_certificate,
    make_succession,
    peek_certificate,
    read_succession,
    verify_certificate,
)

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.identity import Introduced

#: How long a file signed with former keys is taken after the other side has heard of the new ones: branches without internet come late.
GRACE_DAYS = 60
_DAY = 86_400_000
#: Meta keys of a branch: the certificate of head office, and when that was issued.
CERTIFICATE, CERTIFIED = "node.certificate", "node.certified"


# the change itself ------------------------------------------------------------------------------------------------------


def change_keys(store: Store, keys: NodeKeys | None, actor: Actor) -> dict[str, Any]:
    """New keys for this node, from now on; returns {"code", "fingerprint", "signed"}: whether the former keys vouch for them.

    ``keys``: the present ones; None at a branch that has lost them, whose new ones head office must then let in. Raises Refused: not_enrolled,
    keys_lost_at_office, keys_changed_meanwhile, policy_altered; nothing is changed then.
    """
    policy.require(actor, "sync.manage")
    node = store.node
    if not node.enrolled:
        raise Refused("not_enrolled", N_("This branch is not enrolled yet. Finish “sync join” with the reply of head office first."))
    if keys is None and node.is_office:
        raise Refused("keys_lost_at_office", N_("Branches know head office by its keys only. Restore the folder “keys” from a backup."))
    if keys is None:  # a folder from before it was said; what is written below must not count before its time
        with store.housekeeping() as connection:
            keyring.name_present(connection, _certified(connection).key_id)
    new, now = NodeKeys.generate(), max(0, store.clock.now_ms())
    with store.unit_of_work(actor.user_id) as uow:
        connection = uow.connection
        old = keys.public if keys else _lost(connection, node.node_no)
        if keys is not None and get_meta(connection, keyring.PRESENT) not in {None, old.key_id}:
            raise Refused("keys_changed_meanwhile", N_("The keys were changed in another window meanwhile. Nothing more was done."))
        # The file first: a pair nobody uses does no harm, a data file that names a pair that is not there would.
        keyring.write_pairs(store.folder, store.key, [*_kept(store, connection, keys), new])
        last = signing.change_keys(uow, new.sign) if node.is_office else 0
        document = make_succession(keys, new, Succession(node.company_id, node.node_no, old, new.public, now, last))
        _set_aside(connection, node.node_no, old, changed=now, learned=now, policy=last, succession=document)
        connection.execute("UPDATE sync_peer SET used_key = ? WHERE used_key IS NULL", (old.key_id,))
        if node.is_office:
            _certify_all(store, connection, new)
        eventlog.change_keys(connection, lambda message, signature: has_signed(old.sign_key, message, signature), new.sign)
        set_meta(connection, keyring.PRESENT, new.public.key_id)
        detail = f"{node.code} {new.public.fingerprint}"
        eventlog.append(connection, at=now, kind="keys_changed", user_id=actor.user_id, detail=detail, sign=new.sign)
    tls.forget_key(store.folder)  # who could copy the one key could copy the other; nothing depends on when it goes
    return {"code": node.code, "fingerprint": new.public.fingerprint, "signed": keys is not None}


def _kept(store: Store, connection: Connection, keys: NodeKeys | None) -> list[NodeKeys]:
    """The pairs that stay in the file: the present one and those that still open something."""
    wanted: set[object] = set(keyring.former_ids(connection, store.node.node_no, store.clock.now_ms()))
    if keys is not None:
        return [pair for pair in keys.older if pair.public.key_id in wanted] + [keys]
    wanted.add(get_meta(connection, keyring.PRESENT))
    with suppress(StoreError):  # there may be older ones, the present one all the same, or nothing at all
        return [pair for pair in keyring.read_pairs(store.folder, store.key) if pair.public.key_id in wanted]
    return []


def _lost(connection: Connection, node_no: int) -> NodePublic:
    """The present keys of this branch, of which only the public part is left: those of its last change, else those that head office certified."""
    document = connection.value("SELECT succession FROM former_key WHERE node_no = ? ORDER BY rowid DESC LIMIT 1", (node_no,))
    return read_succession(document).said.new if document else _certified(connection)


def _certified(connection: Connection) -> NodePublic:
    """The keys that head office knows of this branch, which has lost them."""
    certificate = get_meta(connection, CERTIFICATE)
    if not isinstance(certificate, bytes):
        raise Refused("not_enrolled", N_("This branch is not enrolled yet. Finish “sync join” with the reply of head office first."))
    return peek_certificate(certificate).keys


def _set_aside(
    connection: Connection,
    node_no: int,
    old: NodePublic,
    *,
    changed: int,
    learned: int,
    policy: int = 0,
    revoked: bool = False,
    succession: bytes | None = None,
) -> None:
    connection.execute(
        """INSERT OR REPLACE INTO former_key(node_no, key_id, sign_key, box_key, changed, learned, policy, revoked, succession)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (node_no, old.key_id, old.sign_key, old.box_key, changed, learned, policy, int(revoked), succession),
    )


# certificates -----------------------------------------------------------------------------------------------------------


def _certify_all(store: Store, connection: Connection, keys: NodeKeys) -> None:
    for node_no, sign_key, box_key in connection.all(
        "SELECT node_no, sign_key, box_key FROM sync_peer WHERE certificate IS NOT NULL AND state = 'active'"
    ):
        _certify(store, connection, keys, node_no, NodePublic(sign_key, box_key))


def _certify(store: Store, connection: Connection, keys: NodeKeys, node_no: int, public: NodePublic) -> None:
    """Issue the certificate of a branch anew, over these keys."""
    former = peek_certificate(connection.value("SELECT certificate FROM sync_peer WHERE node_no = ?", (node_no,)))
    issued = max(store.clock.now_ms(), former.issued_at + 1)
    fresh = msgspec.structs.replace(former, keys=public, issued_at=issued, valid_until=issued + former.valid_until - former.issued_at)
    connection.execute("UPDATE sync_peer SET certificate = ? WHERE node_no = ?", (issue_certificate(keys, fresh), node_no))


def newer_certificate(connection: Connection, node_no: int, *, than: int) -> bytes:
    """At head office: the certificate of a branch, if it was issued after the one it has; else nothing."""
    data: bytes | None = connection.value("SELECT certificate FROM sync_peer WHERE node_no = ?", (node_no,))
    return data if data and peek_certificate(data).issued_at > than else b""


def certified_at(connection: Connection) -> int:
    """When the certificate of this branch was issued; 0 for one from before that was noted."""
    return int(get_meta(connection, CERTIFIED) or 0)


def take_certificate(store: Store, connection: Connection, data: bytes) -> None:
    """A branch keeps a newer certificate; one that head office has issued meanwhile for other keys is an old one and is left."""
    certificate = peek_certificate(data)
    if certificate.issued_at <= certified_at(connection):
        return
    certificate = verify_certificate(data, _present(connection, OFFICE_NO))
    if (certificate.company_id, certificate.node_no) == (store.node.company_id, store.node.node_no):
        set_meta(connection, CERTIFICATE, data)
        set_meta(connection, CERTIFIED, certificate.issued_at)


def _present(connection: Connection, node_no: int) -> NodePublic:
    return NodePublic(*connection.one("SELECT sign_key, box_key FROM sync_peer WHERE node_no = ?", (node_no,)) or (b"", b""))


# who speaks ---------------------------------------------------------------------------------------------------------------


def introductions(store: Store, node_no: int) -> list[bytes]:
    """The way from the keys of ours that the other side last used to the present ones, oldest step first; nothing where it knows those."""
    with store.read() as connection:
        used = connection.value("SELECT used_key FROM sync_peer WHERE node_no = ?", (node_no,))
        if used is None:
            return []
        steps = connection.all("SELECT key_id, succession FROM former_key WHERE node_no = ? ORDER BY rowid", (store.node.node_no,))
    start = next((place for place, (key_id, _document) in enumerate(steps) if key_id == used), 0)
    return [document for _key_id, document in steps[start:] if document][-MAX_INTRODUCTIONS:]


def all_introductions(store: Store) -> list[bytes]:
    """The whole way from our first keys to the present ones, for somebody of whom nothing is known."""
    with store.read() as connection:
        rows = connection.all("SELECT succession FROM former_key WHERE node_no = ? ORDER BY rowid", (store.node.node_no,))
    return [document for (document,) in rows if document][-MAX_INTRODUCTIONS:]


def note_used(store: Store, keys: NodeKeys, node_no: int, key_id: bytes) -> None:
    """Remember which of our keys the other side knows: those it has just sealed something to."""
    used = None if key_id == keys.public.key_id else key_id
    with store.read() as connection:
        known = connection.value("SELECT used_key FROM sync_peer WHERE node_no = ?", (node_no,))
    if known != used:
        with store.housekeeping() as connection:
            connection.execute("UPDATE sync_peer SET used_key = ? WHERE node_no = ?", (used, node_no))


class _Peer(NamedTuple):
    """The other side as we know it: its present keys, and whether those are revoked."""

    code: str
    present: NodePublic
    renew: bool


def _heard(store: Store, node_no: int) -> _Peer | None:
    """A node of the other side; None for one without keys here, ExchangeError ``revoked`` for a closed branch."""
    with store.read() as connection:
        row = connection.one("SELECT code, sign_key, box_key, renew, state FROM sync_peer WHERE node_no = ?", (node_no,))
    if row is None or row[1] is None:
        return None
    if row[4] != "active":
        raise ExchangeError("revoked", N_("Branch {code} has been closed; its exchange files are no longer accepted."), code=row[0])
    return _Peer(row[0], NodePublic(row[1], row[2]), bool(row[3]))


def sealed_for(store: Store, node_no: int) -> NodePublic | None:
    """The keys to seal to for the other side; None for a node without any, ExchangeError ``revoked``, ``renew_keys``."""
    peer = _heard(store, node_no)
    if peer is None:
        return None
    return _refuse_renewal(peer.code) if peer.renew else peer.present


def _refuse_renewal(code: str) -> NoReturn:
    raise ExchangeError(
        "renew_keys",
        N_(
            "Head office has revoked the keys of branch {code}. Nothing was exchanged; nothing is lost. Make new keys there, on the page Merging, and call head office to compare the digits."
        ),
        code=code,
    )


class Speaker:
    """Who has written one bundle: found by the header, believed once the signature over the whole file fits."""

    def __init__(self, store: Store, keys: NodeKeys, *, require_calm: Callable[[], None] = lambda: None) -> None:
        """``require_calm`` is called before anything is looked at that keys unknown here have sent, and may raise."""
        self._store, self._keys, self._require_calm = store, keys, require_calm
        self._steps: list[Succession] = []
        self._asks: bytes | None = None
        self._asks_with_reason = False
        self._node_no = 0

    def known(self, node_no: int, key_id: bytes) -> NodePublic | None:
        """Keys of a node, present or former; None for a stranger. Raises ExchangeError: revoked, renew_keys, key_revoked, key_replaced."""
        return self.introduced(node_no, key_id, ())

    def introduced(self, node_no: int, key_id: bytes, documents: Sequence[bytes]) -> NodePublic | None:
        """The same where a bundle brings successions; what they lead to is tried, and taken over or put to people in ``proven``."""
        self._node_no = node_no
        peer = _heard(self._store, node_no)
        if peer is None:
            self._require_calm()
            return None
        code, present, renew = peer
        if key_id == present.key_id:
            return _refuse_renewal(code) if renew else present
        with self._store.read() as connection:
            former = connection.all("SELECT key_id, sign_key, box_key, learned, revoked FROM former_key WHERE node_no = ?", (node_no,))
        for known_id, sign_key, box_key, learned, revoked in former:
            if known_id == key_id:
                self._require_grace(code, learned, is_revoked=bool(revoked) or renew)
                return NodePublic(sign_key, box_key)
        self._require_calm()
        found = [read_succession(document) for document in documents]
        if any((step.said.company_id, step.said.node_no) != (self._store.node.company_id, node_no) for step in found):
            return None
        if not renew:
            self._steps = _way(found, present, key_id)
            if self._steps:
                return self._steps[-1].new
        # Nobody whose word counts leads to these keys; at head office people may let them in, but not any stranger's.
        known = {present.key_id, *(entry[0] for entry in former if not entry[4])}
        for document, step in zip(documents, found, strict=True):
            if step.said.new.key_id == key_id and (renew or (step.is_signed and step.said.old.key_id in known)):
                self._asks, self._asks_with_reason = document, _leads(found, {present.key_id, *(entry[0] for entry in former)}, key_id)
                return step.said.new
        return None

    def proven(self, _sender: NodePublic) -> None:
        """The signature fits: follow the sender to its new keys, or note them for people to compare, ExchangeError ``keys_wait``.

        Where other new keys wait already, only those take their place that the branch's present or former ones lead to; else ExchangeError
        ``keys_place_taken``.
        """
        if self._steps:
            with self._store.housekeeping() as connection:
                for step in self._steps:
                    _require_from(connection, step)
                    _follow(self._store, connection, self._keys, step)
        if self._asks is not None:
            self._ask(self._asks)

    def _ask(self, document: bytes) -> None:
        if not self._store.node.is_office:
            raise ExchangeError(
                "office_keys_unknown", N_("Head office has keys that this branch cannot prove. Nothing was exchanged; call head office.")
            )
        with self._store.housekeeping() as connection:
            code, waits = connection.one("SELECT code, asked_key FROM sync_peer WHERE node_no = ?", (self._node_no,)) or ("", None)
            if waits not in {None, document} and not self._asks_with_reason:
                raise ExchangeError(
                    "keys_place_taken",
                    N_(
                        "Other new keys of branch {code} wait at head office already. Nothing was exchanged; nothing is lost. If they are not yours, somebody there chooses “Its keys were stolen or lost…” once more; exchange again afterwards."
                    ),
                    code=code,
                )
            if waits != document:
                connection.execute("UPDATE sync_peer SET asked_key = ? WHERE node_no = ?", (document, self._node_no))
                now = self._store.clock.now_ms()
                eventlog.append(connection, at=now, kind="branch_keys_asked", detail=str(code), sign=self._store.sign_log)
        raise ExchangeError(
            "keys_wait",
            N_(
                "The new keys of branch {code} wait at head office, on its page Merging: somebody there compares the digits by telephone and lets them in. Nothing was exchanged; nothing is lost. Exchange again afterwards."
            ),
            code=code,
        )

    def _require_grace(self, code: str, learned: int, *, is_revoked: bool) -> None:
        if is_revoked:
            raise ExchangeError(
                "key_revoked",
                N_("These keys of branch {code} have been revoked. Nothing was changed; have the file made again."),
                code=code,
            )
        if self._store.clock.now_ms() > learned + GRACE_DAYS * _DAY:
            raise ExchangeError(
                "key_replaced",
                N_(
                    "This exchange file is signed with keys that {code} replaced more than {days} days ago. Nothing was changed; have it made again."
                ),
                code=code,
                days=GRACE_DAYS,
            )


def _way(found: Sequence[Introduced], present: NodePublic, key_id: bytes) -> list[Succession]:
    """The signed steps that lead from the present keys of a node to those with the id; none where there is no such way."""
    steps: list[Succession] = []
    for step in found:
        if step.said.old == (steps[-1].new if steps else present):
            if not step.is_signed:
                return []
            steps.append(step.said)
    return steps if steps and steps[-1].new.key_id == key_id else []


def _leads(found: Sequence[Introduced], known: set[bytes], key_id: bytes) -> bool:
    """Whether signed steps lead from one of the keys with the known ids, revoked or not, to those with the id."""
    for step in found:
        if step.is_signed and step.said.old.key_id in known:
            known.add(step.said.new.key_id)
    return key_id in known


def _require_from(connection: Connection, step: Succession) -> None:
    """What was looked at before the transaction must still hold in it: these are the keys before, and nobody has revoked them."""
    code, sign_key, box_key, renew = connection.one(
        "SELECT code, sign_key, box_key, renew FROM sync_peer WHERE node_no = ?", (step.node_no,)
    ) or ("", b"", b"", 1)
    if renew or NodePublic(sign_key, box_key) not in {step.old, step.new}:
        raise ExchangeError(
            "keys_changed_meanwhile",
            N_("The keys of {code} were changed here meanwhile. Nothing was exchanged; exchange again."),
            code=code,
        )


def _follow(
    store: Store, connection: Connection, keys: NodeKeys, step: Succession, *, revoked: bool = False, by: str | None = None
) -> None:
    """From now on the other side has these keys; nothing where another program was first."""
    present = _present(connection, step.node_no)
    if present == step.new:
        return
    now = store.clock.now_ms()
    _set_aside(connection, step.node_no, present, changed=step.at, learned=now, policy=step.policy, revoked=revoked)
    connection.execute(
        "UPDATE sync_peer SET sign_key = ?, box_key = ?, asked_key = NULL, renew = 0 WHERE node_no = ?",
        (step.new.sign_key, step.new.box_key, step.node_no),
    )
    if store.node.is_office:
        _certify(store, connection, keys, step.node_no, step.new)
    code = connection.value("SELECT code FROM sync_peer WHERE node_no = ?", (step.node_no,))
    detail = f"{code} {step.new.fingerprint}"
    eventlog.append(connection, at=now, kind="peer_keys_changed", user_id=by, detail=detail, sign=store.sign_log)


# head office: keys that are stolen or lost -----------------------------------------------------------------------------------


def demand_keys(store: Store, actor: Actor, code: str) -> dict[str, Any]:
    """Revoke the keys of a branch at once, present and former; it is heard again with new ones that people have compared.

    Returns {"code"}; raises Refused(not_office), NotFound(unknown_branch).
    """
    node_no, code = _branch(store, actor, code)
    with store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET renew = 1, asked_key = NULL WHERE node_no = ?", (node_no,))
        connection.execute("UPDATE former_key SET revoked = 1 WHERE node_no = ?", (node_no,))
        now = store.clock.now_ms()
        eventlog.append(connection, at=now, kind="branch_keys_revoked", user_id=actor.user_id, detail=code, sign=store.sign_log)
    return {"code": code}


def asked_keys(data: bytes | None) -> NodePublic | None:
    """The new keys of a branch that wait for people, as ``sync_peer.asked_key`` holds them."""
    return None if data is None else read_succession(data).said.new


def let_keys_in(store: Store, keys: NodeKeys, actor: Actor, code: str, *, fingerprint: str) -> dict[str, Any]:
    """The digits agree: the branch has the keys it asked with. Returns {"code", "fingerprint"}.

    ``fingerprint``: what was compared; Refused(keys_changed_meanwhile) where other keys wait by now, Refused(no_keys_wait) where none do.
    """
    node_no, code = _branch(store, actor, code)
    with store.housekeeping() as connection:
        document, renew = connection.one("SELECT asked_key, renew FROM sync_peer WHERE node_no = ?", (node_no,)) or (None, 0)
        if document is None:
            raise Refused("no_keys_wait", N_("No new keys of branch {code} wait here."), code=code)
        step = read_succession(document).said
        if "".join(step.new.fingerprint.split()) != "".join(fingerprint.split()):
            raise Refused("other_keys_wait", N_("The digits are not those of the keys that wait. Nothing was changed; compare once more."))
        _follow(store, connection, keys, step, revoked=bool(renew), by=actor.user_id)
    return {"code": code, "fingerprint": step.new.fingerprint}


def _branch(store: Store, actor: Actor, code: str) -> tuple[int, str]:
    policy.require(actor, "sync.manage")
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    code = code.strip().upper()
    with store.read() as connection:
        node_no = connection.value("SELECT node_no FROM sync_peer WHERE code = ?", (code,))
    if node_no is None:
        raise NotFound("unknown_branch", N_("There is no branch “{code}”."), code=code[:40])
    return node_no, code
