"""Head office was restored from a backup. Branches agree with it on where the backup ended, and give back what was done after it.

A restored head office has a new epoch and remembers where the one before ended in its log. A branch that knew an earlier one goes back to
that place. What it has received since, from head office's former self and from other branches, only branches still have: it is given back in the order
in which it arrived there, so that whatever a change builds on comes before it. It is taken as it was admitted then, with its stamps, and
judged no second time. Therefore head office does so only where a person has said so, and for a while.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.store import eventlog
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import CATCHING_UP, OFFICE_NO, origin_of
from localcrm.sync import codec, scope, stamps
from localcrm.sync.extract import changes_beyond
from localcrm.sync.merge import Report, take_back
from localcrm.sync.messages import GiveBack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.messages import Hello, Welcome

#: How long work is taken back once a person has said so: branches without internet come late.
OPEN_MS = 60 * 24 * 3600 * 1000
#: Meta keys of head office: until when; of a branch: what head office has, and what it had acknowledged before it was restored.
_UNTIL, _HAS, _ACKNOWLEDGED = "taking_back_until", "office_has", "acknowledged_before"
#: Meta key of head office: a branch came that has something to give back, and was refused.
_ASKED = "taking_back_asked"
#: Meta key of head office, by branch: what that has lost of its own work (epoch, from one number to another).
_LOST = "lost.{}"
#: Meta key of head office: numbers here of the origins whose work came back in parts.
_IN_PARTS = "came_back_in_parts"
#: Meta keys of a branch: the former epochs of head office that it knew; when the one that it knows began.
_LIVES, _OFFICE_BEGAN = "office_lives", "office_began"
#: Meta keys of head office: when its epoch began; when one began that a branch knows and that is not older.
_BEGAN, _RIVAL = "epoch_began", "later_epoch_known"
#: No clock says more (ms); a branch whose program was tampered with may.
_LATEST = 1 << 50


# head office -------------------------------------------------------------------------------------------------------------


def past_lives(connection: Connection) -> list[tuple[int, int]]:
    """Former epochs of head office, oldest first, each with the number of its log at which the next one began."""
    text = get_meta(connection, "past_lives")
    return [(int(epoch, 16), int(head)) for epoch, head in json.loads(str(text))] if text else []


def began(connection: Connection) -> int:
    """When the present epoch of head office began (ms); 0 for the first one."""
    return int(get_meta(connection, _BEGAN) or 0)


def is_open(store: Store) -> bool:
    """Whether head office takes back what was done after its backup."""
    return int(store.meta(_UNTIL) or 0) > store.clock.now_ms()


def is_wanted(store: Store) -> bool:
    """Whether somebody should say that work is taken back: head office was restored, or a branch came that missed it the last time, or that knows a
    head office which was restored later.
    """
    with store.read() as connection:
        if get_meta(connection, _RIVAL):
            return True
    if is_open(store):
        return False
    with store.read() as connection:
        has_branches = connection.one("SELECT 1 FROM sync_peer") is not None
        asked = bool(get_meta(connection, _ASKED)) or not get_meta(connection, _UNTIL)
        return has_branches and asked and bool(past_lives(connection))


def open_up(store: Store, connection: Connection, *, user_id: str | None) -> None:
    """Take back, from now on and for OPEN_MS, what branches have and the backup lacks."""
    now = store.clock.now_ms()
    set_meta(connection, _UNTIL, now + OPEN_MS)
    set_meta(connection, _ASKED, 0)
    # This one is it, whatever the clocks said.
    set_meta(connection, _BEGAN, max(began(connection), int(get_meta(connection, _RIVAL) or -1) + 1))
    set_meta(connection, _RIVAL, 0)
    waits = _waits_for(connection)
    if waits:
        set_meta(connection, CATCHING_UP, json.dumps({"for": waits, "until": now + OPEN_MS}))
    eventlog.append(connection, at=now, kind="taking_back", user_id=user_id, detail=store.node.code, sign=store.sign_log)


def require_decided(store: Store) -> None:
    """Raise ExchangeError("office_restored") where head office was restored and nobody has said yet that work is taken back."""
    with store.read() as connection:
        undecided = bool(past_lives(connection)) and not get_meta(connection, _UNTIL)
    if undecided:
        _require_open(store)


def meet(store: Store, message: Hello, *, by_file: bool) -> int | None:
    """The place in the log at which a branch that knew an earlier head office goes on; None for one that knows this one.

    Raises ExchangeError("office_restored") before somebody has said that work is taken back, and for a file made before the restore.
    """
    if not message.hub_epoch or message.hub_epoch == int.from_bytes(store.node.epoch):
        return None
    with store.read() as connection:
        lives = past_lives(connection)
    found = _common(lives, [*message.hub_lives, (message.hub_epoch, message.recv_hseq)])
    if found is None:
        raise ExchangeError(
            "other_office", N_("This branch belongs to another head office, or to a copy of this one. Nothing was exchanged.")
        )
    if not is_open(store):
        with store.housekeeping() as connection:
            set_meta(connection, _ASKED, 1)
    _require_later(store, message)
    _require_open(store)
    if by_file:
        raise ExchangeError(
            "office_restored",
            N_(
                "Head office was restored from a backup after this file was made. Make a file for the branch first; once it has read that, its next file gives back what is missing here."
            ),
        )
    return found[1]


def hear(store: Store, message: GiveBack) -> Report:
    """Take in what a branch gives back."""
    _require_open(store)
    batch = codec.decode_batch(message.batch)
    # Only whose work it is counts: what builds on work of the present epoch names that too.
    if (OFFICE_NO, int.from_bytes(store.node.epoch)) in {batch.origins[tx.origin] for tx in batch.txs}:
        raise ExchangeError("not_sender", N_("The exchange contains changes in another branch's name. Nothing of it was applied."))
    report = take_back(store, batch)
    with store.housekeeping() as connection:
        here = [origin_of(connection, node_no, epoch.to_bytes(8), "") for node_no, epoch in batch.origins]
        set_meta(
            connection, _IN_PARTS, json.dumps([origin for origin in sorted({*here, *_in_parts(connection)}) if holes(connection, origin)])
        )
    return report


def _require_later(store: Store, message: Hello) -> None:
    """Refuse a branch that knows a head office restored after this one: either this is an old copy that should not run any more, or the clock was
    wrong when this one was restored. Which of the two only a person can say.
    """
    with store.read() as connection:
        mine = began(connection)
    if mine > message.hub_began:
        return
    with store.housekeeping() as connection:
        if mine == message.hub_began:  # in the same moment
            set_meta(connection, _BEGAN, mine + 1)
            return
        set_meta(connection, _RIVAL, max(int(get_meta(connection, _RIVAL) or 0), min(message.hub_began, _LATEST)))
    raise ExchangeError(
        "later_office_known",
        N_(
            "This branch has exchanged with a head office that was restored from a backup later than this one. If this computer is the head office, somebody here presses “Take it back…” on the page Merging, then exchange again. If it is an old copy, do not use it any more. Nothing was exchanged; nothing is lost."
        ),
    )


def _require_open(store: Store) -> None:
    if not is_open(store):
        raise ExchangeError(
            "office_restored",
            N_(
                "Head office was restored from a backup. Somebody there must first say, on the page Merging, that it takes back from the branches what was done after the backup. Nothing was exchanged; nothing is lost."
            ),
        )


def heads(connection: Connection) -> list[tuple[int, int, int]]:
    """How much head office has of everybody's work without a hole: node, epoch, number."""
    rows = connection.all("SELECT origin, node_no, epoch, have_oseq FROM sync_origin")
    in_parts = _in_parts(connection)
    return [
        (node_no, int.from_bytes(epoch), without_hole(connection, origin, have) if origin in in_parts else have)
        for origin, node_no, epoch, have in rows
    ]


def arrived(connection: Connection, node_no: int) -> list[tuple[int, int]]:
    """How much head office has of a branch's own work, by epoch: without a hole but for what the branch itself has lost."""
    told = json.loads(str(get_meta(connection, _LOST.format(node_no)) or "[]"))
    in_parts, found = _in_parts(connection), []
    for origin, epoch, have in connection.all("SELECT origin, epoch, have_oseq FROM sync_origin WHERE node_no = ?", (node_no,)):
        number = int.from_bytes(epoch)
        gone = [(first, last) for of, first, last in told if of == number]
        found.append((number, without_hole(connection, origin, have, gone) if origin in in_parts else have))
    return found


def _in_parts(connection: Connection) -> set[int]:
    """Origins of whose work something was given back while something before it was still missing."""
    return set(json.loads(str(get_meta(connection, _IN_PARTS) or "[]")))


def without_hole(connection: Connection, origin: int, have: int, lost: list[tuple[int, int]] | None = None) -> int:
    """The last of an origin's numbers before which nothing is missing here, or only what is ``lost``."""
    return next((first - 1 for first, last in holes(connection, origin) if (first, last) not in (lost or ())), have)


def holes(connection: Connection, origin: int) -> list[tuple[int, int]]:
    """Numbers of an origin that are missing here before others that are not: each from one to another."""
    return connection.all(
        """SELECT after, first - 1 FROM (SELECT first, coalesce(lag(first + count) OVER (ORDER BY first), 1) AS after FROM (
           SELECT first_oseq AS first, count FROM sync_tx WHERE origin = ?1
           UNION ALL SELECT first_oseq, count FROM sync_past_span WHERE origin = ?1)) WHERE first > after ORDER BY after""",
        (origin,),
    )


def note_lost(store: Store, connection: Connection, message: Hello) -> None:
    """Note what a branch that knows the present epoch of head office has lost of its own work."""
    if message.hub_epoch == int.from_bytes(store.node.epoch) and (message.lost or get_meta(connection, _LOST.format(message.node_no))):
        set_meta(connection, _LOST.format(message.node_no), json.dumps(message.lost))


def note_come(store: Store, node_no: int) -> None:
    """Note that a branch knows the present epoch of head office and has given back what it had."""
    if not is_unheard(store, node_no):
        return
    with store.housekeeping() as connection:
        waits = json.loads(str(get_meta(connection, CATCHING_UP)))
        set_meta(connection, CATCHING_UP, json.dumps(waits | {"for": [other for other in waits["for"] if other != node_no]}))


def is_unheard(store: Store, node_no: int) -> bool:
    """Whether a branch, since head office was restored, has not said yet how far it has come: what the backup says of it is out of date."""
    with store.read() as connection:
        return node_no in _waits_for(connection)


def _waits_for(connection: Connection) -> list[int]:
    told = get_meta(connection, CATCHING_UP)
    return list(json.loads(told)["for"]) if isinstance(told, str) else []


# a branch ------------------------------------------------------------------------------------------------------------------


def agree(store: Store, connection: Connection, welcome: Welcome, known: bytes | None) -> None:
    """Follow head office into its present epoch; raises ExchangeError("other_office") where it is not the one this branch knew,
    ("office_restored") where an old file speaks for a former one.

    That an epoch is newer is certain where it grew out of the one that is known. Of two that were restored from the same backup neither did: the
    one that began later is head office.
    """
    epoch = welcome.hub_epoch.to_bytes(8)
    left: list[int] = json.loads(str(get_meta(connection, stamps.LEFT) or "[]"))
    grew = known is None or known == epoch or int.from_bytes(known) in {life for life, _head in welcome.past_lives}
    began_later = welcome.hub_began > began_known(connection)
    was_left = welcome.hub_epoch in left or (welcome.hub_began > 0 and not grew)
    if was_left and not began_later:  # it would lead the branch back to where head office no longer is
        raise ExchangeError(
            "office_restored",
            N_(
                "This file was made before head office was restored from a backup. Nothing of it was applied; ask head office for a new one."
            ),
        )
    if known is not None and known != epoch:
        cursor = int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or 0)
        found = _common(welcome.past_lives, [*lives_known(connection), (int.from_bytes(known), cursor)])
        if found is None:
            raise ExchangeError(
                "other_office", N_("This branch belongs to another head office, or to a copy of this one. Nothing was exchanged.")
            )
        known_before, place = found
        set_meta(connection, _LIVES, json.dumps(known_before))
        set_meta(connection, stamps.LEFT, json.dumps([*(one for one in left if one != welcome.hub_epoch), int.from_bytes(known)]))
        before = json.loads(str(get_meta(connection, _ACKNOWLEDGED) or "{}"))
        for origin, acked in connection.all("SELECT origin, acked_oseq FROM sync_origin WHERE node_no = ?", (store.node.node_no,)):
            before[str(origin)] = max(acked, before.get(str(origin), 0))
        set_meta(connection, _ACKNOWLEDGED, json.dumps(before))
        connection.execute("UPDATE sync_origin SET acked_oseq = 0 WHERE node_no = ?", (store.node.node_no,))
        connection.execute("UPDATE sync_peer SET recv_hseq = ? WHERE node_no = ?", (place, OFFICE_NO))
        scope.forget_told(connection)
        eventlog.append(connection, at=store.clock.now_ms(), kind="office_restored", detail=str(place), sign=store.sign_log)
    connection.execute("UPDATE sync_peer SET hub_epoch = ? WHERE node_no = ?", (epoch, OFFICE_NO))
    set_meta(connection, _OFFICE_BEGAN, max(welcome.hub_began, began_known(connection) if known == epoch else 0))
    set_meta(connection, _HAS, json.dumps(welcome.have))


def began_known(connection: Connection) -> int:
    """When the epoch of head office that a branch knows began, as far as it was told."""
    return int(get_meta(connection, _OFFICE_BEGAN) or 0)


def forget(connection: Connection) -> None:
    """What was acknowledged by a former head office is named by numbers of a log that is no longer here."""
    set_meta(connection, _ACKNOWLEDGED, "{}")


def give_backs(store: Store, after: int = -1) -> Iterator[tuple[int, GiveBack]]:
    """Portions of what head office lacks of everything that it once had, in the order in which it came here; each with its place in this log.

    Before them, at place 0, what it should hear a lower stamp of.
    """
    with store.read() as connection:
        has = {(node_no, epoch): have for node_no, epoch, have in json.loads(str(get_meta(connection, _HAS) or "[]"))}
        before = json.loads(str(get_meta(connection, _ACKNOWLEDGED) or "{}"))
        if not has:  # it takes nothing back
            return
        office = (OFFICE_NO, connection.value("SELECT hub_epoch FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)))
        wanted = {
            origin: (has.get((node_no, int.from_bytes(epoch)), 0), before.get(str(origin), 0) if node_no == store.node.node_no else have)
            for origin, node_no, epoch, have in connection.all("SELECT origin, node_no, epoch, have_oseq FROM sync_origin")
            if (node_no, epoch) != office  # an old file may say that it lacks even what it has done since
        }
    if after < 0:
        yield from ((0, gift) for gift in stamps.to_give_back(store))
    position, more = max(after, 0), True
    while more:
        with store.read() as connection:
            portion = changes_beyond(connection, wanted, position)
        position, more = portion.upto, portion.more
        if portion.batch.txs:
            yield position, GiveBack(codec.encode_batch(portion.batch))


def lost(connection: Connection, node_no: int) -> list[tuple[int, int, int]]:
    """Own work that is lost here too: epoch, from one number to another. Told while head office takes work back."""
    if json.loads(str(get_meta(connection, _HAS) or "[]")) == []:
        return []
    origins = connection.all("SELECT origin, epoch FROM sync_origin WHERE node_no = ?", (node_no,))
    return [(int.from_bytes(epoch), first, last) for origin, epoch in origins for first, last in holes(connection, origin)]


def lives_known(connection: Connection) -> list[tuple[int, int]]:
    """Former epochs of head office that this branch knew, oldest first, each up to which number of that log."""
    return [(epoch, upto) for epoch, upto in json.loads(str(get_meta(connection, _LIVES) or "[]"))]


def _common(lives: list[tuple[int, int]], known: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], int] | None:
    """Up to where the log that a branch knows, and that of head office today, are one; and what of its knowledge reaches there.

    Both are chains of epochs, oldest first, each with the number up to which it went, or was known.
    """
    for number in range(len(known) - 1, -1, -1):
        epoch, upto = known[number]
        at = next((place for place, (life, _head) in enumerate(lives) if life == epoch), None)
        if at is not None:
            place = min([upto, *(head for _life, head in lives[at:])])
            return [*known[:number], (epoch, place)], place
    return None
