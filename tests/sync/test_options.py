"""Options between nodes: a user's own follow him, the company's come from head office, a branch's own are seen there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from localcrm.domain.options import company as options_here
from localcrm.domain.options.services import records_of
from localcrm.domain.options.table import option
from localcrm.domain.people.preferences import preferences
from localcrm.kernel.errors import Refused
from localcrm.kernel.schema import entity
from localcrm.store import check
from tests import factories
from tests.factories import Company, HandClock, Installation


@pytest.fixture
def clocks() -> dict[str, HandClock]:
    return {code: HandClock() for code in ("HQ", "BR01", "BR02")}


@pytest.fixture
def company(clocks: dict[str, HandClock]) -> Iterator[Company]:
    with factories.company(clocks=dict(clocks)) as made:
        yield made


def theme(node: Installation) -> str:
    return preferences(node.store, node.actor.user_id or "")["theme"]


def agree(company: Company) -> None:
    """Let everybody exchange: all hold the same data, nothing was held back, nobody has to settle anything."""
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []
        assert node.conflicts() == []
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0


def test_a_choice_follows_its_user_and_the_last_one_holds(company: Company, clocks: dict[str, HandClock]) -> None:
    one, two = company.branches["BR01"], company.branches["BR02"]
    one.run("options.set_option", key="theme", value="dark")
    clocks["BR02"].forward(minutes=5)
    two.run("options.set_option", key="theme", value="system")
    assert (theme(one), theme(two)) == ("dark", "system")
    agree(company)
    assert [theme(node) for node in company.nodes] == ["system"] * 3
    one.run("options.set_option", key="theme", value="light")
    agree(company)
    assert [theme(node) for node in company.nodes] == ["light"] * 3
    assert company.hq.value("SELECT count(*) FROM user_option WHERE key = 'theme'") == 2  # a row per node, however often it is set


def test_who_has_seen_a_choice_overrules_it_with_a_clock_that_is_late(company: Company, clocks: dict[str, HandClock]) -> None:
    one, two = company.branches["BR01"], company.branches["BR02"]
    clocks["BR01"].forward(days=3)
    one.run("options.set_option", key="theme", value="dark")
    agree(company)
    two.run("options.set_option", key="theme", value="system")  # three days earlier by its own clock
    agree(company)
    assert [theme(node) for node in company.nodes] == ["system"] * 3


def test_giving_up_a_choice_travels_too(company: Company) -> None:
    one, two = company.branches["BR01"], company.branches["BR02"]
    one.run("options.set_option", key="theme", value="dark")
    agree(company)
    two.run("options.reset_options")
    agree(company)
    assert [theme(node) for node in company.nodes] == ["light"] * 3


def test_the_default_of_a_role_reaches_whoever_has_it_at_a_branch(company: Company) -> None:
    hq, one = company.hq, company.branches["BR01"]
    role = hq.run("records.create_record", entity="role", values={"name": "销售"})["id"]
    hq.run("people.assign_role", login="admin", role="销售")
    hq.run("options.set_role_option", role_id=role, key="theme", value="dark")
    agree(company)
    assert theme(one) == "dark"
    with pytest.raises(Refused) as error:
        one.run("options.set_role_option", role_id=role, key="theme", value="system")
    assert error.value.code == "office_only"
    one.run("options.set_option", key="theme", value="system")
    agree(company)
    assert [theme(node) for node in company.nodes] == ["system"] * 3
    one.run("options.reset_option", key="theme")
    hq.run("options.reset_role_option", role_id=role, key="theme")
    agree(company)
    assert [theme(node) for node in company.nodes] == ["light"] * 3


def test_a_branch_differs_and_head_office_sees_it(company: Company) -> None:
    hq, one, two = company.hq, company.branches["BR01"], company.branches["BR02"]
    hq.run("options.set_company_option", key="exchange_days", value="7")
    agree(company)
    told = one.run("options.set_company_option", key="exchange_days", value="14")
    assert (told["value"], told["source"], told["office"]) == ("14", "branch", "7")
    agree(company)
    (seen,) = hq.run("options.option_deviations")
    assert {key: seen[key] for key in ("code", "key", "value", "office", "in_force")} == {
        "code": "BR01",
        "key": "exchange_days",
        "value": "14",
        "office": "7",
        "in_force": True,
    }

    hq.run("options.set_company_option", key="exchange_days", value="7", fixed=True)
    agree(company)
    assert [row["in_force"] for row in hq.run("options.option_deviations")] == [False]
    for node in (one, two):
        with pytest.raises(Refused) as error:
            node.run("options.set_company_option", key="exchange_days", value="10")
        assert error.value.code == "fixed_by_office"
    state = next(row for row in one.run("options.company_options") if row["key"] == "exchange_days")
    assert (state["value"], state["source"], state["locked"]) == ("7", "office", "fixed_by_office")

    hq.run("options.set_company_option", key="exchange_days", value="7", fixed=False)
    agree(company)
    state = next(row for row in one.run("options.company_options") if row["key"] == "exchange_days")
    assert (state["value"], state["locked"]) == ("14", "")
    assert one.run("options.reset_company_option", key="exchange_days")["source"] == "office"
    agree(company)
    assert hq.run("options.option_deviations") == []


class Calendar(date):
    """The calendar on the wall, as a test turns its leaves."""

    day = date(2026, 12, 1)

    @classmethod
    def today(cls) -> date:  # type: ignore[override]
        return cls.day


def test_a_later_value_comes_into_force_at_a_branch_that_is_alone_on_that_day(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_here, "date", Calendar)
    Calendar.day = date(2026, 12, 1)
    hq, one, two = company.hq, company.branches["BR01"], company.branches["BR02"]

    def state(node: Installation) -> tuple[str, str, str | None, str | None]:
        told = next(row for row in node.run("options.company_options") if row["key"] == "free_tries")
        return told["value"], told["source"], told["next_value"], told["next_from"]

    hq.run("options.set_company_option", key="free_tries", value="5", from_day="2027-01-01")
    agree(company)
    two.run("options.set_company_option", key="free_tries", value="8", from_day="2027-01-15")  # this branch plans for itself
    with pytest.raises(Refused) as error:
        one.run("options.withdraw_company_option", key="free_tries")
    assert error.value.code == "nothing_planned"  # not by this branch
    assert state(one) == ("3", "default", "5", "2027-01-01")
    Calendar.day = date(2027, 1, 1)
    assert [state(node) for node in (hq, one)] == [("5", "office", None, None)] * 2
    assert state(two) == ("5", "office", "8", "2027-01-15")
    Calendar.day = date(2027, 1, 15)
    assert state(two) == ("8", "branch", None, None)
    agree(company)
    assert [(row["code"], row["value"], row["office"]) for row in hq.run("options.option_deviations")] == [("BR02", "8", "5")]

    two.run("options.set_company_option", key="free_tries", value="9", from_day="2027-02-01")
    assert two.run("options.withdraw_company_option", key="free_tries")["next_value"] is None
    hq.run("options.set_company_option", key="free_tries", value="6", from_day="2027-02-01")
    agree(company)
    hq.run("options.withdraw_company_option", key="free_tries")
    agree(company)
    Calendar.day = date(2027, 2, 1)
    assert [state(node)[0] for node in company.nodes] == ["5", "5", "8"]


def test_head_office_alone_fixes_and_sets_what_holds_for_everybody(company: Company) -> None:
    one = company.branches["BR01"]
    for given in ({"key": "exchange_days", "value": "5", "fixed": True}, {"key": "theme", "value": "dark"}):
        with pytest.raises(Refused) as error:
            one.run("options.set_company_option", **given)
        assert error.value.code == "office_only"


def test_a_value_of_a_newer_program_is_kept_and_not_obeyed(company: Company) -> None:
    hq, one = company.hq, company.branches["BR01"]
    hq.run("options.set_company_option", key="negative_stock", value="block")
    kind = entity("company_option")
    with hq.store.unit_of_work(None) as uow:
        uow.update(kind, uow.where(kind, key="negative_stock")[0]["id"], {"value": "ask the boss"})
    agree(company)
    state = next(row for row in one.run("options.company_options") if row["key"] == "negative_stock")
    assert (state["value"], state["source"]) == ("warn", "default")


def test_nobody_speaks_for_another_branch(company: Company) -> None:
    one, two = company.branches["BR01"], company.branches["BR02"]
    kind = entity("branch_option")
    with two.store.unit_of_work(None) as uow:
        foreign = {"key": "negative_stock", "branch_id": one.store.node.branch_id, "value": "allow", "set_at": "2026-11-20T12:00:00Z"}
        uow.insert(kind, kind.validate(foreign))
    company.up("BR02")
    assert company.hq.rows("SELECT reason FROM sync_quarantine") == [("not_owner",)]
    assert company.hq.run("options.option_deviations") == []


def test_what_amounts_mean_is_not_turned_round_at_a_branch_by_fixing_it(company: Company) -> None:
    hq, one = company.hq, company.branches["BR01"]
    one.run("options.set_company_option", key="prices_include_tax", value="no")
    customer, product = hq.new("customer", name="甲公司"), hq.new("product", code="P", name="裁剪", price="1", stocked="false")
    agree(company)
    one.run("sales.post_order", order_id=one.order(customer, product))
    agree(company)
    with pytest.raises(Refused) as error:
        hq.run("options.set_company_option", key="prices_include_tax", value="yes", fixed=True)
    assert error.value.code == "locked_by_posting"
    with pytest.raises(Refused):
        one.run("options.reset_company_option", key="prices_include_tax")


def test_a_branch_tells_all_it_has_set(company: Company) -> None:
    one = company.branches["BR01"]
    for value in ("7", "14", "14"):
        one.run("options.set_company_option", key="exchange_days", value=value)
    one.run("options.reset_company_option", key="exchange_days")
    with one.store.read() as connection:
        found = records_of(connection, one.store.node, option("exchange_days"), entity("branch_option"))
    assert [one.get("branch_option", identity)["value"] for identity in found] == [None, "14", "7"]
