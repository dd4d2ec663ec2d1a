"""One week in which head office and two branches deal with the same customers and hear nothing of each other: whatever the order of the
exchanges, all end with the same data, nothing is lost, and whoever did something that did not come about finds out what became of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.admin.conflicts import find_items
from localcrm.domain.crm import custody, reclaim
from localcrm.domain.crm.reminders import Reminding, reminders
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.people.shared_with import shares_of
from localcrm.domain.policy import Actor
from localcrm.kernel.clock import moment
from localcrm.ui.conflict_words import Teller, Told
from tests.factories import Company, Installation, copy_company, fast_folder
from tests.scenarios.customers.test_pools import Day

#: Who works where; the managers of both branches hand customers over, lin sees nothing but his own.
PEOPLE = {"chen": None, "qian": "BR01", "lin": "BR01", "sun": "BR02", "zhou": "BR02", "wu": "BR02", "zhao": "BR02"}
TAX = "91330621MA2JXFZ88X"


def fill(company: Company) -> None:
    """Salespeople, a pool, and everybody knows everybody."""
    hq = company.hq
    branches = dict(hq.rows("SELECT code, lower(hex(id)) FROM branch"))
    for login, branch in PEOPLE.items():
        hq.new("user", login=login, name=login, role="staff", branch_id=branches.get(branch or ""))
    role = hq.new("role", name="业务员")
    for action in ("read", "create", "update", "pick", "share"):
        hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope="own")
    hq.run("people.set_roles", login="lin", roles=[role])
    pool = hq.new("pool", name="公海")
    hq.new("pool", name="第二公海")
    hq.new("reclaim_rule", name="30 天无联系", pool_id=pool, days=30, level="developing")
    company.exchange()


class Week(Day):
    """What happened, by name: ``of`` has the customers."""

    def __init__(self, company: Company) -> None:
        super().__init__(company)
        self.of: dict[str, str] = {}
        self.pool_id = self.hq.value("SELECT lower(hex(id)) FROM pool WHERE name = '公海'")

    def known(self, name: str, owner: str = "chen", **values: Any) -> str:
        """A customer that everybody knows once the week begins."""
        self.of[name] = self.hq.new("customer", name=name, owner_id=self.users[owner], **values)
        return self.of[name]

    def actor(self, where: Installation, who: str) -> Actor:
        """Somebody at a place."""
        found = actor_by_id(where.store, self.users[who])
        assert found is not None
        return found

    def run(self, where: Installation, who: str, verb: str, **parameters: Any) -> Any:
        """One action of somebody at a place, a minute after the one before."""
        self.hq.clock.forward(minutes=1)  # type: ignore[attr-defined]
        return verbs.run(where.store, self.actor(where, who), verb, parameters)

    def give(self, where: Installation, who: str, name: str, to: str) -> None:
        """Hand a customer over."""
        self.run(where, who, "crm.hand_over", customers=[self.of[name]], to=self.users[to], reason="分区调整")

    def share(self, where: Installation, who: str, name: str, to: str, level: str = "read") -> None:
        """Share a customer with somebody."""
        self.run(where, who, "people.share_record", entity="customer", id=self.of[name], user_id=self.users[to], level=level)

    # what people find -------------------------------------------------------------------------------------------------------

    def told(self, where: Installation, who: str, name: str) -> list[Told]:
        """The conflicts about a customer that somebody sees."""
        with where.store.read() as connection:
            actor = self.actor(where, who)
            _total, items = find_items(connection, actor)
            return [one for one in Teller(connection, actor, items) if one.item.conflict["record"] == self.of[name]]

    def one_told(self, where: Installation, who: str, name: str) -> Told:
        """The one conflict about a customer."""
        found = self.told(where, who, name)
        assert len(found) == 1, [(one.item.kind, one.label, one.happened) for one in found]
        return found[0]

    def notice(self, where: Installation, who: str, name: str) -> Reminding:
        """What somebody is told of a customer by itself."""
        with where.store.read() as connection:
            found = reminders(connection, where.store.node, self.actor(where, who), now=moment(where.store.clock))
        (one,) = [one for one in found if one.kind in {"claim", "hands"} and one.title == name]
        return one

    def shares(self, name: str) -> list[tuple[str, bool]]:
        """With whom a customer is shared, and whether that has ended; the same everywhere."""
        customer = self.of[name]
        found = [
            node.rows("SELECT lower(hex(user_id)), deleted FROM share WHERE record = ? ORDER BY rid", customer)
            for node in self.company.nodes
        ]
        assert found[0] == found[1] == found[2]
        names = {identity: login for login, identity in self.users.items()}
        return [(names[user], bool(ended)) for user, ended in found[0]]

    def settle(self, where: Installation, who: str, one: Told, keep: str) -> None:
        """Settle a conflict, and everybody hears of it."""
        self.run(where, who, "admin.resolve_conflict", id=one.item.id, keep=keep)
        self.company.exchange()


def work_apart(week: Week) -> None:
    """Everything that happened between two exchanges."""
    hq, one, two = week.hq, week.one, week.two
    pair = [
        ("并入", "被改"),
        ("并入二", "被转"),
        ("被删主", "并入被删主"),
        ("区分甲", "区分乙"),
        ("共享甲", "共享乙"),
        ("对并甲", "对并乙"),
    ]
    for names in pair:
        for name in names:
            week.known(name, phone="0575-1" if name == "并入" else None)
    for name in ("两处转", "一转一分", "共享又转", "共享又放", "锁又放", "删又共享", "共享又删", "删又转", "转给离职", "改又转"):
        week.known(name)
    week.known("无人跟进", "lin", level="developing")
    for name in ("同领", "并后领", "并后领主", "删后领"):
        week.known(name)
    released = [week.of[name] for name in ("同领", "并后领", "并后领主", "删后领")]
    week.do(hq, "admin", "release", customers=released, reason="无人跟进", pool_id=week.pool_id)
    week.company.exchange()

    # Nobody looked after it as far as its home knows.
    hq.clock.forward(days=31)  # type: ignore[attr-defined]
    two.new("activity", customer_id=week.of["无人跟进"], content="拜访")
    assert reclaim.run(hq.store) == 1
    # The same company entered at both branches.
    week.of["同建"] = one.new("customer", name="绍兴华美纺织有限公司", phone="0575-84123367", tax_no=TAX)
    week.of["同建二"] = two.new("customer", name="华美纺织", phone="+86 575 8412 3367", tax_no=TAX.lower())
    # The same one picked at both branches and at head office.
    week.run(one, "lin", "crm.pick", customers=[week.of["同领"]])
    week.run(two, "zhou", "crm.pick", customers=[week.of["同领"]])
    week.run(hq, "chen", "crm.pick", customers=[week.of["同领"]])
    week.run(one, "qian", "crm.merge_customers", kept=week.of["并后领主"], merged=week.of["并后领"])
    week.run(two, "zhou", "crm.pick", customers=[week.of["并后领"]])
    week.run(one, "lin", "crm.pick", customers=[week.of["删后领"]])
    week.run(two, "sun", "records.delete_record", entity="customer", id=week.of["删后领"])
    # Given to different people, and shared meanwhile.
    week.give(one, "qian", "两处转", "lin")
    week.give(two, "sun", "两处转", "zhou")
    week.share(one, "qian", "一转一分", "wu")
    week.give(two, "sun", "一转一分", "zhou")
    week.share(one, "qian", "共享又转", "zhou")
    week.give(two, "sun", "共享又转", "zhou")
    week.share(one, "qian", "共享又放", "wu", "write")
    week.run(two, "sun", "crm.release", customers=[week.of["共享又放"]], reason="没有需求", pool_id=week.pool_id)
    week.run(one, "qian", "crm.lock", customer_id=week.of["锁又放"])
    week.run(two, "sun", "crm.release", customers=[week.of["锁又放"]], reason="停产", pool_id=week.pool_id)
    week.run(one, "qian", "records.update_record", entity="customer", id=week.of["改又转"], values={"phone": "0575-9"})
    week.give(two, "sun", "改又转", "zhou")
    # Deleted.
    week.run(one, "qian", "records.delete_record", entity="customer", id=week.of["删又共享"])
    week.share(two, "sun", "删又共享", "wu")
    week.share(one, "qian", "共享又删", "lin")
    week.run(two, "sun", "records.delete_record", entity="customer", id=week.of["共享又删"])
    week.run(one, "qian", "records.delete_record", entity="customer", id=week.of["删又转"])
    week.give(two, "sun", "删又转", "zhou")
    # Merged.
    week.run(one, "qian", "crm.merge_customers", kept=week.of["并入"], merged=week.of["被改"])
    for values in ({"phone": "0571-666"}, {"remark": "月结"}):
        week.run(two, "zhou", "records.update_record", entity="customer", id=week.of["被改"], values=values)
    two.new("contact", customer_id=week.of["被改"], name="王工")
    two.new("activity", customer_id=week.of["被改"], content="来电询价")
    week.run(one, "qian", "crm.merge_customers", kept=week.of["并入二"], merged=week.of["被转"])
    week.give(two, "sun", "被转", "zhou")
    week.run(one, "qian", "crm.merge_customers", kept=week.of["被删主"], merged=week.of["并入被删主"])
    week.run(two, "sun", "records.delete_record", entity="customer", id=week.of["被删主"])
    week.run(one, "qian", "crm.merge_customers", kept=week.of["区分甲"], merged=week.of["区分乙"])
    week.run(two, "sun", "crm.tell_apart", one=week.of["区分甲"], other=week.of["区分乙"], note="两家工厂")
    week.run(one, "qian", "crm.merge_customers", kept=week.of["共享甲"], merged=week.of["共享乙"])
    week.share(two, "sun", "共享乙", "wu")
    week.run(one, "qian", "crm.merge_customers", kept=week.of["对并甲"], merged=week.of["对并乙"])
    week.run(two, "sun", "crm.merge_customers", kept=week.of["对并乙"], merged=week.of["对并甲"])
    # Somebody leaves, and a branch that does not know it gives him a customer.
    hq.run("people.hand_over", login="zhao", to="wu", disable=True)
    week.give(one, "qian", "转给离职", "zhao")


@pytest.fixture(scope="module", params=["BR01", "BR02"])
def week(request: pytest.FixtureRequest) -> Iterator[Week]:
    """The week after everybody has exchanged; this branch came first."""
    folder = fast_folder()
    company = copy_company(folder, branches=2, name="apart", prepare=fill)
    week = Week(company)
    work_apart(week)
    codes = ["BR01", "BR02"] if request.param == "BR01" else ["BR02", "BR01"]
    company.exchange(*codes, *codes)
    yield week
    company.close()
    shutil.rmtree(folder)


def test_all_have_the_same_and_a_further_exchange_brings_nothing(week: Week) -> None:
    assert len(week.company.digests) == 1
    before = (week.hq.digest, len(week.hq.conflicts()))
    week.company.exchange()
    assert (week.hq.digest, len(week.hq.conflicts())) == before
    assert week.hq.rows("SELECT reason FROM sync_quarantine") == []


def test_entered_at_both_branches_is_one_likely_pair_everywhere(week: Week) -> None:
    for node in week.company.nodes:
        pairs = {frozenset((row["one"]["id"], row["other"]["id"])): row for row in node.run("crm.list_pairs")["rows"]}
        pair = pairs[frozenset((week.of["同建"], week.of["同建二"]))]
        assert pair["apart"]
        assert {"phone", "tax_no"} <= set(pair["reasons"])


def test_of_three_who_pick_the_same_two_are_told_who_has_it(week: Week) -> None:
    assert {week.owner(node, week.of["同领"]) for node in week.company.nodes} == {"chen"}
    for where, who in ((week.one, "lin"), (week.two, "zhou")):
        told = week.notice(where, who, "同领")
        assert (told.kind, told.customer) == ("claim", None)
        assert "chen" in told.text
        assert ("同领", "taken", "chen") in week.claims(where, who)


def test_a_pick_follows_a_customer_that_was_merged_away_meanwhile(week: Week) -> None:
    if week.owner(week.hq, week.of["并后领"]) == "zhou":  # the request came first: a person says whose the one that is left is
        assert "冲突" in week.notice(week.two, "zhou", "并后领").text
        told = week.one_told(week.two, "zhou", "并后领")
        assert "zhou" in told.happened
        week.settle(week.hq, "admin", told, "lost")
    assert {week.owner(node, week.of["并后领主"]) for node in week.company.nodes} == {"zhou"}
    told = week.notice(week.two, "zhou", "并后领")
    assert told.customer == week.of["并后领主"]
    assert "并后领主" in told.text
    assert all(ended for _name, ended in week.shares("并后领主"))  # who has it needs no share


def test_a_pick_of_one_that_was_deleted_is_answered_and_head_office_may_restore_it(week: Week) -> None:
    told = week.notice(week.one, "lin", "删后领")
    assert week.hq.is_deleted("customer", week.of["删后领"])
    outcome = {title: outcome for title, outcome, _winner in week.claims(week.one, "lin")}["删后领"]
    if outcome == "gone":  # the deletion came first
        assert week.told(week.hq, "admin", "删后领") == []
        assert told.customer is None
    else:
        assert outcome == "granted"
        assert week.one_told(week.hq, "admin", "删后领").item.kind == "deleted_edited"
        assert week.told(week.one, "lin", "删后领")  # it is his, so he sees it there too
        assert "冲突" in told.text


def test_given_to_two_people_one_has_it_and_everybody_concerned_hears_why(week: Week) -> None:
    assert {week.owner(node, week.of["两处转"]) for node in week.company.nodes} == {"zhou"}
    assert len({node.get("customer", week.of["两处转"])["branch_id"] for node in week.company.nodes}) == 1
    assert week.chain(week.one, week.of["两处转"])[-1][0] == "settled"
    told = week.one_told(week.hq, "admin", "两处转")  # one entry, though a hand-over writes many fields
    concerned = {
        who: week.one_told(where, who, "两处转").item.mine for where, who in ((week.one, "qian"), (week.two, "zhou"), (week.two, "wu"))
    }
    assert concerned == {"qian": True, "zhou": True, "wu": False}  # who gave it away, whose it is, and anybody else
    assert (told.kept.text, told.kept.who, told.lost.text, told.lost.who) == ("zhou", "BR02 sun", "lin", "BR01 qian")
    for where, who, also in ((week.one, "qian", "lin"), (week.one, "lin", "zhou"), (week.hq, "chen", "zhou")):
        notice = week.notice(where, who, "两处转")
        assert notice.kind == "hands"
        assert also in notice.text
    assert week.notice(week.one, "lin", "两处转").customer is None  # it is not his any more: he reads its name and who has it
    assert week.notice(week.two, "zhou", "两处转").customer == week.of["两处转"]
    # The salesperson that was overwritten is taken back.
    week.settle(week.one, "qian", week.one_told(week.one, "qian", "两处转"), "lost")
    branch = week.hq.value("SELECT lower(hex(id)) FROM branch WHERE code = 'BR01'")
    for node in week.company.nodes:
        assert week.owner(node, week.of["两处转"]) == "lin"
        assert node.get("customer", week.of["两处转"])["branch_id"] == branch  # its home comes along
        assert [kind for kind, _from, _to in week.chain(node, week.of["两处转"])][-2:] == ["settled", "hand_over"]
    assert week.notice(week.one, "lin", "两处转").customer == week.of["两处转"]
    assert "lin" in week.notice(week.two, "zhou", "两处转").text


def test_a_share_stands_beside_a_hand_over_and_ends_with_whoever_gets_it(week: Week) -> None:
    assert week.owner(week.one, week.of["一转一分"]) == week.owner(week.one, week.of["共享又转"]) == "zhou"
    assert week.shares("一转一分") == [("wu", False)]
    assert week.shares("共享又转") == [("zhou", True)]


@pytest.mark.parametrize("name", ["共享又放", "锁又放"])
def test_put_into_a_pool_what_another_place_shared_or_locked(week: Week, name: str) -> None:
    for node in week.company.nodes:
        lying = node.get("customer", week.of[name])
        assert (lying["owner_id"], lying["pool_id"]) == (None, week.pool_id)
    assert "公海" in week.notice(week.hq, "chen", name).text
    assert all(ended for _name, ended in week.shares(name))


def test_an_ended_share_says_when_it_ended_and_by_whom(week: Week) -> None:
    with week.one.store.read() as connection:
        actor = week.actor(week.one, "qian")
        (told,) = shares_of(
            connection, week.one.store.node, actor, custody._CUSTOMER, week.of["共享又放"], today=moment(week.one.store.clock).date()
        )
    assert (told.name, told.ended, told.ended_by) == ("wu", True, "")
    assert told.ended_at is not None


def test_a_phone_entered_before_it_was_given_away_stays(week: Week) -> None:
    for node in week.company.nodes:
        assert (week.owner(node, week.of["改又转"]), node.get("customer", week.of["改又转"])["phone"]) == ("zhou", "0575-9")
    assert week.told(week.hq, "admin", "改又转") == []


@pytest.mark.parametrize(("name", "deleter", "sharer", "shared"), [("删又共享", "qian", "sun", "wu"), ("共享又删", "sun", "qian", "lin")])
def test_deleted_here_and_shared_there_is_a_decision_and_restoring_it_makes_the_share_count(
    week: Week, name: str, deleter: str, sharer: str, shared: str
) -> None:
    where = week.two if sharer == "sun" else week.one
    told = week.one_told(where, sharer, name)
    assert told.item.kind == "parent_deleted"
    assert deleter in told.happened
    assert shared in told.happened
    week.settle(where, sharer, told, "value=false")
    assert not week.hq.is_deleted("customer", week.of[name])
    assert week.shares(name) == [(shared, False)]


def test_deleted_here_and_given_away_there_is_one_entry_with_what_it_said(week: Week) -> None:
    told = week.one_told(week.two, "sun", "删又转")
    assert told.item.kind == "deleted_edited"
    assert "zhou" in told.edits
    assert week.hq.is_deleted("customer", week.of["删又转"])


def test_what_was_changed_of_one_that_was_merged_away_is_put_into_the_one_that_is_left(week: Week) -> None:
    kept = week.of["并入"]
    for node in week.company.nodes:
        assert node.is_deleted("customer", week.of["被改"])
        assert node.rows("SELECT name FROM contact WHERE customer_id = ?", bytes.fromhex(kept)) == [("王工",)]
        assert node.rows("SELECT content FROM activity WHERE customer_id = ?", bytes.fromhex(kept)) == [("来电询价",)]
    told = week.told(week.two, "zhou", "被改")
    assert sorted(one.edits.partition("：")[2] or one.edits.partition(": ")[2] for one in told) == ["0571-666", "月结"]
    for one in told:
        assert all(word in one.happened for word in ("被改", "并入", "qian", "zhou"))
        assert "并入" in one.take_label
        week.settle(week.two, "zhou", one, "lost")
    for node in week.company.nodes:
        left = node.get("customer", kept)
        assert (left["phone"], left["remark"]) == ("0575-1; 0571-666", "月结")
        assert node.is_deleted("customer", week.of["被改"])
    assert len(week.company.digests) == 1


def test_given_away_while_it_was_merged_away_the_one_that_is_left_can_be_given_instead(week: Week) -> None:
    told = week.one_told(week.two, "sun", "被转")
    assert "zhou" in told.happened
    assert week.owner(week.hq, week.of["并入二"]) == "chen"
    week.settle(week.two, "sun", told, "lost")
    assert {week.owner(node, week.of["并入二"]) for node in week.company.nodes} == {"zhou"}
    assert week.chain(week.hq, week.of["并入二"])[-1] == ("hand_over", "chen", "zhou")


def test_one_deleted_while_another_was_merged_into_it_is_told_and_both_come_back(week: Week) -> None:
    assert week.hq.is_deleted("customer", week.of["被删主"])
    for where, who in ((week.one, "qian"), (week.two, "sun")):
        told = week.one_told(where, who, "被删主")
        assert all(word in told.happened for word in ("被删主", "并入被删主", "qian", "sun"))
    week.settle(week.one, "qian", week.one_told(week.one, "qian", "被删主"), "lost")
    for node in week.company.nodes:
        assert not node.is_deleted("customer", week.of["被删主"])
        assert node.get("customer", week.of["被删主"])["former_names"] == "并入被删主"


def test_merged_here_and_told_apart_there_is_told_once_with_the_reason(week: Week) -> None:
    for where, who in ((week.one, "qian"), (week.two, "sun")):
        told = week.one_told(where, who, "区分乙")
        assert told.item.kind == "merged"
        assert all(word in told.happened for word in ("区分甲", "区分乙", "qian", "sun", "两家工厂"))
    assert week.hq.get("customer", week.of["区分乙"])["merged_into_id"] == week.of["区分甲"]


def test_a_share_of_one_that_was_merged_away_shares_the_one_that_is_left(week: Week) -> None:
    assert week.shares("共享甲") == [("wu", False)]
    assert week.shares("共享乙") == []
    assert week.told(week.hq, "admin", "共享乙") == []


def test_merged_in_opposite_directions_the_one_entered_first_stays_and_both_mergers_are_told(week: Week) -> None:
    for where, who in ((week.one, "qian"), (week.two, "sun")):
        told = week.one_told(where, who, "对并甲")
        assert all(word in told.happened for word in ("对并甲", "对并乙", "qian", "sun"))


def test_given_to_somebody_who_has_left_is_told_to_whoever_gave_it(week: Week) -> None:
    assert {week.owner(node, week.of["转给离职"]) for node in week.company.nodes} == {"zhao"}
    told = week.notice(week.one, "qian", "转给离职")
    assert "zhao" in told.text
    assert told.customer == week.of["转给离职"]


def test_reclaimed_while_somebody_worked_on_it_keeps_the_work_and_its_salesperson_is_told(week: Week) -> None:
    for node in week.company.nodes:
        assert node.get("customer", week.of["无人跟进"])["pool_id"] == week.pool_id
        assert node.rows("SELECT content FROM activity WHERE customer_id = ?", bytes.fromhex(week.of["无人跟进"])) == [("拜访",)]
    told = week.notice(week.one, "lin", "无人跟进")
    assert told.customer is None
    assert "30 天无联系" in told.text
    assert "公海" in told.text


def test_what_is_settled_is_gone_everywhere(week: Week) -> None:
    told = week.notice(week.one, "lin", "同领")
    week.run(week.one, "lin", "crm.settle_reminders", keys=[told.key])
    with pytest.raises(ValueError, match="unpack"):
        week.notice(week.one, "lin", "同领")


# what goes along at one place -------------------------------------------------------------------------------------------------


@pytest.fixture
def office() -> Iterator[Week]:
    """Head office alone."""
    folder = fast_folder()
    company = copy_company(folder, branches=2, name="apart", prepare=fill)
    yield Week(company)
    company.close()
    shutil.rmtree(folder)


def test_shares_go_into_the_bin_with_their_customer_and_come_back_with_it(office: Week) -> None:
    hq, customer = office.hq, office.known("甲")
    for name in ("lin", "wu"):
        office.share(hq, "chen", "甲", name)
    ended = hq.value("SELECT lower(hex(id)) FROM share WHERE user_id = ?", bytes.fromhex(office.users["wu"]))
    office.run(hq, "chen", "people.unshare", share_id=ended)
    office.run(hq, "chen", "records.delete_record", entity="customer", id=customer)
    change = hq.value("SELECT max(lseq) FROM sync_log")
    office.company.exchange()
    assert (office.shares("甲"), hq.conflicts()) == ([("lin", True), ("wu", True)], [])  # nobody did anything apart
    office.run(hq, "chen", "admin.undo_action", change=change)
    assert hq.rows("SELECT count(*) FROM share WHERE deleted = 0") == [(1,)]
    office.run(hq, "chen", "records.delete_record", entity="customer", id=customer)
    office.run(hq, "chen", "records.undelete_record", entity="customer", id=customer)
    office.company.exchange()
    assert office.shares("甲") == [("lin", False), ("wu", True)]


def test_whoever_merges_two_that_were_told_apart_has_decided_anew_and_undoes_both(office: Week) -> None:
    hq, one, two = office.hq, office.known("甲"), office.known("乙")
    office.run(hq, "chen", "crm.tell_apart", one=one, other=two, note="两家")
    change = hq.value("SELECT max(lseq) + 1 FROM sync_log")
    office.run(hq, "chen", "crm.merge_customers", kept=one, merged=two)
    office.company.exchange()
    assert hq.conflicts() == []
    assert hq.value("SELECT count(*) FROM customer_distinct WHERE deleted = 0") == 0
    hq.run("admin.undo_action", change=change)
    assert hq.value("SELECT count(*) FROM customer_distinct WHERE deleted = 0") == 1


def test_one_action_is_one_notice_however_many_customers_it_moved(office: Week) -> None:
    names = [f"客户{n}" for n in range(5)]
    customers = [office.known(name) for name in names]
    office.run(office.hq, "admin", "crm.hand_over", customers=customers, to=office.users["wu"], reason="分区调整")
    for who, sentence in (("wu", "转给您"), ("chen", "转给别人")):
        with office.hq.store.read() as connection:
            found = reminders(connection, office.hq.store.node, office.actor(office.hq, who), now=moment(office.hq.store.clock))
        (told,) = found
        assert (told.title, told.customer) == ("5 个客户", None)
        assert told.text.startswith("客户0、客户1、客户2 …")
        assert sentence in told.text
        assert told.text.endswith("原因：分区调整。")
    assert office.hq.run("crm.list_reminders")["rows"] == []  # one's own doings are no news
