"""Data for lists, pickers and the palette: what a browser sends, what it gets."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from openpyxl import load_workbook
from starlette.applications import Starlette

from localcrm.domain import conditions, verbs
from localcrm.kernel.schema import entity
from localcrm.ui import endpoints
from localcrm.ui.kit import form
from localcrm.ui.pages import load_screens
from tests.ui.conftest import COOKIE, HOST, Office, guarded


class Browser:
    """A signed-in browser that speaks to the routes."""

    def __init__(self, office: Office) -> None:
        app = guarded(office, Starlette(routes=endpoints.routes()))
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=f"http://{HOST}", cookies={COOKIE: office.token()}, headers={"X-Localcrm": "1"}
        )

    async def list(self, entity: str, **body: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/api/list/{entity}", json={"startRow": 0, "endRow": 100, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def names(self, **body: Any) -> list[str]:
        return [row["name"] for row in (await self.list("customer", **body))["rows"]]

    async def refused(self, entity: str, **body: Any) -> tuple[int, str]:
        answer = await self.client.post(f"/api/list/{entity}", json=body)
        return answer.status_code, answer.json()["code"]

    async def get(self, path: str) -> Any:
        return (await self.client.get(path)).json()


@pytest.fixture
def browser(office: Office) -> Browser:
    for name, level, limit in (
        ("绍兴恒远纺织品有限公司", "deal", "100000"),
        ("浙江瑞祥进出口有限公司", "prospect", "0"),
        ("柯桥金龙布业", "deal", "50000.5"),
    ):
        office.new("customer", name=name, level=level, credit_limit=limit, phone="0575-8412 3367" if "恒远" in name else None)
    return Browser(office)


async def test_a_list_shows_words_not_values(browser: Browser, office: Office) -> None:
    row = (await browser.list("customer", search="恒远"))["rows"][0]
    shown = {key: row[key] for key in ("name", "level", "credit_limit", "owner_id", "branch_id", "unpaid", "next_contact", "_title")}
    assert shown == {
        "name": "绍兴恒远纺织品有限公司",
        "level": "成交客户",
        "credit_limit": "100,000.00",
        "owner_id": "王芳",
        "branch_id": "总部",
        "unpaid": "0.00",
        "next_contact": None,
        "_title": "绍兴恒远纺织品有限公司",
    }
    assert row["_tone"]["level"] == "good"


async def test_secrets_never_leave(browser: Browser) -> None:
    assert all("password" not in row for row in (await browser.list("user"))["rows"])


async def test_search_filter_and_sort_narrow_a_list(browser: Browser) -> None:
    assert await browser.names(search="rx") == ["浙江瑞祥进出口有限公司"]
    assert await browser.names(search="3367") == ["绍兴恒远纺织品有限公司"]
    assert await browser.names(where=[["level", "=", "deal"]]) == ["柯桥金龙布业", "绍兴恒远纺织品有限公司"]
    assert await browser.names(filterModel={"name": {"filterType": "text", "type": "contains", "filter": "有限"}}) == [
        "浙江瑞祥进出口有限公司",
        "绍兴恒远纺织品有限公司",
    ]
    assert await browser.names(
        filterModel={"credit_limit": {"filterType": "number", "type": "inRange", "filter": 1, "filterTo": 60000}}
    ) == ["柯桥金龙布业"]
    assert await browser.names(sortModel=[{"colId": "credit_limit", "sort": "asc"}]) == [
        "浙江瑞祥进出口有限公司",
        "柯桥金龙布业",
        "绍兴恒远纺织品有限公司",
    ]


async def test_blocks_follow_the_cursor_of_the_block_before(browser: Browser, office: Office) -> None:
    sort = [{"colId": "name", "sort": "desc"}]
    whole = await browser.names(sortModel=sort)
    first = await browser.list("customer", startRow=0, endRow=2, sortModel=sort)
    rest = await browser.list("customer", startRow=2, endRow=4, sortModel=sort, cursor=first["cursor"])
    assert [row["name"] for row in first["rows"] + rest["rows"]] == whole
    assert (first["lastRow"], rest["lastRow"], rest["cursor"]) == (3, 3, None)


@pytest.mark.parametrize(
    ("entity", "body", "answer"),
    [
        ("nothing", {}, (404, "unknown_entity")),
        ("customer", {"sortModel": [{"colId": "name; DROP TABLE customer", "sort": "asc"}]}, (404, "unknown_field")),
        ("customer", {"where": [["name", "LIKE '%' --", "x"]]}, (422, "bad_filter")),
        ("customer", {"filterModel": {"name": {"type": "regexp", "filter": ".*"}}}, (422, "bad_filter")),
        ("customer", {"where": [["owner_id", "=", "not an id"]]}, (422, "bad_value")),
        ("user", {"where": [["password", "contains", "argon"]]}, (422, "bad_filter")),
        ("user", {"sortModel": [{"colId": "password", "sort": "asc"}]}, (422, "bad_sort")),
    ],
)
async def test_what_a_list_does_not_offer_is_refused(browser: Browser, entity: str, body: dict[str, Any], answer: tuple[int, str]) -> None:
    assert await browser.refused(entity, **body) == answer


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'"x"', b"null", b"[[[[[[[["])
async def test_a_body_that_is_no_request_is_refused(browser: Browser, content: bytes) -> None:
    answer = await browser.client.post("/api/list/customer", content=content)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        {"startRow": -5, "endRow": 10**30},
        {"startRow": "x", "endRow": None},
        {"cursor": [1, 2, 3]},
        {"cursor": [{"hex": "zz"}, 1]},
        {"where": "x"},
        {"where": [["name"]]},
        {"sortModel": [1]},
        {"filterModel": {"name": None}},
        {"filterModel": [1]},
        {"search": {"a": 1}},
    ],
)
async def test_odd_requests_get_a_sentence_not_a_fault(browser: Browser, body: dict[str, Any]) -> None:
    answer = await browser.client.post("/api/list/customer", json=body)
    assert answer.status_code in {200, 422}


async def test_a_picker_finds_by_pinyin_and_narrows(browser: Browser, office: Office) -> None:
    customers = (await browser.get("/api/pick/customer?q=hy"))["rows"]
    assert [(row["title"], row["second"]) for row in customers] == [("绍兴恒远纺织品有限公司", "成交客户 · 0575-8412 3367 · 王芳")]
    office.new("contact", customer_id=customers[0]["id"], name="李娟")
    office.new("contact", customer_id=(await browser.get("/api/pick/customer?q=rx"))["rows"][0]["id"], name="王建国")
    assert [row["title"] for row in (await browser.get(f"/api/pick/contact?w.customer_id={customers[0]['id']}"))["rows"]] == ["李娟"]


def test_a_field_of_several_offers_some_and_whoever_else_is_typed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "_OFFERED", 2)
    users = {name: office.new("user", login=f"u{number}", name=name)["id"] for number, name in enumerate(("A甲", "A乙", "林晓", "林走"))}
    office.run("records.update_record", entity="user", id=users["林走"], values={"active": "false"})
    session = office.program.sessions.resolve(office.token())
    assert session is not None
    assert len(form.offered(session, entity("user"), "")) == 2
    assert form.offered(session, entity("user"), "林") == {users["林晓"]: "林晓"}  # who has left is not offered


async def test_the_palette_finds_records_of_every_kind(browser: Browser, office: Office) -> None:
    load_screens()
    office.new("product", code="RX-1", name="雪纺")
    found = (await browser.get("/api/search?q=rx"))["rows"]
    assert {(row["entity"], row["title"], row["path"].split("?")[0]) for row in found} == {
        ("customer", "浙江瑞祥进出口有限公司", "/customers"),
        ("product", "雪纺", "/records/product"),
    }


async def test_staff_see_what_they_may(office: Office) -> None:
    office.new("user", login="lin", name="林晓", password="Correct-Horse-7", role="none")
    with pytest.raises(Exception, match="没有"):
        office.token("lin")


async def test_the_list_counts_the_days_until_a_customer_goes_to_a_pool(browser: Browser, office: Office) -> None:
    """The countdown is folded away at first; nobody's customer and one that is spared have none."""
    pool = office.new("pool", name="公海")["id"]
    office.new("reclaim_rule", name="三十天", pool_id=pool, days="30", remind_days="30")
    office.new("customer", name="刚录入的")
    office.new("customer", name="老成交", level="deal")
    rows = {row["name"]: row for row in (await browser.list("customer"))["rows"]}
    assert [(rows[name]["reclaimed_in"], rows[name]["_tone"]["reclaimed_in"]) for name in ("刚录入的", "老成交")] == [
        ("30 天", "warn"),
        ("", ""),
    ]


async def test_an_export_holds_the_filtered_list_as_shown(browser: Browser, tmp_path: Any) -> None:
    query = json.dumps({"where": [["level", "=", "deal"]], "sortModel": [{"colId": "name", "sort": "asc"}]})
    answer = await browser.client.get("/api/export/customer.xlsx", params={"columns": "name,level,credit_limit,owner_id", "query": query})
    assert answer.status_code == 200
    (tmp_path / "list.xlsx").write_bytes(answer.content)
    page = load_workbook(tmp_path / "list.xlsx").active
    rows = list(page.iter_rows(values_only=True))
    assert rows == [
        ("客户名称", "等级", "信用额度", "业务员"),
        ("柯桥金龙布业", "成交客户", 50000.5, "王芳"),
        ("绍兴恒远纺织品有限公司", "成交客户", 100000, "王芳"),
    ]
    assert (
        page.oddFooter.left.text.startswith("客户 · 按列表筛选 · 截至") and page.oddFooter.left.text == page.parent.properties.description
    )


async def test_an_export_is_named_after_its_query_and_the_moment(browser: Browser) -> None:
    """Where an import does not read it: the table begins with its head as ever."""
    tree = dict(conditions.PRESETS["customer"]["never_contacted"].tree)
    for asked, name in ((tree, "从未联系"), ({"ask": "contacts", "op": "=", "number": 3}, "自定条件"), (None, "")):
        query = json.dumps({"tree": asked, "search": "布"})
        answer = await browser.client.get("/api/export/customer.csv", params={"columns": "name", "query": query})
        told = unquote(answer.headers["content-disposition"].rpartition("''")[2])
        assert re.fullmatch(rf"客户 {name} ?\d{{4}}-\d\d-\d\d \d{{4}}\.csv", told), told
        assert answer.content.decode("utf-8-sig").startswith("客户名称\r\n")


async def test_an_export_of_order_lines_has_the_companys_own_columns(browser: Browser, office: Office, tmp_path: Any) -> None:
    def do(verb: str, **parameters: Any) -> Any:
        return verbs.run(office.store, office.admin, verb, parameters)

    dye = do("admin.add_field", entity="sales_order_line", label="工艺", type="choices", options=["染色", "印花"])["key"]
    product = office.new("product", code="P1", name="样布", price="9.80")["id"]
    do("sales.save_order", header={}, lines=[{"product_id": product, "quantity": "2", dye: "印花、染色"}])
    answer = await browser.client.get("/api/export/sales_order_line.xlsx")
    (tmp_path / "list.xlsx").write_bytes(answer.content)
    head, line = load_workbook(tmp_path / "list.xlsx").active.iter_rows(values_only=True)
    assert (head[-1], line[-1]) == ("工艺", "染色、印花")


async def test_an_export_in_an_unknown_format_is_refused(browser: Browser) -> None:
    answer = await browser.client.get("/api/export/customer.exe")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_format")
