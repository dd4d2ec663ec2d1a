"""The program's routes on a free port, for benches that ask over HTTP and need no pages."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from localcrm.domain.policy import Actor
    from localcrm.store.store import Store

#: Asks a path of the server, with a body where it is a POST; the answer, or RuntimeError with what was refused.
Ask = Callable[..., Any]


@contextmanager
def serving(store: Store, actor: Actor, routes: Sequence[BaseRoute]) -> Iterator[Ask]:
    """Serve routes to a signed-in actor; gives a function that asks them over one connection."""
    import uvicorn
    from starlette.applications import Starlette

    inner = Starlette(routes=list(routes))
    session = SimpleNamespace(
        store=store,
        actor=actor,
        user_id=actor.user_id,
        looking_as=None,
        may=lambda permission: policy.may(actor, permission),
        setting=lambda _key, default="": default,
    )

    async def signed_in(scope: Any, receive: Any, send: Any) -> None:
        scope["localcrm.session"] = session
        await inner(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(signed_in, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    connection = http.client.HTTPConnection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])

    def ask(path: str, body: Any = None) -> Any:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "X-Localcrm": "1"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status >= 400:
            raise RuntimeError(f"{path}: {answer}")
        return answer

    try:
        yield ask
    finally:
        connection.close()
        server.should_exit = True
        thread.join(10)
