"""The running program: one per data folder, on loopback, from the first request to a clean stop.

``DIR/server.json`` says where the running one is; an OS lock on ``DIR/server.lock`` says that it runs. A second start opens
the address of the first and ends.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import logging
import os
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from localcrm.kernel.errors import AppError, StoreError
from localcrm.kernel.hosts import is_ipv6, plain_host, url_host
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.files import write_file_atomically
from localcrm.store.store import Store

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from localcrm.sync.identity import NodeKeys
    from localcrm.ui.lan import Lan
    from localcrm.ui.program import Arrive, CreateBranch, CreateFolder, Program, UnlockFolder

PREFERRED_PORT = 8460
NOTICE_SECONDS = 1.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
log = logging.getLogger(__name__)

#: Starts what runs beside the screens for an open store; returns what stops it.
StartJobs = Callable[[Store], Callable[[], None]]


def run_server(
    folder: Path,
    *,
    store: Store | None,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = True,
    create_folder: CreateFolder | None = None,
    create_branch: CreateBranch | None = None,
    arrive: Arrive | None = None,
    unlock_folder: UnlockFolder | None = None,
    extra_routes: Sequence[BaseRoute] = (),
    start_jobs: StartJobs | None = None,
    keys: Callable[[], NodeKeys] | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Serve the screens of a folder until told to stop; returns the exit code.

    ``store`` None: the folder is not set up, the first page asks for what ``create_folder`` or ``create_branch`` needs; with ``unlock_folder`` it is
    protected, and the first page asks for the passphrase. Without ``port`` the preferred one is taken, or any free one. Any other
    ``host`` than loopback is served beside it, over HTTPS only, once the folder is open.
    """
    host = plain_host(host)
    network = None if host in LOOPBACK else host
    if network is not None:
        listen(network, 0).close()  # before anything else: an address that is not ours is refused
    prepare_folder(folder)
    with _Lock(folder) as lock:
        if not lock.held:
            return _open_other(folder, open_browser=open_browser, say=say)
        listening = listen("127.0.0.1" if network else host, *([port] if port is not None else [PREFERRED_PORT, 0]))
        number = int(listening.getsockname()[1])
        program = new_program(folder, port=number, store=store, create_folder=create_folder, unlock_folder=unlock_folder)
        program.host = host if host == "::1" else "127.0.0.1"
        program.keys, program.create_branch, program.arrive = keys, create_branch, arrive
        address = first_address(program)
        program.when_open(lambda _store: _write_state(folder, program))
        _write_state(folder, program)
        app = build_app(program, extra_routes=extra_routes, start_jobs=start_jobs)
        program.lan.app, program.lan.host = app, network
        if network is not None:
            program.lan.announce = lambda lan: _announce(lan, say)
        _serve(app, program, listening, lambda: _started(address, open_browser, say))
        with suppress(FileNotFoundError):
            (folder / "server.json").unlink()
    return 0


def prepare_folder(folder: Path) -> None:
    """Make the folder, for its owner only, and keep the framework's own files inside it; before the framework is imported."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError("cannot_open", N_("The data file cannot be opened. Check that the folder exists and may be written.")) from error
    os.environ["NICEGUI_STORAGE_PATH"] = str(folder / "ui")


def new_program(
    folder: Path, *, port: int, store: Store | None, create_folder: CreateFolder | None = None, unlock_folder: UnlockFolder | None = None
) -> Program:
    """The shared state of one running program."""
    from localcrm.ui.program import Program

    program = Program(folder, port, create_folder=create_folder, unlock_folder=unlock_folder)
    if store is not None:
        program.adopt(store)
    else:
        program.entry_token = secrets.token_urlsafe(24)
    return program


def first_address(program: Program) -> str:
    """What the browser opens first; while nobody can sign in it carries the one-time token."""
    base = f"http://{url_host(program.host)}:{program.port}"
    return f"{base}{program.entry_path}?token={program.entry_token}" if program.entry_token else f"{base}/"


def build_app(program: Program, *, extra_routes: Iterable[BaseRoute] = (), start_jobs: StartJobs | None = None) -> ASGIApp:
    """The whole application behind its guard; once per process, because the framework is one per process."""
    from fastapi import FastAPI
    from nicegui import app as framework, ui

    from localcrm.ui import pages
    from localcrm.ui.guard import Guard

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with running(program, start_jobs):
            yield

    parent = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    parent.router.routes.extend([*extra_routes, *pages.plain_routes(program)])
    pages.mount_screens()
    framework.on_exception(lambda error: log.error("a screen failed", exc_info=error))
    ui.run_with(
        parent,
        title="localcrm",
        language="zh-CN",
        tailwind=False,
        reconnect_timeout=30,
        binding_refresh_interval=None,
        show_welcome_message=False,
        storage_secret=None,
    )
    return Guard(parent, program, program.sessions, cookie=cookie_name(program))


@asynccontextmanager
async def running(program: Program, start_jobs: StartJobs | None) -> AsyncIterator[None]:
    """What lives as long as the program: watching for other programs on the file, and the scheduled jobs."""
    program.loop = asyncio.get_running_loop()
    stops: list[Callable[[], None]] = []
    if start_jobs is not None:
        program.when_open(lambda store: stops.append(start_jobs(store)))
    watching = [asyncio.create_task(_watch(program, look)) for look in (_look_at_file, _look_at_network)]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await program.lan.close()
        for stop in stops:
            await asyncio.to_thread(stop)


async def _look_at_file(program: Program) -> None:
    assert program.store is not None
    await asyncio.to_thread(program.store.notice_other_programs)
    await program.sessions.lock_idle()


async def _look_at_network(program: Program) -> None:
    """Apart from the other: a network whose names answer slowly must not keep a screen from locking."""
    await program.lan.settle()


async def _watch(program: Program, look: Callable[[Program], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(NOTICE_SECONDS)
        if program.store is not None:
            try:
                await look(program)
            except AppError as error:
                log.warning("the data file could not be looked at: %s", error.code)


def cookie_name(program: Program) -> str:
    """Cookies ignore ports, so the name must tell two programs on one machine apart."""
    return "localcrm_" + hashlib.sha256(f"{program.folder.resolve()}:{program.port}".encode()).hexdigest()[:12]


def _serve(app: ASGIApp, program: Program, listening: socket.socket, started: Callable[[], None]) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            program.stopping = True
            await super().shutdown(sockets)

    # The server raises the signal again after its clean stop; without a handler of ours that would end us before our own cleaning up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        app, log_config=None, ws="wsproto", lifespan="on", timeout_graceful_shutdown=3, proxy_headers=False, server_header=False
    )
    Server(config).run(sockets=[listening])


def _started(address: str, open_browser: bool, say: Callable[[str], None]) -> None:
    say(_("localcrm is running at {address}").format(address=address))
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


# one per folder ----------------------------------------------------------------------------------------------------


def _announce(lan: Lan, say: Callable[[str], None]) -> None:
    assert lan.certificate is not None
    say(_("On this network: {addresses}").format(addresses=" ".join(lan.addresses)))
    say(_("Fingerprint of the certificate (SHA-256): {fingerprint}").format(fingerprint=lan.certificate.fingerprint))


def listen(host: str, *ports: int) -> socket.socket:
    """A listening socket on the first of these ports that is free; 0 is any. Raises StoreError(not_our_address, port_taken)."""
    for wish in ports:
        try:
            found = _listen(host, wish)
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} or isinstance(error, socket.gaierror):
                raise StoreError("not_our_address", N_("“{host}” is no address of this computer."), host=host[:60]) from error
        else:
            found.listen(128)
            return found
    raise StoreError("port_taken", N_("Port {port} is in use by another program. Choose another one with --port."), port=ports[0])


def _listen(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if is_ipv6(host) else socket.AF_INET)
    try:
        if os.name == "posix":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_ipv6(host):
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found


def _write_state(folder: Path, program: Program) -> None:
    state = {"pid": os.getpid(), "port": program.port, "token": program.entry_token or "", "address": first_address(program)}
    write_file_atomically(folder / "server.json", json.dumps(state).encode(), private=True)


def _open_other(folder: Path, *, open_browser: bool, say: Callable[[str], None]) -> int:
    try:
        address = json.loads((folder / "server.json").read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError):
        raise StoreError("busy_folder", N_("Another program is just starting or stopping on this folder. Try again in a moment.")) from None
    say(_("localcrm is already running at {address}").format(address=address))
    if open_browser:
        webbrowser.open(address)
    return 0


class _Lock:
    """An exclusive lock that the system releases when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "server.lock"
        self.held = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("a+b")
        except OSError as error:
            raise StoreError(
                "cannot_open", N_("The data file cannot be opened. Check that the folder exists and may be written.")
            ) from error
        with suppress(OSError):
            _lock_file(self._file)
            self.held = True
        return self

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        self._file.close()


def _lock_file(file: IO[bytes]) -> None:
    """Raises OSError when somebody else holds it."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
