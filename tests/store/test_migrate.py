"""An older data file meets a newer declaration, and a newer file an older program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest

from localcrm.domain.crm.entities import Contact
from localcrm.domain.people import idle, recovery, sessions
from localcrm.domain.people.preferences import preferences
from localcrm.kernel import schema
from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import F, Kind, Text, Total
from localcrm.store import check, past, search
from localcrm.store.migrate import SCHEMA_VERSION, set_meta
from localcrm.store.view import View
from localcrm.sync import compaction
from tests import factories


@contextmanager
def contact_with(**fields: Any) -> Iterator[schema.EntityType]:
    """The contact, declared with more fields than the file knows."""
    totals = fields.pop("totals", ())
    with schema.scratch_registry():
        del schema._numbered[schema._registry.pop("contact").no]
        annotations = {name: annotation for name, (annotation, _default) in fields.items()}
        body = {
            "__annotations__": annotations,
            "__module__": __name__,
            **{name: default for name, (_annotation, default) in fields.items()},
        }
        declared = {key: Contact.model_fields[key] for key in Contact.model_fields}
        base = {"__annotations__": {key: info.rebuild_annotation() for key, info in declared.items()}}
        base |= {key: info.default for key, info in declared.items() if not info.is_required()}
        merged = {**base, **body, "__annotations__": {**base["__annotations__"], **annotations}}
        kind = type(schema.Entity)(
            "Contact",
            (schema.Entity,),
            merged,
            key="contact",
            no=11,
            label=N_("Contact"),
            kind=Kind.MASTER,
            title_field="name",
            totals=totals,
        )
        yield kind.entity_type


@pytest.fixture
def company():
    with factories.company(branches=1) as made:
        customer = made.hq.new("customer", name="甲")
        made.hq.new("contact", customer_id=customer, name="王", phone="1")
        yield made


def test_a_new_field_comes_with_its_default_and_keeps_the_data(company):
    hq = company.hq
    before = hq.rows("SELECT id, customer_id, name, phone, version FROM contact")
    head = hq.value("SELECT max(lseq) FROM sync_log")
    with contact_with(
        nickname=(Annotated[Text | None, F(20, "Nickname")], None), rank=(Annotated[int, F(21, "Rank", index=True)], 3)
    ) as kind:
        hq.restart()
        assert hq.rows("SELECT id, customer_id, name, phone, version FROM contact") == before
        assert hq.rows("SELECT nickname, rank FROM contact") == [(None, 3)]
        assert hq.value("SELECT max(lseq) FROM sync_log") == head
        assert hq.value("SELECT count(*) FROM sqlite_master WHERE name = 'contact__rank'") == 1
        assert kind.by_no[20].key == "nickname"


def test_a_change_of_a_new_field_is_captured(company):
    hq = company.hq
    with contact_with(nickname=(Annotated[Text | None, F(20, "Nickname")], None)) as kind:
        hq.restart()
        contact = hq.value("SELECT id FROM contact").hex()
        with hq.store.unit_of_work(None) as uow:
            uow.update(kind, contact, {"nickname": "小王"})
        assert hq.value("SELECT diff FROM sync_log ORDER BY lseq DESC LIMIT 1") == '{"20":[null,"小王"]}'
        assert check.check(hq.store)["problems"] == []


def test_a_new_total_is_filled_from_what_is_there(company):
    hq = company.hq
    with contact_with(totals=(Total(name="contact_by_customer", by=("customer_id",)),)):
        hq.restart()
        assert hq.rows("SELECT total FROM contact_by_customer") == [(1,)]
        hq.new("contact", customer_id=hq.value("SELECT id FROM customer").hex(), name="李")
        assert hq.rows("SELECT total FROM contact_by_customer") == [(2,)]


def test_an_older_program_keeps_out_what_it_does_not_know_and_goes_on(company):
    """A branch with a newer program sends a field head office has no column for: the change is kept, the rest applies."""
    branch = company.branches["BR01"]
    company.exchange()
    with contact_with(nickname=(Annotated[Text | None, F(20, "Nickname")], None)) as kind:
        branch.restart()
        contact = branch.value("SELECT id FROM contact").hex()
        with branch.store.unit_of_work(None) as uow:
            uow.update(kind, contact, {"nickname": "小王"})
        branch.new("customer", name="乙")
        from localcrm.sync import node_sync

        node_sync.pack(branch.store, branch.keys, company.folder / "up")
    done = node_sync.unpack(company.hq.store, company.hq.keys, company.folder / "up")
    assert (done["applied"], done["quarantined"]) == (1, 1)
    assert company.hq.rows("SELECT reason FROM sync_quarantine") == [("unknown_column",)]


def test_who_liked_it_dark_still_does(company):
    hq = company.hq
    user = bytes.fromhex(hq.actor.user_id)
    with hq.store.housekeeping() as connection:
        connection.execute("INSERT INTO user_setting(user_id, key, value) VALUES (?, 'dark', '1'), (?, 'dark', '')", (user, b"x" * 16))
        connection.execute("DELETE FROM meta WHERE key = 'migration:name_theme'")
        set_meta(connection, "ddl", "that of an older file")
    hq.restart()
    assert hq.rows("SELECT user_id, key, value FROM user_setting") == [(user, "theme", "dark")]
    assert preferences(hq.store, hq.actor.user_id)["theme"] == "dark"


def test_opening_a_current_file_changes_nothing(company):
    before = company.hq.rows("SELECT type, name, sql FROM sqlite_master")
    version = company.hq.value("PRAGMA schema_version")
    company.hq.restart()
    assert company.hq.rows("SELECT type, name, sql FROM sqlite_master") == before
    assert company.hq.value("PRAGMA schema_version") == version


def test_a_file_of_a_newer_program_is_refused_and_not_touched(company):
    hq = company.hq
    with hq.store.housekeeping() as connection:
        set_meta(connection, "schema_version", SCHEMA_VERSION + 1)
    hq.store.close()
    before = (hq.folder / "localcrm.db").read_bytes()
    with pytest.raises(StoreError) as refused:
        factories.Installation(hq.folder, "HQ", hq.keys, hq.actor)
    assert refused.value.code == "newer_schema"
    assert (hq.folder / "localcrm.db").read_bytes() == before


def test_a_missing_trigger_is_made_again_with_the_next_declaration(company):
    hq = company.hq
    with hq.store.housekeeping() as connection:
        connection.execute("DROP TRIGGER contact_upd")
    with contact_with(nickname=(Annotated[Text | None, F(20, "Nickname")], None)):
        hq.restart()
        assert hq.value("SELECT count(*) FROM sqlite_master WHERE name = 'contact_upd'") == 1


def test_a_total_declared_otherwise_is_counted_anew(company):
    hq, customer = company.hq, company.hq.value("SELECT id FROM customer").hex()
    declarations = [
        Total(name="contact_n", by=("name",)),
        Total(name="contact_n", by=("phone",)),
        Total(name="contact_n", by=("phone", "name")),
    ]
    for number, total in enumerate(declarations, start=2):
        with contact_with(totals=(total,)):
            hq.restart()
            hq.new("contact", customer_id=customer, name="王", phone="1")
            assert hq.value("SELECT total FROM contact_n") == number
            assert check.check(hq.store)["ok"]


def test_a_field_searched_from_now_on_is_found_in_old_records(company):
    hq = company.hq
    title = Annotated[Text | None, F(3, N_("Position"), column=3, search=2)]
    with contact_with(title=(Annotated[Text | None, F(3, N_("Position"), column=3)], None)):
        hq.restart()
        hq.set("contact", hq.value("SELECT id FROM contact").hex(), title="采购经理")
    with contact_with(title=(title, None)) as kind:
        hq.restart()
        with hq.store.read() as connection:
            assert search.find_rows(connection, View(kind), "采购") == [1]


def test_a_file_from_before_sessions_locked_gains_what_is_missing(company):
    hq = company.hq
    token = sessions.sign_in(hq.store, login="admin", password=factories.PASSWORD)[1]
    with hq.store.housekeeping() as connection:
        connection.script(
            (
                "DROP TABLE password_reset",
                "DROP TABLE password_recovery",
                *(f"ALTER TABLE session DROP COLUMN {column}" for column in ("used", "locked", "told")),
                "DELETE FROM meta WHERE key IN ('migration:add_access', 'ddl')",
                "UPDATE meta SET value = 2 WHERE key = 'schema_version'",
            )
        )
    hq.restart()
    assert (hq.rows("SELECT used, locked, told FROM session"), hq.rows("SELECT * FROM password_reset")) == ([(0, 0, 0)], [])
    assert sessions.find_session(hq.store, token) is not None
    assert len(idle.lock_idle(hq.store)) == 1  # nobody knows when it was last used
    assert recovery.first_code(hq.store, hq.actor.user_id)


def test_a_file_from_before_branches_told_of_themselves(company):
    hq = company.hq
    with hq.store.housekeeping() as connection:
        for column in ("program", "schema_ver", "clock_ms", "by_file"):
            connection.execute(f"ALTER TABLE sync_peer DROP COLUMN {column}")
        connection.execute("DELETE FROM meta WHERE key IN ('migration:peer_facts', 'ddl')")
    hq.restart()
    assert hq.rows("SELECT code, program, schema_ver, clock_ms, by_file FROM sync_peer") == [("BR01", None, None, None, None)]


def test_a_file_from_before_the_log_had_a_past(company):
    hq = company.hq
    with hq.store.housekeeping() as connection:
        for table in past.TABLES:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DELETE FROM meta WHERE key IN ('migration:past_tables', 'ddl')")
    hq.restart()
    customer = hq.new("customer", name="甲公司")
    hq.set("customer", customer, phone="1")
    company.exchange()
    moved = compaction.compact(hq.store, compaction.Rule(-(10**13), -(10**13)), pause_s=0)
    assert moved.changes == moved.horizon > 0
    assert check.check(hq.store)["problems"] == []
