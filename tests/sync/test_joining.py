"""Joining over the network: by words and by picture, one-time, expiring, with strangers on the line and guesses braked."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from localcrm.app import create_folder, open_folder
from localcrm.domain.policy import SYSTEM, Actor, BasicRole
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput
from localcrm.kernel.i18n import use_language
from localcrm.kernel.spoken import write_checked
from localcrm.sync import enrol, http, joining, node_sync, rotation
from localcrm.sync.identity import NodeKeys, make_join_request, read_invite, sign_invite, without_secret
from tests.factories import PASSWORD, HandClock

URL = "http://hq.test"


class Line:
    """What a branch posts to head office, in this process; ``swap`` may put something else in place of an answer."""

    def __init__(self, office: object) -> None:
        self._transport = httpx.ASGITransport(Starlette(routes=http.routes(lambda: (office.store, office.keys))))
        self.swap: Callable[[bytes], bytes] = lambda answer: answer
        self.sent: list[bytes] = []

    def answer_to(self, path: str, data: bytes) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url=URL) as client:
                return await client.post(path, content=data)

        return asyncio.run(ask())

    def post(self, url: str, path: str, data: bytes) -> bytes | None:
        assert url == URL
        self.sent.append(data)
        answer = self.answer_to(path, data)
        if answer.status_code == 202:
            return None
        if answer.status_code != 200:
            http._refused(httpx.Response(answer.status_code, content=answer.content))
        return self.swap(answer.content)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head office and a branch, just set up."""
    folder = tmp_path_factory.mktemp("joining")
    create_folder(folder / "hq", role="office", code="HQ", name="总部", password=PASSWORD).application.close()
    create_folder(folder / "br01", role="branch", code="BR01", name="杭州").application.close()
    return folder


@pytest.fixture
def office(folders: Path, tmp_path: Path) -> Iterator[object]:
    shutil.copytree(folders, tmp_path, dirs_exist_ok=True)
    made = open_folder(tmp_path / "hq")
    made.store.clock = HandClock()
    yield made
    made.close()


@pytest.fixture
def branch(tmp_path: Path, office) -> Iterator[object]:
    made = open_folder(tmp_path / "br01")
    made.store.clock = office.store.clock
    yield made
    made.close()


@pytest.fixture
def line(office, monkeypatch) -> Line:
    made = Line(office)
    monkeypatch.setattr(http, "post_small", made.post)
    return made


def invited(office, code: str = "BR01") -> enrol.Invitation:
    return enrol.invite(office.store, office.keys, SYSTEM, code=code)


def words(office, language: str = "zh_CN") -> str:
    with use_language(language):
        return write_checked(invited(office).spoken)


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(AppError) as refused:
        action()
    return refused.value.code


def approve(office, keys: NodeKeys) -> None:
    joining.approve_waiting(office.store, office.keys, SYSTEM, "BR01", fingerprint=keys.public.fingerprint)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_with_words_and_an_address_a_branch_joins_without_a_file(office, branch, line, language):
    joining.read_told(branch.store, branch.keys, words(office, language), url=f" {URL}/ ")
    assert not joining.ask_again(branch.store, branch.keys)
    assert not joining.ask_again(branch.store, branch.keys)
    (invite,) = node_sync.status(office.store)["invites"]
    assert (invite["code"], invite["asked"]) == ("BR01", True)
    asked = joining.waiting_request(office.store, SYSTEM, "br01")
    assert (asked.keys, asked.name) == (branch.keys.public, "杭州")
    approve(office, branch.keys)
    assert joining.ask_again(branch.store, branch.keys)
    assert branch.store.node.enrolled
    assert node_sync.digest(branch.store) == node_sync.digest(office.store)
    assert node_sync.status(branch.store)["url"] == URL
    assert node_sync.status(office.store)["invites"] == []


def test_a_picture_holds_address_and_invite_and_works_without_a_network_too(office, branch, line):
    text = joining.picture_text(invited(office), URL)
    assert len(text) < 600  # a code that a telephone can read
    joining.read_told(branch.store, branch.keys, f"\n{text[:40]}\n{text[40:]} ", url="")
    assert line.sent == []
    assert joining.join_url(branch.store) == URL
    request = enrol.request_again(branch.store, branch.keys)
    assert enrol.look_at_request(office.store, request).keys == branch.keys.public
    assert not joining.ask_again(branch.store, branch.keys)


def test_an_answer_lost_after_the_approval_is_given_again_until_the_branch_was_heard(office, branch, line):
    joining.read_told(branch.store, branch.keys, words(office), url=URL)
    joining.ask_again(branch.store, branch.keys)
    approve(office, branch.keys)
    request = line.sent[-1]

    def lost(_answer: bytes) -> bytes:
        raise ConnectionError

    line.swap = lost
    with pytest.raises(ConnectionError):
        joining.ask_again(branch.store, branch.keys)
    assert not branch.store.node.enrolled
    line.swap = lambda answer: answer
    office_changes = rotation.change_keys(office.store, office.keys, SYSTEM)  # and head office has other keys by now
    assert office_changes["signed"]
    assert joining.ask_again(branch.store, branch.keys)
    with office.store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET last_ok = 1")
    assert refusal(lambda: line.post(URL, http.JOIN_PATH, request)) == "unknown_invite"


def test_a_used_expired_or_replaced_invite_lets_nobody_in(office, branch, line):
    first, second = words(office), words(office)
    assert refusal(lambda: joining.read_told(branch.store, branch.keys, first, url=URL)) == "unknown_invite"
    office.store.clock.forward(days=3, ms=1)
    assert refusal(lambda: joining.read_told(branch.store, branch.keys, second, url=URL)) == "invite_expired"
    third = words(office)
    joining.read_told(branch.store, branch.keys, third, url=URL)
    office.store.clock.forward(days=4)
    assert refusal(lambda: joining.ask_again(branch.store, branch.keys)) == "invite_expired"
    assert office.store.meta("x") is None
    assert node_sync.status(office.store)["invites"] == []


def test_what_is_mistyped_is_said_before_anybody_is_asked(office, branch, line):
    text = words(office)
    for told, url, code in (
        (text.rsplit(" ", 1)[0], URL, "words_missing"),
        (text, "", "url_needed"),
        (text, "ftp://hq.test", "bad_address"),
        ("LCJ1.AAAA", "", "bad_picture"),
        ("LCJ1.\u00e9", "", "bad_picture"),
        (joining.picture_text(invited(office), URL)[:-9], "", "bad_picture"),
        ("xyz " * 5000, URL, "word_unknown"),
    ):
        assert refusal(lambda told=told, url=url: joining.read_told(branch.store, branch.keys, told, url=url)) == code
    assert line.sent == []
    other = joining.picture_text(invited(office, "BR07"), URL)
    assert refusal(lambda: joining.read_told(branch.store, branch.keys, other, url="")) == "other_code"


def test_a_stranger_on_the_line_who_does_not_know_the_words_cannot_be_head_office(office, branch, line):
    text, stranger = words(office), NodeKeys.generate()

    def forged(answer: bytes) -> bytes:
        known = msgspec.msgpack.decode(answer[4:-64])
        known["hub"] = [stranger.public.sign_key, stranger.public.box_key]
        body = b"LCI1" + msgspec.msgpack.encode(known)
        return body + stranger.sign(b"localcrm LCI1\0" + body[4:])

    for swap in (forged, lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]), lambda _answer: b"", lambda _answer: bytes(200)):
        line.swap = swap
        assert refusal(lambda: joining.read_told(branch.store, branch.keys, text, url=URL)) in {"bad_signature", "bad_invite"}
    assert branch.store.meta("join.invite") is None


def test_a_request_is_only_taken_from_who_knows_the_secret_and_approved_as_compared(office, branch, line):
    invitation = invited(office)
    invite, thief = read_invite(invitation.file, now_ms=0), NodeKeys.generate()
    guessed = msgspec.structs.replace(invite, secret=bytes(16))
    assert refusal(lambda: line.post(URL, http.JOIN_PATH, make_join_request(thief, guessed, name="x"))) == "bad_request"
    assert refusal(lambda: joining.waiting_request(office.store, SYSTEM, "BR01")) == "no_request_waits"
    joining.read_told(branch.store, branch.keys, joining.picture_text(invitation, URL), url="")
    joining.ask_again(branch.store, branch.keys)
    # Somebody who overheard the words asks as well: the digits are not those that the branch reads out.
    assert line.post(URL, http.JOIN_PATH, make_join_request(thief, invite, name="x")) is None
    assert refusal(lambda: approve(office, branch.keys)) == "other_request_waits"
    with pytest.raises(Forbidden):
        joining.waiting_request(office.store, Actor(None, "x", "x", BasicRole.STAFF), "BR01")
    joining.ask_again(branch.store, branch.keys)
    approve(office, branch.keys)
    assert refusal(lambda: line.post(URL, http.JOIN_PATH, make_join_request(thief, invite, name="x"))) == "unknown_invite"
    assert joining.ask_again(branch.store, branch.keys)


def test_hostile_requests_are_refused_and_guesses_braked(office, branch, line):
    text = words(office)
    choose = random.Random(7)
    whole = make_join_request(branch.keys, read_invite(invited(office, "BR02").file, now_ms=0), name="x")
    before = office.store.meta("schema_version"), len(node_sync.status(office.store)["invites"])
    hostile = [b"", b"LCQ1", b"LCQ1" + bytes(8), b"LCR1" + bytes(300), bytes(5_000), whole[:-1], whole[:90], b"LCR1" + b"\x91" * 60_000]
    hostile += [whole[:at] + bytes([whole[at] ^ 1 << choose.randrange(8)]) + whole[at + 1 :] for at in range(0, len(whole), 30)]
    codes = {refusal(lambda data=data: line.post(URL, http.JOIN_PATH, data)) for data in hostile[:12]}
    assert codes <= {"bad_request", "bad_signature", "unknown_invite"}
    assert line.answer_to(http.JOIN_PATH, bytes(http.MAX_JOIN + 1)).status_code == 413
    for data in hostile[12:] + hostile:
        refusal(lambda data=data: line.post(URL, http.JOIN_PATH, data))
    assert refusal(lambda: line.post(URL, http.JOIN_PATH, b"LCQ1" + bytes(8))) == "too_many_tries"
    assert refusal(lambda: joining.read_told(branch.store, branch.keys, text, url=URL)) == "too_many_tries"
    assert (office.store.meta("schema_version"), len(node_sync.status(office.store)["invites"])) == before


def test_the_brake_is_let_go_after_ten_minutes_and_is_one_for_each_address() -> None:
    now = [0.0]
    guesses = http.Guesses(lambda: now[0])
    for _ in range(http.Guesses.WRONG):
        guesses.require_calm("a")
        guesses.note("a")
    assert refusal(lambda: guesses.require_calm("a")) == "too_many_tries"
    guesses.require_calm("b")
    now[0] = http.Guesses.WINDOW_SECONDS + 1
    guesses.require_calm("a")
    for number in range(http.Guesses.WRONG_IN_ALL):
        guesses.note(str(number))
    assert refusal(lambda: guesses.require_calm("b")) == "too_many_tries"


def test_what_travels_never_holds_the_secret(office, branch, line):
    heard: list[bytes] = []
    line.swap = lambda answer: heard.append(answer) or answer
    invitation = invited(office)
    secret = read_invite(invitation.file, now_ms=0).secret
    with use_language("en"):
        joining.read_told(branch.store, branch.keys, write_checked(invitation.spoken), url=URL)
    joining.ask_again(branch.store, branch.keys)
    approve(office, branch.keys)
    joining.ask_again(branch.store, branch.keys)
    assert len(heard) == 2
    assert all(part not in data for data in (*heard, *line.sent) for part in (secret, invitation.spoken))
    shown = sign_invite(office.keys, read_invite(invitation.file, now_ms=0))
    assert without_secret(shown) == heard[0]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("192.0.2.2:8461", "https://192.0.2.2:8461"),
        (" https://hq.example.com/ ", "https://hq.example.com"),
        ("", ""),
        ("http://hq", "http://hq"),
    ],
)
def test_an_address_is_typed_with_or_without_its_beginning(typed: str, read: str) -> None:
    assert http.check_url(typed) == read


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        http.check_url("ftp://hq.example.com")
    assert refused.value.code == "bad_address"
