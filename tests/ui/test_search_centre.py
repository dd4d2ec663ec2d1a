"""What the search centre's script asks for over HTTP, and where its hits lead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from localcrm.domain import subjects
from localcrm.kernel.schema import EntityType, entities
from localcrm.ui import endpoints
from localcrm.ui.pages import load_screens
from localcrm.ui.search_centre import routes
from tests.ui.conftest import COOKIE, HOST, Office, guarded

assert subjects.SUBJECTS
SEARCHED = [kind for kind in entities() if kind.searched and not kind.key.startswith("test_")]


@pytest.fixture
def browser(office: Office) -> httpx.AsyncClient:
    load_screens()
    app = guarded(office, Starlette(routes=routes.ROUTES))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=f"http://{HOST}", cookies={COOKIE: office.token()}, headers={"X-Localcrm": "1"}
    )


@pytest.mark.parametrize("kind", SEARCHED, ids=lambda kind: kind.key)
def test_every_kind_that_is_found_is_opened_by_a_screen(kind: EntityType) -> None:
    screens = {screen.path for screen in load_screens()}
    while endpoints.OWN_PAGES.get(kind.key, f"/records/{kind.key}").partition("?")[0] not in screens:
        assert kind.under, f"no screen shows a {kind.key}: name one in endpoints.OWN_PAGES"
        kind = next(one for one in entities() if one.key == kind.fields[kind.under].f.ref)


async def test_a_hit_says_where_it_is_marked_and_where_it_leads(browser: httpx.AsyncClient, office: Office) -> None:
    customer = office.new("customer", name="<i>恒远</i>纺织", phone="0575-84123367", address="绍兴恒远路")["id"]
    supplier = office.new("supplier", name="永盛")["id"]
    office.new("supplier_certificate", supplier_id=supplier, name="恒远认证")
    answer = (await browser.get("/api/centre/search", params={"q": "hengyuan"})).json()
    rows = {row["entity"]: row for row in answer["rows"]}
    assert [(kind["key"], kind["count"], kind["capped"]) for kind in answer["kinds"]] == [
        ("customer", 1, False),
        ("supplier_certificate", 1, False),
    ]
    assert rows["customer"]["title"] == ["<i>", "恒远", "</i>纺织"]
    assert rows["customer"]["path"] == f"/customers?open={customer}"
    assert rows["supplier_certificate"]["path"] == f"/suppliers?open={supplier}"  # it has no page of its own
    assert (answer["sole"], answer["hidden"]) == (None, False)
    seen = (await browser.get("/api/centre/preview", params={"entity": "customer", "id": customer, "q": "3367"})).json()
    assert [("".join(fact["text"]), fact["text"][1:2]) for fact in seen["facts"] if "8412" in "".join(fact["text"])] == [
        ("0575-84123367", ["3367"])
    ]


async def test_what_nobody_typed_is_refused_or_finds_nothing(browser: httpx.AsyncClient) -> None:
    for params in ({"whose": "x"}, {"days": "-1"}, {"days": "99"}, {"branch": "1"}, {"branch": "' OR 1=1 --"}):
        assert (await browser.get("/api/centre/search", params={"q": "x", **params})).status_code == 422, params
    for params in ({"q": "王", "kind": "no_such_kind"}, {"q": "\x00😀"}, {"q": "'\"*()^- "}, {"q": "NEAR(a b)"}):
        answer = await browser.get("/api/centre/search", params=params)
        assert (answer.status_code, answer.json()["rows"]) == (200, []), params
    for params in ({"entity": "no_such_kind", "id": "x"}, {"entity": "user"}, {"entity": "user", "id": "0" * 32}):
        assert (await browser.get("/api/centre/preview", params=params)).status_code in {404, 422}, params


async def test_what_is_noted_is_asked_for_by_post_alone(browser: httpx.AsyncClient, office: Office) -> None:
    for path in ("beyond", "recent"):
        assert (await browser.get(f"/api/centre/{path}")).status_code == 405
        assert (await browser.post(f"/api/centre/{path}", json={"text": "x"}, headers={"X-Localcrm": ""})).status_code == 403
        assert (await browser.post(f"/api/centre/{path}", json={"text": ["x"]})).status_code == 422
    assert (await browser.post("/api/centre/recent", json={"text": "恒远"})).json() == {"recent": ["恒远"]}
    assert (await browser.post("/api/centre/beyond", json={"text": "恒远"})).json() == {"rows": [], "braked": False}


def test_a_hit_that_no_screen_shows_to_this_user_leads_nowhere(office: Office) -> None:
    load_screens()
    role = office.new("role", name="采购")["id"]
    kind = next(one for one in entities() if one.key == "role")
    with office.store.read() as connection:
        for may, path in ((True, "/roles"), (False, "")):
            session: Any = SimpleNamespace(may=lambda _permission, may=may: may)
            assert endpoints.Ways(session, connection).to(kind, role) == path
