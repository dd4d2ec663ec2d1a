"""Tables, indexes and capture triggers, derived from the declarations.

Every entity table has a local row number ``rid`` (never sent), the id, one column per field, the ``deleted`` register
and a local ``version`` for stale saves. On the wire the register is column number 0.

A change is captured by the table's own triggers inside the business transaction: an insert logs a reference to its
row, an update the changed columns with old and new value, a physical removal (draft lines only) the whole old row.
A statement outside a unit of work is refused. While a merge applies what it received (``sync_ctx.applying``) capture
is off: the merge writes those log rows itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.kernel.schema import Kind, entities

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Field, Total

#: A row's number in the search index is its entity's number above these bits and its row number below: each kind is one range.
ROW_BITS = 48
#: Operations of the change log.
VOID, INSERT, UPDATE, GONE = 0, 1, 2, 5
#: Wire number of the ``deleted`` register, the same in every table.
DELETED_NO = 0

EVENT_TABLES = (
    """CREATE TABLE event_log(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, user_id BLOB, detail TEXT,
        hash BLOB NOT NULL) STRICT""",
    # One row: how long the system log is and what it ends with, and how far it is signed (see ``store.eventlog``).
    """CREATE TABLE event_head(id INTEGER PRIMARY KEY CHECK(id = 1), count INTEGER NOT NULL DEFAULT 0,
        hash BLOB NOT NULL DEFAULT (zeroblob(32)), signed INTEGER NOT NULL DEFAULT 0, signature BLOB) STRICT""",
    "INSERT INTO event_head(id) VALUES (1)",
)
#: How people come in again who cannot sign in; see ``sync.resets`` and ``domain.people.recovery``.
ACCESS_TABLES = (
    """CREATE TABLE password_reset(counter INTEGER PRIMARY KEY, user_id BLOB, nonce BLOB NOT NULL, epoch BLOB NOT NULL,
        asked INTEGER NOT NULL, used INTEGER) STRICT""",
    "CREATE TABLE password_recovery(user_id BLOB PRIMARY KEY, code_hash BLOB NOT NULL, made INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
LOG_TABLES = (
    # At most one row: where the system log begins since its older rows were removed (see ``store.eventlog``).
    """CREATE TABLE event_start(id INTEGER PRIMARY KEY CHECK(id = 1), number INTEGER NOT NULL, hash BLOB NOT NULL, at INTEGER NOT NULL,
        user_id BLOB, signature BLOB) STRICT""",
    # How far head office has countersigned the system log of a node: of each branch at head office, of itself at a branch.
    """CREATE TABLE log_witness(node_no INTEGER PRIMARY KEY, number INTEGER NOT NULL, hash BLOB NOT NULL, at INTEGER NOT NULL,
        signature BLOB NOT NULL, told INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0) STRICT""",
)
BLOB_TABLES = (
    # Contents of attached files (see ``store.blobs``), and which of them the other side of an exchange lacks: how many bytes it has.
    """CREATE TABLE blob(hash BLOB PRIMARY KEY, size INTEGER NOT NULL, state TEXT NOT NULL, named INTEGER NOT NULL DEFAULT 0,
        at INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
    "CREATE INDEX blob_state ON blob(state, size, hash)",
    """CREATE TABLE blob_lacking(node_no INTEGER NOT NULL, hash BLOB NOT NULL, have INTEGER NOT NULL,
        PRIMARY KEY(node_no, hash)) STRICT, WITHOUT ROWID""",
)
PAST_TABLES = (
    # The older part of the change log (see ``store.past``): chunks by the number of their last change, with the latest stamp in each.
    "CREATE TABLE sync_past(upto INTEGER PRIMARY KEY, newest_hlc INTEGER NOT NULL, data BLOB NOT NULL) STRICT",
    # Of each record with a past: its newest change there, and whether each change there was made by somebody who had seen the one before.
    """CREATE TABLE sync_past_row(tbl INTEGER NOT NULL, pk BLOB NOT NULL, newest INTEGER NOT NULL, chain INTEGER NOT NULL,
        PRIMARY KEY(tbl, pk)) STRICT, WITHOUT ROWID""",
    # Runs of changes that follow each other both here and at their origin.
    """CREATE TABLE sync_past_span(first_lseq INTEGER PRIMARY KEY, origin INTEGER NOT NULL, first_oseq INTEGER NOT NULL,
        count INTEGER NOT NULL) STRICT""",
    "CREATE UNIQUE INDEX sync_past_span_origin ON sync_past_span(origin, first_oseq)",
)
KEY_TABLES = (
    # Keys that nodes had before those of today, this node's own too, in the order in which they were given up (see ``sync.rotation``):
    # when, by the clock of their owner and by ours; of head office the last version of rights they signed; of our own the document
    # that leads to the next ones.
    """CREATE TABLE former_key(node_no INTEGER NOT NULL, key_id BLOB NOT NULL, sign_key BLOB NOT NULL, box_key BLOB NOT NULL,
        changed INTEGER NOT NULL, learned INTEGER NOT NULL, policy INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0,
        succession BLOB, PRIMARY KEY(node_no, key_id)) STRICT""",
)
DIGEST_TABLES = (
    # Digests as of a place in the log (see ``store.digests``): of runs of rows by the id that begins each, of whole tables with the columns
    # they are over, and rows that the program itself changed without a log entry since.
    """CREATE TABLE sync_digest(tbl INTEGER NOT NULL, first BLOB NOT NULL, digest BLOB NOT NULL, was BLOB,
        PRIMARY KEY(tbl, first)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE sync_digest_table(tbl INTEGER PRIMARY KEY, columns BLOB NOT NULL, root TEXT NOT NULL) STRICT",
    "CREATE TABLE sync_digest_mark(id INTEGER PRIMARY KEY AUTOINCREMENT, tbl INTEGER NOT NULL, pk BLOB NOT NULL) STRICT",
    # What the other side has said of a difference and waits for an answer; what was mended here and head office does not know yet, by the id
    # of the record that it makes of it (see ``sync.repair``).
    "CREATE TABLE sync_repair(id INTEGER PRIMARY KEY, node_no INTEGER NOT NULL, message BLOB NOT NULL) STRICT",
    "CREATE TABLE sync_mended(id BLOB PRIMARY KEY, note BLOB NOT NULL) STRICT, WITHOUT ROWID",
)
MARK_TABLES = (
    # What live records are known by, as numbers (see ``store.marks``): of whom (a contact's phone is its customer's), and by which row of
    # the search index.
    """CREATE TABLE mark(kind TEXT NOT NULL, value INTEGER NOT NULL, of BLOB NOT NULL, doc INTEGER NOT NULL,
        PRIMARY KEY(kind, value, of, doc)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX mark_doc ON mark(doc)",
    # Those that more than one record is known by; kept by triggers.
    "CREATE TABLE mark_twice(kind TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY(kind, value)) STRICT, WITHOUT ROWID",
)
SYSTEM_TABLES = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    # One row: what the triggers need to know about the transaction of the moment.
    """CREATE TABLE sync_ctx(id INTEGER PRIMARY KEY CHECK(id = 1), applying INTEGER NOT NULL DEFAULT 0, tx INTEGER,
        last_hlc INTEGER NOT NULL DEFAULT 0, origin INTEGER, next_oseq INTEGER NOT NULL DEFAULT 1) STRICT""",
    "INSERT INTO sync_ctx(id) VALUES (1)",
    # Who made changes: a node in one of its epochs. A restored or copied node gets a new epoch, never old numbers again.
    """CREATE TABLE sync_origin(origin INTEGER PRIMARY KEY, node_no INTEGER NOT NULL, epoch BLOB NOT NULL,
        epoch_index INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL, have_oseq INTEGER NOT NULL DEFAULT 0,
        acked_oseq INTEGER NOT NULL DEFAULT 0, closed INTEGER NOT NULL DEFAULT 0, UNIQUE(node_no, epoch)) STRICT""",
    # One row per transaction: its changes are the log rows first_lseq … first_lseq+count-1, numbered by their origin
    # first_oseq … first_oseq+count-1. hlc as written; eff_hlc as admitted by head office (differs only after a re-stamp).
    """CREATE TABLE sync_tx(tx INTEGER PRIMARY KEY, origin INTEGER NOT NULL, first_oseq INTEGER NOT NULL, count INTEGER NOT NULL,
        first_lseq INTEGER NOT NULL, hlc INTEGER NOT NULL, eff_hlc INTEGER NOT NULL, actor BLOB) STRICT""",
    "CREATE UNIQUE INDEX sync_tx_origin ON sync_tx(origin, first_oseq)",
    "CREATE INDEX sync_tx_lseq ON sync_tx(first_lseq)",
    # At head office lseq is also the number under which a change was admitted (hseq): the cursor of every branch.
    """CREATE TABLE sync_log(lseq INTEGER PRIMARY KEY, tx INTEGER NOT NULL, tbl INTEGER NOT NULL, op INTEGER NOT NULL,
        pk BLOB, diff TEXT, prev INTEGER) STRICT""",
    "CREATE INDEX sync_log_row ON sync_log(tbl, pk)",
    *PAST_TABLES,
    """CREATE TABLE sync_quarantine(origin INTEGER NOT NULL, oseq INTEGER NOT NULL, tbl INTEGER NOT NULL, pk BLOB, reason TEXT NOT NULL,
        need_schema INTEGER, raw BLOB NOT NULL, first_seen INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY(origin, oseq)) STRICT""",
    # The other side: head office for a branch, each branch for head office.
    """CREATE TABLE sync_peer(node_no INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL DEFAULT '', url TEXT,
        sign_key BLOB, box_key BLOB, certificate BLOB, recv_hseq INTEGER NOT NULL DEFAULT 0, epoch BLOB, hub_epoch BLOB,
        recv_chain BLOB, last_ok INTEGER, state TEXT NOT NULL DEFAULT 'active', program TEXT, schema_ver INTEGER, clock_ms INTEGER,
        by_file INTEGER, used_key BLOB, asked_key BLOB, renew INTEGER NOT NULL DEFAULT 0) STRICT""",
    """CREATE TABLE sync_invite(invite_id BLOB PRIMARY KEY, node_no INTEGER NOT NULL, code TEXT NOT NULL, secret BLOB NOT NULL,
        expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, office_key BLOB, request BLOB, approval BLOB) STRICT""",
    """CREATE TABLE sync_bundle(bundle_id BLOB PRIMARY KEY, direction TEXT NOT NULL, peer INTEGER NOT NULL, from_seq INTEGER NOT NULL,
        to_seq INTEGER NOT NULL, at INTEGER NOT NULL) STRICT""",
    *BLOB_TABLES,
    *KEY_TABLES,
    *DIGEST_TABLES,
    *MARK_TABLES,
    """CREATE TABLE number_series(series TEXT NOT NULL, period TEXT NOT NULL, last INTEGER NOT NULL,
        PRIMARY KEY(series, period)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE session(token_hash BLOB PRIMARY KEY, user_id BLOB NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL,
        expires INTEGER NOT NULL, client TEXT, used INTEGER NOT NULL DEFAULT 0, locked INTEGER NOT NULL DEFAULT 0,
        told INTEGER NOT NULL DEFAULT 0) STRICT""",
    *ACCESS_TABLES,
    *EVENT_TABLES,
    *LOG_TABLES,
    """CREATE TABLE user_setting(user_id BLOB NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY(user_id, key)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE job_run(job TEXT PRIMARY KEY, last_start INTEGER, last_ok INTEGER, last_error TEXT) STRICT, WITHOUT ROWID""",
    """CREATE VIRTUAL TABLE search USING fts5(text, pinyin, full, tail, content='', contentless_delete=1,
        tokenize='ascii', detail='full')""",
)


#: The system log is only ever added to; rows before its signed beginning may go.
SYSTEM_TRIGGERS = {
    f"event_log_{event.lower()}": f"CREATE TRIGGER event_log_{event.lower()} BEFORE {event} ON event_log {condition}BEGIN "
    "SELECT RAISE(ABORT, 'LC:event_row'); END"
    for event, condition in (("UPDATE", ""), ("DELETE", "WHEN OLD.id > coalesce((SELECT number FROM event_start), 0) "))
}
#: How a number ends is no reason to take two records for one.
_SHARED = (
    "INSERT OR IGNORE INTO mark_twice SELECT NEW.kind, NEW.value "
    "WHERE NEW.kind <> 'tail' AND EXISTS (SELECT 1 FROM mark WHERE kind = NEW.kind AND value = NEW.value AND of <> NEW.of)"
)
_ALONE = (
    "DELETE FROM mark_twice WHERE OLD.kind <> 'tail' AND kind = OLD.kind AND value = OLD.value "
    "AND (SELECT min(of) IS max(of) FROM mark WHERE kind = OLD.kind AND value = OLD.value)"
)
SYSTEM_TRIGGERS |= {
    "mark_ins": f"CREATE TRIGGER mark_ins AFTER INSERT ON mark BEGIN {_SHARED}; END",
    "mark_upd": f"CREATE TRIGGER mark_upd AFTER UPDATE OF of ON mark BEGIN {_ALONE}; {_SHARED}; END",
    "mark_del": f"CREATE TRIGGER mark_del AFTER DELETE ON mark BEGIN {_ALONE}; END",
}


def doc_id(entity: EntityType, rid: int) -> int:
    """Index number of a row: its entity and its row number in one integer."""
    return entity.no << ROW_BITS | rid


def all_triggers() -> dict[str, str]:
    """Every trigger of a data file by name."""
    return SYSTEM_TRIGGERS | {name: sql for entity in entities() for name, sql in trigger_sqls(entity).items()}


def table_sql(entity: EntityType) -> str:
    """The table of an entity."""
    columns = ["rid INTEGER PRIMARY KEY", "id BLOB NOT NULL UNIQUE CHECK(length(id) = 16)"]
    columns += [f'"{field.key}" {column_type(field)}' for field in entity.fields.values()]
    columns += ["deleted INTEGER NOT NULL DEFAULT 0", "version INTEGER NOT NULL DEFAULT 1"]
    return f'CREATE TABLE "{entity.key}"({", ".join(columns)}) STRICT'


def column_type(field: Field) -> str:
    """Type and default; the default lets an older file gain the column without touching its rows."""
    default = field.store(field.default)
    if default is None:
        return field.sql_type
    literal = str(default) if isinstance(default, int) else "'" + str(default).replace("'", "''") + "'"
    return f"{field.sql_type} NOT NULL DEFAULT {literal}"


def index_sqls(entity: EntityType) -> dict[str, str]:
    """Indexes by name: sortable columns and references of live rows, and the recycle bin."""
    key = entity.key
    sqls = {f"{key}_bin": f'CREATE INDEX "{key}_bin" ON "{key}"(rid) WHERE deleted = 1'}
    for field in entity.fields.values():
        if field.f.index or field.f.ref:
            name = f"{key}__{field.key}"
            # What may not repeat may not in the bin either, and what was merged into another record lies there.
            live = "" if (field.custom and field.custom.unique) or field.key == entity.merged else " WHERE deleted = 0"
            sqls[name] = f'CREATE INDEX "{name}" ON "{key}"("{field.key}"){live}'
    for keys in entity.indexes:
        name, columns = f"{key}__{'__'.join(keys)}", ", ".join(f'"{one}"' for one in keys)
        sqls[name] = f'CREATE INDEX "{name}" ON "{key}"({columns}) WHERE deleted = 0'
    return sqls


def trigger_sqls(entity: EntityType) -> dict[str, str]:
    """Triggers by name: capture, guards and totals."""
    sqls = {**_capture(entity), **_guards(entity)}
    for total in entity.totals:
        sqls.update(_total_triggers(entity, total))
    if entity.under and any(field.f.mark for field in entity.fields.values()):
        sqls[f"{entity.key}_marks"] = (
            f'CREATE TRIGGER "{entity.key}_marks" AFTER UPDATE OF "{entity.under}" ON "{entity.key}" '
            f'WHEN NEW."{entity.under}" IS NOT OLD."{entity.under}" BEGIN '
            f'UPDATE mark SET of = NEW."{entity.under}" WHERE doc = {doc_id(entity, 0)} + NEW.rid; END'
        )
    return sqls


_CAPTURING = "(SELECT applying FROM sync_ctx) = 0"
_TX = "coalesce((SELECT tx FROM sync_ctx), RAISE(ABORT, 'LC:no_unit_of_work'))"


def _capture(entity: EntityType) -> dict[str, str]:
    key, no = entity.key, entity.no
    of_row = f"WHERE tbl = {no} AND pk = OLD.id"
    in_log, in_past = f"SELECT lseq FROM sync_log {of_row} ORDER BY lseq DESC LIMIT 1", f"SELECT newest FROM sync_past_row {of_row}"
    previous = f"coalesce(({in_log}), ({in_past}))"
    columns = [(DELETED_NO, "deleted", False), *((f.no, f.key, f.kind == "ref") for f in entity.fields.values())]
    differs = {name: f'NEW."{name}" IS NOT OLD."{name}"' for _no, name, _ref in columns}
    changed = ", ".join(
        f"CASE WHEN {differs[name]} THEN '\"{number}\":' || json_array({_plain('OLD', name, ref)}, {_plain('NEW', name, ref)}) END"
        for number, name, ref in columns
    )
    old_row = (
        "concat_ws(',', "
        + ", ".join(f"'\"{f.no}\":' || json_quote({_plain('OLD', f.key, f.kind == 'ref')})" for f in entity.fields.values())
        + ")"
    )
    return {
        f"{key}_ins": f'CREATE TRIGGER "{key}_ins" AFTER INSERT ON "{key}" WHEN {_CAPTURING} BEGIN '
        f"INSERT INTO sync_log(tx, tbl, op, pk) VALUES ({_TX}, {no}, {INSERT}, NEW.id); END",
        f"{key}_upd": f'CREATE TRIGGER "{key}_upd" AFTER UPDATE ON "{key}" WHEN {_CAPTURING} AND ({" OR ".join(differs.values())}) BEGIN '
        f"INSERT INTO sync_log(tx, tbl, op, pk, diff, prev) "
        f"VALUES ({_TX}, {no}, {UPDATE}, OLD.id, '{{' || concat_ws(',', {changed}) || '}}', {previous}); END",
        f"{key}_key": f'CREATE TRIGGER "{key}_key" BEFORE UPDATE OF id ON "{key}" WHEN NEW.id IS NOT OLD.id BEGIN '
        "SELECT RAISE(ABORT, 'LC:key_changed'); END",
        f"{key}_del": f'CREATE TRIGGER "{key}_del" AFTER DELETE ON "{key}" WHEN {_CAPTURING} BEGIN '
        + (
            f"INSERT INTO sync_log(tx, tbl, op, pk, diff, prev) VALUES ({_TX}, {no}, {GONE}, OLD.id, '{{' || {old_row} || '}}', {previous}); END"
            if entity.kind is Kind.LINE
            else "SELECT RAISE(ABORT, 'LC:physical_delete'); END"
        ),
    }


def _plain(image: str, column: str, is_ref: bool) -> str:
    value = f'{image}."{column}"'
    # JSON knows no blobs: ids go as hex text and come back by the kind of their field. hex(NULL) is an empty text.
    return f"lower(nullif(hex({value}), ''))" if is_ref else value


def _guards(entity: EntityType) -> dict[str, str]:
    key = entity.key
    if entity.kind is Kind.LEDGER:
        return {
            f"{key}_fix": f'CREATE TRIGGER "{key}_fix" BEFORE UPDATE ON "{key}" WHEN {_CAPTURING} BEGIN '
            "SELECT RAISE(ABORT, 'LC:ledger_row'); END"
        }
    if entity.kind is Kind.DOCUMENT:
        return {
            f"{key}_fix": f'CREATE TRIGGER "{key}_fix" BEFORE UPDATE ON "{key}" WHEN OLD.status = \'posted\' AND {_CAPTURING} BEGIN '
            "SELECT RAISE(ABORT, 'LC:posted_document'); END"
        }
    if entity.kind is Kind.LINE:
        parent = entity.fields[entity.parent or ""]
        # An insert is logged as a reference: a second row under the same id would rewrite what the first one was.
        sqls = {
            f"{key}_once": f'CREATE TRIGGER "{key}_once" BEFORE INSERT ON "{key}" '
            f"WHEN {_CAPTURING} AND (EXISTS (SELECT 1 FROM sync_log WHERE tbl = {entity.no} AND pk = NEW.id) "
            f"OR EXISTS (SELECT 1 FROM sync_past_row WHERE tbl = {entity.no} AND pk = NEW.id)) BEGIN "
            "SELECT RAISE(ABORT, 'LC:id_reused'); END"
        }
        for event, image in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
            name = f"{key}_fix_{event.lower()}"
            posted = f'(SELECT status FROM "{parent.f.ref}" WHERE id = {image}."{parent.key}") = \'posted\''
            sqls[name] = (
                f'CREATE TRIGGER "{name}" BEFORE {event} ON "{key}" WHEN {posted} AND {_CAPTURING} BEGIN '
                "SELECT RAISE(ABORT, 'LC:posted_document'); END"
            )
        return sqls
    return {}


def total_table_sql(entity: EntityType, total: Total) -> str:
    """The derived table of a total, found by what it is grouped by; a field without a value counts as its ``empty`` one."""
    by = ", ".join(f'"{key}" {entity.fields[key].sql_type} NOT NULL' for key in total.by)
    keys = ", ".join(f'"{key}"' for key in total.by)
    return f'CREATE TABLE "{total.name}"({by}, total INTEGER NOT NULL, PRIMARY KEY({keys})) STRICT, WITHOUT ROWID'


def empty(entity: EntityType, key: str) -> str:
    """What stands in a total for a field without a value: no key may be NULL."""
    return {"TEXT": "''", "BLOB": "x''", "INTEGER": "-1"}[entity.fields[key].sql_type]


def _group(entity: EntityType, key: str, image: str = "") -> str:
    return f'coalesce({image}"{key}", {empty(entity, key)})'


def total_select(entity: EntityType, total: Total) -> str:
    """The same figures computed from the rows: what ``check`` compares with and what a rebuild inserts."""
    by = ", ".join(f'{_group(entity, key)} AS "{key}"' for key in total.by)
    amount = f'sum("{total.field}")' if total.field else "count(*)"
    if total.newest:
        return (
            f'SELECT "{total.by[0]}", max("{total.field}") AS total FROM "{entity.key}" '
            f'WHERE deleted = 0 AND "{total.by[0]}" IS NOT NULL AND "{total.field}" IS NOT NULL GROUP BY 1'
        )
    places = ", ".join(str(place) for place in range(1, len(total.by) + 1))
    return f'SELECT {by}, {amount} AS total FROM "{entity.key}" WHERE deleted = 0 GROUP BY {places}'


def _newest_triggers(entity: EntityType, total: Total) -> dict[str, str]:
    """What was the newest may go: then the index tells which one is the newest now."""
    key, name, by, field = entity.key, total.name, total.by[0], total.field
    known = f'"{field}" IS NOT NULL AND deleted = 0'

    def again(image: str) -> str:
        newest = f'SELECT "{by}", "{field}" FROM "{key}" WHERE "{by}" = {image}."{by}" AND {known} ORDER BY "{field}" DESC LIMIT 1'
        return f'DELETE FROM "{name}" WHERE "{by}" = {image}."{by}"; INSERT INTO "{name}"("{by}", total) {newest}'

    add = (
        f'INSERT INTO "{name}"("{by}", total) SELECT NEW."{by}", NEW."{field}" '
        f'WHERE NEW.deleted = 0 AND NEW."{by}" IS NOT NULL AND NEW."{field}" IS NOT NULL '
        f'ON CONFLICT("{by}") DO UPDATE SET total = max(total, excluded.total)'
    )
    return {
        f"{name}_ins": f'CREATE TRIGGER "{name}_ins" AFTER INSERT ON "{key}" BEGIN {add}; END',
        f"{name}_upd": f'CREATE TRIGGER "{name}_upd" AFTER UPDATE OF "{by}", "{field}", "deleted" ON "{key}" BEGIN {again("OLD")}; {again("NEW")}; END',
        f"{name}_del": f'CREATE TRIGGER "{name}_del" AFTER DELETE ON "{key}" BEGIN {again("OLD")}; END',
    }


def _total_triggers(entity: EntityType, total: Total) -> dict[str, str]:
    key, name = entity.key, total.name
    if total.newest:
        return _newest_triggers(entity, total)

    def add(image: str, sign: str) -> str:
        amount = f'{sign}{image}."{total.field}"' if total.field else f"{sign}1"
        values = ", ".join(_group(entity, by, f"{image}.") for by in total.by)
        columns = ", ".join(f'"{by}"' for by in total.by)
        return (
            f'INSERT INTO "{name}"({columns}, total) SELECT {values}, {amount} WHERE {image}.deleted = 0 '
            f"ON CONFLICT({columns}) DO UPDATE SET total = total + excluded.total"
        )

    watched = ", ".join(f'"{k}"' for k in dict.fromkeys([*total.by, *([total.field] if total.field else []), "deleted"]))
    return {
        f"{name}_ins": f'CREATE TRIGGER "{name}_ins" AFTER INSERT ON "{key}" BEGIN {add("NEW", "+")}; END',
        f"{name}_upd": f'CREATE TRIGGER "{name}_upd" AFTER UPDATE OF {watched} ON "{key}" BEGIN {add("OLD", "-")}; {add("NEW", "+")}; END',
        f"{name}_del": f'CREATE TRIGGER "{name}_del" AFTER DELETE ON "{key}" BEGIN {add("OLD", "-")}; END',
    }
