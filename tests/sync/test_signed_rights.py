"""Rights hold as head office signed them: what a branch does to its own file grants nothing, and a merge on its way locks nobody out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcrm.domain.people import signing
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor, may
from localcrm.kernel.errors import Refused
from localcrm.store import eventlog
from localcrm.store.migrate import get_meta, set_meta
from localcrm.sync import exchange, extract, node_sync
from tests import factories
from tests.factories import Company, Installation


@pytest.fixture
def company() -> Iterator[Company]:
    """Head office that signs, one branch, and Mei, who may look at customers."""
    with factories.company(branches=1) as made:
        for node in made.nodes:
            node.store.sign_log = node.keys.sign
        signing.examine(made.hq.store)
        made.hq.new("user", login="mei", name="何小梅")
        grant(made, "read")
        made.exchange("BR01")
        yield made


def grant(made: Company, *actions: str, login: str = "mei") -> None:
    made.hq.run("people.set_rights", login=login, entity="customer", actions=list(actions))


def user(node: Installation, login: str = "mei") -> Actor | None:
    return actor_by_id(node.store, node.value('SELECT id FROM "user" WHERE login = ?', login).hex())


def rights(node: Installation, login: str = "mei") -> set[str]:
    """What somebody may do with customers."""
    actor = user(node, login)
    return {action for action in ("read", "update", "delete") if actor is not None and may(actor, f"customer.{action}")}


def by_hand(node: Installation, *statements: str) -> None:
    """Change the data file past the program, as with a tool for SQLite."""
    with node.store.merging() as connection:
        for statement in statements:
            connection.execute(statement)


def found(node: Installation) -> list[str]:
    """What the data doctor says of rights."""
    with node.store.read() as connection:
        return [problem.code for problem in signing.problems(node.store, connection)]


def version(node: Installation) -> int:
    with node.store.read() as connection:
        return int(get_meta(connection, "policy.seen") or 0)


GRANTS_ITSELF_MORE = (
    "UPDATE role_right SET action = 'delete' WHERE action = 'read'",
    "UPDATE \"user\" SET role = 'admin' WHERE login = 'mei'",
)


def test_each_change_of_rights_is_signed_and_holds_at_the_branch_once_it_has_arrived(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    before = version(hq)
    assert (rights(hq), rights(branch), version(branch)) == ({"read"}, {"read"}, before)
    grant(company, "read", "update")
    assert (rights(hq), rights(branch), version(hq)) == ({"read", "update"}, {"read"}, before + 1)
    company.exchange("BR01")
    assert (rights(branch), version(branch)) == ({"read", "update"}, before + 1)
    assert found(hq) == found(branch) == []


def test_what_says_nothing_about_rights_is_not_signed_anew(company: Company) -> None:
    before = version(company.hq)
    company.hq.new("customer", name="甲")
    company.hq.set("user", user(company.hq).user_id, phone="13800000000")  # type: ignore[union-attr]
    company.hq.new("user", login="lin", name="林")  # nobody has granted him anything
    assert version(company.hq) == before


def test_rights_changed_by_hand_at_a_branch_grant_nothing_and_are_named(company: Company) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, *GRANTS_ITSELF_MORE)
    actor = user(branch)
    assert actor is not None
    assert not actor.is_admin
    assert rights(branch) == {"read"}
    assert found(branch) == ["policy_altered"]
    signing.examine(branch.store)
    signing.examine(branch.store)
    with branch.store.read() as connection:
        noted = [(event.kind, event.detail) for event in eventlog.rows(connection) if event.kind.startswith("rights")]
    assert noted == [("rights_refused", "policy_altered 2")]
    assert signing.warning(branch.store).startswith("本数据文件中的角色和权限与总部签名的不符，仍按第 2 版执行")


def test_what_was_changed_by_hand_is_put_back_on_request(company: Company) -> None:
    branch = company.branches["BR01"]
    company.hq.new("department", name="销售")
    company.exchange("BR01")
    by_hand(branch, *GRANTS_ITSELF_MORE, "UPDATE department SET deleted = 1")
    with branch.store.merging() as connection:
        signing.put_back(branch.store, connection)
    signing.examine(branch.store)
    assert found(branch) == []
    assert signing.warning(branch.store) == ""
    assert company.up("BR01") and company.down("BR01")["digest"] == "equal"


def test_a_user_made_at_a_branch_can_do_nothing_until_granted_whatever_his_row_says(company: Company) -> None:
    branch = company.branches["BR01"]
    branch.new("user", login="wu", name="吴")
    company.exchange("BR01")
    by_hand(branch, "UPDATE \"user\" SET role = 'staff' WHERE login = 'wu'")
    assert user(branch, "wu") is None
    grant(company, "read", login="wu")
    company.exchange("BR01")
    assert rights(branch, "wu") == {"read"}


def test_rows_of_rights_that_were_removed_from_the_file_come_back_too(company: Company) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, "DELETE FROM role_right")
    assert (rights(branch), found(branch)) == ({"read"}, ["policy_altered"])
    grant(company, "read", "update")
    company.exchange("BR01")
    assert (rights(branch), found(branch)) == ({"read", "update"}, [])


def test_an_exchange_mends_what_was_changed_by_hand_before_it_builds_on_it(company: Company) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, *GRANTS_ITSELF_MORE)
    grant(company, "read", "update")
    company.exchange("BR01")
    assert (rights(branch), found(branch)) == ({"read", "update"}, [])
    assert company.down("BR01")["digest"] == "equal"


def test_a_version_that_head_office_did_not_sign_is_refused(company: Company) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, *GRANTS_ITSELF_MORE)
    with branch.store.read() as connection:
        digest = signing._Signed(9, signing.content_of(connection), b"").digest.hex()
    stranger = branch.keys.sign(b"localcrm policy").hex()
    by_hand(branch, f"UPDATE policy SET number = 9, digest = '{digest}', signature = '{stranger}'")
    assert found(branch) == ["policy_forged"]
    signing.examine(branch.store)
    assert rights(branch) == {"read"}


def test_an_older_version_is_refused_though_head_office_has_signed_it(company: Company) -> None:
    branch = company.branches["BR01"]
    (old,) = branch.rows("SELECT number, digest, signature FROM policy")
    right = branch.rows("SELECT action FROM role_right WHERE deleted = 0")
    grant(company)  # nothing any more
    company.exchange("BR01")
    by_hand(
        branch, f"UPDATE policy SET number = {old[0]}, digest = '{old[1]}', signature = '{old[2]}'", "UPDATE role_right SET deleted = 0"
    )
    assert right == [("read",)]
    assert found(branch) == ["policy_old"]
    assert rights(branch) == set()


def test_a_missing_signature_is_named_and_the_last_good_version_holds(company: Company) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, "UPDATE policy SET deleted = 1", *GRANTS_ITSELF_MORE)
    assert found(branch) == ["policy_missing"]
    assert rights(branch) == {"read"}


def test_a_damaged_copy_is_made_anew_from_tables_that_fit(company: Company) -> None:
    branch = company.branches["BR01"]
    with branch.store.housekeeping() as connection:
        set_meta(connection, "policy.kept", b"nonsense")
    assert rights(branch) == {"read"}
    signing.examine(branch.store)
    by_hand(branch, *GRANTS_ITSELF_MORE)
    assert rights(branch) == {"read"}


@pytest.mark.parametrize("nonsense", ["number = -5, signature = NULL", "number = NULL", "digest = 'zz', signature = '\u4e00'"])
def test_nonsense_in_the_place_of_a_signature_is_refused_like_any_other(company: Company, nonsense: str) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, f"UPDATE policy SET {nonsense}")
    with branch.store.housekeeping() as connection:
        set_meta(connection, "policy.seen", "many")
    assert found(branch) == ["policy_forged"]
    assert rights(branch) == {"read"}


def test_where_nothing_fits_nobody_may_do_anything(company: Company) -> None:
    branch = company.branches["BR01"]
    by_hand(branch, *GRANTS_ITSELF_MORE)
    with branch.store.housekeeping() as connection:
        set_meta(connection, "policy.kept", b"nonsense")
    assert found(branch) == ["policy_lost"]
    assert user(branch) is None
    assert user(branch, "admin") is None


def test_a_merge_that_has_arrived_in_part_leaves_the_last_version_in_force(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portion by portion: at each boundary somebody rules, either as before or as signed later, never nobody."""
    monkeypatch.setattr(extract, "PORTION", 1)
    branch = company.branches["BR01"]
    for actions in (("read", "update"), ("read", "update", "delete"), ("read",)):
        grant(company, *actions)
        company.hq.new("customer", name="甲")
    peer = node_sync._peer(company.hq.store, "node_no", 2)
    said = [
        exchange.welcome(company.hq.store, peer),
        exchange.ack(company.hq.store, peer),
        *exchange.downs(company.hq.store, peer, peer.recv_hseq),
    ]
    seen = []
    for message in said:
        exchange.hear_office(branch.store, [said[0], message], exchange.Outcome())
        seen.append(rights(branch))
        assert user(branch, "admin") is not None
        assert found(branch) == []
    assert [step for n, step in enumerate(seen) if n == 0 or step != seen[n - 1]] == [
        {"read"},
        {"read", "update"},
        {"read", "update", "delete"},
        {"read"},
    ]


# head office ------------------------------------------------------------------------------------------------------------


def test_head_office_does_not_sign_along_what_was_changed_by_hand(company: Company) -> None:
    hq = company.hq
    by_hand(hq, *GRANTS_ITSELF_MORE)
    assert rights(hq) == {"read"}
    assert found(hq) == ["policy_altered"]
    with pytest.raises(Refused) as refused:
        grant(company, "read", "update")
    assert refused.value.code == "policy_altered"
    hq.new("customer", name="甲")  # what is no right goes on
    hq.run("people.sign_rights")
    assert found(hq) == []
    assert user(hq).is_admin  # type: ignore[union-attr]


def test_head_office_without_its_key_keeps_what_was_signed_and_changes_nothing(company: Company) -> None:
    company.hq.store.sign_log = lambda _message: b""
    assert found(company.hq) == ["policy_unproven"]
    assert rights(company.hq) == {"read"}
    with pytest.raises(Refused) as refused:
        grant(company, "read", "update")
    assert refused.value.code == "policy_unproven"


def test_where_nobody_has_ever_signed_the_tables_count() -> None:
    with factories.company(branches=1) as made:
        made.hq.new("user", login="mei", name="何小梅")
        grant(made, "read", "update")
        made.exchange("BR01")
        branch = made.branches["BR01"]
        assert (rights(branch), version(branch), found(branch)) == ({"read", "update"}, 0, [])
        made.hq.store.sign_log = made.hq.keys.sign
        signing.examine(made.hq.store)
        made.exchange("BR01")
        assert (rights(branch), version(branch)) == ({"read", "update"}, 1)
