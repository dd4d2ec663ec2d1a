"""A quote on the form of orders: the same rows and amounts, what became of it, and how fresh its prices are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcrm.kernel.errors import Refused
from localcrm.ui import order_form
from localcrm.ui.order_form import quoted
from localcrm.ui.sessions import Session
from tests.factories import copy_company
from tests.ui.conftest import Office
from tests.ui.test_order_entry import body, in_english, only, session, shop

__all__ = ["body", "in_english", "session", "shop"]


@pytest.fixture
def form(body: dict[str, Any]) -> dict[str, Any]:
    header = {"customer_id": body["header"]["customer_id"], "title": "Cloth", "valid_until": "2030-01-31", "tax_included": True}
    return {"paper": "quote", "header": header, "tax_included": True, "lines": body["lines"]}


def saved(session: Session, form: dict[str, Any]) -> dict[str, Any]:
    return order_form.save(session, form)


def changed(shop: Office, entity: str, identity: str, **values: str) -> None:
    shop.run("records.update_record", entity=entity, id=identity, values=values)


def test_rows_of_a_quote_come_to_what_rows_of_an_order_come_to(session: Session, form: dict[str, Any], body: dict[str, Any]):
    quote, order = saved(session, form), order_form.save(session, body)
    assert quote["totals"] == order["totals"] == order_form.preview(session, form)["totals"]
    assert [line["gross"] for line in quote["lines"]] == [line["gross"] for line in order["lines"]]
    assert (quote["header"]["title"], quote["header"]["valid_until"], quote["state"]["label"]) == ("Cloth", "2030-01-31", "Draft")
    assert quote["number"].startswith("QT-")
    again = form | {"id": quote["id"], "version": quote["version"], "header": {**form["header"], "title": "Wool"}}
    assert order_form.compare(session, again)["rows"][0] == {"label": "Quoted for", "yours": "Wool", "theirs": "Cloth"}


def test_a_row_says_that_its_product_costs_something_else_now(session: Session, shop: Office, form: dict[str, Any]):
    quote = saved(session, form)
    assert [line.get("mark") for line in quote["lines"]] == [None, None]
    changed(shop, "product", only(shop, "product", code="XF75-03"), price="10.20")
    lines = order_form.load_sheet(session, quote["id"], order_form.QUOTES)["lines"]
    assert [line.get("mark") for line in lines] == ["List price was 9.80, is now 10.20", None]


def test_what_can_be_done_with_a_quote_follows_its_state(session: Session, shop: Office, form: dict[str, Any]):
    quote = saved(session, form)
    deeds = {}
    for state in ("draft", "sent", "accepted"):
        changed(shop, "quote", quote["id"], status=state)
        sheet = order_form.load_sheet(session, quote["id"], order_form.QUOTES)
        deeds[state] = [deed["id"] for deed in sheet["deeds"]]
        assert sheet["editable"] == (state == "draft")
    assert deeds == {
        "draft": ["edit", "version", "sent", "accepted"],
        "sent": ["edit", "version", "turned-down", "accepted"],
        "accepted": ["edit", "order"],
    }
    with pytest.raises(Refused):
        saved(session, form | {"id": quote["id"], "version": sheet["version"]})


def test_a_quote_begins_with_a_product_in_use_or_with_its_consumable(session: Session, shop: Office):
    mill, needles, machine = only(shop, "customer"), *(only(shop, "product", code=code) for code in ("XF75-07", "XF75-03"))
    changed(shop, "product", machine, consumable_id=needles)
    boss = shop.new("contact", customer_id=mill, name="周总", is_main=True)["id"]
    piece = shop.new("installed_product", customer_id=mill, product_id=machine, serial="S1", quantity="2")["id"]
    found = []
    for consumable in (None, "1"):
        sheet = order_form.new_sheet(session, order_form.QUOTES, piece=piece, consumable=consumable)
        (line,) = sheet["lines"]
        assert (sheet["header"]["contact_id"], sheet["titles"]["contact_id"]) == (boss, "周总")
        found.append((sheet["header"]["customer_id"], sheet["header"]["title"], line["product_id"], line["quantity"], line["gross"]))
    assert found == [(mill, "雪纺 75D 藏青 S1", machine, "2", "19.60"), (mill, "雪纺 75D 藏青 S1", needles, "1", "10.00")]
    changed(shop, "product", machine, consumable_id="")
    assert order_form.new_sheet(session, order_form.QUOTES, piece=piece, consumable="1")["lines"] == []


def test_a_branch_that_has_not_exchanged_lately_says_from_when_its_prices_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    company = copy_company(tmp_path, branches=1)
    branch = company.branches["BR01"]
    company.exchange()
    try:
        last = datetime.fromtimestamp(branch.value("SELECT max(last_ok) FROM sync_peer") / 1000, UTC)
        told = []
        for hours in (1, 23, 25):
            monkeypatch.setattr(quoted, "now_utc", lambda hours=hours: last + timedelta(hours=hours))
            with branch.store.read() as connection:
                told.append(quoted.fresh_as_of(connection, branch.store.node))
                assert quoted.fresh_as_of(connection, company.hq.store.node) is None
        assert told == [None, None, last]
    finally:
        company.close()
