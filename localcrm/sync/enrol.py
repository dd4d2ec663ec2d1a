"""How a branch joins a company: invite, request, approval — by files, in their plain form.

Head office invites a code and gives it a node number. The branch answers with its own keys. A person compares the
fingerprint and approves; the reply carries the certificate and everything the branch should know, users included.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from localcrm.domain.admin.services import add_branch
from localcrm.domain.policy import Actor, require
from localcrm.kernel.errors import ExchangeError, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import LONGEST_CODE, OFFICE_NO, Node, save_node
from localcrm.sync.identity import (
    SPOKEN_BYTES,
    Certificate,
    JoinRequest,
    NodeKeys,
    check_not_expired,
    issue_certificate,
    make_approval,
    make_invite,
    make_join_request,
    read_approval,
    read_invite,
    read_join_request,
    secret_from,
)
from localcrm.sync.keyring import name_present
from localcrm.sync.rotation import CERTIFICATE, CERTIFIED

if TYPE_CHECKING:
    from localcrm.store.store import Store

CERTIFICATE_DAYS = 3650


class Invitation(NamedTuple):
    """An invite for a branch, as a file and as what people say: ``identity.SPOKEN_BYTES`` bytes, shown this once."""

    file: bytes
    spoken: bytes


def invite(store: Store, keys: NodeKeys, actor: Actor, *, code: str) -> Invitation:
    """An invite for a new branch code; raises Refused when the code is taken or this is not head office."""
    require(actor, "sync.manage")
    node = _office(store)
    code, spoken = code.strip().upper(), os.urandom(SPOKEN_BYTES)
    if not code or len(code) > LONGEST_CODE or not code.isalnum() or not code.isascii():
        raise Refused("bad_branch_code", N_("A branch code has 1 to {most} letters and digits, for example BR01."), most=LONGEST_CODE)
    with store.housekeeping() as connection:
        if code == node.code or connection.one("SELECT 1 FROM sync_peer WHERE code = ?", (code,)):
            raise Refused("branch_exists", N_("There is already a branch “{code}”."), code=code)
        connection.execute("DELETE FROM sync_invite WHERE code = ? AND used = 0", (code,))
        highest = connection.value(
            "SELECT max(n) FROM (SELECT max(node_no) AS n FROM sync_peer UNION ALL SELECT max(node_no) FROM sync_invite)"
        )
        made, data = make_invite(
            keys,
            company_id=node.company_id,
            company=node.name,
            code=code,
            node_no=max(highest or 0, OFFICE_NO) + 1,
            now_ms=store.clock.now_ms(),
            secret=secret_from(spoken),
        )
        connection.execute(
            "INSERT INTO sync_invite(invite_id, node_no, code, secret, expires, office_key) VALUES (?, ?, ?, ?, ?, ?)",
            (made.invite_id, made.node_no, made.code, made.secret, made.expires_at, keys.public.key_id),
        )
    return Invitation(data, spoken)


def ask_to_join(store: Store, keys: NodeKeys, data: bytes, *, url: str | None) -> bytes:
    """A branch reads its invite and writes its request; the invite is kept to check the reply against."""
    node = store.node
    if node.is_office:
        raise Refused("office_cannot_join", N_("This is a head office; only a branch can join one."))
    if node.enrolled:
        raise Refused("already_enrolled", N_("This branch is already enrolled."))
    found = read_invite(data, now_ms=store.clock.now_ms())
    if found.code != node.code:
        raise Refused("other_code", N_("The invite is for branch {invited}, but this is {code}."), invited=found.code, code=node.code)
    with store.housekeeping() as connection:
        set_meta(connection, "join.invite", data)
        if url:
            set_meta(connection, "join.url", url.rstrip("/"))
    return make_join_request(keys, found, name=node.name)


def request_again(store: Store, keys: NodeKeys) -> bytes | None:
    """The request that answers the invite this branch has read; None where it has read none. Raises ExchangeError once it has expired."""
    with store.read() as connection:
        data = get_meta(connection, "join.invite")
    if store.node.enrolled or not isinstance(data, bytes):
        return None
    return make_join_request(keys, read_invite(data, now_ms=store.clock.now_ms()), name=store.node.name)


def look_at_request(store: Store, data: bytes) -> JoinRequest:
    """The request in a file, for a person who compares its fingerprint before approving; nothing is changed."""

    def secret_of(invite_id: bytes) -> bytes | None:
        with store.read() as connection:
            row = connection.one("SELECT secret, expires FROM sync_invite WHERE invite_id = ? AND used = 0", (invite_id,))
        if row is None:
            return None
        check_not_expired(row[1], now_ms=store.clock.now_ms())
        return bytes(row[0])

    return read_join_request(data, company_id=_office(store).company_id, secret_of=secret_of)


def approve(store: Store, keys: NodeKeys, actor: Actor, data: bytes) -> tuple[bytes, int]:
    """Let a branch in; returns the approval and the branch's node number."""
    require(actor, "sync.manage")
    node, request = _office(store), look_at_request(store, data)
    with store.read() as connection:  # the branch knows the keys of its invite; it follows to later ones with its first exchange
        invited_by = connection.value("SELECT office_key FROM sync_invite WHERE invite_id = ?", (request.invite_id,))
    used_key = None if invited_by in {None, keys.public.key_id} else invited_by
    keys = keys.with_id(used_key)
    now = store.clock.now_ms()
    epoch = os.urandom(8)
    certificate = issue_certificate(
        keys,
        Certificate(
            company_id=node.company_id,
            node_no=request.node_no,
            code=request.code,
            name=request.name,
            role="branch",
            epoch=int.from_bytes(epoch),
            epoch_index=0,
            keys=request.keys,
            issued_at=max(0, now),
            valid_until=max(0, now) + CERTIFICATE_DAYS * 86_400_000,
        ),
    )
    approval = make_approval(keys, certificate, known=[])
    with store.unit_of_work(actor.user_id) as uow:
        uow.connection.execute(
            "UPDATE sync_invite SET used = 1, request = ?, approval = ? WHERE invite_id = ?", (data, approval, request.invite_id)
        )
        uow.connection.execute(
            "INSERT INTO sync_peer(node_no, code, name, sign_key, box_key, certificate, epoch, used_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (request.node_no, request.code, request.name, request.keys.sign_key, request.keys.box_key, certificate, epoch, used_key),
        )
        add_branch(uow, code=request.code, name=request.name or request.code, node_no=request.node_no)
    return approval, request.node_no


def finish_join(store: Store, keys: NodeKeys, data: bytes) -> Node:
    """A branch takes in the approval of its request and becomes a node of the company."""
    with store.read() as connection:
        invite_data = get_meta(connection, "join.invite")
        url = get_meta(connection, "join.url")
    if store.node.enrolled:
        raise Refused("already_enrolled", N_("This branch is already enrolled."))
    if not isinstance(invite_data, bytes):
        raise ExchangeError("no_request", N_("This branch has not asked to join yet. Read the invite of head office first."))
    admission = read_approval(data, invite=read_invite(invite_data, now_ms=0), keys=keys)
    certificate = admission.certificate
    node = Node(
        company_id=certificate.company_id,
        code=certificate.code,
        name=store.node.name,
        role="branch",
        node_no=certificate.node_no,
        epoch=certificate.epoch.to_bytes(8),
        epoch_index=certificate.epoch_index,
    )
    with store.housekeeping() as connection:
        save_node(connection, node)
        name_present(connection, certificate.keys.key_id)
        set_meta(connection, CERTIFICATE, admission.certificate_bytes)
        set_meta(connection, CERTIFIED, certificate.issued_at)
        connection.execute("DELETE FROM meta WHERE key LIKE 'join.%'")
        connection.execute(
            "INSERT INTO sync_peer(node_no, code, name, url, sign_key, box_key) VALUES (?, 'HQ', ?, ?, ?, ?)",
            (OFFICE_NO, read_invite(invite_data, now_ms=0).company, url, admission.hub.sign_key, admission.hub.box_key),
        )
    store.forget_node()
    return store.node


def _office(store: Store) -> Node:
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    return store.node
