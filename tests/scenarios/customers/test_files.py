"""Files of a customer are found together, wherever they hang, by whoever may see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm.files import customer_files
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.attachments import read_attachments, write_attachments
from localcrm.kernel.errors import AppError
from localcrm.store import blobs
from tests.factories import Installation, copy_company


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[Installation]:
    company = copy_company(tmp_path, branches=1)
    yield company.hq
    company.close()


def attached(hq: Installation, *names: str) -> str | None:
    return write_attachments([blobs.add(hq.store, name, name.encode()) for name in names])


def listed(hq: Installation, customer: str, actor: Actor | None = None) -> list[tuple[str, str]]:
    with hq.store.read() as connection:
        found = customer_files(connection, actor or hq.actor, customer)
    return [(one.kind.key, file.name) for one in found for file in read_attachments(one.files)]


def test_files_of_a_customer_stand_together(hq: Installation) -> None:
    lin_id = hq.new("user", login="lin", name="林晓", password="Haus-und-Hof-42", role="none")
    mill, other = (
        hq.new("customer", name="绍兴恒远纺织", files=attached(hq, "营业执照.pdf"), owner_id=lin_id),
        hq.new("customer", name="甲"),
    )
    assert listed(hq, mill) == [("customer", "营业执照.pdf")]
    hq.new("activity", customer_id=mill, content="拜访", files=attached(hq, "样布.jpg", "会议纪要.docx"))
    hq.new("activity", customer_id=other, content="拜访", files=attached(hq, "别家.jpg"))
    contract = hq.new("contract", customer_id=mill, title="年度框架", files=attached(hq, "合同扫描.pdf"))
    hq.new("expense", customer_id=mill, date="2026-11-20", amount="120", purpose="打样", files=attached(hq, "发票.pdf"))
    activities = [("activity", "样布.jpg"), ("activity", "会议纪要.docx")]
    assert listed(hq, mill) == [("customer", "营业执照.pdf"), *activities, ("contract", "合同扫描.pdf"), ("expense", "发票.pdf")]
    hq.delete("contract", contract)
    assert ("contract", "合同扫描.pdf") not in listed(hq, mill)
    added = attached(hq, "名片.jpg")
    hq.run("crm.change_files", customer=mill, add=added)
    hq.run("crm.change_files", customer=mill, add=attached(hq, "厂房.jpg"), remove=added)
    assert [name for kind, name in listed(hq, mill) if kind == "customer"] == ["营业执照.pdf", "厂房.jpg"]
    # He sees his customers and their activity records; of the customer not the files.
    for kind in ("customer", "activity"):
        hq.run("people.set_rights", login="lin", entity=kind, actions=["read"], scope="own" if kind == "customer" else "all")
    hq.run("people.set_field_rule", login="lin", entity="customer", field="files", rule="hidden")
    lin = actor_by_id(hq.store, lin_id)
    assert lin is not None
    assert listed(hq, mill, lin) == activities
    assert listed(hq, other, lin) == []
    with pytest.raises(AppError):
        verbs.run(hq.store, lin, "crm.change_files", {"customer": mill, "remove": "x"})
