"""The exchange over HTTP: a bundle is posted, a bundle comes back. The same signed, sealed bundles as in a file.

The transport proves nothing and need not: who speaks, that nothing was altered and that only the other side can read
it follow from the bundle. A request that is repeated or cut off does no harm.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcrm.kernel.errors import AppError, ExchangeError
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from localcrm.store.store import Store
    from localcrm.sync.identity import NodeKeys

PATH = "/sync/v1/exchange"
CONTENT_TYPE = "application/x-localcrm-exchange"
MAX_REQUEST = 96 << 20
TIMEOUT_SECONDS = 60.0


def post_bundle(url: str, request: Path, answer: Path) -> None:
    """Post one bundle and store the one that comes back; raises ExchangeError when the connection fails."""
    import httpx

    try:
        with (
            request.open("rb") as body,
            answer.open("wb") as target,
            httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client,
            client.stream("POST", url.rstrip("/") + PATH, content=body, headers={"content-type": CONTENT_TYPE}) as response,
        ):
            if response.status_code != 200:
                _refused(response)
            received = 0
            for piece in response.iter_bytes():
                received += len(piece)
                if received > MAX_REQUEST:
                    raise ExchangeError("answer_too_large", N_("The answer of head office is too large and was refused."))
                target.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ExchangeError(
            "no_connection",
            N_(
                "Head office could not be reached, or the connection broke ({reason}). What had arrived is kept; just run the exchange again."
            ),
            reason=str(error)[:120] or type(error).__name__,
        ) from error


def _refused(response: Any) -> None:
    response.read()
    try:
        told = response.json()
        code, message = str(told["code"])[:60], str(told["message"])[:500]
    except (ValueError, KeyError, TypeError):
        code, message = "office_error", f"HTTP {response.status_code}"
    raise ExchangeError(code, N_("Head office refused the exchange: {message}"), message=message)


def routes(store_and_keys: Callable[[], tuple[Store, NodeKeys]]) -> list[Any]:
    """Starlette routes with which head office answers its branches."""
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from localcrm.sync.node_sync import answer_bundle

    def refused(error: AppError) -> Response:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)

    def work(store: Store, keys: NodeKeys, request: Path, answer: Path) -> bytes:
        answer_bundle(store, keys, request, answer)
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
                body = await run_in_threadpool(work, store, keys, incoming, Path(folder) / "answer")
            except AppError as error:
                return refused(error)
        return Response(body, media_type=CONTENT_TYPE)

    return [Route(PATH, exchange, methods=["POST"])]


def serve_hub(store: Store, keys: NodeKeys, *, host: str, port: int) -> None:
    """Head office without the screens: answers its branches until it is stopped."""
    import uvicorn
    from starlette.applications import Starlette

    uvicorn.run(Starlette(routes=routes(lambda: (store, keys))), host=host, port=port, log_level="warning")
