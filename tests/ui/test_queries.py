"""Questions to a list over HTTP, as browsers send them: rows, export, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from localcrm.domain.crm.birthdays import write_lunar
from localcrm.kernel.clock import now_utc
from localcrm.kernel.lunar import kept_on
from localcrm.kernel.schema import entity
from localcrm.ui import endpoints
from localcrm.ui.kit.presets import Presets
from localcrm.ui.today import CARDS, cards_for, look
from tests.ui.conftest import COOKIE, HOST, PASSWORD, Office, guarded

NEVER = {"ask": "never_contacted"}


def client(office: Office, login: str = "admin") -> httpx.AsyncClient:
    """A signed-in browser."""
    app = guarded(office, Starlette(routes=endpoints.routes()))
    cookies, headers = {COOKIE: office.token(login)}, {"X-Localcrm": "1"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=f"http://{HOST}", cookies=cookies, headers=headers)


@pytest.fixture
def customers(office: Office) -> dict[str, str]:
    """Ids by name: one was called, the other never."""
    found = {name: office.new("customer", name=name, phone="13857599812")["id"] for name in ("柯桥金龙布业", "诸暨盛宏袜业")}
    office.new("activity", customer_id=found["柯桥金龙布业"], content="电话", at="2026-11-01T08:00:00Z", next_at="2026-11-02T08:00:00Z")
    return found


async def asked(browser: httpx.AsyncClient, tree: Any) -> tuple[int, Any]:
    answer = await browser.post("/api/list/customer", json={"startRow": 0, "endRow": 100, "tree": tree})
    body = answer.json()
    return answer.status_code, [row["name"] for row in body["rows"]] if "rows" in body else body["code"]


async def test_a_list_and_its_export_answer_a_question(office: Office, customers: dict[str, str]) -> None:
    browser = client(office)
    assert len(customers) == 2
    assert await asked(browser, NEVER) == (200, ["诸暨盛宏袜业"])
    assert await asked(browser, {"not": NEVER}) == (200, ["柯桥金龙布业"])
    answer = await browser.get(f"/api/export/customer.csv?columns=name&query={quote(json.dumps({'tree': NEVER}))}")
    assert [row[0] for row in csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))][1:] == ["诸暨盛宏袜业"]


async def test_what_may_not_be_asked_is_refused(office: Office, customers: dict[str, str]) -> None:
    office.new("user", login="lin", name="林晓", password=PASSWORD)
    office.run("people.set_rights", login="lin", entity="customer", actions=["read"], scope="all")
    office.run("people.set_field_rule", login="lin", entity="customer", field="phone", rule="masked")
    browser = client(office, "lin")
    assert len(customers) == 2
    assert await asked(browser, NEVER) == (422, "bad_filter")
    assert await asked(browser, {"field": "phone", "op": "starts", "value": "138"}) == (422, "bad_filter")
    assert await asked(browser, {"ask": "of the future"}) == (422, "bad_query")
    assert await asked(browser, {"all": [{"all": []}] * 100}) == (422, "bad_query")
    assert (await asked(browser, "now"))[0] == 422


def test_the_page_of_today_shows_each_user_what_may_wait_for_him(office: Office, customers: dict[str, str]) -> None:
    office.new("user", login="lin", name="林晓", password=PASSWORD)
    office.run("people.set_rights", login="lin", entity="customer", actions=["read"], scope="all")
    sessions = office.program.sessions
    admin, lin = (sessions.resolve(office.token(login)) for login in ("admin", "lin"))
    assert admin is not None and lin is not None
    assert {card.id for card in cards_for(lin)} <= {card.id for card in CARDS}
    assert {"due_today", "overdue", "birthday"} & {card.id for card in cards_for(lin)} == set()  # he sees neither records nor contacts
    overdue = next(card for card in cards_for(admin) if card.id == "overdue")
    found = overdue.look(admin, False)
    assert (found.count, [line.title for line in found.lines]) == (1, ["柯桥金龙布业"])
    assert found.lines[0].path == f"/customers?open={customers['柯桥金龙布业']}"
    assert overdue.path(True) == "/customers?query=overdue&mine=1"
    day = now_utc().astimezone().date() + timedelta(days=3)
    for name, values in {"王芳": {}, "赵敏": {"has_left": True}}.items():
        office.new(
            "contact", customer_id=customers["诸暨盛宏袜业"], name=name, lunar_birthday=write_lunar(next(iter(kept_on(day)))), **values
        )
    birthday = next(card for card in cards_for(admin) if card.id == "birthday").look(admin, False)
    assert [(line.title, line.second) for line in birthday.lines] == [("诸暨盛宏袜业", f"王芳 {day:%m-%d}")]


def test_who_waits_longest_is_named_first(office: Office, customers: dict[str, str]) -> None:
    for name, day in (("绍兴恒远纺织", "2026-10-20"), ("萧山创新染整", "2026-10-05"), ("杭州博雅服饰", "2026-11-01")):
        waiting = office.new("customer", name=name)["id"]
        office.new("activity", customer_id=waiting, content="电话", at="2026-10-01T08:00:00Z", next_at=f"{day}T08:00:00Z")
    admin = office.program.sessions.resolve(office.token("admin"))
    assert admin is not None
    found = next(card for card in cards_for(admin) if card.id == "overdue").look(admin, False)
    assert (found.count, [line.title for line in found.lines]) == (4, ["萧山创新染整", "绍兴恒远纺织", "杭州博雅服饰", "柯桥金龙布业"])


def test_whoever_comes_back_to_the_page_waits_only_for_what_is_new(
    office: Office, customers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = office.program.sessions.resolve(office.token("admin"))
    assert admin is not None
    overdue = next(card for card in cards_for(admin) if card.id == "overdue")
    read = []
    counted = dataclasses.replace(overdue, look=lambda session, mine: read.append(mine) or overdue.look(session, mine))
    assert look(admin, counted, False).count == look(admin, counted, False).count == 1
    assert read == [False]
    assert look(admin, counted, True).count == 1  # another question
    office.new("activity", customer_id=customers["柯桥金龙布业"], content="谈妥了", at="2026-11-03T08:00:00Z")
    assert look(admin, counted, False).count == 0
    assert read == [False, True, False]
    monkeypatch.setattr("localcrm.ui.sessions.KEPT_SECONDS", 0.0)
    look(admin, counted, False)
    assert len(read) == 4


async def test_tasks_and_next_steps_due_are_counted_as_their_lists_show_them(office: Office, customers: dict[str, str]) -> None:
    admin = office.program.sessions.resolve(office.token("admin"))
    assert admin is not None
    me, today, mill = admin.actor.user_id, date.today(), customers["柯桥金龙布业"]
    lin = office.new("user", login="lin", name="林晓", password=PASSWORD)["id"]
    for title, day, owner in (("丢了", -1, me), ("今天", 0, me), ("明天", 1, me), ("林晓的", -9, lin)):
        due = {"next_on": str(today + timedelta(days=day)), "owner_id": owner}
        deal = office.new("opportunity", title=title, customer_id=mill, **due)["id"]
        if title == "丢了":
            office.run("crm.lose", opportunity_id=deal, reason="dear")
    for title, day, done, user in (("早该做", -3, None, me), ("没人做", 0, None, None), ("做完了", 0, today, me), ("后天", 2, None, me)):
        values = {"due_on": str(today + timedelta(days=day)), "done_on": done and str(done), "user_id": user}
        office.new("project_task", opportunity_id=deal, title=title, **values)
    browser = client(office)
    for card_id, kind, of_mine, of_all in (
        ("tasks", "project_task", ["早该做"], ["早该做", "没人做"]),
        ("steps", "opportunity", ["今天"], ["林晓的", "今天"]),
    ):
        card = next(card for card in cards_for(admin) if card.id == card_id)
        for mine, expected in ((True, of_mine), (False, of_all)):
            found = card.look(admin, mine)
            assert (found.count, [line.title for line in found.lines]) == (len(expected), expected)
            tree = Presets(admin, entity(kind), dict(parse_qsl(urlsplit(card.path(mine)).query))).tree
            answer = await browser.post(f"/api/list/{kind}", json={"startRow": 0, "endRow": 100, "tree": tree})
            assert sorted(row["title"] for row in answer.json()["rows"]) == sorted(expected)
