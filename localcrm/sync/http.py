"""The exchange over HTTP: a bundle is posted, a bundle comes back. The same signed, sealed bundles as in a file.

The transport proves nothing and need not: who speaks, that nothing was altered and that only the other side can read
it follow from the bundle. A request that is repeated or cut off does no harm.
"""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcrm.kernel.errors import AppError, ExchangeError, InvalidInput, Refused
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from starlette.requests import Request

    from localcrm.store.store import Store
    from localcrm.sync.identity import NodeKeys

PATH = "/sync/v1/exchange"
JOIN_PATH = "/sync/v1/join"
TLS_PATH = "/sync/v1/tls"
CONTENT_TYPE = "application/x-localcrm-exchange"
MAX_REQUEST = 96 << 20
#: Requests that prove themselves and need no session.
PATHS = (PATH, JOIN_PATH, TLS_PATH)
#: A request to join is a few hundred bytes.
MAX_JOIN = 64 << 10
TIMEOUT_SECONDS = 60.0


def check_url(url: str) -> str:
    """The address without what is around it, with https:// where that was not typed; raises InvalidInput(bad_address)."""
    url = url.strip().rstrip("/")
    if url and "://" not in url:
        url = f"https://{url}"
    if url and not url.startswith(("http://", "https://")):
        raise InvalidInput("bad_address", N_("An address begins with https://, for example https://hq.example.com."), field="url")
    return url


def post_bundle(url: str, request: Path, answer: Path, *, verify: ssl.SSLContext | bool = True) -> None:
    """Post one bundle and store the one that comes back; raises ExchangeError when the connection fails."""
    import httpx

    try:
        with (
            request.open("rb") as body,
            answer.open("wb") as target,
            httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, verify=verify) as client,
            client.stream("POST", url.rstrip("/") + PATH, content=body, headers={"content-type": CONTENT_TYPE}) as response,
        ):
            if response.status_code != 200:
                _refused(response)
            received = 0
            for piece in response.iter_bytes():
                received += len(piece)
                if received > MAX_REQUEST:
                    raise ExchangeError("answer_too_large", _TOO_LARGE)
                target.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ExchangeError("no_connection", _NO_CONNECTION, detail=str(error)[:120] or type(error).__name__) from error


def post_small(url: str, path: str, data: bytes) -> bytes | None:
    """Post a short message; the answer, None where head office says that it waits. Raises ExchangeError as ``post_bundle``."""
    import httpx

    try:
        with (
            httpx.Client(timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=5.0), trust_env=False, verify=False) as client,  # noqa: S501 -- what is said proves itself
            client.stream("POST", url.rstrip("/") + path, content=data, headers={"content-type": CONTENT_TYPE}) as response,
        ):
            if response.status_code == 202:
                return None
            if response.status_code != 200:
                _refused(response)
            received = bytearray()
            for piece in response.iter_bytes():
                received += piece
                if len(received) > MAX_REQUEST:
                    raise ExchangeError("answer_too_large", _TOO_LARGE)
            return bytes(received)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ExchangeError("no_connection", _NO_CONNECTION, detail=str(error)[:120] or type(error).__name__) from error


_TOO_LARGE = N_("The answer of head office is too large and was refused.")
_NO_CONNECTION = N_("Head office could not be reached, or the connection broke. What had arrived is kept; just run the exchange again.")


def _refused(response: Any) -> None:
    response.read()
    try:
        told = response.json()
        code, message = str(told["code"])[:60], str(told["message"])[:500]
    except (ValueError, KeyError, TypeError):
        code, message = "office_error", f"HTTP {response.status_code}"
    raise ExchangeError(code, N_("Head office refused the exchange: {message}"), message=message)


#: What keys that are not known here are told; a branch with known ones never is, so the brake of strangers does not touch it.
_OF_STRANGERS = {"bundle_unknown_sender", "bad_succession", "keys_wait", "keys_place_taken"}


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def routes(store_and_keys: Callable[[], tuple[Store, NodeKeys]]) -> list[Any]:
    """Starlette routes with which head office answers its branches."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from localcrm.sync.node_sync import answer_bundle

    def refused(error: AppError) -> Response:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)

    strangers = Guesses()

    def work(store: Store, keys: NodeKeys, request: Path, answer: Path, address: str) -> bytes:
        try:
            answer_bundle(store, keys, request, answer, require_calm=lambda: strangers.require_calm(address))
        except ExchangeError as error:
            if error.code in _OF_STRANGERS:
                strangers.note(address)
            raise
        return answer.read_bytes()

    async def exchange(request: Request) -> Response:
        try:
            store, keys = store_and_keys()
        except AppError as error:  # a program that is not set up yet
            return refused(error)
        with tempfile.TemporaryDirectory(dir=store.folder) as folder:
            incoming = Path(folder) / "request"
            size = 0
            with incoming.open("wb") as file:
                async for piece in request.stream():
                    size += len(piece)
                    if size > MAX_REQUEST:
                        return JSONResponse({"code": "too_large", "message": "too large"}, status_code=413)
                    file.write(piece)
            try:
                body = await run_in_threadpool(work, store, keys, incoming, Path(folder) / "answer", _address(request))
            except AppError as error:
                return refused(error)
        return Response(body, media_type=CONTENT_TYPE)

    guesses = Guesses()

    def look(store: Store, keys: NodeKeys, data: bytes, address: str) -> bytes | None:
        from localcrm.sync import joining

        guesses.require_calm(address)
        try:
            return joining.answer(store, keys, data)
        except ExchangeError:
            guesses.note(address)
            raise

    async def join(request: Request) -> Response:
        data, address = bytearray(), _address(request)
        async for piece in request.stream():
            data += piece
            if len(data) > MAX_JOIN:
                return JSONResponse({"code": "too_large", "message": "too large"}, status_code=413)
        try:
            store, keys = store_and_keys()
            answer = await run_in_threadpool(look, store, keys, bytes(data), address)
        except AppError as error:
            return refused(error)
        return Response(status_code=202) if answer is None else Response(answer, media_type=CONTENT_TYPE)

    async def tls(_request: Request) -> Response:
        from localcrm.sync import pins

        try:
            return Response(await run_in_threadpool(lambda: pins.tell(*store_and_keys())), media_type=CONTENT_TYPE)
        except AppError as error:
            return refused(error)

    return [Route(PATH, exchange, methods=["POST"]), Route(JOIN_PATH, join, methods=["POST"]), Route(TLS_PATH, tls, methods=["POST"])]


class Guesses:
    """Brakes who asks for invites that are not there, or speaks with keys that nobody knows: WRONG from one address, or WRONG_IN_ALL from everywhere, in WINDOW_SECONDS."""

    WRONG, WRONG_IN_ALL, WINDOW_SECONDS = 20, 500, 600.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: deque[tuple[float, str]] = deque(maxlen=self.WRONG_IN_ALL)
        self._lock = threading.Lock()

    def note(self, address: str) -> None:
        """One was wrong."""
        with self._lock:
            self._wrong.append((self._clock(), address))

    def require_calm(self, address: str) -> None:
        """Raises Refused(too_many_tries) while the brake is on."""
        with self._lock:
            while self._wrong and self._wrong[0][0] < self._clock() - self.WINDOW_SECONDS:
                self._wrong.popleft()
            is_hot = len(self._wrong) >= self.WRONG_IN_ALL or sum(known == address for _at, known in self._wrong) >= self.WRONG
        if is_hot:
            raise Refused("too_many_tries", N_("Too many wrong requests have come. Try again in ten minutes."))


def serve_hub(store: Store, keys: NodeKeys, *, host: str, port: int) -> None:
    """Head office without the screens: answers its branches until it is stopped."""
    import uvicorn
    from starlette.applications import Starlette

    uvicorn.run(Starlette(routes=routes(lambda: (store, keys))), host=host, port=port, log_level="warning")
