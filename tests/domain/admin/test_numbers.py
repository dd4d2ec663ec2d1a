"""Head office says how numbers look; what was given before stays, and what is missing is named."""

import datetime
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.entities import SalesOrder
from localcrm.kernel.errors import AppError, Forbidden, Refused
from localcrm.store.check import check
from localcrm.store.store import Store
from tests import factories

Do = Callable[..., Any]
SALES_ORDER = SalesOrder.entity_type
TODAY = datetime.date.today()


@pytest.fixture
def post(do: Do, new: Do) -> Do:
    """Post an order of a day; returns its number."""
    customer = new("customer", name="浙江瑞祥进出口有限公司")["id"]
    service = new("product", code="FW-01", name="裁剪服务", price="50", stocked="false")["id"]

    def post(day: str = "2026-11-18") -> str:
        draft = do("sales.save_order", header={"customer_id": customer, "date": day}, lines=[{"product_id": service, "quantity": "1"}])
        return str(do("sales.post_order", order_id=draft["id"])["number"])

    return post


def refusal(do: Do, format: str, reset: str, series: str = "sales_order") -> tuple[str, str]:
    with pytest.raises(AppError) as refused:
        do("admin.set_number_format", series=series, format=format, reset=reset)
    return refused.value.code, refused.value.message


def test_without_a_rule_numbers_are_as_they_always_were(post: Do) -> None:
    assert [post(), post(), post("2026-11-19")] == ["SO-HQ-20261118-0001", "SO-HQ-20261118-0002", "SO-HQ-20261119-0001"]


def test_a_format_holds_from_the_next_number_on(do: Do, post: Do, store: Store) -> None:
    assert post() == "SO-HQ-20261118-0001"
    rule = do("admin.set_number_format", series="sales_order", format="XS{branch}-{yyyyMM}-{000}", reset="month")
    assert (rule["format"], rule["reset"]) == ("XS{branch}-{yyyyMM}-{000}", "month")
    assert [post(), post("2026-11-30"), post("2026-12-01")] == ["XSHQ-202611-001", "XSHQ-202611-002", "XSHQ-202612-001"]
    do("admin.set_number_format", series="sales_order", format="SO-{branch}-{yyyyMMdd}-{0000}", reset="day")
    assert post() == "SO-HQ-20261118-0002"  # the counter of before goes on
    assert check(store)["ok"]


def test_fewer_digits_count_on(do: Do, post: Do) -> None:
    post()
    do("admin.set_number_format", series="sales_order", format="SO-{branch}-{yyyyMMdd}-{000}", reset="day")
    assert post() == "SO-HQ-20261118-002"


def test_the_preview_takes_no_number(do: Do, post: Do) -> None:
    day = TODAY.strftime("%Y%m%d")
    post(TODAY.isoformat())
    for _twice in range(2):
        assert do("admin.preview_number", series="sales_order")["number"] == f"SO-HQ-{day}-0002"
    wish = {"format": "XS-{branch}-{yyyyMM}-{0000}", "reset": "month"}
    assert do("admin.preview_number", series="sales_order", **wish)["number"] == f"XS-HQ-{day[:6]}-0001"
    assert do("admin.preview_number", series="customer")["number"] == "C-HQ-000002"


def test_what_was_given_could_not_be_given_again(do: Do, post: Do) -> None:
    number = post()
    code, sentence = refusal(do, "SO-{branch}-{yyyyMMdd}-{0000}", "month")  # would start at 0001 this very month
    assert code == "number_given"
    assert number in sentence
    assert refusal(do, "SO-{branch}-{yyyyMM}{00}-{0000}", "month")[0] == "one_counter"
    assert do("admin.set_number_format", series="sales_order", format="SO-{branch}-{yyyyMM}-{0000}", reset="month")


def test_two_series_never_meet(do: Do) -> None:
    code, sentence = refusal(do, "RC-{branch}-{yyyyMMdd}-{0000}", "day")
    assert (code, "收款" in sentence) == ("series_meet", True)
    assert refusal(do, "RC-{branch}-{yyyyMM}-{0000}", "month")[0] == "series_meet"  # they would share a counter's name
    assert refusal(do, "C-{branch}-{0000}", "never")[0] == "series_meet"
    assert refusal(do, "X-{branch}-{0000}", "never", series="product")[0] == "no_series"
    assert refusal(do, "X-{branch}-{0000}", "weekly")[0] == "bad_choice"


def test_a_number_that_is_there_already_is_passed_over(do: Do, new: Do) -> None:
    do("admin.set_number_format", series="customer", format="KH-{branch}-{000}", reset="never")
    new("customer", name="乙", number="KH-HQ-002")
    assert [new("customer", name=name)["number"] for name in "丙丁"] == ["KH-HQ-001", "KH-HQ-003"]


def test_the_report_names_what_is_missing_and_why(do: Do, new: Do) -> None:
    first, *_rest = [new("customer", name=name) for name in "甲乙丙"]
    do("records.update_record", entity="customer", id=first["id"], values={"number": "老客户"})
    (run,) = do("admin.number_gaps")["rows"]
    assert run == {
        "series": "customer",
        "branch": "HQ",
        "period": "",
        "first": "C-HQ-000002",
        "last": "C-HQ-000003",
        "count": 2,
        "gaps": [{"first": 1, "last": 1, "reason": "changed"}],
        "as_of": None,
    }


def test_what_the_merge_did_not_accept_is_a_known_gap(do: Do, post: Do, store: Store) -> None:
    post()
    number = SALES_ORDER.fields["number"].no
    with store.housekeeping() as connection:
        raw = msgspec.msgpack.encode([SALES_ORDER.no, 2, b"", [(number, None, "SO-BR01-20261118-0001")]])
        connection.execute("INSERT INTO sync_quarantine VALUES (2, 9, ?, x'', 'bad_value', NULL, ?, 1, 0)", (SALES_ORDER.no, raw))
    with store.unit_of_work(None) as uow:
        for counter in (2, 5):
            uow.insert(SALES_ORDER, {"number": f"SO-BR01-20261118-{counter:04d}"})
    runs = {run["branch"]: run for run in do("admin.number_gaps")["rows"] if run["series"] == "sales_order"}
    assert runs["HQ"]["gaps"] == []
    assert runs["BR01"]["gaps"] == [{"first": 1, "last": 1, "reason": "kept_out"}, {"first": 3, "last": 4, "reason": ""}]


def test_branches_take_the_rule_and_head_office_reports_them_all(company: factories.Company) -> None:
    branch = company.branches["BR01"]
    company.hq.run("admin.set_number_format", series="sales_order", format="XS-{branch}-{yyyy}-{000}", reset="year")
    with pytest.raises(Refused) as refused:
        branch.run("admin.set_number_format", series="sales_order", format="A-{branch}-{0}", reset="never")
    assert refused.value.code == "office_only"
    company.exchange("BR01")
    customer, product = branch.new("customer", name="义乌华美"), branch.new("product", code="P", name="布", stocked="false", price="1")
    branch.new("warehouse", code="W1", name="仓")
    numbers = [branch.run("sales.post_order", order_id=branch.order(customer, product))["number"] for _twice in range(2)]
    assert numbers == [f"XS-BR01-{branch.store.today.year}-001", f"XS-BR01-{branch.store.today.year}-002"]
    company.exchange("BR01")
    runs = [run for run in company.hq.run("admin.number_gaps")["rows"] if run["series"] == "sales_order"]
    assert [(run["branch"], run["count"], run["gaps"], run["as_of"] is not None) for run in runs] == [("BR01", 2, [], True)]
    assert company.hq.digest == branch.digest


def test_what_head_office_could_not_know_is_passed_over_at_the_branch(company: factories.Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    customer, product = branch.new("customer", name="义乌华美"), branch.new("product", code="P", name="布", stocked="false", price="1")

    def post(day: str) -> str:
        order = branch.order(customer, product)
        branch.set("sales_order", order, date=day)
        return str(branch.run("sales.post_order", order_id=order)["number"])

    assert [post("2026-11-18"), post("2026-11-19")] == ["SO-BR01-20261118-0001", "SO-BR01-20261119-0001"]
    hq.run("admin.set_number_format", series="sales_order", format="SO-{branch}-{yyyyMMdd}-{0000}", reset="month")
    company.exchange("BR01")
    assert [post("2026-11-19"), post("2026-11-19")] == ["SO-BR01-20261119-0002", "SO-BR01-20261119-0003"]
    company.exchange("BR01")
    assert [check(node.store)["problems"] for node in company.nodes] == [[], []]


@pytest.mark.parametrize("verb", ["set_number_format", "preview_number", "number_gaps"])
def test_only_who_may_manage_settings_deals_with_numbers(new: Do, store: Store, verb: str) -> None:
    clerk = actor_by_id(store, new("user", login="lin", name="林晓", password="Correct-Horse-7", role="staff")["id"])
    assert clerk is not None
    wish = {"series": "customer", "format": "K-{branch}-{0}", "reset": "never"} if verb != "number_gaps" else {}
    with pytest.raises(Forbidden):
        verbs.run(store, clerk, f"admin.{verb}", wish)
