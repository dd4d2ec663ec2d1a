"""The fields of this data file: what its definitions (``custom_field``, ``field_option``, ``field_name``) make of the declarations.

Definitions may come from anywhere, so what does not fit is passed over here rather than trusted: a column is made for a
number of the company's range only, once, and the same one on every node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.kernel.custom import Definition, FieldType, GivenName, Option, shapes
from localcrm.kernel.schema import Shapes, entities, entity as entity_type, shaped
from localcrm.store import migrate
from localcrm.store.node import branch_id
from localcrm.store.query import load_record, record_columns

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.query import Record

_TYPES = frozenset(one.value for one in FieldType)
#: Kinds of records that say what fields others have.
SHAPING = frozenset({"custom_field", "field_option", "field_name"})


def read_shapes(connection: Connection) -> Shapes:
    """The shapes as the definitions say now; none where the file has no such tables (yet)."""
    with shaped({}):
        fields, options, names = (_records(connection, kind) for kind in ("custom_field", "field_option", "field_name"))
    if not (fields or options or names):
        return {}
    here = _own_branch(connection)
    definitions = [_definition(record) for record in fields if record["type"] in _TYPES]
    offered = [_option(record) for record in options if not record["deleted"]]
    called = [_name(record) for record in sorted(names, key=lambda name: name["branch_id"] is not None) if _counts(record, here)]
    while wrong := _unfitting(connection, found := shapes(definitions, offered, called, here=here)):
        definitions = [one for one in definitions if (one.entity, one.number) not in wrong]
    return found


def _unfitting(connection: Connection, found: Shapes) -> set[tuple[str, int]]:
    """Kind and number of fields whose column is there already and stores something else: what is stored never changes (``custom.BECOMES``),
    so such a definition is nobody's honest work.
    """
    wrong = set()
    for key, shape in found.items():
        stored = {row[1]: row[2] for row in connection.all(f'PRAGMA table_info("{key}")')}
        wrong |= {(key, one.no) for one in shape.fields.values() if one.custom and stored.get(one.key, one.sql_type) != one.sql_type}
    return wrong


def reshape(connection: Connection) -> Shapes:
    """Give the tables the columns that the definitions now ask for, inside the caller's transaction; returns the shapes."""
    found = read_shapes(connection)
    with shaped(found):
        migrate.bring(connection)
    migrate.set_meta(connection, "shapes", migrate.shapes_version(connection) + 1)
    return found


def _records(connection: Connection, kind: str) -> list[Record]:
    known = {entity.key for entity in entities()}
    if kind not in known or connection.value("SELECT count(*) FROM sqlite_master WHERE name = ?", (kind,)) == 0:
        return []
    entity = entity_type(kind)
    if not {"id", *entity.fields} <= {row[1] for row in connection.all(f'PRAGMA table_info("{kind}")')}:
        return []  # a file of an older program, which is brought up to date first
    return [load_record(entity, row) for row in connection.all(f'SELECT {record_columns(entity)} FROM "{kind}" ORDER BY id')]


def _own_branch(connection: Connection) -> str | None:
    """The branch whose own fields and names count here; None at head office, which sees all."""
    company, code = migrate.get_meta(connection, "node.company_id"), migrate.get_meta(connection, "node.code")
    if migrate.get_meta(connection, "node.role") != "branch" or not isinstance(company, bytes):
        return None
    return branch_id(company, str(code))


def _counts(name: Record, here: str | None) -> bool:
    return not name["deleted"] and bool(name["text"]) and name["branch_id"] in {None, here}


def _definition(record: Record) -> Definition:
    values = {key: record[key] for key in Definition.__slots__ if key in record}
    return Definition(**{**values, "type": FieldType(record["type"]), "retired": record["retired"] or record["deleted"]})


def _option(record: Record) -> Option:
    return Option(**{key: record[key] for key in Option.__slots__})


def _name(record: Record) -> GivenName:
    return GivenName(entity=record["entity"], field=record["field"] or "", language=record["language"], text=record["text"])
