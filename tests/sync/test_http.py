"""The exchange over a line that breaks: at sixty places in the request and sixty in the answer, and always at the worst one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest
import uvicorn
from starlette.applications import Starlette

import localcrm
from localcrm.kernel.errors import ExchangeError
from localcrm.store import check
from localcrm.store.migrate import SCHEMA_VERSION
from localcrm.sync import node_sync
from localcrm.sync.http import PATH, routes
from tests import factories
from tests.factories import Company, Installation

POINTS = 60
NUMBERS = count(1)


class Line:
    """A proxy on a port of its own that passes a number of bytes each way and then hangs up."""

    def __init__(self, office_port: int) -> None:
        self._office_port = office_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.limits: tuple[int | None, int | None] = (None, None)
        self.passed = [0, 0]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                branch, _address = self._server.accept()
            except OSError:
                return
            office = socket.create_connection(("127.0.0.1", self._office_port))
            self._ends += [branch, office]
            for source, target, way in ((branch, office, 0), (office, branch, 1)):
                threading.Thread(target=self._pass, args=(source, target, way), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, way: int) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                limit = self.limits[way]
                if limit is not None and self.passed[way] + len(data) > limit:
                    target.sendall(data[: limit - self.passed[way]])
                    self.hang_up()
                    return
                self.passed[way] += len(data)
                target.sendall(data)

    def hang_up(self) -> None:
        """Both ends hear that the line is dead."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def cut_after(self, request: int | None = None, answer: int | None = None) -> None:
        """From now on count anew, and hang up after so many bytes."""
        self.hang_up()
        self.limits, self.passed = (request, answer), [0, 0]

    def close(self) -> None:
        """Stop listening."""
        self.hang_up()
        self._server.close()


@contextmanager
def head_office(node: Installation) -> Iterator[int]:
    """A running hub; yields its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=routes(lambda: (node.store, node.keys))), log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Company, Line]]:
    with factories.company(branches=1) as company, head_office(company.hq) as port:
        line = Line(port)
        yield company, line
        line.close()


def work(company: Company) -> tuple[str, str]:
    """Something new at both sides: a customer with an order posted here, and one typed at head office."""
    branch, hq, number = company.branches["BR01"], company.hq, next(NUMBERS)
    mine = branch.new("customer", name=f"分店客户{number}")
    order = branch.order(mine, branch.new("product", code=f"P{number}", name="布", price="9"))
    if not branch.value("SELECT count(*) FROM warehouse"):
        branch.new("warehouse", code="W", name="仓")
        branch.set("sales_order", order, warehouse_id=branch.value("SELECT id FROM warehouse").hex())
    branch.run("sales.post_order", order_id=order)
    return mine, hq.new("customer", name=f"总部客户{number}")


def run(company: Company, line: Line) -> dict[str, object]:
    branch = company.branches["BR01"]
    return node_sync.run(branch.store, branch.keys, url=line.url)


def settled(company: Company) -> None:
    """Both hold the same, every customer once, every order once, nothing waiting."""
    assert len(company.digests) == 1
    for node in company.nodes:
        assert node.value("SELECT count(*) FROM customer") == node.value("SELECT count(DISTINCT name) FROM customer")
        assert node.value("SELECT count(*) FROM sales_order") == node.value("SELECT count(*) FROM stock_move")
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0
    assert node_sync.status(company.branches["BR01"].store)["waiting"] == 0


def measure(company: Company, line: Line) -> list[int]:
    """Bytes of a whole exchange in each direction."""
    line.cut_after()
    work(company)
    run(company, line)
    settled(company)
    return list(line.passed)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["request", "answer"])
def test_wherever_the_line_breaks_the_next_run_finishes_and_nothing_is_there_twice(world, way):
    company, line = world
    total = measure(company, line)[("request", "answer").index(way)]
    broken = 0
    for point in range(POINTS):
        mine, theirs = work(company)
        line.cut_after(**{way: point * total // POINTS})
        with suppress(ExchangeError):
            run(company, line)
            broken -= 1
        broken += 1
        line.cut_after()
        done = run(company, line)
        assert done["quarantined"] == 0
        assert company.hq.get("customer", mine)["id"] == mine
        assert company.branches["BR01"].get("customer", theirs)["id"] == theirs
        assert node_sync.status(company.branches["BR01"].store)["waiting"] == 0
    settled(company)
    assert broken > POINTS * 0.9
    assert [check.check(node.store)["problems"] for node in company.nodes] == [[], []]


def test_an_answer_lost_after_head_office_committed_makes_nothing_twice(world):
    company, line = world
    mine, _theirs = work(company)
    line.cut_after(answer=0)
    with pytest.raises(ExchangeError) as refused:
        run(company, line)
    assert refused.value.code == "no_connection"
    assert company.hq.get("customer", mine)["id"] == mine, "head office has it already"
    line.cut_after()
    run(company, line)
    settled(company)


def test_a_quiet_run_reports_nothing(world):
    company, line = world
    line.cut_after()
    run(company, line)
    done = run(company, line)
    assert {name: done[name] for name in ("sent", "received", "applied", "duplicate", "conflicts", "quarantined", "digest")} == {
        "sent": 0,
        "received": 0,
        "applied": 0,
        "duplicate": 0,
        "conflicts": 0,
        "quarantined": 0,
        "digest": "equal",
    }


def test_head_office_knows_how_a_branch_stands(world):
    company, line = world
    line.cut_after()
    run(company, line)
    branch = node_sync.status(company.hq.store)["branches"][0]
    assert (branch["by_file"], branch["program"], branch["schema_ver"]) == (False, localcrm.__version__, SCHEMA_VERSION)
    assert abs(branch["clock_ms"]) < 60_000
    assert branch["fingerprint"] == company.branches["BR01"].keys.public.fingerprint


def test_head_office_that_is_not_there_is_named(world):
    company, _line = world
    branch = company.branches["BR01"]
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://", "ftp://example", "http://[::"):
        with pytest.raises(ExchangeError) as refused:
            node_sync.run(branch.store, branch.keys, url=url)
        assert refused.value.code == "no_connection"


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error", "302 Found", "200 OK\r\nContent-Length: 99999"])
def test_something_else_that_answers_is_refused(world, status):
    company, _line = world
    branch = company.branches["BR01"]
    before = branch.digest
    with stranger(f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n<html>hello</html>".encode()) as url, pytest.raises(ExchangeError):
        node_sync.run(branch.store, branch.keys, url=url)
    assert branch.digest == before


@contextmanager
def stranger(answer: bytes) -> Iterator[str]:
    """A server that is no head office."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection, _address = server.accept()
            with connection:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += connection.recv(65536)
                head, _blank, body = asked.partition(b"\r\n\r\n")
                length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split(b":")[1])
                while len(body) < length:
                    body += connection.recv(65536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.close()


@pytest.mark.parametrize("body", [b"", b"hello", b"BSB1" + b"\xff" * 64])
def test_head_office_answers_nonsense_with_a_code(world, body):
    import httpx

    company, line = world
    line.cut_after()
    before = company.hq.digest
    answer = httpx.post(line.url + PATH, content=body, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["code"]
    assert company.hq.digest == before


def test_two_runs_of_one_branch_at_once_make_nothing_twice(world):
    company, line = world
    line.cut_after()
    for _n in range(5):
        work(company)
    faults: list[Exception] = []

    def guarded(action: Callable[[], object]) -> None:
        try:
            action()
        except ExchangeError as error:
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(lambda: run(company, line),)) for _n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {getattr(error, "code", "") for error in faults} <= {"gap"}
    run(company, line)
    settled(company)
