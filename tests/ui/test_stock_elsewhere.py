"""The stock page of a branch that holds only its own movements: what others have stands beside, with the day it is of."""

from __future__ import annotations

from nicegui import Client, ui

from localcrm.domain.stock.entities import BranchStock
from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import entity
from localcrm.ui.pages import load_screens
from localcrm.ui.screens.stock import StockPage
from tests.ui.conftest import Office

TOLD = BranchStock.entity_type


async def test_what_other_branches_have_is_a_column_of_its_own(office: Office) -> None:
    load_screens()
    product = office.new("product", code="A", name="雪纺", price="10")["id"]
    other = office.new("product", code="B", name="坯布", price="10")["id"]
    with office.store.unit_of_work(None) as uow:
        own, branch = uow.where(entity("branch"))[0]["id"], entity("branch")
        uow.update(branch, own, {"holds": "own"})
        there = uow.insert(branch, branch.validate({"code": "BR01", "name": "绍兴", "node_no": 2}))
    here, away = (office.new("warehouse", code=code, name=code, branch_id=of)["id"] for code, of in (("W1", own), ("W2", there)))
    office.new("stock_move", product_id=product, warehouse_id=here, quantity="3", type="adjust")
    office.new("stock_move", product_id=other, warehouse_id=here, quantity="1", type="adjust")
    with office.store.unit_of_work(None) as uow:
        values = {"product_id": product, "warehouse_id": away, "quantity": "1234.5", "branch": "BR01", "as_of": "2026-11-20"}
        uow.insert(TOLD, TOLD.validate(values))
    session = office.program.sessions.resolve(office.token("admin"))
    assert session is not None
    with Client(ui.page("/somewhere"), request=None) as client, use_language("en"):
        page = StockPage(session)
        await page.build()
        houses, shelves, _total = page._read()
        assert [house["code"] for house in houses] == ["W1"]
        assert [(shelf.product["code"], f"{shelf.total.normalize():f}", f"{shelf.others.normalize():f}") for shelf in shelves] == [
            ("A", "3", "1234.5"),
            ("B", "1", "0"),
        ]
        texts = [element.text for element in client.elements.values() if isinstance(element, ui.label | ui.button)]
        assert {"Other branches", "1,234.5"} <= set(texts)
        assert page.names == {away: "W2"}
    client.delete()
