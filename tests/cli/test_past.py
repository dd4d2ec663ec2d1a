"""A record as of a moment, and an action taken back, from the command line."""

from __future__ import annotations

from tests.cli.conftest import Terminal


def test_a_record_as_of_a_moment(office: Terminal) -> None:
    identity = office.as_admin("new", "customer", "name=甲", "phone=1")["id"]
    said = office.as_admin("history", "customer", identity)["rows"][0]["at"]
    office.as_admin("set", "customer", identity, "phone=2")
    then = office.as_admin("record", "as-of", "customer", identity, said)
    assert (then["state"], then["values"]["phone"], then["changed"]) == ("in_use", "1", ["phone"])
    before = office.as_admin("record", "as-of", "customer", identity, "2001-01-01")
    assert (before["state"], before["values"]) == ("not_there", None)
    text = office.run("record", "as-of", "customer", identity, said, "--as", "admin").stdout.splitlines()
    assert text[0] == "It was in use"
    assert [line.split() for line in text if line.startswith("Phone")] == [["Phone", "1", "*"]]


def test_an_action_is_undone_by_the_number_of_a_change(office: Terminal) -> None:
    identity = office.as_admin("new", "customer", "name=甲")["id"]
    office.as_admin("set", "customer", identity, "phone=2", "remark=x")
    change = office.as_admin("history", "customer", identity)["rows"][0]["change"]
    assert office.as_admin("record", "undo", str(change)) == {"undone": 1}
    found = office.as_admin("get", "customer", identity)
    assert (found["phone"], found["remark"]) == (None, None)
    assert office.refused("record", "undo", str(change), "--as", "admin") == "changed_since"


def test_a_moment_that_is_none_is_refused(office: Terminal) -> None:
    identity = office.as_admin("new", "customer", "name=甲")["id"]
    assert office.refused("record", "as-of", "customer", identity, "gestern", "--as", "admin") == "bad_moment"
    assert office.refused("record", "as-of", "customer", identity, "2026-11-20") == "sign_in_needed"
