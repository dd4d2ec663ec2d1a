"""HTTPS to a head office with a certificate of its own: pinned by what it signs, followed when the key changes, nobody else taken for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette

from localcrm.kernel.errors import AppError
from localcrm.store.tls import forget_key, served_pin, tls_certificate
from localcrm.sync import http, keyring, node_sync, pins, rotation
from localcrm.sync.identity import NodeKeys
from tests.factories import Company, HandClock, Installation


class Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        pass


@contextmanager
def serving(node: Installation, folder: Path, *, port: int = 0) -> Iterator[str]:
    """The head office by HTTPS, with the certificate that lies in a folder."""
    made = tls_certificate(folder, None, ["127.0.0.1"], now=datetime.now(UTC))
    application = Starlette(routes=http.routes(lambda: (node.store, node.keys)))
    config = uvicorn.Config(
        application, host="127.0.0.1", port=port, log_level="critical", ssl_certfile=made.file, ssl_keyfile=made.key_file, lifespan="off"
    )
    server = Quiet(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(500):
        if server.started:
            break
        time.sleep(0.01)
    try:
        yield f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def office(company: Company, hq: Installation) -> Installation:
    keyring.write_pairs(hq.folder, None, [hq.keys])
    return hq


def run(node: Installation, url: str) -> str:
    return str(node_sync.run(node.store, node.keys, url=url)["digest"])


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(AppError) as refused:
        action()
    return refused.value.code


def forward(node: Installation) -> None:
    assert isinstance(node.clock, HandClock)
    node.clock.forward(minutes=1)


def test_the_first_exchange_pins_and_a_renewed_certificate_needs_nothing(office, one, monkeypatch):
    asked: list[str] = []
    small = http.post_small
    monkeypatch.setattr(http, "post_small", lambda url, path, data: (asked.append(path), small(url, path, data))[1])
    with serving(office, office.folder) as url:
        assert run(one, url) == "equal"
        assert one.store.meta(pins.PIN) == served_pin(office.folder)
        assert run(one, url) == "equal"
    (office.folder / "keys" / "lan.crt").unlink()  # made anew with the same key
    with serving(office, office.folder) as url:
        assert run(one, url) == "equal"
    assert asked == [http.TLS_PATH]


def test_a_new_key_is_followed_because_head_office_has_signed_it(office, one, two):
    with serving(office, office.folder) as url:
        run(one, url)
    for _year in range(2):  # with its other keys too, and nobody was there
        forward(office)
        rotation.change_keys(office.store, office.keys, office.actor)
        office.keys = keyring.read_keys(office.store)
    assert served_pin(office.folder) is None
    forward(office)
    with serving(office, office.folder) as url:
        assert run(one, url) == "equal"
        assert one.store.meta(pins.PIN) == served_pin(office.folder)
        assert run(two, url) == "equal"


def test_somebody_else_at_the_address_is_not_taken_for_head_office(office, one, tmp_path, monkeypatch):
    stranger = tmp_path / "stranger"
    (stranger / "keys").mkdir(parents=True)
    with serving(office, office.folder) as url:
        old = pins.tell(office.store, office.keys)
        run(one, url)
    posted: list[str] = []
    before = one.store.meta(pins.PIN)
    # He passes on everything that head office says, but serves with a key of his own.
    with serving(office, stranger) as url:
        post = http.post_bundle
        monkeypatch.setattr(http, "post_bundle", lambda *parts, **way: (posted.append("try"), post(*parts, **way), posted.append("done")))
        forward(office)
        assert refusal(lambda: run(one, url)) == "other_certificate"
        assert "done" not in posted
    # He signs himself, alters what was signed, or repeats what was said before.
    thief = NodeKeys.generate()
    news = pins._News(office.store.node.company_id, served_pin(stranger) or b"", office.store.clock.now_ms() + 1)
    body = msgspec.msgpack.encode(news)
    fresh = msgspec.msgpack.decode(pins.tell(office.store, office.keys), type=pins._Told)
    false = [
        pins._Told(body, thief.sign(pins._message(body)), thief.public.key_id, []),
        pins._Told(body, thief.sign(pins._message(body)), office.keys.public.key_id, []),
        msgspec.structs.replace(fresh, body=body),
    ]
    with serving(office, stranger) as url:
        for told in [*map(msgspec.msgpack.encode, false), old, b"", b"\xc1" * 40]:
            monkeypatch.setattr(http, "post_small", lambda _url, _path, _data, told=told: told)
            assert refusal(lambda: run(one, url)) == "other_certificate"
    assert one.store.meta(pins.PIN) == before


def test_what_a_stick_brings_pins_too_and_an_older_one_changes_nothing(company, office, one, tmp_path):
    tls_certificate(office.folder, None, ["127.0.0.1"], now=datetime.now(UTC))
    node_sync.pack(office.store, office.keys, tmp_path / "old", for_code="BR01")
    first = served_pin(office.folder)
    forget_key(office.folder)
    tls_certificate(office.folder, None, ["127.0.0.1"], now=datetime.now(UTC))
    forward(office)
    company.down("BR01")
    assert one.store.meta(pins.PIN) == served_pin(office.folder) != first
    node_sync.unpack(one.store, one.keys, tmp_path / "old")
    assert one.store.meta(pins.PIN) == served_pin(office.folder)


def test_a_clock_of_head_office_that_was_years_ahead_locks_nobody_out(company, office, one, two):
    with serving(office, office.folder) as url:
        run(one, url)
        office.clock.forward(days=3650)
        forget_key(office.folder)
    with serving(office, office.folder) as url:  # asked for what is signed, and told in a bundle
        assert run(one, url) == "equal"
        assert run(two, url) == "equal"
        office.clock.forward(days=-3650)
        forget_key(office.folder)
        told = kept(one), kept(two)
    with serving(office, office.folder) as url:
        assert run(one, url) == "equal"
        company.down("BR02")
        assert served_pin(office.folder) == kept(one) == kept(two) != told[0] == told[1]


def kept(node: Installation) -> object:
    return node.store.meta(pins.PIN)


def test_a_bundle_with_news_brings_the_pin_of_a_head_office_that_was_put_back(company, office, one):
    """Which statement was its last is forgotten then; what the bundle tells otherwise proves that it is not an old one."""
    with serving(office, office.folder) as url:
        office.clock.forward(days=3650)
        run(one, url)
    with office.store.housekeeping() as connection:
        connection.execute("DELETE FROM meta WHERE key LIKE 'tls.%'")
    office.clock.forward(days=-3650)
    forget_key(office.folder)
    with serving(office, office.folder) as url:
        assert refusal(lambda: run(one, url)) == "other_certificate"
        office.new("customer", name="新客")
        company.down("BR01")
        assert run(one, url) == "equal"
