"""SIP: what rings here is told, what is not for us is refused, and hostile packets get nothing. Tried with sipp, a SIP client of others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from localcrm.channels import sip
from localcrm.channels.heard import Event
from localcrm.channels.sip import (
    Account,
    Answering,
    Brake,
    Message,
    NotUnderstood,
    Registration,
    Telephone,
    answer,
    caller_of,
    digest_answer,
    read_message,
    user_of,
    was_picked_up,
)

SOURCE = ("127.0.0.1", 5070)


def packet(method: str = "INVITE", *, call: str = "c1", to: str = "<sip:801@pbx>", number: str = "013905751234", extra: str = "") -> bytes:
    return (
        f"{method} sip:801@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\n"
        f'From: "陈总" <sip:{number}@pbx>;tag=a\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n{extra}Content-Length: 0\r\n\r\n'
    ).encode()


def message(*args: str, **more: str) -> Message:
    return read_message(packet(*args, **more))


class Desk:
    """A telephone without a socket, and what it tells."""

    def __init__(self, *lines: str, user: str = "") -> None:
        self.told: list[Event] = []
        self.answering = Answering(self.told.append, lambda: lines, lambda text, known: text in known, user=user)

    def take(self, request: Message, now: float = 0.0, source: tuple[str, int] = SOURCE) -> list[str]:
        return [sent.split(b"\r\n", 1)[0].decode().removeprefix("SIP/2.0 ") for sent, _to in self.answering.take(request, source, now)]


def test_a_call_rings_and_is_missed_when_it_is_cancelled() -> None:
    desk = Desk("801")
    assert desk.take(message()) == ["180 Ringing"]
    assert desk.take(message()) == ["180 Ringing"]  # its answer was lost
    assert desk.take(message("CANCEL")) == ["200 OK", "487 Request Terminated"]
    assert desk.take(message("CANCEL")) == ["200 OK"]
    assert desk.told == [Event("ring", key="c1", caller="013905751234", called="801"), Event("end", key="c1", answered=False)]
    assert len(desk.answering.later(1.0)) == 1  # not acknowledged: once more
    assert desk.take(message("ACK")) == []
    assert desk.answering.later(2.0) == []
    assert desk.answering.later(40.0) == []
    assert not desk.answering.calls


def test_somebody_else_has_picked_up() -> None:
    desk = Desk()
    desk.take(message())
    desk.take(message("CANCEL", extra='Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'))
    assert desk.told[-1] == Event("end", key="c1", answered=True)
    assert not was_picked_up(message("CANCEL", extra="Reason: Q.850;cause=16\r\n"))


def test_a_call_for_another_line_is_refused_and_not_told() -> None:
    desk = Desk("900")
    assert desk.take(message()) == ["486 Busy Here"]
    assert desk.told == []
    assert Desk("900", user="801").take(message()) == ["180 Ringing"]  # it was sent to the telephone we are signed in as
    mapped = Desk("9000")
    mapped.take(message(to="<sip:9000@pbx>"))
    assert mapped.told[0].called == "9000"  # what was dialled, not where the telephone system sent it


def test_what_rings_too_long_ends_and_the_end_of_the_program_ends_what_rings() -> None:
    desk = Desk()
    desk.take(message())
    desk.take(message(call="c2"), now=100.0)
    assert [sent.split(b"\r\n")[0] for sent, _to in desk.answering.later(181.0)] == [b"SIP/2.0 480 Temporarily Unavailable"]
    assert desk.told[-1] == Event("end", key="c1")
    assert len(desk.answering.close(190.0)) == 1
    assert desk.told[-1] == Event("end", key="c2")


def test_nobody_else_hangs_a_call_up_and_a_bye_of_none_is_told_so() -> None:
    desk = Desk()
    desk.take(message())
    assert desk.take(message("CANCEL"), source=("10.0.0.9", 5060)) == ["481 Call/Transaction Does Not Exist"]
    assert desk.take(message("BYE", call="other")) == ["481 Call/Transaction Does Not Exist"]
    assert desk.take(message("BYE")) == ["200 OK", "487 Request Terminated"]
    assert desk.take(message("OPTIONS", call="o")) == ["200 OK"]
    assert desk.take(message("SUBSCRIBE", call="s")) == ["405 Method Not Allowed"]


def test_a_name_of_a_call_too_long_to_be_kept_is_kept_short() -> None:
    desk = Desk()
    long = "x" * 4000
    desk.take(message(call=long))
    desk.take(message("CANCEL", call=long))
    ring, end = desk.told
    assert ring.key == end.key
    assert len(ring.key) == 64


def test_another_fork_of_a_call_that_rings_is_no_second_call() -> None:
    desk = Desk()
    desk.take(message())
    fork = read_message(packet().replace(b"branch=z9hG4bK1", b"branch=z9hG4bK2"))
    assert desk.take(fork) == ["482 Loop Detected"]
    assert len(desk.told) == 1


@pytest.mark.parametrize(
    ("header", "user"),
    [
        ('"Chen <sip:999@x>" <sip:013905751234@pbx;user=phone>;tag=1', "013905751234"),
        ("<tel:+8613905751234;phone-context=x>", "+8613905751234"),
        ("sip:%2B8613905751234@pbx", "+8613905751234"),
        ("<sip:anonymous@anonymous.invalid>", "anonymous"),
        ("<sip:801;ext=3@pbx>", "801"),
        ("nobody", ""),
    ],
)
def test_the_number_is_read_from_an_address(header: str, user: str) -> None:
    assert user_of(header) == user


def test_what_the_telephone_system_vouches_for_goes_before_what_a_caller_says() -> None:
    assert caller_of(message(extra="P-Asserted-Identity: <sip:13300001111@pbx>\r\n")) == "13300001111"


def test_an_answer_goes_to_where_the_request_came_from_whatever_it_says() -> None:
    lies = read_message(packet().replace(b"127.0.0.1:5070;branch", b"198.51.100.7:5099;maddr=198.51.100.8;branch"))
    assert answer(lies, "200 OK", to="<sip:801@pbx>", source=SOURCE)[1] == ("127.0.0.1", 5099)
    routed = read_message(packet().replace(b";branch=z9hG4bK1", b";rport;branch=z9hG4bK1"))
    sent, target = answer(routed, "200 OK", to="<sip:801@pbx>", source=("127.0.0.1", 40000))
    assert target == ("127.0.0.1", 40000)
    assert b";received=127.0.0.1;rport=40000;branch=z9hG4bK1" in sent


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x00" * 300,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        packet()[:-2],
        packet() + b"x" * sip.MAX_PACKET,
        packet().replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        packet().replace(b"CSeq: 1 INVITE", b"CSeq: 99999999999 INVITE"),
        packet().replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1),
        packet().replace(b"Call-ID: c1\r\n", b""),
        packet().replace(b"Call-ID: c1\r\n", b"Call-ID: c1\r\nCall-ID: c2\r\n"),
        packet().replace(b"Call-ID: c1", b"Call-ID: c1\rX: 1"),
        packet(extra="A: 1\r\n" * 80),
        packet().replace("陈总".encode(), b"\xff\xfe"),
        packet(extra="bad header: 1\r\n"),
    ],
)
def test_what_no_honest_sender_writes_is_not_understood(bad: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_message(bad)


@given(st.binary(max_size=600), st.integers(0, 300), st.integers(0, 255))
def test_no_packet_breaks_the_telephone(noise: bytes, place: int, sign: int) -> None:
    broken = bytearray(packet())
    broken[place % len(broken)] = sign
    desk = Desk("801")
    for data in (noise, bytes(broken), packet() + noise, noise.join([packet()[:40], packet()[40:]])):
        try:
            found = read_message(data)
            for sent, target in desk.answering.take(found, SOURCE, 0.0):
                assert target[0] == SOURCE[0]
                assert sent.count(b"\r\n\r\n") == 1
        except NotUnderstood:
            pass


def test_who_sends_too_fast_is_not_listened_to() -> None:
    brake = Brake()
    assert sum(brake.lets_in("10.0.0.1", 0.0) for _n in range(500)) == sip.FROM_ONE
    assert brake.lets_in("10.0.0.2", 0.5)
    assert brake.lets_in("10.0.0.1", 1.5)


def test_a_digest_is_that_of_the_standard() -> None:
    # The example of RFC 7616, 3.9.1, with its own nonce of the client.
    common = 'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/q"'
    for name, proof in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        said = digest_answer(
            f"Digest {common}, algorithm={name}",
            method="GET",
            uri="/dir/index.html",
            user="Mufasa",
            password="Circle of Life",
            nonce_of_ours="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        assert f'response="{proof}"' in said
    for bad in (
        "Basic realm=x",
        'Digest realm="x"',
        'Digest realm="x", nonce="n", algorithm=SHA-512',
        'Digest realm="x", nonce="n", qop="auth-int"',
    ):
        with pytest.raises(NotUnderstood):
            digest_answer(bad, method="REGISTER", uri="sip:x", user="u", password="p", nonce_of_ours="c")


def test_a_registration_that_gets_no_answer_is_tried_again_and_says_so() -> None:
    registration = Registration(Account("pbx", 5060, "801", "x"), ("127.0.0.1", 5061))
    assert b"REGISTER sip:pbx SIP/2.0" in (registration.due(0.0) or b"")
    assert registration.due(1.0) is None
    assert registration.due(5.0) is None
    assert registration.problem
    assert registration.due(5.0 + sip.AGAIN) is not None


# over the network, and with sipp -------------------------------------------------------------------------------------------


class Socketed:
    """A telephone on a port of this machine."""

    def __init__(self, *lines: str, account: Account | None = None, may_announce: Callable[[str], bool] = lambda _address: True) -> None:
        self.told: list[Event] = []
        self._heard = threading.Condition()

        def is_line(text: str, known: Collection[str]) -> bool:
            return text in known

        self.telephone = Telephone(
            ("127.0.0.1", 0), tell=self._tell, lines=lambda: lines, is_line=is_line, may_announce=may_announce, account=account
        )
        self.telephone.start()

    def _tell(self, event: Event) -> None:
        with self._heard:
            self.told.append(event)
            self._heard.notify_all()

    def wait(self, count: int) -> list[Event]:
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.told) >= count, 10)
        return self.told


@pytest.fixture
def telephone() -> Iterator[Socketed]:
    opened = Socketed("801")
    yield opened
    opened.telephone.stop()


def test_only_who_may_announce_calls_is_answered() -> None:
    opened = Socketed("801", may_announce=lambda _address: False)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.sendto(packet("OPTIONS"), ("127.0.0.1", opened.telephone.port))
            with pytest.raises(TimeoutError):
                client.recv(2000)
        assert opened.told == []
        assert opened.telephone.ignored == 1
    finally:
        opened.telephone.stop()


def test_a_port_that_is_taken_is_said_so(telephone: Socketed) -> None:
    other = Telephone(
        ("127.0.0.1", telephone.telephone.port), tell=lambda _event: None, lines=tuple, is_line=lambda *_: True, may_announce=lambda _: True
    )
    other.start()
    try:
        assert other.state.problem
        assert not other.state.running
    finally:
        other.stop()


@pytest.fixture(scope="session")
def sipp() -> str:
    """Path of sipp; without it the test is skipped, in CI it fails."""
    path = shutil.which("sipp")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no sipp on this machine; make test says how to get it")
    return path


HEAD = """Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}
From: <sip:013905751234@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:801@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: 1 {method}
Max-Forwards: 70
"""


def request(method: str, *, tag: str = "", branch: str = "z9hG4bK-one-[call_number]", more: str = "") -> str:
    head = HEAD.format(method=method, tag=tag, branch=branch)
    return f"<![CDATA[\n{method} sip:801@[remote_ip]:[remote_port] SIP/2.0\n{head}{more}Content-Length: 0\n\n]]>"


def play(sipp: str, tmp_path: Path, scenario: str, *arguments: str) -> None:
    """Have sipp play one call; it fails when an answer is not the one of the scenario."""
    file = tmp_path / "scenario.xml"
    file.write_text(f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="call">\n{scenario}\n</scenario>\n', encoding="ascii")
    command = [sipp, "-sf", str(file), "-m", "1", "-i", "127.0.0.1", "-nostdin", "-timeout", "20s", "-timeout_error", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False, env=os.environ | {"TERM": "xterm"}
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_sipp_calls_and_gives_up(sipp: str, tmp_path: Path, telephone: Socketed) -> None:
    scenario = f"""
      <send retrans="500">{request("INVITE", more="Contact: <sip:x@[local_ip]:[local_port]>" + chr(10))}</send>
      <recv response="100" optional="true"/>
      <recv response="180"/>
      <pause milliseconds="200"/>
      <send retrans="500">{request("CANCEL")}</send>
      <recv response="200"/>
      <recv response="487"/>
      <send>{request("ACK", tag="[peer_tag_param]")}</send>
    """
    play(sipp, tmp_path, scenario, f"127.0.0.1:{telephone.telephone.port}")
    ring, end = telephone.wait(2)
    assert (ring.caller, ring.called, end.event, end.answered) == ("013905751234", "801", "end", False)
    assert ring.key == end.key


def test_sipp_calls_a_line_that_is_not_ours(sipp: str, tmp_path: Path) -> None:
    opened = Socketed("900")
    try:
        scenario = f"""
          <send retrans="500">{request("INVITE")}</send>
          <recv response="486"/>
          <send>{request("ACK", tag="[peer_tag_param]")}</send>
        """
        play(sipp, tmp_path, scenario, f"127.0.0.1:{opened.telephone.port}")
        assert opened.told == []
    finally:
        opened.telephone.stop()


@pytest.mark.parametrize(("password", "signed_in"), [("geheim-77", True), ("geraten", False)])
def test_sipp_registers_this_program_by_its_password(sipp: str, tmp_path: Path, password: str, signed_in: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    echo = "[last_Via:]\n[last_From:]\n[last_To:];tag=[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n"
    challenge = 'WWW-Authenticate: Digest realm="localcrm.test", nonce="47364c23432d2e131a5fb210812c", algorithm=MD5, qop="auth"'

    def says(status: str, more: str) -> str:
        return f"<send><![CDATA[\n\nSIP/2.0 {status}\n{echo}{more}\nContent-Length: 0\n\n]]></send>"

    scenario = f"""
      <recv request="REGISTER"/>
      {says("401 Unauthorized", challenge)}
      <recv request="REGISTER" next="1" test="valid">
        <action><verifyauth assign_to="valid" username="801" password="geheim-77"/></action>
      </recv>
      {says("403 Forbidden", "Warning: 399 x")}
      <label id="2"/>
      <nop next="3"/>
      <label id="1"/>
      {says("200 OK", "[last_Contact:]")}
      <label id="3"/>
    """
    opened: list[Socketed] = []
    timer = threading.Timer(0.5, lambda: opened.append(Socketed("801", account=Account("127.0.0.1", port, "801", password))))
    timer.start()
    try:
        play(sipp, tmp_path, scenario, "-p", str(port))
        state = opened[0].telephone.state
        for _try in range(50):
            if (state := opened[0].telephone.state).signed_in or state.problem:
                break
            time.sleep(0.05)
        assert (state.running, state.signed_in, bool(state.problem)) == (True, signed_in, not signed_in)
    finally:
        timer.join()
        for one in opened:
            one.telephone.stop()
