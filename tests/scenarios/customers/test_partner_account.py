"""A channel manager sets targets, keeps the deposits of partners, and reads what they have in stock."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from localcrm.channels.columns import recognise_columns
from localcrm.channels.tables import read_table
from localcrm.domain.importing import ImportResult, import_rows
from localcrm.domain.partners.rules import months_of, period_of
from localcrm.domain.partners.sales import sold
from localcrm.domain.partners.stock import newest
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from tests.factories import FIRST_DAY, Company, Installation

TODAY = FIRST_DAY
YEAR = f"{TODAY:%Y}"
QUARTER = f"{YEAR}-Q{(TODAY.month + 2) // 3}"


def brought_in(at: Installation, partner: str, price: str) -> str:
    """A posted order of today of a customer of the partner."""
    customer = at.new("customer", name="甲公司", partner_id=partner)
    product = at.new("product", code=partner[-6:], name="绣花线", price=price, tax_rate="0", stocked="false")
    order = at.order(customer, product)
    at.run("sales.post_order", order_id=order)
    return order


def bring(at: Installation, path: Path, key: str = "partner_stock") -> ImportResult:
    """A file as the wizard brings it in."""
    table, kind = read_table(path), entity(key)
    columns = recognise_columns(table.headers, kind)
    return import_rows(at.store, at.actor, entity=kind.key, rows=((number, table.wanted(cells, columns)) for number, cells in table))


def test_a_target_of_a_year_or_a_quarter_counts_on_the_basis_of_the_rebate(hq: Installation):
    assert [period_of(text) for text in (" 2026 ", "2026-q3", "2026Q3", "2026-Q5", "0000", "x")] == [
        "2026",
        "2026-Q3",
        "2026-Q3",
        None,
        None,
        None,
    ]
    assert months_of("2026-Q4") == ["2026-10", "2026-11", "2026-12"]
    ordered, received = hq.new("partner", name="华东代理", rebate_on="ordered"), hq.new("partner", name="苏北经销")
    for partner in (ordered, received):
        hq.new("partner_target", partner_id=partner, period=YEAR, amount="1000")
    _first, second = (brought_in(hq, partner, "300") for partner in (ordered, received))
    hq.run("finance.receive_payment", order_id=second, amount="100.50")
    rows = hq.run("partners.list_targets")["rows"]
    assert [(row["partner_id"], row["reached"], row["percent"]) for row in rows] == [
        (ordered, "300.00", "30.0"),
        (received, "100.50", "10.1"),
    ]
    hq.new("partner_target", partner_id=received, period=QUARTER.lower(), amount="150")  # in the list the quarter comes before the year
    assert [hq.get("partner", one)[key] for one in (ordered, received) for key in ("target", "reached_percent")] == [
        "1000.00",
        30,
        "150.00",
        67,
    ]
    for wrong, said in (({"period": "下个月"}, "2026-Q3"), ({"period": YEAR}, "已经有"), ({"period": "2031", "amount": "0"}, "大于")):
        with pytest.raises(AppError, match=said):
            hq.new("partner_target", **{"partner_id": received, "amount": "1", **wrong})


def test_a_deposit_is_used_once_and_two_places_that_use_it_apart_see_it(company: Company, hq: Installation):
    branch = company.branches["BR01"]
    partner = hq.new("partner", name="华东代理")
    paid = hq.new("partner_deposit", partner_id=partner, amount="500", method="transfer")
    hq.new("partner_deposit", partner_id=partner, kind="used", amount="100.01", remark="违约金")
    for amount, said in (("400", "399.99"), ("0", "大于 0"), ("-1", "大于 0")):
        with pytest.raises(AppError, match=said):
            hq.new("partner_deposit", partner_id=partner, kind="returned", amount=amount)
    with pytest.raises(AppError, match="已被使用"):
        hq.run("partners.reverse_deposit", entry_id=paid)
    company.exchange("BR01")
    for at in (hq, branch):
        back = at.new("partner_deposit", partner_id=partner, kind="returned", amount="399.99")
    company.exchange("BR01")
    assert len(company.digests) == 1
    held = "SELECT total FROM partner_deposited"
    assert [at.value(held) for at in (hq, branch)] == [-39999, -39999]
    with pytest.raises(AppError, match="其他分支"):
        hq.run("partners.reverse_deposit", entry_id=back)
    branch.run("partners.reverse_deposit", entry_id=back)
    company.exchange("BR01")
    assert [at.value(held) for at in (hq, branch)] == [0, 0]


def test_what_a_partner_reports_is_imported_and_the_newest_counts(hq: Installation, tmp_path: Path):
    partner = hq.new("partner", name="华东代理")
    for code, name in (("A", "坯布"), ("B", "绣花线")):
        hq.new("product", code=code, name=name, price="1")
    table = tmp_path / "库存.csv"
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    table.write_text(
        f"渠道伙伴,商品,截至,数量\n华东代理,坯布,{yesterday},40\n华东代理,坯布,{TODAY},25.5\n华东代理,绣花线,{yesterday},7\n",
        encoding="utf-8",
    )
    done = bring(hq, table)
    assert (done.created, done.errors) == (3, [])
    with hq.store.read() as connection:
        found = [
            (one.product, one.day.isoformat(), str(one.quantity), one.before and str(one.before))
            for one in newest(connection, hq.actor, partner)
        ]
    assert found == [("坯布", TODAY.isoformat(), "25.5000", "40.0000"), ("绣花线", yesterday, "7.0000", None)]
    again = bring(hq, table)
    assert (again.created, again.failed) == (0, 3)


def test_what_a_partner_sold_on_is_imported_and_matched_with_our_customers(hq: Installation, tmp_path: Path):
    partner = hq.new("partner", name="华东代理")
    hq.new("product", code="A", name="坯布", price="1")
    ours = hq.new("customer", name="绍兴宏达有限公司")
    for _time in range(2):
        hq.new("customer", name="同名厂")
    table = tmp_path / "销售.csv"
    table.write_text(
        "渠道伙伴,日期,销售对象,商品,数量,金额,单据号\n"
        f"华东代理,{TODAY},（绍兴）宏达,坯布,40,400,X1\n华东代理,{TODAY},同名厂,坯布,5,50,X2\n华东代理,{TODAY},绍兴宏达,坯布,-2,-20,X3\n",
        encoding="utf-8",
    )
    done = bring(hq, table, "partner_sale")
    assert (done.created, done.errors) == (3, [])
    found = dict(hq.rows("SELECT number, lower(hex(customer_id)) FROM partner_sale"))
    assert found == {"X1": ours, "X2": "", "X3": ours}
    with hq.store.read() as connection:
        (cloth,) = sold(connection, hq.actor, partner, TODAY)
    assert (cloth.product, str(cloth.quantity), str(cloth.amount), cloth.buyers, cloth.known) == ("坯布", "43.0000", "430.00", 3, 1)
    assert bring(hq, table, "partner_sale").failed == 3
