"""Granting: what a role says, who has it, what nobody may do to himself, and handing over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy, records, verbs
from localcrm.domain.people.grants import who_sees
from localcrm.domain.people.services import actor_by_id, authenticate
from localcrm.domain.policy import Actor
from localcrm.domain.roles import ADMIN_ONLY
from localcrm.kernel.errors import AppError, Forbidden, SignInNeeded
from localcrm.kernel.schema import entity
from localcrm.store.store import Store
from tests.domain.conftest import PASSWORD
from tests.factories import company

Do = Callable[..., Any]


@pytest.fixture
def hire(store: Store, new: Do) -> Callable[..., Callable[[], Actor]]:
    """Somebody without any rights; what comes back says who acts, with the rights of the moment."""

    def hire_(login: str, **values: Any) -> Callable[[], Actor]:
        user = new("user", login=login, name=login, password=PASSWORD, **values)

        def now() -> Actor:
            actor = actor_by_id(store, user["id"])
            assert actor is not None
            return actor

        return now

    return hire_


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value.code


def names(store: Store, actor: Actor, entity: str = "customer") -> set[str]:
    from localcrm.domain import policy
    from localcrm.kernel.schema import entity as entity_type
    from localcrm.store.query import ListQuery, select

    kind = entity_type(entity)
    with store.read() as connection:
        return {row["name"] for row in select(connection, ListQuery(kind, restrict=policy.view(actor, kind))).rows}


def test_own_rights_let_somebody_in_and_reach_only_what_is_theirs(store: Store, do: Do, new: Do, hire: Do) -> None:
    mei = hire("mei")
    with pytest.raises(SignInNeeded):
        authenticate(store, "mei", PASSWORD)
    told = do("people.set_rights", login="mei", entity="customer", actions=["read", "create"], scope="own")
    assert told["rights"] == {"read": "own", "create": "own"}
    assert authenticate(store, "mei", PASSWORD).login == "mei"
    new("customer", name="别人的")
    verbs.run(store, mei(), "records.create_record", {"entity": "customer", "values": {"name": "我的"}})
    assert names(store, mei()) == {"我的"}
    given = {"entity": "customer", "values": {"name": "替别人", "owner_id": do("people.own_rights", login="admin")["user_id"]}}
    assert code_of(lambda: verbs.run(store, mei(), "records.create_record", given)) in {"not_found", "out_of_reach"}
    assert names(store, mei()) == {"我的"}


def test_setting_rights_again_replaces_them(do: Do) -> None:
    do("people.set_rights", login="admin", entity="customer", actions=["read", "update", "export"], scope="own")
    told = do("people.set_rights", login="admin", entity="customer", actions=["read", "update"], scope={"read": "all", "update": "own"})
    assert told["rights"] == {"read": "all", "update": "own"}
    assert do("people.set_rights", login="admin", entity="customer", actions=[])["rights"] == {}


def test_view_wider_than_edit(store: Store, do: Do, new: Do, hire: Do) -> None:
    mei = hire("mei")
    do("people.set_rights", login="mei", entity="customer", actions=["read", "update"], scope={"read": "all", "update": "own"})
    theirs = new("customer", name="别人的")
    assert names(store, mei()) == {"别人的"}
    change = {"entity": "customer", "id": theirs["id"], "values": {"phone": "1"}}
    assert code_of(lambda: verbs.run(store, mei(), "records.update_record", change)) == "out_of_reach"


def test_the_basic_role_counts_only_where_no_role_speaks(store: Store, do: Do, new: Do, hire: Do) -> None:
    lin = hire("lin", role="staff")
    new("customer", name="别人的")
    new("product", code="A", name="甲")
    assert names(store, lin()) == {"别人的"}
    do("people.set_rights", login="lin", entity="customer", actions=["read"], scope="own")
    assert names(store, lin()) == set()
    assert names(store, lin(), "product") == {"甲"}


def test_departments_and_superiors_decide_who_is_reached(store: Store, do: Do, new: Do, hire: Do) -> None:
    top = new("department", name="销售部")
    below = new("department", name="外贸组", parent_id=top["id"])
    chief = hire("chief", department_id=top["id"])
    do("people.set_rights", login="chief", entity="customer", actions=["read"], scope="own")
    trader = new("user", login="trader", name="trader", department_id=below["id"], superior_id=chief().user_id)
    trainee = new("user", login="trainee", name="trainee", superior_id=trader["id"])
    for owner in (chief().user_id, trader["id"], trainee["id"]):
        new("customer", name=f"客户 {owner}", owner_id=owner)

    def reached(scope: str, **more: Any) -> int:
        do("people.set_rights", login="chief", entity="customer", actions=["read"], scope=scope, **more)
        return len(names(store, chief()))

    assert [reached(scope) for scope in ("own", "department", "department_tree", "subordinates", "all")] == [1, 1, 2, 3, 3]
    assert reached("departments", departments=["外贸组"]) == 2  # its own ones always
    assert code_of(lambda: reached("departments")) == "no_departments"
    assert code_of(lambda: reached("departments", departments=["没有"])) == "no_such_department"


def test_a_scope_that_means_nothing_for_a_kind_is_refused(do: Do) -> None:
    def grant(entity: str, scope: str, action: str = "read") -> str:
        return code_of(lambda: do("people.set_rights", login="admin", entity=entity, actions=[action], scope=scope))

    assert grant("product", "own") == "scope_without_owner"
    assert grant("customer", "everything") == "unknown_scope"
    assert grant("customer", "all", "fly") == "unknown_action"
    assert grant("stock_move", "all", "update") == "unknown_action"  # a movement is never changed
    assert grant("sales_order_line", "all") == "line_rights"


def test_roles_are_given_taken_copied_and_kept_while_somebody_has_them(store: Store, do: Do, new: Do, hire: Do) -> None:
    mei, role = hire("mei"), new("role", name="业务员")
    do("people.set_role_right", role_id=role["id"], entity="customer", action="read", scope="own")
    do("people.set_role_field", role_id=role["id"], entity="customer", field="credit_limit", rule="hidden")
    assert do("people.assign_role", login="mei", role="业务员") == {"login": "mei", "roles": ["业务员"]}
    assert mei().rights is not None
    copy = do("people.copy_role", role_id=role["id"], name="资深业务员")
    do("people.set_role_right", role_id=copy["id"], entity="customer", action="read", scope="all")
    do("people.assign_role", login="mei", role=copy["id"])
    new("customer", name="别人的")
    assert names(store, mei()) == {"别人的"}  # the widest of both
    assert code_of(lambda: do("people.delete_role", role_id=role["id"])) == "role_in_use"
    assert code_of(lambda: new("role", name="业务员")) == "name_taken"
    do("people.unassign_role", login="mei", role="业务员")
    do("people.delete_role", role_id=role["id"])
    assert code_of(lambda: do("people.assign_role", login="mei", role="业务员")) == "no_such_role"


def test_all_roles_of_a_user_are_set_in_one_step_or_not_at_all(do: Do, new: Do, hire: Do) -> None:
    hire("mei")
    for name in ("业务员", "仓管", "出纳"):
        new("role", name=name)
    assert do("people.set_roles", login="mei", roles=["业务员", "仓管"])["roles"] == sorted(["业务员", "仓管"])
    assert code_of(lambda: do("people.set_roles", login="mei", roles=["出纳", "没有这个"])) == "no_such_role"
    assert do("people.set_roles", login="mei", roles=["仓管", "出纳"])["roles"] == sorted(
        ["仓管", "出纳"]
    )  # the refused one changed nothing
    assert do("people.set_roles", login="mei", roles=[])["roles"] == []


def test_the_mildest_field_rule_counts_unless_one_is_strict(store: Store, do: Do, new: Do, hire: Do) -> None:
    mei = hire("mei")
    customer = new("customer", name="甲", phone="0575-8412 3367", credit_limit="500")

    def shown(key: str) -> Any:
        with store.read() as connection:
            return records.read_record(connection, mei(), entity="customer", id=customer["id"]).get(key, "nothing")

    for name in ("一", "二"):
        role = new("role", name=name)
        do("people.set_role_right", role_id=role["id"], entity="customer", action="read", scope="all")
        do("people.assign_role", login="mei", role=name)
    do("people.set_role_field", role_id=role["id"], entity="customer", field="credit_limit", rule="hidden")
    assert shown("credit_limit") == "500.00"
    do("people.set_role_field", role_id=role["id"], entity="customer", field="credit_limit", rule="hidden", strict=True)
    assert shown("credit_limit") == "nothing"
    do("people.set_field_rule", login="mei", entity="customer", field="phone", rule="masked")  # for her alone: it holds
    assert shown("phone") == "057****67"
    do("people.set_field_rule", login="mei", entity="customer", field="phone", rule="editable")
    assert shown("phone") == "0575-8412 3367"
    assert code_of(lambda: do("people.set_field_rule", login="mei", entity="customer", field="name", rule="hidden")) == "title_field"


def test_nobody_grants_himself_anything(store: Store, do: Do, new: Do, hire: Do) -> None:
    head = hire("head", role="staff")
    do("people.set_rights", login="head", entity="user", actions=["read", "create", "update"], scope="all")
    other = new("user", login="other", name="other", role="admin", password=PASSWORD)

    def change(identity: str | None, **values: Any) -> Callable[[], Any]:
        parameters = {"entity": "user", "id": identity, "values": values}
        return lambda: verbs.run(store, head(), "records.update_record", parameters)

    department = new("department", name="销售部")["id"]
    for refused in (
        change(head().user_id, role="admin"),
        change(head().user_id, department_id=department),
        change(other["id"], password="Taken-Over-1"),
        change(other["id"], name="renamed"),
        lambda: verbs.run(
            store, head(), "records.create_record", {"entity": "user", "values": {"login": "x", "name": "x", "role": "staff"}}
        ),
        lambda: verbs.run(store, head(), "people.set_rights", {"login": "head", "entity": "customer", "actions": ["read"]}),
        lambda: verbs.run(store, head(), "people.hand_over", {"login": "other", "to": "head"}),
    ):
        with pytest.raises(Forbidden):
            refused()
    made = verbs.run(store, head(), "records.create_record", {"entity": "user", "values": {"login": "x", "name": "x"}})
    assert made["login"] == "x"


def test_departments_and_superiors_form_no_circle(do: Do, new: Do) -> None:
    one = new("department", name="一")
    two = new("department", name="二", parent_id=one["id"])
    update = "records.update_record"
    assert code_of(lambda: do(update, entity="department", id=one["id"], values={"parent_id": two["id"]})) == "circle"
    assert code_of(lambda: do(update, entity="department", id=one["id"], values={"parent_id": one["id"]})) == "circle"
    boss = new("user", login="boss", name="boss")
    clerk = new("user", login="clerk", name="clerk", superior_id=boss["id"])
    assert code_of(lambda: do(update, entity="user", id=boss["id"], values={"superior_id": clerk["id"]})) == "circle"
    assert code_of(lambda: do("records.delete_record", entity="department", id=one["id"])) == "referenced"


def test_who_leaves_hands_over_customers_and_drafts_but_not_what_was_posted(do: Do, new: Do, hire: Do, admin: Actor) -> None:
    hire("mei", role="staff")
    hire("lin", role="staff")
    mei = do("people.own_rights", login="mei")["user_id"]
    customer = new("customer", name="甲", owner_id=mei)
    product, house = new("product", code="A", name="甲", price="1"), new("warehouse", code="W", name="一号仓")
    header = {"customer_id": customer["id"], "owner_id": mei, "warehouse_id": house["id"]}
    lines = [{"product_id": product["id"], "quantity": "1"}]
    draft, posted = (do("sales.save_order", header=header, lines=lines)["id"] for _ in range(2))
    do("sales.post_order", order_id=posted)
    assert code_of(lambda: do("people.hand_over", login="mei", to="mei")) == "same_user"
    told = do("people.hand_over", login="mei", to="lin", disable=True)
    assert told["moved"] == {"customer": 1, "sales_order": 1}
    assert do("sales.order_with_lines", order_id=draft)["owner_id"] != mei
    assert do("sales.order_with_lines", order_id=posted)["owner_id"] == mei
    assert code_of(lambda: do("people.hand_over", login="lin", to="mei")) == "user_disabled"
    assert admin.is_admin


def test_rights_travel_to_the_branches_which_cannot_change_them() -> None:
    with company(branches=1) as made:
        branch = made.branches["BR01"]
        user = made.hq.new("user", login="mei", name="何小梅", password=PASSWORD)
        theirs = branch.new("customer", name="分公司的")
        made.exchange()
        assert actor_by_id(branch.store, user) is None
        made.hq.run("people.set_rights", login="mei", entity="customer", actions=["read"], scope="own")
        made.exchange()
        there = actor_by_id(branch.store, user)
        assert there is not None
        assert names(branch.store, there) == set()
        made.hq.set("customer", theirs, owner_id=user)
        made.exchange()
        assert names(branch.store, there) == {"分公司的"}
        refused = code_of(lambda: branch.run("people.set_rights", login="mei", entity="customer", actions=["read"], scope="all"))
        assert refused == "office_only"
        assert code_of(lambda: branch.new("department", name="自设")) == "office_only"
        assert code_of(lambda: branch.set("user", user, department_id=None, superior_id=user)) in {"office_only", "circle"}
        assert len(made.digests) == 1


def test_an_administrator_learns_who_sees_a_record_and_why_not(store: Store, admin: Actor, do: Do, new: Do, hire: Do) -> None:
    for login, values in (("lin", {"role": "staff"}), ("mei", {}), ("wei", {})):
        hire(login, **values)
    do("people.set_rights", login="mei", entity="customer", actions=["read", "update"], scope="own")
    customer = new("customer", name="甲")
    told = {
        row["login"]: (row["sees"], row["changes"], row["because"]) for row in who_sees(store, admin, entity="customer", id=customer["id"])
    }
    assert told == {
        "admin": (True, True, "管理员"),
        "lin": (True, True, "可看全部"),
        "mei": (False, False, "不在任何角色的数据范围内"),
        "wei": (False, False, "没有查看这类资料的权限"),
    }
    do("records.update_record", entity="customer", id=customer["id"], values={"owner_id": do("people.own_rights", login="mei")["user_id"]})
    told = {row["login"]: row["because"] for row in who_sees(store, admin, entity="customer", id=customer["id"])}
    assert told["mei"] == "在角色的数据范围内"


def test_rights_are_offered_only_where_they_change_something() -> None:
    offered = {kind.key: policy.actions_of(kind) for kind in policy.granted_kinds()}
    assert {"share", "approval_step", "number_rule", "role_option"}.isdisjoint(offered)
    settings = {key: actions for key, actions in offered.items() if key in ADMIN_ONLY}
    assert set(settings) == {
        "user",
        "branch",
        "department",
        "legal_entity",
        "bank_account",
        "level_price",
        "list_entry",
        "account",
        "stage",
        "pool",
        "reclaim_rule",
        "allot_rule",
        "work_hours",
        "calendar_day",
        "service_level",
    }
    assert settings["department"] == ("read", "export")  # where people work is part of what is signed
    assert [
        key for key, actions in offered.items() if "update" in actions and not any(f.f.editable for f in entity(key).fields.values())
    ] == []
