"""Options: declared once, set by everybody for himself and by head office for the company, obeyed where they say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.options import company
from localcrm.domain.options.shortcuts import SHORTCUTS, read_shortcuts, write_shortcuts
from localcrm.domain.options.table import OPTIONS, Level, option, roams
from localcrm.domain.people import sessions
from localcrm.domain.people.preferences import preferences, save_preference
from localcrm.domain.policy import Actor
from localcrm.domain.roles import BasicRole
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.store.store import Store
from tests.domain.conftest import PASSWORD

Do = Callable[..., Any]


def refused(do: Do, verb: str, **parameters: Any) -> str:
    with pytest.raises(AppError) as error:
        do(verb, **parameters)
    return error.value.code


@pytest.fixture
def clerk(store: Store, new: Do) -> Do:
    """Somebody without special rights, and how he acts."""
    made = new("user", login="lin", name="林晓", password=PASSWORD, role="staff")
    actor = Actor(made["id"], "lin", "林晓", BasicRole.STAFF)
    return lambda verb, **parameters: verbs.run(store, actor, verb, parameters)


class Calendar(date):
    """The calendar on the wall, as a test turns its leaves."""

    day = date(2026, 12, 1)

    @classmethod
    def today(cls) -> date:  # type: ignore[override]
        return cls.day


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> type[Calendar]:
    Calendar.day = date(2026, 12, 1)
    monkeypatch.setattr(company, "date", Calendar)
    return Calendar


# values --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "typed", "kept"),
    [
        ("theme", " dark ", "dark"),
        ("reopen", "yes", "yes"),
        ("password_length", "012", "12"),
        ("tax_rate", "13%", "0.13"),
        ("tax_rate", "６.５％", "0.065"),
        ("tax_rate", "0", "0"),
        ("menu_pinned", "orders  customers orders", "orders customers"),
        ("menu_pinned", "", ""),
        ("keys", "N=M h=h", "n=m"),
    ],
)
def test_a_value_has_one_spelling(key: str, typed: str, kept: str) -> None:
    assert option(key).clean(typed) == kept


@pytest.mark.parametrize(
    ("key", "typed"),
    [
        ("theme", "pink"),
        ("theme", ""),
        ("reopen", "1"),
        ("password_length", "7"),
        ("password_length", "八"),
        ("password_length", "1e3"),
        ("session_days", "-1"),
        ("tax_rate", "113%"),
        ("tax_rate", "0.12345"),
        ("tax_rate", "abc"),
        ("menu_pinned", "<script>"),
        ("menu_pinned", "x" * 61),
        ("language", "zh_CN\x00"),
        ("keys", "n=ctrl+w"),
        ("keys", "q=m"),
    ],
)
def test_what_does_not_fit_is_refused(key: str, typed: str) -> None:
    with pytest.raises(InvalidInput):
        option(key).clean(typed)


def test_keys_do_not_clash_and_leave_the_browsers_alone() -> None:
    def code(text: str) -> str:
        with pytest.raises(InvalidInput) as error:
            write_shortcuts(text)
        return error.value.code

    assert write_shortcuts("n=h h=n") == "n=h h=n"  # two may change places
    assert code("n=h") == "key_taken"
    with pytest.raises(InvalidInput, match="“H”已经用于“变更记录”。请给“新建”换一个键"):
        write_shortcuts("n=h")
    assert [code(f"n={key}") for key in ("f5", "tab", "escape", "ctrl+n")] == ["key_reserved"] * 4
    assert code("n=字") == "bad_key"
    assert read_shortcuts("n=m") == {**{key: key for key in SHORTCUTS}, "n": "m"}


# one's own -------------------------------------------------------------------------------------------------------------------


def test_everybody_sets_his_own_and_gives_it_up_again(do: Do, clerk: Do, store: Store, admin: Actor) -> None:
    assert clerk("options.set_option", key="theme", value="dark") == {"key": "theme", "value": "dark", "own": True, "role": ""}
    assert clerk("options.set_option", key="rows", value="200")["own"]
    told = {one["key"]: (one["value"], one["own"]) for one in clerk("options.personal_options")}
    assert (told["theme"], told["rows"], told["density"]) == (("dark", True), ("200", True), ("compact", False))
    assert preferences(store, admin.user_id or "")["theme"] == "light"
    assert clerk("options.reset_option", key="theme") == {"key": "theme", "value": "light", "own": False, "role": ""}
    assert clerk("options.reset_options") == {"reset": ["rows"]}
    assert do("options.reset_options") == {"reset": []}


def test_what_head_office_sets_holds_for_who_has_no_choice_of_his_own(do: Do, clerk: Do, store: Store, admin: Actor) -> None:
    clerk("options.set_option", key="density", value="compact")
    do("options.set_company_option", key="density", value="comfortable")
    assert preferences(store, admin.user_id or "")["density"] == "comfortable"
    assert clerk("options.reset_option", key="density")["value"] == "comfortable"
    assert refused(do, "options.set_company_option", key="density", value="compact", fixed=True) == "cannot_fix"


COLUMNS = '[{"colId":"phone","width":160}]'


@pytest.fixture
def roles(do: Do, new: Do, clerk: Do) -> dict[str, str]:
    """林晓 is in sales and in the warehouse."""
    made = {name: new("role", name=name)["id"] for name in ("B 销售", "A 仓库", "C 财务")}
    do("people.set_roles", login="lin", roles=["B 销售", "A 仓库"])
    return made


def test_what_a_role_says_holds_before_what_holds_for_everybody(do: Do, clerk: Do, roles: dict[str, str]) -> None:
    def density() -> tuple[str, bool, str]:
        told = next(one for one in clerk("options.personal_options") if one["key"] == "density")
        return told["value"], told["own"], told["role"]

    do("options.set_company_option", key="density", value="compact")
    do("options.set_role_option", role_id=roles["C 财务"], key="density", value="comfortable")
    assert density() == ("compact", False, "")  # he has no such role
    do("options.set_role_option", role_id=roles["B 销售"], key="density", value="comfortable")
    assert density() == ("comfortable", False, "B 销售")
    do("options.set_role_option", role_id=roles["A 仓库"], key="density", value="compact")
    assert density() == ("compact", False, "A 仓库")  # the first by name
    clerk("options.set_option", key="density", value="comfortable")
    assert density() == ("comfortable", True, "")
    clerk("options.reset_option", key="density")
    assert density() == ("compact", False, "A 仓库")
    do("options.reset_role_option", role_id=roles["A 仓库"], key="density")
    assert density() == ("comfortable", False, "B 销售")
    do("people.unassign_role", login="lin", role="B 销售")
    assert density() == ("compact", False, "")


def test_columns_of_a_list_are_a_default_of_a_role_too(do: Do, clerk: Do, roles: dict[str, str], store: Store) -> None:
    with store.read() as connection:
        lin = connection.value("SELECT id FROM user WHERE login = 'lin'").hex()
    do("options.set_role_option", role_id=roles["B 销售"], key="columns:customer", value=COLUMNS)
    assert preferences(store, lin)["columns:customer"] == COLUMNS
    save_preference(store, lin, "columns:customer", "[]")
    assert preferences(store, lin)["columns:customer"] == "[]"
    clerk("options.reset_options")
    assert preferences(store, lin)["columns:customer"] == COLUMNS
    (told,) = do("options.role_options", role_id=roles["B 销售"])
    assert (told["key"], told["value"], told["by"]) == ("columns:customer", COLUMNS, "王芳")


def test_what_a_role_says_goes_with_the_role(do: Do, roles: dict[str, str]) -> None:
    do("options.set_role_option", role_id=roles["C 财务"], key="theme", value="dark")
    copy = do("people.copy_role", role_id=roles["C 财务"], name="D 出纳")["id"]
    assert [one["value"] for one in do("options.role_options", role_id=copy)] == ["dark"]
    do("people.delete_role", role_id=roles["C 财务"])
    assert do("options.role_options", role_id=roles["C 财务"]) == []


def test_only_what_fits_is_a_default_of_a_role(do: Do, clerk: Do, roles: dict[str, str]) -> None:
    role = roles["B 销售"]
    for given, code in (
        ({"key": "theme", "value": "pink"}, "bad_option_value"),
        ({"key": "negative_stock", "value": "allow"}, "company_option"),
        ({"key": "nonsense", "value": "1"}, "unknown_option"),
        ({"key": "columns:customer", "value": "{"}, "bad_option_value"),
    ):
        assert refused(do, "options.set_role_option", role_id=role, **given) == code
    own = do("people.own_rights", login="lin")["id"]
    assert refused(do, "options.set_role_option", role_id=own, key="theme", value="dark") == "own_rights"
    assert refused(clerk, "options.set_role_option", role_id=role, key="theme", value="dark") == "forbidden"


def test_wrong_places_are_refused(do: Do, clerk: Do, store: Store) -> None:
    assert refused(clerk, "options.set_option", key="negative_stock", value="allow") == "company_option"
    assert refused(clerk, "options.set_option", key="nonsense", value="1") == "unknown_option"
    for verb, given in (
        ("options.set_company_option", {"key": "negative_stock", "value": "allow"}),
        ("options.reset_company_option", {"key": "negative_stock"}),
        ("options.company_options", {}),
        ("options.option_deviations", {}),
    ):
        assert refused(clerk, verb, **given) == "forbidden"
    nobody = Actor(None, "", "", BasicRole.ADMIN)
    assert refused(lambda verb, **given: verbs.run(store, nobody, verb, given), "options.set_option", key="theme", value="dark") == "nobody"


def test_columns_and_options_roam_drafts_do_not() -> None:
    assert [roams(key) for key in ("theme", "columns:customer", "draft:customer:new", "negative_stock", "customers:tab")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_user_with_options_can_still_be_deleted(do: Do, clerk: Do, store: Store) -> None:
    clerk("options.set_option", key="theme", value="dark")
    with store.read() as connection:
        identity = connection.value("SELECT id FROM user WHERE login = 'lin'").hex()
    assert do("records.delete_record", entity="user", id=identity) == {"id": identity}


# the company's -------------------------------------------------------------------------------------------------------------


def test_the_company_tells_who_set_what(do: Do) -> None:
    before = {one["key"]: one for one in do("options.company_options")}
    assert list(before) == [one.key for one in OPTIONS if one.level is Level.COMPANY]
    assert (before["negative_stock"]["source"], before["negative_stock"]["by"]) == ("default", None)
    do("options.set_company_option", key="negative_stock", value="block", fixed=True)
    told = next(one for one in do("options.company_options") if one["key"] == "negative_stock")
    assert {key: told[key] for key in ("value", "source", "fixed", "locked", "by")} == {
        "value": "block",
        "source": "office",
        "fixed": True,
        "locked": "",
        "by": "王芳",
    }
    assert told["at"].endswith("Z")
    assert do("options.set_company_option", key="negative_stock", value="allow")["fixed"]  # what is not said stays
    assert do("options.reset_company_option", key="negative_stock")["source"] == "default"


def now(do: Do, key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in do("options.company_options") if one["key"] == key)
    return found


def test_a_later_value_holds_from_its_day_on_with_nothing_running(do: Do, calendar: type[Calendar]) -> None:
    do("options.set_company_option", key="negative_stock", value="warn")
    told = do("options.set_company_option", key="negative_stock", value="block", from_day="2027-01-01")
    assert (told["value"], told["next_value"], told["next_from"]) == ("warn", "block", "2027-01-01")
    assert now(do, "negative_stock")["next_by"] == "王芳"
    calendar.day = date(2026, 12, 31)
    assert now(do, "negative_stock")["value"] == "warn"
    calendar.day = date(2027, 1, 1)
    told = now(do, "negative_stock")
    assert (told["value"], told["source"], told["next_value"], told["by"]) == ("block", "office", None, "王芳")
    do("options.set_company_option", key="negative_stock", value="allow")
    assert now(do, "negative_stock")["value"] == "allow"


def test_what_is_planned_is_replaced_withdrawn_and_outlives_a_change_of_today(do: Do, calendar: type[Calendar]) -> None:
    do("options.set_company_option", key="free_tries", value="5", from_day="2027-01-01")
    do("options.set_company_option", key="free_tries", value="6", from_day="2027-02-01")
    do("options.set_company_option", key="free_tries", value="4")
    told = now(do, "free_tries")
    assert (told["value"], told["next_value"], told["next_from"]) == ("4", "6", "2027-02-01")
    assert do("options.withdraw_company_option", key="free_tries")["next_from"] is None
    assert refused(do, "options.withdraw_company_option", key="free_tries") == "nothing_planned"
    calendar.day = date(2027, 3, 1)
    assert now(do, "free_tries")["value"] == "4"
    do("options.set_company_option", key="free_tries", value="7", from_day="2027-04-01")
    assert do("options.reset_company_option", key="free_tries")["next_from"] is None


@pytest.mark.parametrize("day", ["2026-12-01", "2026-11-30", "2026-13-01", "tomorrow", ""])
def test_a_day_that_has_come_or_is_none_is_refused(do: Do, calendar: type[Calendar], day: str) -> None:
    assert refused(do, "options.set_company_option", key="free_tries", value="5", from_day=day) == "day_not_later"


def test_what_posting_locks_and_what_people_choose_is_not_dated(do: Do, calendar: type[Calendar]) -> None:
    for key, value in (("prices_include_tax", "no"), ("theme", "dark")):
        assert refused(do, "options.set_company_option", key=key, value=value, from_day="2027-01-01") == "not_dated"


@pytest.fixture
def goods(new: Do) -> dict[str, str]:
    made = {
        "customer": new("customer", name="浙江瑞祥进出口有限公司")["id"],
        "product": new("product", code="XF75", name="雪纺 75D", price="9.80")["id"],
        "warehouse": new("warehouse", code="W1", name="柯桥一号仓")["id"],
    }
    new("stock_move", product_id=made["product"], warehouse_id=made["warehouse"], quantity="10", type="opening")
    return made


@pytest.fixture
def sell(do: Do, goods: dict[str, str]) -> Do:
    """Post an order of so many, in one line each."""

    def post(*quantities: str) -> dict[str, Any]:
        lines = [{"product_id": goods["product"], "quantity": quantity} for quantity in quantities]
        order = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=lines)
        posted: dict[str, Any] = do("sales.post_order", order_id=order["id"])
        return posted

    return post


def test_stock_below_zero_is_warned_of_allowed_or_refused(do: Do, sell: Do, new: Do, goods: dict[str, str]) -> None:
    assert [warning["on_hand"] for warning in sell("7", "4")["warnings"]] == ["-1"]
    do("options.set_company_option", key="negative_stock", value="allow")
    assert sell("1")["warnings"] == []
    do("options.set_company_option", key="negative_stock", value="block")
    with pytest.raises(AppError) as error:
        sell("1")
    assert error.value.code == "not_enough_stock"
    move = {"product_id": goods["product"], "warehouse_id": goods["warehouse"]}
    assert new("stock_move", **move, quantity="5", type="receipt")  # goods in are welcome while less than nothing is there
    assert do("stock.stock_on_hand", product_id=goods["product"])["on_hand"] == "3"
    with pytest.raises(AppError):
        new("stock_move", **move, quantity="-4", type="adjust")
    with pytest.raises(AppError):
        sell("2", "2")  # together more than is there
    assert sell("2", "1", "-1")["warnings"] == []
    assert do("stock.stock_on_hand", product_id=goods["product"])["on_hand"] == "1"


def test_a_refused_posting_leaves_nothing_behind(do: Do, goods: dict[str, str]) -> None:
    do("options.set_company_option", key="negative_stock", value="block")
    order = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=[{"product_id": goods["product"], "quantity": "11"}])
    assert refused(do, "sales.post_order", order_id=order["id"]) == "not_enough_stock"
    assert do("sales.order_with_lines", order_id=order["id"])["number"] is None
    assert do("stock.stock_on_hand", product_id=goods["product"])["on_hand"] == "10"


def test_new_orders_and_products_begin_as_the_company_says(do: Do, new: Do, goods: dict[str, str]) -> None:
    do("options.set_company_option", key="prices_include_tax", value="no")
    do("options.set_company_option", key="tax_rate", value="9%")
    assert new("product", code="B", name="布")["tax_rate"] == "0.0900"
    assert new("product", code="C", name="纱", tax_rate="")["tax_rate"] == "0.0900"
    assert new("product", code="D", name="线", tax_rate="6%")["tax_rate"] == "0.0600"
    line = {"product_id": goods["product"], "quantity": "10"}
    order = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=[line])
    assert (order["tax_included"], order["net"], order["gross"]) == (False, "98.00", "110.74")  # 13% as the product was made
    order = do("sales.save_order", header={"customer_id": goods["customer"], "tax_included": True}, lines=[line])
    assert order["gross"] == "98.00"


def test_what_amounts_mean_is_locked_by_the_first_posting(do: Do, sell: Do) -> None:
    do("options.set_company_option", key="prices_include_tax", value="no")
    do("options.set_company_option", key="prices_include_tax", value="yes")
    sell("1")
    assert refused(do, "options.set_company_option", key="prices_include_tax", value="no") == "locked_by_posting"
    assert do("options.set_company_option", key="prices_include_tax", value="yes", fixed=True)["locked"] == "locked_by_posting"


def test_passwords_are_as_long_as_the_company_asks(do: Do, new: Do) -> None:
    do("options.set_company_option", key="password_length", value="12")
    with pytest.raises(AppError) as error:
        new("user", login="a", name="甲", password="Short-Pw-11")
    assert "12" in error.value.message
    made = new("user", login="a", name="甲", password="Longer-Pw-12")
    assert refused(do, "people.set_password", login="a", password="Short-Pw-11") == "weak_password"
    assert do("people.set_password", login="a", password="Another-One-12") == {"id": made["id"]}


def test_tries_and_days_of_a_session_follow_the_company(do: Do, store: Store, admin: Actor) -> None:
    do("options.set_company_option", key="free_tries", value="1")
    do("options.set_company_option", key="session_days", value="2")
    token = sessions.sign_in(store, login="admin", password=PASSWORD)[1]
    session = sessions.find_session(store, token)
    assert session is not None
    assert session.expires - session.created == 2 * 24 * 3600 * 1000
    with pytest.raises(AppError):
        sessions.sign_in(store, login="admin", password="wrong")
    assert sessions.seconds_to_wait(store, "admin") == 1
