"""Channel partners through their year: who registered a company first, what their customers brought in, what they were given for it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm.reminders import reminders
from localcrm.domain.partners.rebate_credit import credit_for
from localcrm.domain.partners.rules import months_until
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.records import BEHAVIOURS
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, NotFound, Refused
from localcrm.kernel.schema import entity
from localcrm.store.query import Condition, ListQuery, select
from tests.factories import Company, Installation, copy_company

NOW, LAST, BEFORE = months_until(dt.date.today(), 3)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    copy = copy_company(tmp_path, branches=2)
    copy.hq.clock.ms = time.time_ns() // 1_000_000  # lists ask the calendar on the wall
    yield copy
    copy.close()


@pytest.fixture
def hq(company: Company) -> Installation:
    return company.hq


def register(node: Installation, partner: str, name: str, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = node.run("partners.register_customer", partner_id=partner, name=name, **values)
    return found


def standing(node: Installation, registration: str) -> str:
    derive = BEHAVIOURS["partner_registration"].derive
    assert derive is not None
    with node.store.read() as connection:
        records = select(connection, ListQuery(entity("partner_registration"), where=(Condition("id", "=", registration),))).rows
        return str(derive(connection, node.actor, records)[0]["standing"])


def told(node: Installation, *, actor: Any = None) -> list[tuple[str, str]]:
    now = moment(node.store.clock)
    with node.store.read() as connection:
        found = reminders(connection, node.store.node, actor or node.actor, now=now, ahead=dt.timedelta(days=1))
    return [(one.kind, one.title) for one in found if one.kind in {"registration", "outrun"}]


def refused(node: Installation, verb: str, **parameters: Any) -> str:
    with pytest.raises(AppError) as error:
        node.run(verb, **parameters)
    return error.value.code


def days_later(company: Company, days: int) -> None:
    company.hq.clock.forward(days=days)  # type: ignore[attr-defined] -- a clock set by hand


# registrations ---------------------------------------------------------------------------------------------------------


def test_who_registers_a_company_first_is_protected_and_the_next_is_told_whom_to_ask(hq):
    first, second = hq.new("partner", name="华东代理"), hq.new("partner", name="苏北经销")
    assert hq.get("partner", first)["number"].startswith("CP-HQ-")
    mine = register(hq, first, "杭州恒远纺织有限公司", phone="0571-88886666")
    assert mine["id"] and standing(hq, mine["id"]) == "protected"
    other = register(hq, second, "别的名字", phone="+86 571 8888 6666")
    assert other["id"] is None
    (hit,) = other["registrations"]
    assert (hit["partner"], hit["name"], hit["reasons"]) == ("华东代理", "杭州恒远纺织有限公司", ["phone"])
    assert hq.value("SELECT count(*) FROM partner_registration") == 1
    again = register(hq, first, "（杭州）恒远纺织")
    assert again["id"] is None and again["registrations"][0]["reasons"] == ["name"]
    hq.run("partners.release_registration", registration_id=mine["id"])
    assert register(hq, second, "杭州恒远纺织有限公司")["id"]
    assert standing(hq, mine["id"]) == "released"


def test_whoever_enters_a_registered_company_as_a_customer_is_told(hq):
    partner = hq.new("partner", name="华东代理")
    mine = register(hq, partner, "杭州恒远纺织有限公司", phone="0571-88886666")
    typed = {"name": "恒远纺织（杭州）", "phone": "057188886666"}
    (hit,) = hq.run("crm.advise_customer", values=typed)["rows"]
    assert (hit["partner"], hit["reasons"], hit["until"]) == (
        "华东代理",
        ["phone"],
        str(hq.get("partner_registration", mine["id"])["protected_until"]),
    )
    user = hq.new("user", login="wang", name="王芳")
    hq.run("people.set_rights", login="wang", entity="customer", actions=["read", "create"], scope="own")
    wang = actor_by_id(hq.store, user)
    assert wang is not None
    (hit,) = verbs.run(hq.store, wang, "crm.advise_customer", {"values": typed})["rows"]
    assert hit["masked"] and "partner" not in hit and "name" not in hit
    hq.run("partners.turn_into_customer", registration_id=mine["id"])
    assert [row["name"] for row in hq.run("crm.advise_customer", values=typed)["rows"]] == ["杭州恒远纺织有限公司"]


def test_a_company_that_is_ours_already_is_registered_only_on_purpose(hq):
    partner = hq.new("partner", name="华东代理")
    hq.new("customer", name="绍兴宏达", tax_no="91330600MA2XXXXX1A")
    found = register(hq, partner, "宏达", tax_no="91330600ma2xxxxx1a")
    assert found["id"] is None and found["customers"][0]["name"] == "绍兴宏达"
    assert register(hq, partner, "宏达", tax_no="91330600ma2xxxxx1a", although=True)["id"]


def test_a_company_outside_the_partners_area_or_in_that_of_another_is_told_and_taken_down_on_purpose(hq):
    """The narrowest area that holds it counts; who holds it registers without a word."""
    province, city = hq.new("partner", name="浙江代理", area="浙江省"), hq.new("partner", name="绍兴经销", area="浙江省/绍兴市")
    north = hq.new("partner", name="苏北经销", area="江苏省")

    def against(partner: str, area: str, **values: Any) -> list[tuple[str, str]]:
        found = register(hq, partner, f"某厂{area}", area=area, **values)
        assert (found["id"] is None) == bool(found["territory"]) or values
        return [(one["territory"], one["partner"]) for one in found["territory"]]

    assert against(province, "浙江绍兴柯桥") == [("held", "绍兴经销")]
    assert against(north, "浙江绍兴柯桥") == [("outside", ""), ("held", "绍兴经销")]
    assert against(city, "浙江绍兴柯桥") == [] and against(province, "杭州市") == []
    assert against(north, "广东省", although=True) == [("outside", "")]
    assert hq.value("SELECT area FROM partner_registration WHERE partner_id = ?", bytes.fromhex(city)) == "浙江省/绍兴市/柯桥区"

    customer = hq.new("customer", name="宏达", area="浙江省/绍兴市")
    rows = hq.run("crm.advise_customer", values={"partner_id": north}, id=customer)["rows"]
    assert [(row["territory"], row["partner"]) for row in rows] == [("outside", ""), ("held", "绍兴经销")]
    assert hq.run("crm.advise_customer", values={"partner_id": city}, id=customer)["rows"] == []
    for hostile in ({"partner_id": "zz", "area": "x"}, {"partner_id": north, "area": "/" * 90_000}):
        assert all("territory" in row for row in hq.run("crm.advise_customer", values=hostile)["rows"])
    user = hq.new("user", login="wang", name="王芳")
    for kind, scope in (("customer", "all"), ("partner", "own")):
        hq.run("people.set_rights", login="wang", entity=kind, actions=["read", "create"], scope=scope)
    wang = actor_by_id(hq.store, user)
    assert wang is not None
    typed = {"values": {"partner_id": north, "area": "浙江省/绍兴市"}}
    assert verbs.run(hq.store, wang, "crm.advise_customer", typed)["rows"] == []  # of a partner he does not see, not even the area
    hq.set("partner", city, starts_on="2020-01-01", ends_on="2020-12-31")
    assert hq.run("crm.advise_customer", values={"partner_id": province}, id=customer)["rows"] == []


def test_somebody_without_the_right_to_see_it_learns_only_whom_to_ask_and_the_log_knows(hq):
    partner = hq.new("partner", name="华东代理")
    register(hq, partner, "杭州恒远纺织")
    user = hq.new("user", login="wang", name="王芳")
    for kind, scope in (("partner", "all"), ("partner_registration", "own")):
        hq.run("people.set_rights", login="wang", entity=kind, actions=["read", "create"][: 1 + (scope == "own")], scope=scope)
    wang = actor_by_id(hq.store, user)
    assert wang is not None
    found = verbs.run(hq.store, wang, "partners.register_customer", {"partner_id": partner, "name": "（杭州）恒远纺织"})
    (hit,) = found["registrations"]
    assert found["id"] is None and hit["masked"] and hit.keys() == {"masked", "owner", "branch", "until", "reasons"}
    assert hq.value("SELECT count(*) FROM event_log WHERE kind = 'hidden_alike'") == 1
    mine = hq.value("SELECT lower(hex(id)) FROM partner_registration")
    with pytest.raises((Forbidden, NotFound)):
        verbs.run(hq.store, wang, "partners.release_registration", {"registration_id": mine})


def test_a_registration_runs_out_is_extended_and_begins_anew(company, hq):
    first, second = hq.new("partner", name="华东代理"), hq.new("partner", name="苏北经销")
    mine = register(hq, first, "杭州恒远纺织")["id"]
    days_later(company, 84)
    assert told(hq) == [("registration", "杭州恒远纺织")]
    since = hq.get("partner_registration", mine)["since"]
    hq.run("partners.extend_registration", registration_id=mine, days=30)
    assert told(hq) == [] and hq.get("partner_registration", mine)["since"] == since
    hq.run("partners.extend_registration", registration_id=mine, days=2)
    assert told(hq) == []  # never shorter than it was
    days_later(company, 31)
    theirs = register(hq, second, "杭州恒远纺织")["id"]
    assert theirs
    assert refused(hq, "partners.extend_registration", registration_id=mine) == "registered_meanwhile"
    hq.run("partners.release_registration", registration_id=theirs)
    hq.run("partners.extend_registration", registration_id=mine)
    assert hq.get("partner_registration", mine)["since"] > since
    assert refused(hq, "partners.extend_registration", registration_id=theirs) == "registration_closed"
    assert refused(hq, "partners.extend_registration", registration_id=mine, days=0) == "bad_days"


def test_two_branches_register_one_company_for_two_partners_and_all_name_the_same_first(company, hq):
    one, two = company.branches["BR01"], company.branches["BR02"]
    partners = [hq.new("partner", name=name) for name in ("华东代理", "苏北经销")]
    company.exchange()
    first = register(one, partners[0], "杭州恒远纺织有限公司")["id"]
    days_later(company, 1)
    second = register(two, partners[1], "（杭州）恒远纺织")["id"]
    assert first and second
    assert standing(two, second) == "protected"  # it cannot know better yet
    company.exchange()
    assert {(standing(node, first), standing(node, second)) for node in company.nodes} == {("protected", "outrun")}
    assert len(company.digests) == 1
    assert ("outrun", "（杭州）恒远纺织") in told(two)
    assert refused(two, "partners.turn_into_customer", registration_id=second) == "outrun"
    assert refused(two, "partners.extend_registration", registration_id=second) == "outrun"
    (reminder,) = [row for row in two.run("crm.list_reminders")["rows"] if row["kind"] == "outrun"]
    two.run("crm.settle_reminders", keys=[reminder["key"]])
    assert told(two) == []
    one.run("partners.release_registration", registration_id=first)
    company.exchange()
    assert {standing(node, second) for node in company.nodes} == {"protected"}


def test_a_registered_company_becomes_our_customer_through_the_partner(hq):
    partner, other = hq.new("partner", name="华东代理"), hq.new("partner", name="苏北经销")
    won = register(hq, partner, "杭州恒远纺织", phone="13800001111")["id"]
    customer = hq.run("partners.turn_into_customer", registration_id=won)["id"]
    row = hq.get("customer", customer)
    assert (row["name"], row["phone"], row["partner_id"]) == ("杭州恒远纺织", "13800001111", partner)
    assert hq.get("partner_registration", won)["customer_id"] == customer
    assert register(hq, other, "杭州恒远纺织", although=True)["id"] is None  # its days still run
    known = hq.new("customer", name="绍兴宏达", partner_id=other)
    again = register(hq, partner, "宏达印染")["id"]
    assert refused(hq, "partners.turn_into_customer", registration_id=again, customer_id=known) == "partner_named"
    hq.set("customer", known, partner_id="")
    hq.run("partners.turn_into_customer", registration_id=again, customer_id=known)
    assert hq.get("customer", known)["partner_id"] == partner
    with pytest.raises(Refused):
        hq.delete("partner", partner)


def test_nobody_registers_for_a_partner_whose_agreement_is_over(hq):
    partner = hq.new("partner", name="华东代理", starts_on="2025-01-01", ends_on="2025-12-31")
    assert refused(hq, "partners.register_customer", partner_id=partner, name="某厂") == "agreement_over"
    with pytest.raises(InvalidInput):
        hq.set("partner", partner, starts_on="2026-01-01")


# rebates ---------------------------------------------------------------------------------------------------------------


def _sell(company: Company) -> None:
    """Last month at head office and at a branch: 600 and 500 ordered, 400 and 500 paid, by customers of one partner, one of whom was merged."""
    hq, branch = company.hq, company.branches["BR01"]
    partner = hq.new("partner", name="华东代理", level="core")
    hq.new("rebate_tier", level="core", from_amount="500", percent="0.02")
    hq.new("rebate_tier", level="core", from_amount="1000", percent="0.035")
    product = hq.new("product", code="P1", name="布", price="100", tax_rate="0", stocked=False)
    kept, twin = hq.new("customer", name="绍兴宏达", partner_id=partner), hq.new("customer", name="绍兴宏达有限公司")
    hq.new("customer", name="没有渠道的")
    company.exchange()
    for node, customer, quantity, paid in ((hq, kept, "6", "400"), (branch, twin, "5", "500")):
        order = node.order(customer, product, quantity=quantity)
        node.set("sales_order", order, date=f"{LAST}-15")
        node.run("sales.post_order", order_id=order)
        node.run("finance.receive_payment", order_id=order, amount=paid, date=f"{LAST}-20")
    company.exchange()
    hq.run("crm.merge_customers", kept=kept, merged=twin)
    company.exchange()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Company]:
    copy = copy_company(tmp_path, branches=1, name="partners", prepare=_sell)
    copy.hq.clock.ms = time.time_ns() // 1_000_000
    yield copy
    copy.close()


@pytest.fixture
def office(shop: Company) -> Installation:
    return shop.hq


@pytest.fixture
def partner(office: Installation) -> str:
    return str(office.value("SELECT lower(hex(id)) FROM partner"))


def rebates(node: Installation) -> list[tuple[str, ...]]:
    rows = node.run("partners.list_rebates", months=3)["rows"]
    return [tuple(str(row[key]) for key in ("month", "basis", "percent", "amount", "settled", "open")) for row in rows]


def test_a_rebate_follows_from_what_every_branch_sold_and_is_given_once(shop, office, partner):
    assert rebates(office) == [(LAST, "900.00", "0.0200", "18.00", "0.00", "18.00")]
    office.set("partner", partner, rebate_on="ordered")
    assert rebates(office) == [(LAST, "1100.00", "0.0350", "38.50", "0.00", "38.50")]
    customer, order = office.rows("SELECT lower(hex(customer_id)), lower(hex(id)) FROM sales_order WHERE gross = 60000")[0]
    office.set("partner", partner, rebate_on="shipped")
    assert rebates(office)[0][1] == "0.00"
    sent = office.new("delivery", customer_id=customer, order_id=order, status="shipped", date=f"{LAST}-18")
    goods = office.new("delivery_line", delivery_id=sent, product_id=office.value("SELECT lower(hex(id)) FROM product"), quantity="6")
    assert rebates(office) == [(LAST, "600.00", "0.0200", "12.00", "0.00", "12.00")]
    office.set("delivery_line", goods, quantity="5.5")
    assert rebates(office)[0][1] == "550.00"
    back = [{"product_id": office.get("delivery_line", goods)["product_id"], "quantity": "2"}]
    exchanged = office.run("sales.take_back", delivery_id=sent, lines=back, exchange=True)["replacement"]
    assert [row[:2] for row in rebates(office)] == [(NOW, "-200.00"), (LAST, "550.00")]  # by the day on which it came back
    office.set("delivery", exchanged, status="shipped")
    assert [row[:2] for row in rebates(office)] == [(LAST, "550.00")]
    office.run("sales.take_back", delivery_id=exchanged, lines=back)
    assert [row[:2] for row in rebates(office)] == [(NOW, "-200.00"), (LAST, "550.00")]
    office.set("delivery", sent, status="returned")
    assert {row[1] for row in rebates(office)} == {"0.00"}  # all of it came back, in part and then as a whole
    office.set("partner", partner, rebate_on="ordered")
    part = office.run("partners.settle_rebate", partner_id=partner, month=LAST, amount="8.50")
    assert (part["amount"], part["basis"], part["way"]) == ("8.50", "1100.00", "credit")
    assert refused(office, "partners.settle_rebate", partner_id=partner, month=LAST, amount="30.01") == "rebate_settled"
    office.run("partners.settle_rebate", partner_id=partner, month=LAST, way="money")
    assert refused(office, "partners.settle_rebate", partner_id=partner, month=LAST) == "rebate_settled"
    shop.exchange()
    assert {tuple(rebates(node)) for node in shop.nodes} == {((LAST, "1100.00", "0.0350", "38.50", "38.50", "0.00"),)}
    order = shop.branches["BR01"].value("SELECT lower(hex(id)) FROM sales_order WHERE gross = 50000")
    shop.branches["BR01"].run("sales.reverse_order", order_id=order)
    shop.exchange()
    assert office.run("partners.list_ranking")["rows"][0]["ordered"] == "600.00"


def test_too_much_given_shows_and_can_be_taken_back(office, partner):
    office.run("partners.settle_rebate", partner_id=partner, month=LAST)
    tier = office.value("SELECT lower(hex(id)) FROM rebate_tier WHERE from_amount = 50000")
    office.set("rebate_tier", tier, percent="0.01")
    assert rebates(office) == [(LAST, "900.00", "0.0100", "9.00", "18.00", "-9.00")]
    assert refused(office, "partners.settle_rebate", partner_id=partner, month=LAST, amount="-18.01") == "rebate_settled"
    office.run("partners.settle_rebate", partner_id=partner, month=LAST)
    assert rebates(office)[0][-2:] == ("9.00", "0.00")


def test_a_rebate_given_as_credit_pays_for_orders_of_the_partner_and_is_used_once(shop, office, partner):
    office.run("partners.settle_rebate", partner_id=partner, month=LAST)
    buyer, product = office.new("customer", name="华东代理"), office.value("SELECT lower(hex(id)) FROM product")
    order = office.order(buyer, product)
    office.run("sales.post_order", order_id=order)
    pay = {"order_id": order, "method": "rebate"}
    assert refused(office, "finance.receive_payment", **pay, amount="10") == "no_partner"
    office.set("partner", partner, customer_id=buyer)
    assert refused(office, "finance.receive_payment", **pay, amount="18.01") == "more_than_credit"
    paid = office.run("finance.receive_payment", **pay, amount="18")
    assert paid["account_id"] is None and office.get("sales_order", order)["open"] == "82.00"
    assert refused(office, "finance.receive_payment", **pay, amount="0.01") == "more_than_credit"
    other = office.new("customer", name="别家")
    for changed in (other, ""):
        assert refused(office, "records.update_record", entity="partner", id=partner, values={"customer_id": changed}) == "credit_was_used"
    office.run("finance.receive_payment", order_id=order, amount="50")
    assert refused(office, "finance.receive_payment", **pay, amount="-18.01") == "more_than_paid_with_credit"
    office.run("finance.receive_payment", **pay, amount="-5")
    twin = office.new("customer", name="华东代理公司")
    office.run("crm.merge_customers", kept=twin, merged=buyer)  # what was merged goes on being his
    assert office.get("partner", partner)["customer_id"] == twin
    assert refused(office, "records.update_record", entity="partner", id=partner, values={"customer_id": other}) == "credit_was_used"
    office.run("finance.receive_payment", order_id=order, amount="10")
    buyer = twin
    office.set("customer", buyer, partner_id=partner)
    shop.down("BR01")
    for node in shop.nodes:
        with node.store.read() as connection:
            assert credit_for(connection, node.actor, buyer) == 5
    sums = {row["month"]: row["basis"] for row in office.run("partners.list_rebates", months=3)["rows"]}
    assert Decimal(sums[NOW]) == 60  # what was paid with a rebate brings none
    assert (
        refused(
            office, "records.create_record", entity="partner_deposit", values={"partner_id": partner, "amount": "1", "method": "rebate"}
        )
        == "credit_for_goods"
    )


def test_rebates_are_settled_by_head_office_for_months_that_are_over(shop, office, partner):
    assert refused(shop.branches["BR01"], "partners.settle_rebate", partner_id=partner, month=LAST) == "office_settles"
    assert refused(office, "partners.settle_rebate", partner_id=partner, month=NOW) == "month_runs"
    assert refused(office, "partners.settle_rebate", partner_id=partner, month="2026-1") == "bad_month"
    assert refused(office, "partners.settle_rebate", partner_id=partner, month=BEFORE) == "rebate_settled"
    given = office.run("partners.settle_rebate", partner_id=partner, month=LAST)["id"]
    with pytest.raises(AppError):
        office.set("rebate_settlement", given, amount="1")
    assert Decimal(office.get("rebate_settlement", given)["amount"]) == 18


def test_who_sees_part_of_the_orders_is_told_so_and_settles_nothing(office, partner):
    user = office.new("user", login="wang", name="王芳")
    for kind, scope in (("partner", "all"), ("rebate_tier", "all"), ("customer", "all"), ("sales_order", "own"), ("receipt", "all")):
        office.run("people.set_rights", login="wang", entity=kind, actions=["read"], scope=scope)
    office.run("people.set_rights", login="wang", entity="rebate_settlement", actions=["read", "create"], scope="all")
    wang = actor_by_id(office.store, user)
    assert wang is not None
    found = verbs.run(office.store, wang, "partners.list_rebates", {})
    assert found == {"rows": [], "whole": False}
    with pytest.raises(Forbidden) as error:
        verbs.run(office.store, wang, "partners.settle_rebate", {"partner_id": partner, "month": LAST})
    assert error.value.code == "sees_part"


def test_a_tier_is_of_one_partner_or_level_from_one_amount_and_set_by_head_office(company, hq):
    partner = hq.new("partner", name="华东代理", level="core")
    hq.new("rebate_tier", level="core", from_amount="500", percent="0.02", ends_on="2026-12-31")
    hq.new("rebate_tier", level="core", from_amount="500", percent="0.03", starts_on="2027-01-01")
    for values in (
        {"level": "core", "partner_id": partner},
        {},
        {"level": "core", "from_amount": "500", "starts_on": "2026-06-01"},
        {"level": "core", "starts_on": "2026-06-01", "ends_on": "2026-05-01"},
    ):
        with pytest.raises(InvalidInput):
            hq.new("rebate_tier", percent="0.02", **values)
    with pytest.raises(Refused):
        company.branches["BR01"].new("rebate_tier", level="core", percent="0.5")


def test_the_ranking_counts_twelve_months_and_every_branch(shop, office, partner):
    idle = office.new("partner", name="苏北经销")
    shop.exchange()
    for node in shop.nodes:
        found = node.run("partners.list_ranking")
        assert found["whole"]
        assert [(row["partner_id"], row["customers"], row["ordered"], row["received"]) for row in found["rows"]] == [
            (partner, 1, "1100.00", "900.00"),
            (idle, 0, "0.00", "0.00"),
        ]
    days_later(shop, 330)
    assert office.run("partners.list_ranking")["rows"][0]["ordered"] == "0.00"


def test_who_may_only_read_registers_turns_and_settles_nothing(office, partner):
    mine = register(office, partner, "杭州恒远纺织")["id"]
    user = office.new("user", login="lin", name="林丽")
    for kind in ("partner", "partner_registration", "rebate_settlement", "customer", "sales_order", "receipt", "rebate_tier"):
        office.run("people.set_rights", login="lin", entity=kind, actions=["read"], scope="all")
    lin = actor_by_id(office.store, user)
    assert lin is not None
    for verb, parameters in (
        ("register_customer", {"partner_id": partner, "name": "某厂"}),
        ("extend_registration", {"registration_id": mine}),
        ("release_registration", {"registration_id": mine}),
        ("turn_into_customer", {"registration_id": mine}),
        ("settle_rebate", {"partner_id": partner, "month": LAST}),
    ):
        with pytest.raises(Forbidden):
            verbs.run(office.store, lin, f"partners.{verb}", parameters)
    assert verbs.run(office.store, lin, "partners.list_rebates", {})["rows"][0]["amount"] == "18.00"
