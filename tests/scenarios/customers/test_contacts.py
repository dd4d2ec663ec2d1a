"""People at customers through a day's work: who decides, whose birthday is when, who has left, and their cards."""

from __future__ import annotations

import datetime as dt

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm.birthdays import lunar_in_words, next_birthday, read_lunar, solar_keys
from localcrm.domain.crm.ties import ties_of
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.records import read_history
from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import use_language
from tests.factories import Company, Installation


@pytest.mark.parametrize(
    ("typed", "kept", "chinese", "english"),
    [
        ("八月十五", "08-15", "农历八月十五", "lunar 8-15"),
        ("农历正月初一", "01-01", "农历正月初一", "lunar 1-1"),
        ("腊月廿三", "12-23", "农历腊月廿三", "lunar 12-23"),
        ("十二月二十三日", "12-23", "农历腊月廿三", "lunar 12-23"),
        ("阴历冬月三十", "11-30", "农历冬月三十", "lunar 11-30"),
        ("闰四月初八", "leap 04-08", "农历闰四月初八", "lunar leap 4-8"),
        ("闰4月8号", "leap 04-08", "农历闰四月初八", "lunar leap 4-8"),
        ("leap 4-8", "leap 04-08", "农历闰四月初八", "lunar leap 4-8"),
        ("８－１５", "08-15", "农历八月十五", "lunar 8-15"),
        ("0815", "08-15", "农历八月十五", "lunar 8-15"),
        ("lunar leap 4-8", "leap 04-08", "农历闰四月初八", "lunar leap 4-8"),
    ],
)
def test_a_lunar_birthday_is_read_as_people_write_it(typed: str, kept: str, chinese: str, english: str) -> None:
    assert read_lunar(typed) == kept
    with use_language("zh_CN"):
        assert lunar_in_words(kept) == chinese
        assert read_lunar(chinese) == kept
    with use_language("en"):
        assert lunar_in_words(kept) == english


@pytest.mark.parametrize("typed", ["十三月初一", "8-31", "0-5", "八月", "1980-08-15", "生日", "8-15-8", "闰", "月"])
def test_what_is_no_lunar_day_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_lunar(typed)
    assert refused.value.code == "bad_lunar_day"


def test_when_a_birthday_is_kept() -> None:
    day = dt.date
    assert next_birthday(day(1980, 8, 15), None, day(2026, 8, 15)) == day(2026, 8, 15)
    assert next_birthday(day(1980, 8, 15), None, day(2026, 8, 16)) == day(2027, 8, 15)
    assert next_birthday(day(1992, 2, 29), None, day(2027, 1, 1)) == day(2027, 2, 28)
    assert next_birthday(day(1992, 2, 29), None, day(2028, 1, 1)) == day(2028, 2, 29)
    assert next_birthday(day(1980, 9, 24), "08-15", day(2026, 9, 1)) == day(2026, 9, 25)  # who has both keeps the lunar one
    assert next_birthday(None, "leap 06-08", day(2025, 7, 1)) == day(2025, 8, 1)
    assert next_birthday(None, "leap 06-08", day(2026, 7, 1)) == day(2026, 7, 21)
    assert next_birthday(None, "12-30", day(2026, 1, 1)) == day(2026, 2, 16)  # that year's twelfth month has 29 days
    assert next_birthday(None, None, day(2026, 1, 1)) is None
    assert solar_keys([day(2026, 12, 31), day(2027, 1, 1)]) == ["12-31", "01-01"]
    assert solar_keys([day(2027, 2, 28)]) == ["02-28", "02-29"]
    assert solar_keys([day(2028, 2, 28), day(2028, 2, 29)]) == ["02-28", "02-29"]


def test_a_contact_of_a_customer_from_the_first_card_to_the_farewell(hq: Installation) -> None:
    mill, dyer = hq.new("customer", name="绍兴恒远纺织"), hq.new("customer", name="柯桥金龙印染")
    zhang = hq.new(
        "contact",
        customer_id=mill,
        name="张建国",
        part="决策者",
        gender="男",
        phone="13905751234",
        second_phone="0575-84123367 转 8801",
        lunar_birthday="闰四月初八",
        likes="喝绿茶，不吃辣",
        is_main="是",
    )
    li = hq.new("contact", customer_id=mill, name="李梅", part="influences", birthday="1992-02-29")
    found = hq.get("contact", zhang)
    assert (found["part"], found["gender"], found["lunar_birthday"]) == ("decides", "male", "leap 04-08")
    assert found["next_birthday"] > "2026"
    # one main contact: the switch goes over
    hq.set("contact", li, is_main=True)
    assert [hq.get("contact", one)["is_main"] for one in (zhang, li)] == [False, True]
    # she goes to the dyers: what she was before stays in her history
    hq.set("contact", li, customer_id=dyer)
    with hq.store.read() as connection:
        history = read_history(connection, hq.actor, entity="contact", id=li)
    assert {(row.field, row.new) for row in history} >= {("customer_id", dyer), ("customer_id", mill)}
    # who has left is no main contact
    hq.set("contact", li, has_left=True)
    assert hq.get("contact", li)["is_main"] is False


def test_trap_40_and_42_dates_and_names_that_cannot_be(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    cases: list[tuple[dict[str, str], str]] = [
        ({"birthday": "2027-02-29"}, "bad_date"),
        ({"birthday": "0209-03-01"}, "bad_date"),
        ({"birthday": "2199-01-01"}, "birthday_ahead"),
        ({"lunar_birthday": "十三月初一"}, "bad_lunar_day"),
        ({"name": "\n"}, "required"),
        ({"name": "长" * 501}, "too_long"),
    ]
    for values, code in cases:
        with pytest.raises(AppError) as refused:
            hq.new("contact", **{"customer_id": mill, "name": "张建国", **values})
        assert refused.value.code == code, values
    assert hq.value("SELECT count(*) FROM contact") == 0


def test_trap_42_rare_characters_stay_as_they_are(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    name = "𠮷田😀<b>'; DROP TABLE contact;--"
    assert hq.get("contact", hq.new("contact", customer_id=mill, name=name))["name"] == name


def test_two_branches_name_two_main_contacts_apart(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    mill = hq.new("customer", name="绍兴恒远纺织")
    zhang = hq.new("contact", customer_id=mill, name="张建国")
    li = hq.new("contact", customer_id=mill, name="李梅")
    company.exchange()
    hq.set("contact", zhang, is_main=True)
    branch.set("contact", zhang, lunar_birthday="八月十五")
    branch.set("contact", li, is_main=True)
    company.exchange()
    assert len(company.digests) == 1
    # both stand, every node names the same one beside the customer, and the next word about it settles it
    for node in company.nodes:
        with node.store.read() as connection:
            assert customer_glances(connection, node.actor, [mill])[mill].contact == "张建国"
    assert hq.get("contact", zhang)["lunar_birthday"] == "08-15"
    hq.set("contact", li, is_main=False)
    company.exchange()
    assert [branch.get("contact", one)["is_main"] for one in (zhang, li)] == [True, False]


# what people are to each other -----------------------------------------------------------------------------------------------


def test_a_relation_is_told_from_both_sides_to_whoever_sees_both_people(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    lin = hq.new("user", login="lin", name="lin")
    for entity, actions in (("customer", ["read", "update"]), ("contact", ["read", "update"])):
        hq.run("people.set_rights", login="lin", entity=entity, actions=actions, scope="own" if entity == "customer" else "all")
    mine, theirs = hq.new("customer", name="绍兴华美", owner_id=lin), hq.new("customer", name="杭州宏远")
    wang, li = hq.new("contact", customer_id=mine, name="王芳"), hq.new("contact", customer_id=mine, name="李强")
    zhao = hq.new("contact", customer_id=theirs, name="赵敏")
    hq.run("crm.relate", one=wang, contact=li, kind="reports_to")
    hq.run("crm.relate", one=zhao, contact=wang, kind="classmate", note="东华大学")
    company.exchange()
    hq.run("crm.relate", one=li, contact=zhao, kind="spouse")  # the same said at two places
    branch.run("crm.relate", one=zhao, contact=li, kind="spouse")
    company.exchange("BR01", "BR01")

    def told(node: Installation, actor: Actor, **of: str) -> list[tuple[str, str, str, str]]:
        with node.store.read() as connection:
            return [(row.name, row.words, row.other_name, row.note) for row in ties_of(connection, actor, **of)]

    assert told(branch, branch.actor, customer=mine) == [
        ("李强", "下属", "王芳", ""),
        ("李强", "配偶", "赵敏", ""),
        ("王芳", "汇报给", "李强", ""),
        ("王芳", "同学", "赵敏", "东华大学"),
    ]
    assert told(hq, hq.actor, contact=zhao) == [("赵敏", "配偶", "李强", ""), ("赵敏", "同学", "王芳", "东华大学")]
    salesman = actor_by_id(hq.store, lin)
    assert salesman is not None
    assert [row[2] for row in told(hq, salesman, customer=mine)] == ["王芳", "李强"]  # he does not see who is at the other customer
    for parameters, code in (
        ({"one": wang, "contact": zhao, "kind": "friend"}, "not_found"),
        ({"one": zhao, "contact": wang, "kind": "friend"}, "not_found"),
        ({"one": wang, "contact": wang, "kind": "friend"}, "same_person"),
        ({"one": wang, "contact": li, "kind": "boss"}, "bad_tie"),
        ({"one": wang, "contact": li, "kind": "reports_to"}, "tie_known"),
    ):
        with pytest.raises(AppError, check=lambda error, code=code: error.code == code):
            verbs.run(hq.store, salesman, "crm.relate", parameters)
    spouse = hq.value("SELECT lower(hex(id)) FROM contact_tie WHERE kind = 'spouse' ORDER BY rid LIMIT 1")
    with pytest.raises(AppError, check=lambda error: error.code == "not_found"):
        verbs.run(hq.store, salesman, "crm.unrelate", {"tie_id": spouse})
    hq.run("crm.unrelate", tie_id=spouse)
    company.exchange("BR01")
    assert [row[1] for row in told(branch, branch.actor, contact=zhao)] == ["同学"]
    hq.delete("contact", li)  # who goes takes his relations out of sight
    assert told(hq, hq.actor, customer=mine) == [("王芳", "同学", "赵敏", "东华大学")]
