"""SIP as far as hearing of calls needs it: a telephone that rings and is never picked up (RFC 3261 over UDP).

It answers 180 to a call for one of our lines and 486 to one that is not for us, notes when the call is cancelled or ended, and may sign in at a
telephone system like any telephone does (REGISTER with digest, RFC 7616). It takes no call, sends no call, and has no sound. What it does not
understand, what comes too fast and what comes from addresses that may not announce calls, it leaves unanswered.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from localcrm.channels.heard import Event, SourceState
from localcrm.kernel.i18n import N_

#: Larger packets, more headers and more calls at a time have no honest sender.
MAX_PACKET, MAX_HEADERS, MAX_CALLS = 8192, 64, 200
#: Packets within a second: from one address, and from all of them.
FROM_ONE, FROM_ALL = 60, 300
#: Nobody lets a telephone ring longer; a final answer is sent again until it is acknowledged, for so long.
LONGEST_RINGING, LONGEST_ANSWER = 180.0, 32.0
_FIRST_AGAIN, _LAST_AGAIN = 0.5, 4.0
#: What a registration is asked for, and when the next try follows a failed one; seconds.
EXPIRES, AGAIN, _ANSWER_WITHIN = 300, 30.0, 4.0
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS"
_TICK = 0.2
_LONGEST_KEY = 150
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+", re.ASCII)
_REQUEST = re.compile(r"([A-Z]{2,20}) (sips?:[^\s]{1,300}|tel:[^\s]{1,100}) SIP/2\.0", re.ASCII)
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) [^\r\n]*", re.ASCII)
_SEQUENCE = re.compile(r"([0-9]{1,10})[ \t]+([A-Z]{2,20})", re.ASCII)
_VIA = re.compile(r"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*UDP[ \t]+([^;, \t]{1,255})(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r".*:([0-9]{1,5})", re.ASCII)
_NUMBER = re.compile(r"(?:sips?|tel):([^@;>\s?]{0,200})", re.ASCII | re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z0-9_-]{1,40})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.){0,500})"|([^",\s]{1,500}))', re.ASCII)
_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}
_NEEDED = ("via", "from", "to", "call-id", "cseq")
#: Once only in a message, whatever else is repeated.
_ONCE = frozenset({"from", "to", "call-id", "cseq", "content-length"})
log = logging.getLogger(__name__)

Address = tuple[str, int]


class NotUnderstood(Exception):
    """A packet is no message of SIP, or not one that an honest sender writes."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request (``method``, ``uri``) or a response (``status``), with its headers by small name in their order."""

    headers: Mapping[str, tuple[str, ...]]
    method: str = ""
    uri: str = ""
    status: int = 0

    def first(self, name: str) -> str:
        """The first header of a name; "" without one."""
        return self.headers.get(name, ("",))[0]

    @property
    def call_id(self) -> str:
        """What both ends call the call."""
        return self.first("call-id")

    @property
    def key(self) -> str:
        """The same in a length that can be kept."""
        return self.call_id if len(self.call_id) <= _LONGEST_KEY else hashlib.sha256(self.call_id.encode()).hexdigest()

    @property
    def sequence(self) -> tuple[int, str]:
        """Number and method that a request has, or a response answers."""
        found = _SEQUENCE.fullmatch(self.first("cseq"))
        if found is None:
            raise NotUnderstood("cseq")
        return int(found[1]), found[2]


def read_message(packet: bytes) -> Message:
    """A message from a packet; raises NotUnderstood. What follows the headers is nobody's business here."""
    if not 20 <= len(packet) <= MAX_PACKET:
        raise NotUnderstood("size")
    head, blank, _body = packet.partition(b"\r\n\r\n")
    if not blank:
        raise NotUnderstood("no end")
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        raise NotUnderstood("text") from None
    if any(ord(sign) < 32 and sign not in "\r\n\t" for sign in text) or "\x7f" in text:
        raise NotUnderstood("signs")
    first, *lines = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    if any("\n" in line or "\r" in line for line in (first, *lines)) or len(lines) > MAX_HEADERS:
        raise NotUnderstood("lines")
    headers = _headers(lines)
    if any(name not in headers for name in _NEEDED):
        raise NotUnderstood("header missing")
    request, status = _REQUEST.fullmatch(first), _STATUS.fullmatch(first)
    if request:
        found = Message(headers, method=request[1], uri=request[2])
        if found.sequence[1] != request[1]:
            raise NotUnderstood("cseq")
        return found
    if status:
        return Message(headers, status=int(status[1]))
    raise NotUnderstood("first line")


def _headers(lines: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not _TOKEN.fullmatch(name):
            raise NotUnderstood("header")
        found.setdefault(_COMPACT.get(name, name), []).append(value.strip())
    if any(len(found.get(name, ())) > 1 for name in _ONCE):
        raise NotUnderstood("header twice")
    return {name: tuple(values) for name, values in found.items()}


def user_of(header: str) -> str:
    """The number, or name, in an address such as ``"Chen" <sip:013905751234@pbx;user=phone>;tag=1``; "" without one."""
    shown = re.sub(r'"(?:[^"\\]|\\.)*"', "", header)
    found = _NUMBER.search(shown)
    return unquote(found[1]).partition(";")[0][:100] if found else ""


def caller_of(invite: Message) -> str:
    """Who calls: what the telephone system vouches for, else what the caller says of himself."""
    for name in ("p-asserted-identity", "remote-party-id"):
        if number := user_of(invite.first(name)):
            return number
    return user_of(invite.first("from"))


def was_picked_up(cancel: Message) -> bool:
    """Whether a call is taken from us because somebody else has answered it (RFC 3326)."""
    return any(
        re.search(r"SIP\s*;[^,]*\bcause\s*=\s*\"?200\b", value, re.IGNORECASE) is not None for value in cancel.headers.get("reason", ())
    )


def answer(request: Message, status: str, *, to: str, source: Address, more: Iterator[str] | tuple[str, ...] = ()) -> tuple[bytes, Address]:
    """A response, and where it goes: always to the computer the request came from, whatever the request says."""
    top, *others = request.headers["via"]
    first, comma, rest = top.partition(",")
    via = _VIA.fullmatch(first.strip())
    if via is None:
        raise NotUnderstood("via")
    port = _PORT.fullmatch(via[1])
    target = (source[0], int(port[1]) if port and 0 < int(port[1]) < 65536 else 5060)
    marked = first.strip()
    if re.search(r";\s*rport\s*(?=;|$)", marked):  # it stands behind a router: back the way it came (RFC 3581)
        marked = re.sub(r";\s*rport\s*(?=;|$)", f";received={source[0]};rport={source[1]}", marked, count=1)
        target = source
    vias = [f"{marked}{comma}{rest}", *others]
    lines = [f"SIP/2.0 {status}", *(f"Via: {value}" for value in vias), f"From: {request.first('from')}", f"To: {to}"]
    lines += [f"Call-ID: {request.call_id}", f"CSeq: {request.first('cseq')}", *more, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode(), target


@dataclass(slots=True)
class _Call:
    """A call that rings here, or has rung: its INVITE, our tag, and the final answer that waits to be acknowledged."""

    invite: Message
    source: Address
    to: str
    since: float
    ours: bool
    final: tuple[bytes, Address] | None = None
    again_at: float = 0.0
    wait: float = _FIRST_AGAIN
    until: float = 0.0
    acknowledged: bool = False


class Brake:
    """How many packets came within the last second, from each address and from all."""

    def __init__(self) -> None:
        self._all: deque[tuple[float, str]] = deque()
        self._by_address: dict[str, int] = {}

    def lets_in(self, address: str, now: float) -> bool:
        """Count one; whether it is looked at."""
        while self._all and self._all[0][0] <= now - 1:
            _at, old = self._all.popleft()
            self._by_address[old] -= 1
            if not self._by_address[old]:
                del self._by_address[old]
        if len(self._all) >= FROM_ALL or self._by_address.get(address, 0) >= FROM_ONE:
            return False
        self._all.append((now, address))
        self._by_address[address] = self._by_address.get(address, 0) + 1
        return True


@dataclass(slots=True)
class Answering:
    """What is said to each packet: no socket, no clock of its own, so that it can be tried packet by packet.

    lines: those that are ours, as numbers or names; empty for all · tell: hears of a call.
    """

    tell: Callable[[Event], None]
    lines: Callable[[], Collection[str]]
    is_line: Callable[[str, Collection[str]], bool]
    contact: str = "sip:localcrm"
    user: str = ""
    calls: OrderedDict[str, _Call] = field(default_factory=OrderedDict)

    def take(self, request: Message, source: Address, now: float) -> list[tuple[bytes, Address]]:
        """Answers to a request, in their order."""
        match request.method:
            case "INVITE":
                return self._invite(request, source, now)
            case "ACK":
                call = self.calls.get(request.call_id)
                if call is not None and call.final is not None:
                    call.acknowledged = True
                return []
            case "CANCEL":
                return self._cancel(request, source, now)
            case "BYE":
                return self._bye(request, source, now)
            case "OPTIONS":
                return [answer(request, "200 OK", to=_tagged(request.first("to")), source=source, more=(f"Allow: {ALLOW}",))]
        return [answer(request, "405 Method Not Allowed", to=_tagged(request.first("to")), source=source, more=(f"Allow: {ALLOW}",))]

    def later(self, now: float) -> list[tuple[bytes, Address]]:
        """What is to be sent by now without anybody asking: final answers again, and the end of what rang too long."""
        sent: list[tuple[bytes, Address]] = []
        for key, call in list(self.calls.items()):
            if call.final is None:
                if now - call.since > LONGEST_RINGING:
                    sent.append(self._finish(call, "480 Temporarily Unavailable", now))
                    self.tell(Event("end", key=call.invite.key))
            elif call.acknowledged or now > call.until:
                if now > call.until:
                    del self.calls[key]
            elif now >= call.again_at:
                sent.append(call.final)
                call.wait = min(2 * call.wait, _LAST_AGAIN)
                call.again_at = now + call.wait
        return sent

    def close(self, now: float) -> list[tuple[bytes, Address]]:
        """The program ends, or SIP is switched off: what rings is told that nobody is here."""
        ringing = [call for call in self.calls.values() if call.final is None]
        sent = [self._finish(call, "480 Temporarily Unavailable", now) for call in ringing]
        for call in ringing:
            self.tell(Event("end", key=call.invite.key))
        return sent

    def _invite(self, request: Message, source: Address, now: float) -> list[tuple[bytes, Address]]:
        known = self.calls.get(request.call_id)
        if known is not None:
            return self._known_invite(known, request, source)
        if len(self.calls) >= MAX_CALLS:
            return []
        called, dialled = user_of(request.first("to")), user_of(request.uri)
        ours = self.lines()
        line = next((each for each in (called, dialled) if self.is_line(each, ours)), None)
        is_ours = not ours or line is not None or (bool(self.user) and self.user in {called, dialled})
        call = _Call(request, source, _tagged(request.first("to")), now, is_ours)
        self.calls[request.call_id] = call
        if not is_ours:
            return [self._finish(call, "486 Busy Here", now)]
        self.tell(Event("ring", key=request.key, caller=caller_of(request), called=line or called or dialled))
        return [self._ringing(call, request, source)]

    def _known_invite(self, call: _Call, request: Message, source: Address) -> list[tuple[bytes, Address]]:
        """The same packet again, for its answer was lost; or another fork of the same call, which rings here already."""
        if source[0] != call.source[0]:
            return []
        if call.final is not None:
            return [] if call.acknowledged else [call.final]
        if request.first("via") != call.invite.first("via"):
            return [answer(request, "482 Loop Detected", to=_tagged(request.first("to")), source=source)]
        return [self._ringing(call, request, source)]

    def _ringing(self, call: _Call, request: Message, source: Address) -> tuple[bytes, Address]:
        return answer(request, "180 Ringing", to=call.to, source=source, more=(f"Contact: <{self.contact}>",))

    def _cancel(self, request: Message, source: Address, now: float) -> list[tuple[bytes, Address]]:
        call = self._same(request, source)
        if call is None:
            return [answer(request, "481 Call/Transaction Does Not Exist", to=_tagged(request.first("to")), source=source)]
        sent = [answer(request, "200 OK", to=call.to, source=source)]
        if call.final is None:
            sent.append(self._finish(call, "487 Request Terminated", now))
            self.tell(Event("end", key=request.key, answered=was_picked_up(request)))
        return sent

    def _bye(self, request: Message, source: Address, now: float) -> list[tuple[bytes, Address]]:
        call = self._same(request, source)
        if call is None:
            return [answer(request, "481 Call/Transaction Does Not Exist", to=_tagged(request.first("to")), source=source)]
        sent = [answer(request, "200 OK", to=call.to, source=source)]
        if call.final is None:  # an early dialog ended so: nobody has answered
            sent.append(self._finish(call, "487 Request Terminated", now))
            self.tell(Event("end", key=request.key))
        return sent

    def _same(self, request: Message, source: Address) -> _Call | None:
        """The call of a request, which comes from where its INVITE came from: nobody else hangs it up."""
        call = self.calls.get(request.call_id)
        return call if call is not None and call.ours and call.source[0] == source[0] else None

    def _finish(self, call: _Call, status: str, now: float) -> tuple[bytes, Address]:
        call.final = answer(call.invite, status, to=call.to, source=call.source)
        call.again_at, call.until = now + _FIRST_AGAIN, now + LONGEST_ANSWER
        return call.final


def _tagged(to: str) -> str:
    """The address of a response: with a tag of ours, unless it has one."""
    return to if re.search(r";\s*tag\s*=", to, re.IGNORECASE) else f"{to};tag={secrets.token_hex(6)}"


# signing in -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """Where to sign in as a telephone: host and port of the telephone system, user, password."""

    host: str
    port: int
    user: str
    password: str

    @property
    def domain(self) -> str:
        """As addresses name the telephone system."""
        return self.host if self.port == 5060 else f"{self.host}:{self.port}"


def digest_answer(challenge: str, *, method: str, uri: str, user: str, password: str, nonce_of_ours: str) -> str:
    """The header that answers a challenge (RFC 7616: MD5 or SHA-256, with qop=auth or without); raises NotUnderstood."""
    scheme, _space, rest = challenge.partition(" ")
    said = {found[1].lower(): found[2] if found[2] is not None else found[3] for found in _PARAMETER.finditer(rest)}
    name = said.get("algorithm", "MD5").upper()
    if scheme.casefold() != "digest" or "nonce" not in said or "realm" not in said or name not in {"MD5", "SHA-256"}:
        raise NotUnderstood("challenge")
    if any('"' in value or "\\" in value for value in said.values()):
        raise NotUnderstood("challenge")

    def hashed(text: str) -> str:
        data = text.encode()
        return hashlib.sha256(data).hexdigest() if name == "SHA-256" else hashlib.md5(data, usedforsecurity=False).hexdigest()

    secret, what = hashed(f"{user}:{said['realm']}:{password}"), hashed(f"{method}:{uri}")
    fields = [f'username="{user}"', f'realm="{said["realm"]}"', f'nonce="{said["nonce"]}"', f'uri="{uri}"', f"algorithm={name}"]
    offered = [one.strip() for one in said.get("qop", "").split(",")]
    if "auth" in offered:
        proof = hashed(f"{secret}:{said['nonce']}:00000001:{nonce_of_ours}:auth:{what}")
        fields += ["qop=auth", "nc=00000001", f'cnonce="{nonce_of_ours}"']
    elif offered == [""]:
        proof = hashed(f"{secret}:{said['nonce']}:{what}")
    else:
        raise NotUnderstood("qop")
    fields.append(f'response="{proof}"')
    if "opaque" in said:
        fields.append(f'opaque="{said["opaque"]}"')
    return f"Digest {', '.join(fields)}"


@dataclass(slots=True)
class Registration:
    """Signs in, again before it runs out, and out at the end: packets and times, no socket."""

    account: Account
    own: Address
    call_id: str = field(default_factory=lambda: secrets.token_hex(16))
    tag: str = field(default_factory=lambda: secrets.token_hex(6))
    sequence: int = 0
    next_at: float = 0.0
    waiting: bool = False
    answered_challenge: bool = False
    expires: int = EXPIRES
    registered: bool = False
    problem: str = ""

    def due(self, now: float) -> bytes | None:
        """The packet to send by now, if one is."""
        if now < self.next_at:
            return None
        if self.waiting:  # no answer came
            self._failed(N_("The telephone system does not answer."), now)
            return None
        self.answered_challenge = False
        return self._packet(now)

    def heard(self, response: Message, now: float) -> bytes | None:
        """What an answer of the telephone system leads to."""
        if response.call_id != self.call_id or response.sequence != (self.sequence, "REGISTER") or response.status < 200:
            return None
        self.waiting = False
        if response.status in {401, 407} and not self.answered_challenge:
            self.answered_challenge = True
            proxy = response.status == 407
            challenge = response.first("proxy-authenticate" if proxy else "www-authenticate")
            try:
                proof = digest_answer(
                    challenge,
                    method="REGISTER",
                    uri=f"sip:{self.account.domain}",
                    user=self.account.user,
                    password=self.account.password,
                    nonce_of_ours=secrets.token_hex(8),
                )
            except NotUnderstood:
                self._failed(N_("The telephone system asks for a way to sign in that is not known here."), now)
                return None
            return self._packet(now, f"{'Proxy-Authorization' if proxy else 'Authorization'}: {proof}")
        if response.status == 423 and (least := response.first("min-expires")).isdecimal() and self.expires < int(least) <= 7200:
            self.expires = int(least)
            return self._packet(now)
        if 200 <= response.status < 300:
            self.registered, self.problem = True, ""
            self.next_at = now + max(15, _granted(response, self.expires) // 2)
        elif response.status in {401, 403, 407}:
            self._failed(N_("The telephone system refuses user name or password."), now)
        else:
            self._failed(N_("The telephone system refuses to register this program."), now)
        return None

    def farewell(self) -> bytes:
        """Signs out; nobody waits for the answer."""
        self.expires = 0
        return self._packet(0.0)

    def _failed(self, problem: str, now: float) -> None:
        self.registered, self.waiting, self.problem, self.next_at = False, False, problem, now + AGAIN

    def _packet(self, now: float, *more: str) -> bytes:
        self.sequence += 1
        self.waiting, self.next_at = True, now + _ANSWER_WITHIN
        own, user = f"{_bracketed(self.own[0])}:{self.own[1]}", self.account.user
        lines = [
            f"REGISTER sip:{self.account.domain} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{self.account.domain}>;tag={self.tag}",
            f"To: <sip:{user}@{self.account.domain}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} REGISTER",
            f"Contact: <sip:{user}@{own}>;expires={self.expires}",
            f"Expires: {self.expires}",
            *more,
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _granted(response: Message, asked: int) -> int:
    """For how many seconds a registration holds."""
    found = re.search(r";\s*expires\s*=\s*([0-9]{1,6})", response.first("contact"), re.IGNORECASE)
    text = found[1] if found else response.first("expires")
    return int(text) if text.isdecimal() and len(text) < 7 else asked


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# the socket -------------------------------------------------------------------------------------------------------------


class Telephone:
    """Listens on a port, in a thread of its own, until it is stopped."""

    def __init__(
        self,
        address: Address,
        *,
        tell: Callable[[Event], None],
        lines: Callable[[], Collection[str]],
        is_line: Callable[[str, Collection[str]], bool],
        may_announce: Callable[[str], bool],
        account: Account | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address, self.account, self.may_announce, self._clock = address, account, may_announce, clock
        self.answering = Answering(tell, lines, is_line, user=account.user if account else "")
        self.registration: Registration | None = None
        self.port = 0
        self.ignored = 0
        self.problem = ""
        self._brake = Brake()
        self._registrar: Address | None = None
        self._stopping = threading.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sip", daemon=True)

    def start(self) -> None:
        """Begin; returns once the port is open or cannot be opened."""
        self._thread.start()
        self._opened.wait(5)

    def stop(self) -> None:
        """Sign out and close the port."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)

    @property
    def state(self) -> SourceState:
        """How it stands."""
        registration = self.registration
        if self.problem:
            return SourceState(running=False, problem=self.problem, place=str(self.address[1]))
        if self.account is None:
            return SourceState(running=self.port > 0, place=str(self.port))
        problem = registration.problem if registration else ""
        signed_in = bool(registration and registration.registered)
        return SourceState(running=self.port > 0, problem=problem, place=str(self.port), signed_in=signed_in)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except OSError as error:
                log.warning("sip: port %s: %s", self.address[1], error)
                self.problem, self.port = N_("The port cannot be opened; perhaps another program has it."), 0
                self._opened.set()
                self._stopping.wait(10)

    def _serve(self) -> None:
        kind = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as opened:
            opened.bind(self.address)
            opened.settimeout(_TICK)
            self.port, self.problem = int(opened.getsockname()[1]), ""
            host = socket.gethostname() if self.address[0] in {"0.0.0.0", "::"} else _bracketed(self.address[0])  # noqa: S104 -- compared, not opened
            self.answering.contact = f"sip:{self.answering.user or 'localcrm'}@{host}:{self.port}"
            self._opened.set()
            while not self._stopping.is_set():
                self._receive(opened)
                now = self._clock()
                self._send(opened, self.answering.later(now))
                self._register(opened, now)
            self._send(opened, self.answering.close(self._clock()))
            if self.registration is not None and self.registration.registered and self._registrar:
                self._send(opened, [(self.registration.farewell(), self._registrar)])

    def _receive(self, opened: socket.socket) -> None:
        """Take what has come, as much as there is at once."""
        for _packet in range(FROM_ALL):
            try:
                packet, source = opened.recvfrom(MAX_PACKET + 1)
            except (TimeoutError, ConnectionError):  # nothing came; or the other end has closed its port, which says nothing of us
                return
            opened.settimeout(0)
            try:
                self._take(opened, packet, (str(source[0]), int(source[1])))
            except BlockingIOError:
                pass
            finally:
                opened.settimeout(_TICK)

    def _take(self, opened: socket.socket, packet: bytes, source: Address) -> None:
        now = self._clock()
        if not self._brake.lets_in(source[0], now):
            self.ignored += 1
            return
        try:
            message = read_message(packet)
            if message.status:
                if self.registration is not None and source == self._registrar:
                    reply = self.registration.heard(message, now)
                    self._send(opened, [(reply, source)] if reply else [])
                return
            if not (self.may_announce(source[0]) or (self._registrar and source[0] == self._registrar[0])):
                raise NotUnderstood("address")
            self._send(opened, self.answering.take(message, source, now))
        except NotUnderstood:
            self.ignored += 1

    def _send(self, opened: socket.socket, packets: list[tuple[bytes, Address]]) -> None:
        for packet, target in packets:
            with suppress(OSError):  # a network that is down just now: it is sent again
                opened.sendto(packet, target)

    def _register(self, opened: socket.socket, now: float) -> None:
        if self.account is None:
            return
        if (self.registration is None or self._registrar is None) and not self._find_registrar(opened, now):
            return
        assert self.registration is not None
        assert self._registrar is not None
        packet = self.registration.due(now)
        if packet is not None:
            self._send(opened, [(packet, self._registrar)])

    def _find_registrar(self, opened: socket.socket, now: float) -> bool:
        """Where the telephone system is, and from which of our addresses it is reached."""
        assert self.account is not None
        if self.registration is None:
            self.registration = Registration(self.account, ("", 0))
        if now < self.registration.next_at:
            return False
        try:
            found = socket.getaddrinfo(self.account.host, self.account.port, opened.family, socket.SOCK_DGRAM)[0][4]
            with socket.socket(opened.family, socket.SOCK_DGRAM) as probe:
                probe.connect(found)
                own = str(probe.getsockname()[0])
        except OSError:
            self.registration.problem, self.registration.next_at = N_("The telephone system is not found under this address."), now + AGAIN
            return False
        self._registrar = (str(found[0]), int(found[1]))
        self.registration.own = (own, self.port)
        self.answering.contact = f"sip:{self.account.user}@{_bracketed(own)}:{self.port}"
        return True
