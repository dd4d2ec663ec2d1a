"""Bringing a data file to the shape of the declarations, once, in one transaction.

A new table, a new column with a default and a new index follow from the declarations alone. Anything else is an
ordered, named function in MIGRATIONS, never edited once released. Triggers are generated anew whenever any
declaration changed, in the same transaction, so a new column is never missing from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entities
from localcrm.store import ddl, eventlog, marks, search

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Shape
    from localcrm.store.connection import Connection


def _chain_event_log(connection: Connection, sign_log: eventlog.Sign | None) -> None:
    """The system log becomes a chain: its rows are taken over in their order."""
    connection.execute("ALTER TABLE event_log RENAME TO event_log_before")
    connection.script(ddl.EVENT_TABLES)
    eventlog.chain_old_rows(connection, "event_log_before")
    connection.execute("DROP TABLE event_log_before")
    if sign_log is not None:
        eventlog.sign_head(connection, sign_log)


def _name_theme(connection: Connection, sign_log: eventlog.Sign | None) -> None:  # noqa: ARG001 -- nothing here is signed
    """What was "dark or not" is one of several themes."""
    connection.execute("UPDATE user_setting SET key = 'theme', value = 'dark' WHERE key = 'dark' AND value = '1'")
    connection.execute("DELETE FROM user_setting WHERE key = 'dark'")


_INDEXED_AT_ONCE = 10_000


def _add_access(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """Ways back in for who forgot a password, and sessions that lock."""
    connection.script(ddl.ACCESS_TABLES)
    for column in ("used", "locked", "told"):
        connection.execute(f"ALTER TABLE session ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def _add_log_tables(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """Where the system log begins and how far it is countersigned."""
    connection.script(ddl.LOG_TABLES)


def _add_blob_tables(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """Which contents of attached files are here."""
    connection.script(ddl.BLOB_TABLES)


def _add_peer_facts(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """What a branch said of itself at the last contact: its program, the shape of its data, how far its clock is off, whether by file."""
    for column in ("program TEXT", "schema_ver INTEGER", "clock_ms INTEGER", "by_file INTEGER"):
        connection.execute(f"ALTER TABLE sync_peer ADD COLUMN {column}")


def _add_past_tables(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """Where the older part of the change log goes."""
    connection.script(ddl.PAST_TABLES)


def _add_key_tables(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """Keys that nodes had before; which of our keys the other side last used, and new ones of its own that somebody is to look at; what a branch that joins over the network asked and is answered."""
    connection.script(ddl.KEY_TABLES)
    for column in ("used_key BLOB", "asked_key BLOB", "renew INTEGER NOT NULL DEFAULT 0"):
        connection.execute(f"ALTER TABLE sync_peer ADD COLUMN {column}")
    for column in ("office_key BLOB", "request BLOB", "approval BLOB"):
        connection.execute(f"ALTER TABLE sync_invite ADD COLUMN {column}")


def _add_digest_tables(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """Digests are kept, and what the two sides of an exchange say to mend a difference."""
    connection.script(ddl.DIGEST_TABLES)


def _add_mark_tables(connection: Connection, _sign_log: eventlog.Sign | None) -> None:
    """What records are known by."""
    connection.script(ddl.MARK_TABLES)


#: Raised by one with every released change of a declaration; travels in every exchange.
SCHEMA_VERSION = 3
#: (name, what it does with the file and the signer of its system log); the name is recorded in ``meta`` in the same transaction.
MIGRATIONS: Sequence[tuple[str, Callable[[Connection, eventlog.Sign | None], None]]] = (
    ("chain_event_log", _chain_event_log),
    ("name_theme", _name_theme),
    ("add_access", _add_access),
    ("log_tables", _add_log_tables),
    ("blob_tables", _add_blob_tables),
    ("peer_facts", _add_peer_facts),
    ("past_tables", _add_past_tables),
    ("key_tables", _add_key_tables),
    ("digest_tables", _add_digest_tables),
    ("mark_tables", _add_mark_tables),
)


def check_version(connection: Connection) -> None:
    """Raise StoreError for a file of a newer program; nothing else in it may be looked at then."""
    if connection.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'") == 0:
        return
    version = connection.value("SELECT value FROM meta WHERE key = 'schema_version'") or 0
    if version > SCHEMA_VERSION:
        raise StoreError(
            "newer_schema",
            N_("This data file was written by a newer version of the program. Nothing was changed; install the newer version here too."),
        )


def shapes_version(connection: Connection) -> int:
    """How often the fields of this file were defined anew."""
    is_new = connection.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'") == 0
    return 0 if is_new else int(get_meta(connection, "shapes") or 0)


def is_current(connection: Connection) -> bool:
    """Whether the file needs nothing; raises StoreError for a file of a newer program."""
    if connection.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'") == 0:
        return False
    check_version(connection)
    return bool(connection.value("SELECT value FROM meta WHERE key = 'ddl'") == fingerprint())


def fingerprint() -> str:
    """Hash of everything derived: equal means tables, indexes and triggers are as declared."""
    digest = hashlib.blake2b(digest_size=16)
    for statement in ddl.SYSTEM_TABLES:
        digest.update(statement.encode())
    for statement in ddl.SYSTEM_TRIGGERS.values():
        digest.update(statement.encode())
    for entity in entities():
        digest.update(_derived(entity, entity.shape))
    digest.update(repr(_searched()).encode())
    digest.update(marks.version().encode())
    return digest.hexdigest()


@lru_cache(maxsize=1000)  # several data files of one process may shape each entity in their own way
def _derived(entity: EntityType, _shape: Shape) -> bytes:
    """Every statement derived from an entity while it has this shape: asked for with each opening of a file and each exchange."""
    return "".join((ddl.table_sql(entity), *ddl.index_sqls(entity).values(), *ddl.trigger_sqls(entity).values())).encode()


def migrate(connection: Connection, sign_log: eventlog.Sign | None = None, *, shapes: int = 0) -> None:
    """Create or complete everything; the caller holds no transaction. ``sign_log`` signs a system log that is chained now.

    ``shapes`` is the ``shapes_version`` that the caller's fields are of: where another program has defined fields since, nothing is
    done, for the triggers would leave those out.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if shapes_version(connection) != shapes or is_current(connection):
            connection.execute("ROLLBACK")
            return
        is_new = connection.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'") == 0
        if is_new:
            connection.script(ddl.SYSTEM_TABLES)
        done = {row[0] for row in connection.all("SELECT value FROM meta WHERE key LIKE 'migration:%'")}
        for name, step in MIGRATIONS:
            if name not in done:
                if not is_new:  # a new file has today's tables already
                    step(connection, sign_log)
                set_meta(connection, f"migration:{name}", name)
        bring(connection)
        set_meta(connection, "schema_version", SCHEMA_VERSION)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def bring(connection: Connection) -> None:
    """Give every entity the table, totals, triggers and search rows of its shape, inside the caller's transaction."""
    wanted = fingerprint()
    if get_meta(connection, "ddl") == wanted:
        return
    for entity in entities():
        _bring_table(connection, entity)
        _bring_totals(connection, entity)
    _bring_triggers(connection)
    _bring_search(connection)
    _bring_marks(connection)
    set_meta(connection, "ddl", wanted)


def get_meta(connection: Connection, key: str) -> str | int | bytes | None:
    """A fact about this node, or None."""
    value: str | int | bytes | None = connection.value("SELECT value FROM meta WHERE key = ?", (key,))
    return value


def set_meta(connection: Connection, key: str, value: str | int | bytes) -> None:
    """Write a fact about this node."""
    connection.execute("INSERT INTO meta(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", (key, value))


def _bring_table(connection: Connection, entity: EntityType) -> None:
    existing = {row[1] for row in connection.all(f'PRAGMA table_info("{entity.key}")')}
    if not existing:
        connection.execute(ddl.table_sql(entity))
    else:
        for field in entity.fields.values():
            if field.key not in existing:
                connection.execute(f'ALTER TABLE "{entity.key}" ADD COLUMN "{field.key}" {ddl.column_type(field)}')
    present = {row[0] for row in connection.all("SELECT name FROM sqlite_master WHERE type IN ('index', 'table')")}
    for name, statement in ddl.index_sqls(entity).items():
        if name not in present:
            connection.execute(statement)


def _bring_totals(connection: Connection, entity: EntityType) -> None:
    """A total that is declared otherwise than the file keeps it is counted anew; its triggers tell."""
    declared = ddl.trigger_sqls(entity)
    present: dict[str, str] = dict(connection.all("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'trigger')"))
    for total in entity.totals:
        table = ddl.total_table_sql(entity, total)
        if present.get(total.name) == table and all(
            present.get(name) == sql for name, sql in declared.items() if name.startswith(f"{total.name}_")
        ):
            continue
        connection.execute(f'DROP TABLE IF EXISTS "{total.name}"')
        connection.execute(table)
        connection.execute(f'INSERT INTO "{total.name}" {ddl.total_select(entity, total)}')


def _bring_search(connection: Connection) -> None:
    """Records are indexed anew when other fields of theirs are searched than they were indexed by.

    Where fields only joined, those records that have something in them: none, when the field is new.
    """
    known, searched = get_meta(connection, "search"), _searched()
    before = dict(entry.split(":") for entry in str(known or "").split())
    for entity in entities():
        if known is None or entity.key not in searched or searched[entity.key] in str(known).split():
            continue
        was = set(filter(None, before.get(str(entity.no), "").split(",")))
        joined = [field for field in entity.searched if str(field.no) not in was]
        only_joined = was and len(was) + len(joined) == len(entity.searched)
        filled = " OR ".join(f'"{field.key}" IS NOT NULL' for field in joined) if only_joined else "1"
        rids = [row[0] for row in connection.all(f'SELECT rid FROM "{entity.key}" WHERE deleted = 0 AND ({filled}) ORDER BY rid')]
        for start in range(0, len(rids), _INDEXED_AT_ONCE):
            search.index_rows(connection, entity, rids[start : start + _INDEXED_AT_ONCE])
    set_meta(connection, "search", " ".join(searched.values()))


def _bring_marks(connection: Connection) -> None:
    """What records are known by is made anew when the rules or the fields for it are others than before."""
    wanted = marks.version()
    if get_meta(connection, "marks") != wanted:
        marks.rebuild(connection)
        set_meta(connection, "marks", wanted)


def _searched() -> dict[str, str]:
    return {entity.key: f"{entity.no}:{','.join(str(field.no) for field in entity.searched)}" for entity in entities() if entity.searched}


def _bring_triggers(connection: Connection) -> None:
    for (name,) in connection.all("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.script(ddl.all_triggers().values())
