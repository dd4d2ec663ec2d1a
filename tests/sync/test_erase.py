"""A person's data are erased everywhere, whatever was under way, and all still hold the same."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import pytest

from localcrm.domain.records import find_everywhere, read_history
from localcrm.kernel.errors import AppError, InvalidInput, Refused
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store import erase as erasing
from localcrm.store.check import check
from localcrm.sync import node_sync
from tests.factories import Company, Installation

NAME, PHONE = "欧阳晓静", "13905751234"


@pytest.fixture
def person(company: Company) -> str:
    """A contact everybody knows, changed once at each place."""
    customer = company.hq.new("customer", name="绍兴恒远纺织品有限公司")
    contact = company.hq.new("contact", customer_id=customer, name=NAME, phone=PHONE, birthday="1990-02-03", is_main="true")
    company.exchange()
    company.branches["BR01"].set("contact", contact, email="ouyang@example.cn", remark=f"{NAME}喜欢喝茶")
    company.exchange()
    company.hq.set("contact", contact, phone="13905759999")
    return contact


def erase(node: Installation, contact: str, name: str = NAME) -> Any:
    return node.run("admin.erase_person", entity="contact", id=contact, name=name)


def told(node: Installation, contact: str) -> dict[str, Any]:
    return {key: value for key, value in node.get("contact", contact).items() if key not in {"id", "customer_id"}}


NOTHING = {"name": "***", "is_main": True, "has_left": False} | dict.fromkeys(
    (
        *("title", "phone", "second_phone", "other_phones", "email", "wechat", "birthday", "lunar_birthday", "next_birthday"),
        *("part", "gender", "likes", "remark"),
    )
)


def words_in(node: Installation) -> list[str]:
    """What of the person can still be read in the data file itself."""
    node.store.close()
    content = b"".join(path.read_bytes() for path in node.folder.glob("localcrm.db*"))
    node.restart()
    return [word for word in (NAME, PHONE, "13905759999", "ouyang@", "1990-02-03") if word.encode() in content]


def test_row_history_search_and_file_forget_the_person_at_every_node(company: Company, person: str) -> None:
    assert words_in(company.hq)
    erase(company.hq, person)
    company.exchange()
    for node in company.nodes:
        assert told(node, person) == NOTHING
        with node.store.read() as connection:
            assert find_everywhere(connection, node.actor, text=NAME) == find_everywhere(connection, node.actor, text="9999") == []
            history = read_history(connection, node.actor, entity="contact", id=person)
        assert {(row.old, row.new) for row in history if row.field not in {"is_main", "has_left", "customer_id"}} <= {
            (None, None),
            (None, "***"),
        }
        assert words_in(node) == []
        assert check(node.store) == {"ok": True, "problems": []}
        assert node.value("SELECT count(*) FROM event_log WHERE kind = 'erased' AND detail = ?", f"contact {person}") == 1
    assert len(company.digests) == 1


def test_a_change_made_apart_before_the_order_came_is_erased_too(company: Company, person: str) -> None:
    one, two = company.branches.values()
    company.exchange()
    one.set("contact", person, phone="13900000001", is_main="false")
    two.set("contact", person, phone="13900000002", wechat="ouyang90")
    erase(company.hq, person)
    company.exchange()
    company.exchange()
    for node in company.nodes:
        assert told(node, person) == NOTHING | {"is_main": False}
        assert node.rows("SELECT diff FROM sync_log WHERE diff LIKE '%139000%' OR diff LIKE '%ouyang90%'") == []
        assert {row[key] for row in node.conflicts(record=person, field="phone") for key in ("base", "kept", "lost")} <= {"***", None}
        assert check(node.store)["problems"] == []
    assert company.hq.conflicts(record=person, field="phone")
    assert len(company.digests) == 1


@pytest.mark.parametrize("seed", range(12))
def test_in_whatever_order_edits_exchanges_and_the_order_come(company: Company, person: str, seed: int) -> None:
    rng = Random(seed)
    steps = ["edit"] * 8 + ["exchange"] * 4 + ["erase"]
    rng.shuffle(steps)
    for number, step in enumerate(steps):
        if step == "erase":
            erase(company.hq, person, str(company.hq.get("contact", person)["name"]))
        elif step == "exchange":
            getattr(company, rng.choice(["up", "down", "exchange"]))(rng.choice(["BR01", "BR02"]))
        else:
            field = rng.choice(["phone", "wechat", "name", "remark", "is_main"])
            value = rng.choice(["true", "false"]) if field == "is_main" else f"geheim {number}"
            with suppress(Refused):  # where the order has arrived
                rng.choice(company.nodes).set("contact", person, **{field: value})
    company.exchange()
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        assert told(node, person) | {"is_main": True} == NOTHING
        assert node.rows("SELECT diff FROM sync_log WHERE diff LIKE '%geheim%'") == []
        assert node.rows("SELECT * FROM conflict WHERE base LIKE '%geheim%' OR kept LIKE '%geheim%' OR lost LIKE '%geheim%'") == []
        assert check(node.store)["problems"] == []


def test_conflicts_known_before_forget_their_values(company: Company, person: str) -> None:
    one, two = company.branches.values()
    company.exchange()
    one.set("contact", person, phone="13900000001")
    two.set("contact", person, phone="13900000002")
    company.exchange()
    company.exchange()
    (conflict,) = company.hq.conflicts(record=person)
    company.hq.run("admin.resolve_conflict", id=conflict["id"], keep="value=13900000003")
    erase(company.hq, person)
    company.exchange()
    for node in company.nodes:
        assert node.rows("SELECT base, kept, lost, resolution FROM conflict") == [("***",) * 4]
        assert node.rows("SELECT diff FROM sync_log WHERE diff LIKE '%139000%'") == []
    assert len(company.digests) == 1


def test_a_branch_that_is_new_hears_nothing_of_it(company: Company, person: str) -> None:
    erase(company.hq, person)
    company.exchange("BR01")
    path = company.folder / "BR02.down"
    node_sync.pack(company.hq.store, company.hq.keys, path, for_code="BR02")
    company.exchange("BR02")
    assert told(company.branches["BR02"], person) == NOTHING


def test_every_open_screen_hears_of_it(company: Company, person: str) -> None:
    company.exchange()
    heard: list[frozenset[str] | None] = []
    for node in (company.hq, company.branches["BR01"]):
        node.store.listen(lambda changes: heard.append(changes.ids.get("contact", frozenset())))
    erase(company.hq, person)
    company.exchange("BR01")
    assert [ids for ids in heard if ids] == [{person}, {person}]


def test_nothing_is_written_into_the_record_again(company: Company, person: str) -> None:
    erase(company.hq, person)
    company.exchange()
    for node in company.nodes:
        with pytest.raises(Refused) as refused:
            node.set("contact", person, phone=PHONE)
        assert refused.value.code == "person_erased"
    company.hq.set("contact", person, is_main="false")
    company.hq.delete("contact", person)
    company.hq.undelete("contact", person)
    with pytest.raises(Refused) as twice:
        erase(company.hq, person, "***")
    assert twice.value.code == "already_erased"


def test_only_an_administrator_of_head_office_who_types_the_name_erases(company: Company, person: str) -> None:
    company.exchange()
    with pytest.raises(InvalidInput) as misspelt:
        erase(company.hq, person, "欧阳")
    with pytest.raises(Refused) as branch:
        erase(company.branches["BR01"], person)
    with pytest.raises(AppError) as user:
        company.hq.run("admin.erase_person", entity="user", id=company.hq.actor.user_id, name="王芳")
    assert [refused.value.code for refused in (misspelt, branch, user)] == ["other_name", "office_only", "no_person"]
    assert company.hq.get("contact", person)["name"] == NAME


def test_orders_carried_out_long_ago_are_not_looked_at_with_every_merge(company, hq, one, monkeypatch):
    with hq.store.merging() as connection:
        connection.executemany(
            "INSERT INTO erasure(id, subject, record_id) VALUES (?, 'customer', ?)",
            [(number.to_bytes(16), (1000 + number).to_bytes(16).hex()) for number in range(50)],
        )
    looked_at: list[bytes] = []

    def logged(_connection: object, _kind: object, pk: bytes, _lseq: int) -> bool:
        looked_at.append(pk)
        return False

    monkeypatch.setattr("localcrm.store.erase._logged_since", logged)
    one.new("customer", name="甲")
    company.up("BR01")
    assert looked_at == []
    assert hq.value("SELECT count(*) FROM customer WHERE name = '甲'") == 1


def test_calls_tickets_and_relations_forget_what_they_say_of_the_person(company: Company, person: str) -> None:
    hq, one, two = company.hq, *company.branches.values()
    customer = hq.get("contact", person)["customer_id"]
    other = hq.new("contact", customer_id=customer, name="别人")
    company.exchange()
    told = hq.new("ticket", customer_id=customer, contact_id=person, title="布匹色差", text=f"{NAME}说颜色不对")
    hq.run("service.close_ticket", ticket_id=told, solution="换货")
    hq.run("service.record_revisit", ticket_id=told, result=f"{NAME}说可以")
    hq.run("crm.relate", one=other, contact=person, kind="spouse", note=f"{NAME}的先生")
    call = one.run("calls.start_call", number=PHONE)["id"]
    one.run("calls.link_call", id=call, customer=customer, contact=person)
    late = two.new("ticket", customer_id=customer, contact_id=person, title="晚到的", text=f"{NAME}来电")
    of_another = hq.new("ticket", customer_id=customer, contact_id=other, title="别人的", text="别人说的")
    erase(hq, person)
    company.exchange()
    company.exchange()
    for node in company.nodes:
        assert node.get("ticket", told) | {"title": "布匹色差", "solution": "换货", "text": None, "revisit_result": None} == node.get(
            "ticket", told
        )
        assert node.get("ticket", late)["text"] is None
        assert node.get("ticket", of_another)["text"] == "别人说的"
        assert node.get("call", call)["number"] is None
        assert node.rows("SELECT note FROM contact_tie") == [(None,)]
        assert words_in(node) == []
        assert check(node.store)["problems"] == []
    assert len(company.digests) == 1


def test_pages_given_up_long_before_the_order_tell_nothing_either(company: Company) -> None:
    """The search index moves all its words again and again; what it leaves behind is written over."""
    hq = company.hq
    customer = hq.new("customer", name="绍兴恒远纺织品有限公司")
    contact = hq.new("contact", customer_id=customer, name=NAME, phone=PHONE)
    with hq.store.unit_of_work(None) as uow:
        new = [{"id": new_id(), "name": f"绍兴第{number}纺织品有限公司", "phone": f"0575-{number:08d}"} for number in range(300)]
        uow.insert_many(entity("customer"), new)
    with hq.store.housekeeping() as connection:
        connection.execute("INSERT INTO search(search) VALUES ('optimize')")  # as the erasure of somebody else does
    with hq.store.read() as connection:
        assert connection.value("PRAGMA freelist_count") > 0
    erase(hq, contact)
    assert words_in(hq) == []
    assert check(hq.store) == {"ok": True, "problems": []}


def test_only_who_erases_something_writes_over_what_is_free(company: Company, person: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the person that was not accepted stays, emptied; it must not have every later merge write over the file."""
    hq, one = company.hq, company.branches["BR01"]
    erase(hq, person)
    company.exchange()
    with hq.store.housekeeping() as connection:
        kind = entity("contact")
        connection.execute(
            "INSERT INTO sync_quarantine(origin, oseq, tbl, pk, reason, raw, first_seen) VALUES (2, 999999, ?, ?, 'not_owner', ?, 0)",
            (kind.no, bytes.fromhex(person), erasing._nothing(kind, bytes.fromhex(person))),
        )
    scrubbed: list[int] = []
    usual = erasing.scrub
    monkeypatch.setattr(erasing, "scrub", lambda connection: (scrubbed.append(1), usual(connection)))
    one.new("customer", name="另一家公司")
    company.exchange()
    assert scrubbed == []
