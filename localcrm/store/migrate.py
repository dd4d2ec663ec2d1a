"""Bringing a data file to the shape of the declarations, once, in one transaction.

A new table, a new column with a default and a new index follow from the declarations alone. Anything else is an
ordered, named function in MIGRATIONS, never edited once released. Triggers are generated anew whenever any
declaration changed, in the same transaction, so a new column is never missing from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entities
from localcrm.store import ddl

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection

#: Raised by one with every released change of a declaration; travels in every exchange.
SCHEMA_VERSION = 1
#: (name, what it does); the name is recorded in ``meta`` in the same transaction.
MIGRATIONS: Sequence[tuple[str, Callable[[Connection], None]]] = ()


def is_current(connection: Connection) -> bool:
    """Whether the file needs nothing; raises StoreError for a file of a newer program."""
    if connection.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'") == 0:
        return False
    version = connection.value("SELECT value FROM meta WHERE key = 'schema_version'") or 0
    if version > SCHEMA_VERSION:
        raise StoreError(
            "newer_schema",
            N_("This data file was written by a newer version of the program. Nothing was changed; install the newer version here too."),
        )
    return bool(connection.value("SELECT value FROM meta WHERE key = 'ddl'") == fingerprint())


def fingerprint() -> str:
    """Hash of everything derived: equal means tables, indexes and triggers are as declared."""
    digest = hashlib.blake2b(digest_size=16)
    for statement in ddl.SYSTEM_TABLES:
        digest.update(statement.encode())
    for entity in entities():
        for statement in (ddl.table_sql(entity), *ddl.index_sqls(entity).values(), *ddl.trigger_sqls(entity).values()):
            digest.update(statement.encode())
    return digest.hexdigest()


def migrate(connection: Connection) -> None:
    """Create or complete everything; the caller holds no transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if is_current(connection):
            connection.execute("ROLLBACK")
            return
        if connection.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'") == 0:
            connection.script(ddl.SYSTEM_TABLES)
        done = {row[0] for row in connection.all("SELECT value FROM meta WHERE key LIKE 'migration:%'")}
        for name, step in MIGRATIONS:
            if name not in done:
                step(connection)
                set_meta(connection, f"migration:{name}", name)
        for entity in entities():
            _bring_table(connection, entity)
        _bring_triggers(connection)
        set_meta(connection, "ddl", fingerprint())
        set_meta(connection, "schema_version", SCHEMA_VERSION)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


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
    for total in entity.totals:
        if total.name not in present:
            connection.execute(ddl.total_table_sql(entity, total))
            connection.execute(ddl.total_index_sql(entity, total))
            connection.execute(f'INSERT INTO "{total.name}" {ddl.total_select(entity, total)}')


def _bring_triggers(connection: Connection) -> None:
    for (name,) in connection.all("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f'DROP TRIGGER "{name}"')
    for entity in entities():
        connection.script(ddl.trigger_sqls(entity).values())
