"""What was deleted stays deleted until somebody restores it, and work done on it meanwhile is pointed out."""

from __future__ import annotations

from tests.factories import Company, HandClock, Installation


def test_failure_11_a_branch_silent_for_two_years_brings_nothing_back_to_life(
    company: Company, hq: Installation, three: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    untouched = hq.new("customer", name="乙公司", phone="1")
    company.exchange()
    three.set("customer", customer, phone="3")
    mine = three.new("customer", name="丙公司")
    hq.delete("customer", customer)
    hq.delete("customer", untouched)
    for clock in clocks.values():
        clock.forward(days=730)
    hq.new("customer", name="丁公司")
    company.exchange("BR01", "BR02")
    three.set("customer", untouched, phone="4")
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        assert node.is_deleted("customer", customer)
        assert node.is_deleted("customer", untouched)
        assert node.get("customer", customer)["phone"] == "3"
        assert node.get("customer", mine)["name"] == "丙公司"
    assert {row["record"] for row in hq.conflicts(kind="deleted_edited")} == {customer, untouched}


def test_failure_13_a_branch_that_joins_late_gets_everything_and_no_error(
    company: Company, hq: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    gone = hq.new("customer", name="乙公司")
    hq.delete("customer", gone)
    hq.set("customer", customer, phone="2")
    for clock in clocks.values():
        clock.forward(days=730)
    company.exchange()
    late = company.join("BR04")
    company.exchange()
    assert len(company.digests) == 1
    assert late.get("customer", customer)["phone"] == "2"
    assert late.is_deleted("customer", gone)


def test_failure_16_two_branches_delete_the_same_and_the_third_hears_of_it(
    company: Company, one: Installation, two: Installation, three: Installation, customer: str
) -> None:
    one.delete("customer", customer)
    two.delete("customer", customer)
    company.up("BR01")
    company.up("BR02")
    company.down("BR03")
    assert three.is_deleted("customer", customer)
    company.exchange()
    assert len(company.digests) == 1
    assert company.hq.conflicts() == []


def test_failure_18_deleting_the_winner_does_not_reveal_the_loser(
    company: Company, one: Installation, two: Installation, three: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    one.set("customer", customer, phone="11")
    clocks["BR02"].forward(minutes=1)
    two.set("customer", customer, phone="22")
    company.exchange()
    (found,) = three.conflicts()
    three.run("admin.resolve_conflict", id=found["id"], keep="lost")
    company.exchange()
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"11"}
    two.delete("customer", customer)
    company.exchange()
    assert len(company.digests) == 1
    assert [node.is_deleted("customer", customer) for node in company.nodes] == [True] * 4
    assert [(row["kind"], row["state"]) for row in company.hq.conflicts()] == [("overwritten", "resolved")]
