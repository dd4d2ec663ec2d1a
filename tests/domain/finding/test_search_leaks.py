"""What is hidden or masked is neither found nor previewed, and nothing that is asked in the search centre confirms a guess."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy
from localcrm.domain.finding.centre import FILES, look_up
from localcrm.domain.finding.narrowing import Narrowing, Whose
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import blobs
from localcrm.store.store import Store
from localcrm.ui.program import Program
from localcrm.ui.search_centre import routes
from localcrm.ui.sessions import Session

Do = Callable[..., Any]
PHONE, OTHER = "13857599812", "13511112222、13733334444"
FILE = "保密协议-华美.pdf"


@pytest.fixture(params=["hidden", "masked"])
def rule(request: pytest.FixtureRequest) -> str:
    """Either way of keeping a value from somebody."""
    return str(request.param)


@pytest.fixture
def lin(store: Store, do: Do, new: Do) -> Callable[..., Actor]:
    """林晓, who reads everybody's records under these rules: ``lin("hidden", customer="phone")``."""
    user = new("user", login="lin", name="林晓")["id"]

    def under(rule: str, scope: str = "all", **fields: str) -> Actor:
        for kind in ("customer", "contact", "activity", "expense"):
            own = scope if kind == "customer" else "all"
            do("people.set_rights", login="lin", entity=kind, actions=list(policy.actions_of(entity(kind))), scope=own)
        for kind, names in fields.items():
            for name in names.split():
                do("people.set_field_rule", login="lin", entity=kind, field=name, rule=rule)
        actor = actor_by_id(store, user)
        assert actor is not None
        return actor

    return under


@pytest.fixture
def mill(store: Store, new: Do, admin: Actor) -> dict[str, str]:
    """A customer with everything that could be told of him."""
    branch = store.node.branch_id
    file = blobs.add(store, FILE, b"x").line
    values = {"name": "华美", "phone": PHONE, "address": "柯桥区笛扬路", "files": file, "owner_id": admin.user_id, "branch_id": branch}
    customer = new("customer", **values)["id"]
    contact = new("contact", customer_id=customer, name="李娟", phone=PHONE, other_phones=OTHER)["id"]
    new("activity", customer_id=customer, content="谈到保密价格")
    return {"customer": customer, "contact": contact, "branch": branch}


def session_of(store: Store, actor: Actor) -> Session:
    program = Program(store.folder, 0)
    program.adopt(store)
    return Session(program, "", "", actor, {}, _checked=math.inf)


def counts(store: Store, actor: Actor, text: str, narrowing: Narrowing | None = None) -> dict[str, int]:
    with store.read() as connection:
        return dict(look_up(connection, actor, text, narrowing, now_ms=store.clock.now_ms()).counts)


def shown(store: Store, actor: Actor, kind: str, identity: str, text: str = "") -> str:
    """Everything a preview and the hits say, as it goes to the browser."""
    session = session_of(store, actor)
    preview = routes.show_preview(session, {"entity": kind, "id": identity, "q": text}, None)
    return json.dumps([preview, routes.find(session, {"q": text or "华美"}, None)], ensure_ascii=False)


def test_no_search_finds_it(store: Store, mill: dict[str, str], lin: Do, admin: Actor, rule: str) -> None:
    actor = lin(rule, customer="phone address", contact="phone other_phones")
    for text in (PHONE, "9812", "笛扬路", "dyl", "2222", "4444", OTHER):
        assert counts(store, actor, text) == {}, text
        assert counts(store, admin, text), text  # the others are found, so the question was right
    assert counts(store, actor, "华美")["customer"] == 1


def test_no_hit_and_no_preview_shows_it(store: Store, mill: dict[str, str], lin: Do, rule: str) -> None:
    actor = lin(rule, customer="phone address credit_limit owner_id", contact="phone other_phones")
    for kind in ("customer", "contact"):
        for text in ("华美", "9812", "2222"):
            said = shown(store, actor, kind, mill[kind], text)
            assert not any(secret in said for secret in (PHONE, '9812"', "笛扬路", "13511112222", "13733334444")), (kind, text)
    facts = routes.show_preview(session_of(store, actor), {"entity": "customer", "id": mill["customer"]}, None)["facts"]
    assert "王芳" not in str(facts)  # who wrote an activity record may be read, whose the customer is may not


def test_no_file_is_found_under_a_field_that_is_kept_from_him(store: Store, mill: dict[str, str], lin: Do, admin: Actor, rule: str) -> None:
    assert counts(store, admin, "保密协议") == {FILES: 1}
    actor = lin(rule, customer="files")
    for text in ("保密协议", "bmxy", "pdf"):
        assert counts(store, actor, text) == {}
    assert "保密" not in shown(store, actor, "customer", mill["customer"], "保密协议").replace("谈到保密价格", "")


def test_whose_it_is_cannot_be_asked_where_it_may_not_be_read(store: Store, mill: dict[str, str], lin: Do, rule: str) -> None:
    actor = lin(rule, customer="owner_id branch_id")
    for narrowing in (Narrowing(Whose.MINE), Narrowing(Whose.DEPARTMENT), Narrowing(branch=mill["branch"])):
        assert counts(store, actor, "华美", narrowing) == {}
        assert counts(store, actor, "李娟", narrowing) == {}  # nor by way of what hangs on it


def test_what_is_out_of_reach_is_not_found_nor_previewed_nor_counted(store: Store, mill: dict[str, str], lin: Do) -> None:
    actor = lin("hidden", scope="own")
    for text in ("华美", "9812", "2222", "李娟", "保密", "bmxy"):
        assert counts(store, actor, text) == {}, text
    for kind in ("customer", "contact"):
        with pytest.raises(AppError) as refused:
            routes.show_preview(session_of(store, actor), {"entity": kind, "id": mill[kind]}, None)
        assert refused.value.code == "not_found"


def test_a_kind_that_may_not_be_read_is_not_there(store: Store, new: Do, mill: dict[str, str]) -> None:
    user = new("user", login="wu", name="吴敏", role="none")["id"]
    stranger = actor_by_id(store, user)
    if stranger is None:  # without any rights nobody comes in at all
        return
    assert counts(store, stranger, "华美") == {}


def test_what_hangs_on_a_record_is_shown_by_its_own_rights(store: Store, do: Do, mill: dict[str, str], lin: Do, admin: Actor) -> None:
    assert "谈到保密价格" in shown(store, admin, "customer", mill["customer"])
    actor = lin("hidden", contact="phone other_phones title")
    assert PHONE not in json.dumps(routes.show_preview(session_of(store, actor), {"entity": "contact", "id": mill["contact"]}, None))
    do("people.set_rights", login="lin", entity="activity", actions=[])
    bare = actor_by_id(store, str(actor.user_id))
    assert bare is not None
    said = shown(store, bare, "customer", mill["customer"])
    assert "李娟" in said
    assert entity("activity").label not in said


def test_who_only_looks_leaves_no_traces(store: Store, mill: dict[str, str], admin: Actor, lin: Do) -> None:
    session = session_of(store, admin)
    routes.recent(session, {}, {"text": "华美"})
    assert routes.recent_of(session) == ["华美"]
    session.look_as(lin("hidden", scope="own").user_id)
    assert routes.recent(session, {}, {"text": "别人的"}) == {"recent": []}
    assert routes.find(session, {"q": "华美"}, None)["hidden"] is False
    session.look_as(None)
    assert routes.recent_of(session) == ["华美"]
    assert routes.recent(session, {}, {"text": ""}) == {"recent": []}
    for wrong in (None, [], {"text": 1}, {}):
        with pytest.raises(AppError):
            routes.recent(session, {}, wrong)


def test_an_erased_person_is_not_among_what_was_looked_for(store: Store, do: Do, mill: dict[str, str], admin: Actor) -> None:
    session = session_of(store, admin)
    routes.recent(session, {}, {"text": "李娟"})
    do("admin.erase_person", entity="contact", id=mill["contact"], name="李娟")
    assert routes.recent_of(session) == []
    assert counts(store, admin, "李娟") == {}
