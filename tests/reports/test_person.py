"""Everything known of one person, to hand over."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.admin.entities import Conflict
from localcrm.domain.people.services import actor_by_id
from localcrm.kernel.errors import Forbidden
from localcrm.kernel.i18n import use_language
from localcrm.reports.person import write_person
from tests import factories
from tests.factories import Installation

CONFLICT = Conflict.entity_type


@pytest.fixture
def hq() -> Iterator[Installation]:
    with factories.company(branches=0) as made:
        yield made.hq


def taken_out(node: Installation, entity: str, identity: str, path: Path) -> dict[str, Any]:
    write_person(path, node.run("admin.person_data", entity=entity, id=identity))
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_contact_with_history_and_what_refers_to_it(hq: Installation, tmp_path: Path) -> None:
    customer = hq.new("customer", name="绍兴恒远")
    contact = hq.new("contact", customer_id=customer, name="<b>欧阳</b>", phone="139")
    hq.set("contact", contact, phone="138")
    hq.new("activity", customer_id=customer, contact_id=contact, content="来电")
    with hq.store.unit_of_work(None) as uow:
        uow.insert(
            CONFLICT, CONFLICT.validate({"kind": "overwritten", "entity": "contact", "record": contact, "field": "phone", "lost": "137"})
        )
    files = taken_out(hq, "contact", contact, tmp_path / "out.zip")
    assert sorted(files) == ["history.json", "log.json", "person.html", "record.json", "related.json", "sessions.json", "settings.json"]
    assert json.loads(files["record.json"])["phone"] == "138"
    assert [row["old"] for row in json.loads(files["history.json"]) if row["field"] == "phone"] == ["139", None]
    assert [row["content"] for row in json.loads(files["related.json"])["activity"]] == ["来电"]
    assert [row["lost"] for row in json.loads(files["related.json"])["conflict"]] == ["137"]
    assert "<h1>&lt;b&gt;欧阳&lt;/b&gt;</h1>" in files["person.html"]
    assert "<th>电话</th><td>138</td>" in files["person.html"]
    assert hq.value("SELECT detail FROM event_log WHERE kind = 'person_export'") == f"contact {contact}"


def test_a_user_without_the_password(hq: Installation, tmp_path: Path) -> None:
    user = hq.new("user", login="lin", name="林晓", password=factories.PASSWORD, role="staff")
    hq.new("customer", name="绍兴恒远", owner_id=user)
    with use_language("en"):
        files = taken_out(hq, "user", user, tmp_path / "out.zip")
    assert "argon2" not in "".join(files.values()).lower()
    assert [row["name"] for row in json.loads(files["related.json"])["customer"]] == ["绍兴恒远"]
    assert '<html lang="en">' in files["person.html"]


def test_administrators_only(hq: Installation) -> None:
    actor = actor_by_id(hq.store, hq.new("user", login="lin", name="林晓", password=factories.PASSWORD, role="staff"))
    assert actor is not None
    for verb, more in (("person_data", {}), ("erase_person", {"name": "林晓"})):
        with pytest.raises(Forbidden):
            verbs.run(hq.store, actor, f"admin.{verb}", {"entity": "user", "id": actor.user_id, **more})
