"""Keys changed while files are in the post, while nobody listens, while somebody steals them, and while the program is killed."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from localcrm.app import create_folder, open_folder
from localcrm.domain.admin.doctor import examine
from localcrm.domain.people import signing
from localcrm.domain.policy import Actor, BasicRole
from localcrm.kernel.errors import AppError, Forbidden, StoreError
from localcrm.store import eventlog
from localcrm.store.backup import backup, restore, settle_copy
from localcrm.sync import http, keyring, node_sync, resets, rotation
from localcrm.sync.bundle import BundleFacts, Recipient, write_bundle
from localcrm.sync.identity import NodeKeys, Succession, make_succession, peek_certificate
from tests.factories import PASSWORD, Company, Installation
from tests.sync.test_kill_statements import counted


def with_key_file(node: Installation) -> Installation:
    """The node with its keys in a file and a signed system log, as a program opens it."""
    if not (node.folder / "keys" / "node.bin").exists():
        keyring.write_pairs(node.folder, None, [node.keys])
    signer = keyring.LogSigner(node.folder, None)
    signer.store = node.store
    node.store.sign_log = signer
    node.keys = keyring.read_keys(node.store)
    return node


@pytest.fixture
def company(company: Company) -> Company:
    for node in company.nodes:
        with with_key_file(node).store.housekeeping() as connection:
            eventlog.sign_head(connection, node.keys.sign)  # the logs of the template were begun without keys
    signing.examine(company.hq.store)  # head office signs the rights
    company.exchange()
    return company


def change(node: Installation) -> NodeKeys:
    """New keys; returns the former ones."""
    former = node.keys
    rotation.change_keys(node.store, node.keys, node.actor)
    node.keys = keyring.read_keys(node.store)
    assert node.keys.public != former.public
    return former


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(AppError) as refused:
        action()
    return refused.value.code


def packed(node: Installation, path: Path, for_code: str | None = None) -> Path:
    node_sync.pack(node.store, node.keys, path, for_code=for_code)
    return path


def read(node: Installation, path: Path) -> dict[str, object]:
    return node_sync.unpack(node.store, node.keys, path)


def is_sound(company: Company) -> bool:
    """Data equal, logs and rights proven by the present keys of each."""
    for node in company.nodes:
        with node.store.read() as connection:
            assert list(eventlog.verify(connection, node.keys.public.sign_key)) == []
            assert signing.fault(node.store, connection) is None
        assert examine(node.store, node.keys.public.sign_key)["problems"] == []
    return len(company.digests) == 1


@pytest.mark.parametrize("who", ["HQ", "BR01"])
def test_failure_41_files_in_the_post_open_after_either_side_has_changed_its_keys(company, hq, one, tmp_path, who):
    """Both files were made before the change, of either side; both are read after it, and the next ones go by the new keys."""
    one.new("customer", name="寄出")
    up, down = packed(one, tmp_path / "up"), packed(hq, tmp_path / "down", "BR01")
    changed = hq if who == "HQ" else one
    former = change(changed)
    assert read(hq, up)["applied"] == 1
    read(one, down)
    hq.new("customer", name="之后")
    company.exchange("BR01", "BR01")
    assert hq.digest == one.digest
    other = one if changed is hq else hq
    node_no = 1 if changed is hq else 2
    assert other.rows("SELECT sign_key FROM sync_peer WHERE node_no = ?", node_no) == [(changed.keys.public.sign_key,)]
    assert other.rows("SELECT key_id FROM former_key WHERE node_no = ?", node_no) == [(former.public.key_id,)]
    company.exchange()
    assert is_sound(company)


def test_failure_41_an_old_file_read_after_the_new_keys_are_known_is_taken_as_made_before(company, hq, one, clocks, tmp_path):
    one.new("customer", name="先写")
    late = packed(one, tmp_path / "late")
    for clock in clocks.values():
        clock.forward(minutes=1)
    change(one)
    company.exchange("BR01")
    assert read(hq, late)["duplicate"] == 1
    assert hq.rows("SELECT lost FROM log_witness WHERE node_no = 2") == [(0,)]
    company.exchange()
    assert is_sound(company)


@pytest.mark.parametrize("days", [rotation.GRACE_DAYS - 1, rotation.GRACE_DAYS + 1])
def test_failure_41_former_keys_count_for_sixty_days_after_the_change_is_known(company, hq, one, clocks, tmp_path, days):
    one.new("customer", name="先写")
    late, down = packed(one, tmp_path / "late"), None
    change(one)
    clocks["HQ"].forward(days=1000)  # nobody has told head office yet: the old keys are the present ones
    assert read(hq, late)["applied"] == 1
    company.exchange("BR01")
    down = packed(hq, tmp_path / "down", "BR01")
    change(hq)
    read(one, packed(hq, tmp_path / "new", "BR01"))
    clocks["HQ"].forward(days=days)
    clocks["BR01"].forward(days=days)
    if days <= rotation.GRACE_DAYS:
        assert read(hq, late)["duplicate"] == 1
        read(one, down)
    else:
        before = hq.digest, one.digest
        assert refusal(lambda: read(hq, late)) == "key_replaced"
        assert refusal(lambda: read(one, down)) == "key_replaced"
        assert (hq.digest, one.digest) == before
    company.exchange("BR01")  # with the present keys as ever
    assert hq.digest == one.digest


def test_failure_41_who_was_silent_over_three_changes_of_head_office_follows(company, hq, one, clocks, tmp_path):
    one.new("customer", name="沉默前")
    for year in range(3):
        for clock in clocks.values():
            clock.forward(days=120)
        change(hq)
        hq.new("role", name=f"角色{year}")
        company.exchange("BR02", "BR03")
    assert read(hq, packed(one, tmp_path / "up"))["applied"] == 1  # sealed to keys of a year ago
    read(one, packed(hq, tmp_path / "down", "BR01"))
    company.exchange()
    assert is_sound(company)
    assert len(one.rows("SELECT 1 FROM former_key WHERE node_no = 1")) == 3
    assert hq.rows("SELECT used_key FROM sync_peer") == [(None,)] * 3


def test_failure_41_both_sides_change_and_neither_has_heard_of_the_other(company, hq, one):
    change(hq)
    change(one)
    one.new("customer", name="甲")
    hq.new("customer", name="乙")
    company.exchange()
    assert is_sound(company)
    certificate = one.value("SELECT value FROM meta WHERE key = 'node.certificate'")
    assert peek_certificate(certificate).keys == one.keys.public


def test_failure_41_a_chain_that_the_former_keys_did_not_sign_leads_nowhere(company, hq, one, two, tmp_path):
    """Somebody who is enrolled himself writes as another branch, with a succession of his own making, or one cut out of the middle."""
    thief = NodeKeys.generate()

    def forged(documents: list[bytes], *, keys: NodeKeys = thief) -> Path:
        facts = BundleFacts(hub_id=hq.store.node.company_id, kind="up", sender_no=2, sender_epoch=1, schema_ver=1)
        write_bundle(tmp_path / "f", [b"x"], facts=facts, keys=keys, recipients=[Recipient(1, hq.keys.public)], introductions=documents)
        return tmp_path / "f"

    said = Succession(hq.store.node.company_id, 2, one.keys.public, thief.public, 1)
    before = hq.digest, hq.rows("SELECT * FROM sync_peer")
    assert refusal(lambda: read(hq, forged([]))) == "bundle_unknown_sender"
    assert refusal(lambda: read(hq, forged([make_succession(None, thief, said)]))) == "bundle_unknown_sender"
    assert refusal(lambda: read(hq, forged([make_succession(two.keys, thief, said)]))) == "bundle_unknown_sender"
    assert refusal(lambda: read(hq, forged([make_succession(one.keys, two.keys, said)]))) == "bad_succession"
    assert refusal(lambda: read(hq, forged([b"LCK1" + bytes(200)]))) == "bad_succession"
    third = NodeKeys.generate()
    between = Succession(hq.store.node.company_id, 2, thief.public, third.public, 2)
    hole = [make_succession(None, thief, said), make_succession(thief, third, between)]
    assert refusal(lambda: read(hq, forged(hole, keys=third))) == "bundle_unknown_sender"
    # The chain of another node, and of another company.
    for wrong in ({"node_no": 3}, {"company_id": bytes(16)}):
        other = Succession(**{"company_id": said.company_id, "node_no": 2, "old": said.old, "new": said.new, "at": 1, **wrong})
        assert refusal(lambda other=other: read(hq, forged([make_succession(one.keys, thief, other)]))) == "bundle_unknown_sender"
    assert (hq.digest, hq.rows("SELECT * FROM sync_peer")) == before


def test_failure_41_stolen_keys_are_revoked_at_once_and_new_ones_let_in_by_people(company, hq, one, clocks, tmp_path):
    one.new("customer", name="先写")
    stolen = packed(one, tmp_path / "stolen")
    company.exchange("BR01")
    rotation.demand_keys(hq.store, hq.actor, "br01")
    assert refusal(lambda: read(hq, stolen)) == "renew_keys"
    assert refusal(lambda: packed(hq, tmp_path / "down", "BR01")) == "renew_keys"
    thief = one.keys
    change(one)
    one.new("customer", name="新钥")
    fresh = packed(one, tmp_path / "fresh")
    before = hq.digest
    assert refusal(lambda: read(hq, fresh)) == "keys_wait"
    assert hq.digest == before
    (branch,) = (row for row in node_sync.status(hq.store)["branches"] if row["code"] == "BR01")
    assert branch["asked_fingerprint"] == one.keys.public.fingerprint
    assert refusal(lambda: rotation.let_keys_in(hq.store, hq.keys, hq.actor, "BR01", fingerprint="0")) == "other_keys_wait"
    with pytest.raises(Forbidden):
        rotation.let_keys_in(hq.store, hq.keys, Actor(None, "x", "x", BasicRole.STAFF), "BR01", fingerprint=one.keys.public.fingerprint)
    rotation.let_keys_in(hq.store, hq.keys, hq.actor, "BR01", fingerprint=one.keys.public.fingerprint)
    assert read(hq, fresh)["applied"] == 1
    assert refusal(lambda: read(hq, stolen)) == "key_revoked"
    # Who has the stolen keys cannot lead on from them any more.
    again = NodeKeys.generate()
    said = Succession(hq.store.node.company_id, 2, thief.public, again.public, 1)
    facts = BundleFacts(hub_id=hq.store.node.company_id, kind="up", sender_no=2, sender_epoch=1, schema_ver=1)
    write_bundle(
        tmp_path / "t",
        [b"x"],
        facts=facts,
        keys=again,
        recipients=[Recipient(1, hq.keys.public)],
        introductions=[make_succession(thief, again, said)],
    )
    assert refusal(lambda: read(hq, tmp_path / "t")) == "bundle_unknown_sender"
    assert hq.rows("SELECT sign_key FROM sync_peer WHERE node_no = 2") == [(one.keys.public.sign_key,)]
    company.exchange()
    assert is_sound(company)


def test_failure_41_a_branch_that_has_lost_its_keys_is_heard_again_once_people_have_compared(company, hq, one, tmp_path):
    (one.folder / "keys" / "node.bin").unlink()
    with pytest.raises(StoreError):
        keyring.read_keys(one.store)
    one.new("customer", name="未失")
    done = rotation.change_keys(one.store, None, one.actor)
    assert not done["signed"]
    one.keys = keyring.read_keys(one.store)
    file = packed(one, tmp_path / "up")
    assert refusal(lambda: read(hq, file)) == "bundle_unknown_sender"  # nobody has asked for new keys
    rotation.demand_keys(hq.store, hq.actor, "BR01")
    assert refusal(lambda: read(hq, file)) == "keys_wait"
    rotation.let_keys_in(hq.store, hq.keys, hq.actor, "BR01", fingerprint=one.keys.public.fingerprint)
    assert read(hq, file)["applied"] == 1
    company.exchange()
    assert is_sound(company)
    assert refusal(lambda: rotation.change_keys(hq.store, None, hq.actor)) == "keys_lost_at_office"


@pytest.mark.parametrize("signed", [True, False])
def test_failure_41_keys_lost_again_before_head_office_has_heard_of_the_last_ones_are_made_anew(company, hq, one, tmp_path, signed):
    if signed:
        change(one)
    else:
        (one.folder / "keys" / "node.bin").unlink()
        rotation.change_keys(one.store, None, one.actor)
    (one.folder / "keys" / "node.bin").unlink()
    one.new("customer", name="再失")
    assert not rotation.change_keys(one.store, None, one.actor)["signed"]
    one.keys = keyring.read_keys(one.store)
    file = packed(one, tmp_path / "up")
    rotation.demand_keys(hq.store, hq.actor, "BR01")
    assert refusal(lambda: read(hq, file)) == "keys_wait"
    rotation.let_keys_in(hq.store, hq.keys, hq.actor, "BR01", fingerprint=one.keys.public.fingerprint)
    assert read(hq, file)["applied"] == 1
    company.exchange()
    assert is_sound(company)


def test_failure_41_keys_are_not_present_before_the_change_that_makes_them_so_is_done(company, hq, one, monkeypatch):
    """Killed after the file with new keys was written, before anything says that they count: the keys are as lost as before."""
    (one.folder / "keys" / "node.bin").unlink()
    monkeypatch.setattr(rotation, "make_succession", lambda *_arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rotation.change_keys(one.store, None, one.actor)
    monkeypatch.undo()
    (unused,) = keyring.read_pairs(one.folder, None)
    assert refusal(lambda: keyring.read_keys(one.store)) == "no_node_keys"
    assert not rotation.change_keys(one.store, None, one.actor)["signed"]
    one.keys = keyring.read_keys(one.store)
    assert keyring.read_pairs(one.folder, None) == [one.keys] != [unused]
    rotation.demand_keys(hq.store, hq.actor, "BR01")
    assert refusal(lambda: company.exchange("BR01")) == "keys_wait"
    rotation.let_keys_in(hq.store, hq.keys, hq.actor, "BR01", fingerprint=one.keys.public.fingerprint)
    company.exchange()
    assert is_sound(company)


def asking(hq: Installation, path: Path, document: bytes, keys: NodeKeys, *, box_key: bytes | None = None) -> Path:
    """A file in the name of BR01 with which these keys ask to be let in; ``box_key``: sealed to that, as by somebody who does not know ours."""
    ours = hq.keys.public
    to = ours if box_key is None else Stranger(ours.sign_key, box_key, ours.key_id)
    facts = BundleFacts(hub_id=hq.store.node.company_id, kind="up", sender_no=2, sender_epoch=1, schema_ver=1)
    write_bundle(path, [b"x"], facts=facts, keys=keys, recipients=[Recipient(1, to)], introductions=[document])  # type: ignore[arg-type]
    return path


class Stranger(NamedTuple):
    """Head office as somebody imagines it who has seen the header of a file."""

    sign_key: bytes
    box_key: bytes
    key_id: bytes


def waiting(hq: Installation) -> object:
    return rotation.asked_keys(hq.value("SELECT asked_key FROM sync_peer WHERE node_no = 2"))


def test_failure_41_nobody_takes_the_waiting_place_of_a_branch_or_fills_the_log(company, hq, one, tmp_path):
    former = change(one)
    rotation.demand_keys(hq.store, hq.actor, "BR01")
    noted = "SELECT count(*) FROM event_log WHERE kind = 'branch_keys_asked'"

    def unsigned() -> tuple[bytes, NodeKeys]:
        keys = NodeKeys.generate()
        said = Succession(hq.store.node.company_id, 2, NodeKeys.generate().public, keys.public, 1)
        return make_succession(None, keys, said), keys

    # Who does not even know head office's keys is not put to anybody.
    assert refusal(lambda: read(hq, asking(hq, tmp_path / "a", *unsigned(), box_key=one.keys.public.box_key))) == "bundle_altered"
    assert waiting(hq) is None
    first, keys = unsigned()
    assert refusal(lambda: read(hq, asking(hq, tmp_path / "b", first, keys))) == "keys_wait"
    for _number in range(3):
        assert refusal(lambda: read(hq, asking(hq, tmp_path / "c", *unsigned()))) == "keys_place_taken"
        assert refusal(lambda: read(hq, tmp_path / "b")) == "keys_wait"
    # A signature of keys that were never the branch's makes no difference.
    old, new = NodeKeys.generate(), NodeKeys.generate()
    signed = make_succession(old, new, Succession(hq.store.node.company_id, 2, old.public, new.public, 1))
    assert refusal(lambda: read(hq, asking(hq, tmp_path / "d", signed, new))) == "keys_place_taken"
    assert waiting(hq) == keys.public
    assert hq.value(noted) == 1
    # One that its former keys lead to takes the place: it is at least not any stranger.
    change(one)
    assert refusal(lambda: read(hq, packed(one, tmp_path / "up"))) == "keys_wait"
    assert waiting(hq) == one.keys.public != former.public
    assert hq.value(noted) == 2
    # And head office empties the place by revoking once more.
    rotation.demand_keys(hq.store, hq.actor, "BR01")
    assert refusal(lambda: read(hq, tmp_path / "b")) == "keys_wait"
    assert waiting(hq) == keys.public


def test_failure_41_strangers_at_the_address_of_head_office_are_braked_and_branches_are_not(company, hq, one, tmp_path):
    change(one)  # to be answered with new keys, it must be calm
    known, unknown = packed(one, tmp_path / "known").read_bytes(), tmp_path / "unknown"
    thief = NodeKeys.generate()
    said = Succession(hq.store.node.company_id, 2, thief.public, NodeKeys.generate().public, 1)
    asking(hq, unknown, make_succession(None, new := NodeKeys.generate(), msgspec.structs.replace(said, new=new.public)), new)
    line = httpx.ASGITransport(Starlette(routes=http.routes(lambda: (hq.store, hq.keys))))

    async def ask(path: str, data: bytes) -> httpx.Response:
        async with httpx.AsyncClient(transport=line, base_url="http://hq.test") as client:
            return await client.post(path, content=data)

    def post(data: bytes, path: str = http.PATH) -> str:
        answer = asyncio.run(ask(path, data))
        return "ok" if answer.status_code == 200 else str(answer.json()["code"])

    assert [post(unknown.read_bytes()) for _number in range(http.Guesses.WRONG)] == ["bundle_unknown_sender"] * http.Guesses.WRONG
    assert post(unknown.read_bytes()) == "too_many_tries"
    assert post(known) == "too_many_tries"
    assert post(packed(company.branches["BR02"], tmp_path / "two").read_bytes()) == "ok"  # whose keys are known is never braked
    assert post(b"LCQ1" + bytes(8), http.JOIN_PATH) == "unknown_invite"  # nor who joins


def test_a_folder_says_from_the_beginning_which_pair_counts(tmp_path):
    """Also one from before that was said, once it is opened."""
    made = create_folder(tmp_path / "br", role="branch", code="BR01", name="一店").application
    assert made.store.meta(keyring.PRESENT) == made.keys.public.key_id
    with made.store.housekeeping() as connection:
        connection.execute("DELETE FROM meta WHERE key = ?", (keyring.PRESENT,))
    made.close()
    again = open_folder(tmp_path / "br")
    assert again.store.meta(keyring.PRESENT) == again.keys.public.key_id
    again.close()


def test_failure_41_a_password_answer_of_head_office_fits_before_and_after_a_branch_has_heard_of_new_keys(company, hq, one):
    change(hq)
    question = resets.ask(one.store, login="admin")
    answer = resets.answer(hq.store, hq.keys, hq.actor, code=question).code
    resets.reset_password(one.store, login="admin", answer=answer, password=f"{PASSWORD}-2")
    question = resets.ask(one.store, login="admin")
    answer = resets.answer(hq.store, hq.keys, hq.actor, code=question).code
    company.exchange("BR01")
    resets.reset_password(one.store, login="admin", answer=answer, password=f"{PASSWORD}-3")
    question = resets.ask(one.store, login="admin")
    answer = resets.answer(hq.store, hq.keys, hq.actor, code=question).code
    resets.reset_password(one.store, login="admin", answer=answer, password=f"{PASSWORD}-4")


def test_failure_41_rights_in_force_stay_so_between_the_news_of_the_keys_and_the_new_signature(company, hq, one, monkeypatch):
    """The line breaks after the first message of head office."""
    with one.store.read() as connection:
        before = signing.granted(one.store, connection)
    change(hq)
    hear = node_sync.exchange.hear_office
    monkeypatch.setattr(node_sync.exchange, "hear_office", lambda store, said, outcome: hear(store, [next(iter(said))], outcome))
    company.down("BR01")
    assert one.rows("SELECT sign_key FROM sync_peer") == [(hq.keys.public.sign_key,)]
    with one.store.read() as connection:
        assert signing.fault(one.store, connection) is None
        assert signing.granted(one.store, connection) == before
    monkeypatch.undo()
    company.exchange()
    assert is_sound(company)


def test_failure_41_what_the_former_keys_of_head_office_sign_afterwards_grants_nothing(company, hq, one):
    """Who has the old keys, and the file of a branch in an editor, cannot sign a later version of the rights with them."""
    old = change(hq)
    company.exchange()
    with one.store.housekeeping() as connection:
        number = connection.value("SELECT max(number) FROM policy") + 1
        content = signing.content_of(connection)
        claim = signing._Signed(number, content, b"")
        signature = old.sign(signing._message(one.store.node.company_id, claim))
        connection.execute("UPDATE sync_ctx SET applying = 1")
        connection.execute("UPDATE policy SET number = ?, signature = ?", (number, signature.hex()))
        connection.execute("UPDATE sync_ctx SET applying = 0")
    with one.store.read() as connection:
        assert signing.fault(one.store, connection) == "policy_forged"


def test_failure_41_a_second_program_on_the_folder_follows_at_once(company, hq, one):
    signer = keyring.LogSigner(hq.folder, None)
    signer.store = hq.store
    old = change(hq)
    assert signer(b"x") == hq.keys.sign(b"x") != old.sign(b"x")
    assert refusal(lambda: rotation.change_keys(hq.store, old, hq.actor)) == "keys_changed_meanwhile"
    assert keyring.read_keys(hq.store) == hq.keys


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill")
@pytest.mark.parametrize("step", [pytest.param(17, id="some"), pytest.param(1, id="every", marks=pytest.mark.soak)])
@pytest.mark.parametrize("who", ["HQ", "BR01"])
def test_failure_41_killed_at_a_statement_a_node_has_the_old_keys_or_the_new_ones(company, hq, one, who, step, tmp_path):
    node = hq if who == "HQ" else one
    node.store.close()

    def again(folder: Path) -> Installation:
        return with_key_file(Installation(folder, node.code, node.keys, node.actor, node.clock))

    shutil.copytree(node.folder, tmp_path / "whole")
    whole = again(tmp_path / "whole")
    with counted(None) as counts:
        change(whole)
    whole.store.close()
    found = set()
    for number in range(counts.passed, 0, -step):
        folder = tmp_path / "killed"
        shutil.copytree(node.folder, folder)
        child = os.fork()
        if not child:
            try:
                killed = again(folder)
                with counted(number):
                    change(killed)
            finally:
                os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        left = again(folder)
        found.add(left.keys.public == node.keys.public)
        with left.store.read() as connection:
            assert list(eventlog.verify(connection, left.keys.public.sign_key)) == []
            assert signing.fault(left.store, connection) is None
        change(left)  # and the change can be made
        left.store.close()
        shutil.rmtree(folder)
    assert found == {True, False}  # the last statements come after the commit
    node.restart()
    with_key_file(node)


def test_failure_41_a_branch_put_back_to_before_the_change_is_answered_by_the_keys_it_has(company, hq, one, tmp_path):
    backup(one.store, tmp_path / "backup.zip")
    change(one)
    one.new("customer", name="备份之后")
    company.exchange("BR01")
    one.store.close()
    restore(tmp_path / "backup.zip", tmp_path / "again")
    again = with_key_file(Installation(tmp_path / "again", one.code, one.keys, one.actor, one.clock))
    assert settle_copy(again.store)
    company.branches["BR01"] = again
    request, answer = packed(again, tmp_path / "request"), tmp_path / "answer"
    node_sync.answer_bundle(hq.store, hq.keys, request, answer)
    read(again, answer)
    assert hq.rows("SELECT sign_key FROM sync_peer WHERE node_no = 2") == [(one.keys.public.sign_key,)]
    # New keys that the former ones lead to are put to people: a thief could do the same.
    change(again)
    assert refusal(lambda: read(hq, packed(again, tmp_path / "up"))) == "keys_wait"
    rotation.let_keys_in(hq.store, hq.keys, hq.actor, "BR01", fingerprint=again.keys.public.fingerprint)
    company.exchange()
    assert again.value("SELECT count(*) FROM customer WHERE name = '备份之后'") == 1
    assert is_sound(company)


def test_failure_41_a_head_office_put_back_to_before_the_change_says_that_its_keys_are_missing(company, hq, one, tmp_path):
    backup(hq.store, tmp_path / "backup.zip")
    former = change(hq)
    company.exchange()
    one.new("customer", name="备份之后")
    file = packed(one, tmp_path / "up")
    hq.store.close()
    restore(tmp_path / "backup.zip", tmp_path / "again")
    again = with_key_file(Installation(tmp_path / "again", hq.code, former, hq.actor, hq.clock))
    assert settle_copy(again.store)
    assert again.keys.public == former.public
    assert refusal(lambda: read(again, file)) == "bundle_other_keys"
    again.store.close()
    hq.restart()
    with_key_file(hq)


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[] if n < 2 else pytest.mark.soak) for n in range(60)])
def test_failure_41_files_late_lost_and_out_of_order_over_any_changes_of_keys(company, hq, one, two, clocks, tmp_path, seed):
    """Work, changes of keys and files by chance; what was written is read late, twice or never. In the end everybody is at one."""
    chance, post = random.Random(seed), list[tuple[Installation, Path]]()
    for step in range(30):
        clocks[chance.choice(["HQ", "BR01", "BR02"])].forward(days=chance.randrange(2), minutes=1)
        node = chance.choice([hq, one, two])
        match chance.randrange(6):
            case 0:
                change(node)
            case 1:
                node.new("customer", name=f"客户{step}")
            case 2 | 3:
                to = chance.choice([one, two]) if node is hq else hq
                post.append((to, packed(node, tmp_path / str(step), to.code if node is hq else None)))
            case _ if post:
                to, path = chance.choice(post)
                read(to, path)
    company.exchange()
    company.exchange()
    assert is_sound(company)


def test_failure_41_keys_revoked_while_a_file_is_being_proven_are_not_followed(company, hq, one, tmp_path, monkeypatch):
    change(one)
    one.new("customer", name="其间")
    file = packed(one, tmp_path / "up")
    proven = rotation.Speaker.proven

    def late(speaker, sender):
        rotation.demand_keys(hq.store, hq.actor, "BR01")
        proven(speaker, sender)

    monkeypatch.setattr(rotation.Speaker, "proven", late)
    before = hq.digest, hq.rows("SELECT sign_key, box_key FROM sync_peer")
    assert refusal(lambda: read(hq, file)) == "keys_changed_meanwhile"
    assert (hq.digest, hq.rows("SELECT sign_key, box_key FROM sync_peer")) == before
