"""Kinds that are not asked have no hits, and when records last changed is known however old the log is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.kernel.schema import entities, entity
from localcrm.store import changelog, past, search
from localcrm.store.blobs import file_fields
from localcrm.store.kinds import has_more, kinds_with_hits
from localcrm.store.store import Store
from localcrm.store.touched import changed_since
from localcrm.store.view import View
from tests.factories import Company, copy_company


@pytest.mark.parametrize("text", ["华美", "hm", "huamei", "4321", "13900004321", "P-1", "h", "华美 21", "没有", "·"])
def test_the_kinds_that_have_hits_are_those_that_answer(store: Store, new: Callable[..., Any], text: str) -> None:
    mill = new("customer", name="华美纺织", phone="13900004321")["id"]
    new("contact", customer_id=mill, name="华小美", phone="0571-00004321")
    new("product", code="P-1", name="华美布")
    new("user", login="hm", name="胡敏")
    with store.read() as connection:
        answering = kinds_with_hits(connection, text)
        for kind in entities():
            hits = search.find(connection, text, among=[View(kind)], limit=99)
            assert not hits or kind.no in answering, kind.key
            assert bool(hits) <= has_more(connection, kind, text, 0)
    assert answering <= {kind.no for kind in entities()}


def test_when_something_changed_is_known_from_the_log_and_from_its_past(tmp_path: Any) -> None:
    company: Company = copy_company(tmp_path)
    hq, customer = company.hq, entity("customer")
    began = hq.clock.now_ms()
    old, young = hq.new("customer", name="老客户"), hq.new("customer", name="新客户")
    hq.clock.forward(days=3)
    hq.set("customer", young, phone="1")
    since = hq.clock.now_ms() - 86_400_000
    with hq.store.read() as connection:
        assert changed_since(connection, customer, [old, young], since) == {young}
        assert changed_since(connection, customer, [old, young], began) == {old, young}
        assert changed_since(connection, customer, [old, young], hq.clock.now_ms() + 1) == set()
        newest = changelog.head(connection)
    with hq.store.housekeeping() as connection:
        while past.compact(connection, newest - 1):
            pass
    hq.clock.forward(days=40)
    hq.set("customer", old, phone="2")
    with hq.store.read() as connection:
        assert connection.value("SELECT count(*) FROM sync_past_row WHERE pk = ?", (bytes.fromhex(young),)) == 1
        assert changed_since(connection, customer, [old, young], began) == {old, young}
        assert changed_since(connection, customer, [old, young], hq.clock.now_ms() - 86_400_000) == {old}
    company.close()


def test_every_declared_field_of_files_has_the_index_that_its_names_are_read_from() -> None:
    without = [f"{kind.key}.{field.key}" for kind in entities() for field in file_fields(kind) if not field.custom and not field.f.index]
    assert without == []
