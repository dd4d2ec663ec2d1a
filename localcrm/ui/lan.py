"""Colleagues on the local network: the same screens over HTTPS, on a port of its own beside the loopback address.

Off unless an administrator switches it on. A second server in the same event loop, over the same application, with a certificate
of our own making; it serves exactly the addresses and names this computer has.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.domain.admin.network import lan_is_on, lan_port, remember_lan_port
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, Refused, StoreError
from localcrm.kernel.hosts import plain_host, url_host
from localcrm.kernel.i18n import N_
from localcrm.store.tls import TlsCertificate, tls_certificate

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from localcrm.store.store import Store
    from localcrm.ui.program import Program

PREFERRED_PORT = 8461
#: What the administrator switched on: every address of this computer, of either kind.
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
#: How often addresses and certificate are looked at again, and a port that was taken tried anew.
LOOK_SECONDS = 60.0
FAREWELL_SECONDS = 0.1
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
log = logging.getLogger(__name__)


class Lan:
    """What listens on the network, if anything does. All methods belong to the event loop."""

    def __init__(self, program: Program) -> None:
        self.program = program
        #: Set by --host: listen on this address whatever the setting says, and say so.
        self.host: str | None = None
        self.app: ASGIApp | None = None
        self.announce: Callable[[Lan], None] = lambda _lan: None
        self.names: tuple[str, ...] = ()
        self.port = 0
        self.certificate: TlsCertificate | None = None
        #: Why it does not listen although it should.
        self.problem: AppError | None = None
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._looked = 0.0
        self._settling = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether colleagues can come in now."""
        return self._server is not None

    @property
    def hosts(self) -> frozenset[str]:
        """What a browser may name as the host; nothing while it is closed."""
        return frozenset(f"{url_host(name)}:{self.port}" for name in self.names) if self.is_open else frozenset()

    @property
    def addresses(self) -> list[str]:
        """Where the screens are, the surest first."""
        return [f"https://{url_host(name)}:{self.port}/" for name in self.names] if self.is_open else []

    async def settle(self) -> None:
        """Bring what listens in line with the setting."""
        store = self.program.store
        if store is None or self.app is None:
            return
        async with self._settling:
            if self._task is not None and self._task.done():  # ended by itself: begin anew
                self._server = self._task = None
            wanted = self.host is not None or await asyncio.to_thread(lan_is_on, store)
            if not wanted:
                await self._close()
                self.problem = None
            elif time.monotonic() - self._looked > LOOK_SECONDS or not (self.is_open or self.problem):
                self._looked = time.monotonic()
                try:
                    await self._renew(store)
                    if not self.is_open:
                        await self._open(store)
                    self.problem = None
                except AppError as error:
                    log.warning("the network is not served: %s", error.code)
                    self.problem = error

    async def close(self) -> None:
        """Stop listening: the program ends."""
        async with self._settling:
            await self._close()

    async def _renew(self, store: Store) -> None:
        """Today's names, and a certificate that lists them."""
        self.names = await asyncio.to_thread(own_names, self.host)
        if not self.names:
            raise Refused("no_network", N_("This computer is on no network at the moment."))
        try:
            certificate = await asyncio.to_thread(tls_certificate, store.folder, store.key, self.names, now=now_utc())
        except OSError as error:
            raise StoreError("no_certificate", N_("The certificate for the network cannot be written into the folder “keys”.")) from error
        if certificate != self.certificate and self._server is not None:
            context = self._server.config.ssl
            assert context is not None
            context.load_cert_chain(certificate.file, certificate.key_file, certificate.key_password)  # new connections get it
        self.certificate = certificate

    async def _open(self, store: Store) -> None:
        import uvicorn

        from localcrm.ui.server import listen

        class Beside(uvicorn.Server):
            """Signals belong to the server on loopback."""

            @contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                try:
                    await super().startup(sockets)
                finally:
                    begun.set()

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                for connection in list(self.server_state.connections):
                    connection.shutdown()
                await asyncio.sleep(FAREWELL_SECONDS)
                for connection in list(self.server_state.connections):
                    connection.transport.abort()  # who is switched off need not agree to it
                await asyncio.sleep(FAREWELL_SECONDS)
                await super().shutdown(sockets)

        begun = asyncio.Event()
        assert self.certificate is not None
        assert self.app is not None
        known = await asyncio.to_thread(lan_port, store)
        first, *others = EVERYWHERE if self.host in {None, "::"} else (self.host or "",)
        listening = [listen(first, known or PREFERRED_PORT, PREFERRED_PORT, 0)]
        self.port = int(listening[0].getsockname()[1])
        for other in others:
            with suppress(AppError):  # a computer without IPv6, or another program has the port there
                listening.append(listen(other, self.port))
        if self.port != known:
            await asyncio.to_thread(remember_lan_port, store, self.port)
        config = uvicorn.Config(
            self.app,
            log_config=None,
            ws="wsproto",
            lifespan="off",
            timeout_graceful_shutdown=1,
            proxy_headers=False,
            server_header=False,
            ssl_certfile=self.certificate.file,
            ssl_keyfile=self.certificate.key_file,
            ssl_keyfile_password=self.certificate.key_password,
        )
        self._server = Beside(config)
        self._task = asyncio.create_task(self._server.serve(sockets=listening), name="local network")
        await begun.wait()
        self.announce(self)

    async def _close(self) -> None:
        server, task = self._server, self._task
        if server is None or task is None:
            return
        self._server = self._task = None
        for listener in server.servers:
            listener.close()  # at once; the rest of the shutdown takes a moment
        server.should_exit = True
        await task


def own_names(host: str | None = None) -> tuple[str, ...]:
    """Addresses of this computer on its networks, IPv4 first, then its names; only ``host`` itself where one is given."""
    if host is not None and host not in EVERYWHERE:
        return (host,)
    later = [] if host == EVERYWHERE[0] else _lasting(_ipv6_addresses())
    addresses = [address for address in _ipv4_addresses() if not address.startswith(("127.", "0."))]
    name = socket.gethostname().lower()
    names = [name, f"{name}.local", socket.getfqdn().lower()]
    return tuple(
        dict.fromkeys([*addresses, *later, *(each for each in names if _NAME.fullmatch(each) and not each.startswith("localhost"))])
    )


def _ipv4_addresses() -> Sequence[str]:
    # One try for each kind of private network, one for all others.
    found = [_own_end(target) for target in ("192.168.0.1", "10.0.0.1", "172.16.0.1", "203.0.113.1")]
    return [*filter(None, found), *_resolved(socket.AF_INET)]


def _ipv6_addresses() -> Sequence[str]:
    """Without those that a system makes up anew every day: each would need a new certificate, and every browser would warn again."""
    try:
        rows = [line.split() for line in _KNOWN_TO_LINUX.read_text(encoding="ascii").splitlines()]
    except OSError:  # other systems do not say which ones last; towards a private network (fd…) they use one that does
        return [*filter(None, [_own_end("fd00::1")]), *_resolved(socket.AF_INET6)]
    return [str(IPv6Address(bytes.fromhex(row[0]))) for row in rows if not int(row[4], 16) & (_TEMPORARY | _DEPRECATED)]


#: Address, number of the network card, length of the prefix, scope, flags, name of the card; all in hex.
_KNOWN_TO_LINUX = Path("/proc/net/if_inet6")
_TEMPORARY, _DEPRECATED = 0x01, 0x20


def _lasting(addresses: Sequence[str]) -> list[str]:
    """IPv6 addresses that a browser elsewhere can open, those of private networks first."""
    found = [
        address for address in map(IPv6Address, addresses) if not (address.is_loopback or address.is_link_local or address.is_multicast)
    ]
    return [str(address) for address in sorted(found, key=lambda address: address not in _PRIVATE)]


_PRIVATE = IPv6Network("fc00::/7")


def _own_end(target: str) -> str | None:
    """The address from which this computer would speak to another one; choosing where a datagram would go from sends nothing."""
    kind = socket.AF_INET6 if ":" in target else socket.AF_INET
    with suppress(OSError), socket.socket(kind, socket.SOCK_DGRAM) as probe:
        probe.connect((target, 9))
        return plain_host(str(probe.getsockname()[0]))
    return None


def _resolved(kind: socket.AddressFamily) -> list[str]:
    with suppress(OSError):
        return [plain_host(str(info[4][0])) for info in socket.getaddrinfo(socket.gethostname(), None, kind)]
    return []
