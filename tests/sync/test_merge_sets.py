"""Checking a whole column at once and checking every change by itself come to the same, whatever a batch holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies as st

from localcrm.kernel.attachments import Attachment
from localcrm.kernel.schema import EntityType, Field, entity
from localcrm.store.store import Store
from localcrm.sync import merge
from localcrm.sync.codec import GONE, INSERT, UPDATE, Batch, Change, Tx, decode_batch, encode_batch
from localcrm.sync.known import Sender
from tests import factories
from tests.factories import HandClock

KINDS = [entity(key) for key in ("customer", "contact", "stock_move", "user", "conflict", "sales_order", "sales_order_line", "activity")]
OWN = b"the sender's own"
#: Few rows, so that changes meet; the first three exist.
IDS = [bytes([n]) * 16 for n in range(1, 6)]
STAMP = HandClock().now_ms() << 16

FILE = Attachment("0" * 64, 3, "a.txt").line


def samples(field: Field) -> list[Any]:
    """A few values that a column takes."""
    if field.key == "branch_id":
        return [OWN, IDS[0]]
    if field.kind == "ref":
        return IDS
    if field.choices:
        return list(field.choices)
    return {
        "date": ["2026-11-20"],
        "datetime": [1_795_176_000_000],
        "boolean": [0, 1],
        "text": ["甲", "a\nb", ""],
        "longtext": ["乙"],
        "choices": ["甲\n乙"],
        "files": [FILE],
    }.get(field.kind, [0, 1, 5])


def row(kind: EntityType) -> list[Any]:
    """A whole row that head office takes."""
    return [(field.no, samples(field)[0]) for field in kind.fields.values()]


bad: st.SearchStrategy[Any] = st.sampled_from([None, 2**62, -1, "bogus", b"short", b"sixteen bytes !!"])
seldom = st.integers(0, 19).map(lambda n: n == 0)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Mostly what a program of ours could send."""
    kind = draw(st.sampled_from(KINDS))
    op = draw(st.sampled_from([INSERT, INSERT, UPDATE, UPDATE, GONE]))
    fields = list(kind.fields.values())
    if op != INSERT or draw(seldom):
        fields = draw(st.lists(st.sampled_from(fields), max_size=2, unique_by=lambda field: field.no))
    width = 2 if op == UPDATE else 1
    values: list[Any] = [
        (field.no, *(draw(bad if draw(seldom) else st.sampled_from(samples(field))) for _side in range(width))) for field in fields
    ]
    if op == UPDATE and draw(seldom):
        values.append((0, 0, draw(st.sampled_from([0, 1, 1, 7]))))
    if draw(seldom):
        values.append((999, *[5] * width))
    table = 999 if draw(seldom) else kind.no
    return Change(table, op, draw(st.sampled_from(IDS)), values, draw(st.none() | st.tuples(st.just(0), st.integers(1, 30))))


@pytest.fixture(scope="module")
def office() -> Iterator[Store]:
    """A head office that has three rows of each kind from its branch."""
    with factories.company(clocks={code: HandClock() for code in ("HQ", "BR01", "BR02")}) as made:
        store = made.hq.store
        first = [Change(kind.no, INSERT, pk, row(kind), None) for pk in IDS[:3] for kind in KINDS]
        with store.merging() as connection:
            heard = hear(store, connection, first)
        assert heard["report"].applied == 18  # users and conflicts are head office's own
        yield store


def hear(store: Store, connection: Any, portion: list[Change]) -> dict[str, Any]:
    """Let head office merge changes of its branch; returns everything it made of them."""
    number, epoch, have = connection.one("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'BR01'")
    own = merge.branch_id(store.node.company_id, "BR01")
    given = [
        change._replace(values=[tuple(bytes.fromhex(own) if v == OWN else v for v in value) for value in change.values])
        for change in portion
    ]
    txs = [Tx(0, have + 1 + n, 1, STAMP + have + n, STAMP + have + n, None, 0) for n in range(len(portion))]
    batch = decode_batch(encode_batch(Batch([(number, int.from_bytes(epoch))], txs, given)))
    work = merge._Merge(store, connection, batch, Sender(number, "BR01", bytes.fromhex(own)))
    work.run()
    tables = [kind.key for kind in KINDS] + [total.name for kind in KINDS for total in kind.totals]
    return {
        "report": work.report,
        "conflicts": work.conflicts,
        "kept out": connection.all("SELECT oseq, tbl, pk, reason, raw FROM sync_quarantine"),
        **{table: connection.all(f'SELECT * FROM "{table}"') for table in [*tables, "sync_log", "sync_tx", "sync_origin", "sync_ctx"]},
        "search": connection.all("SELECT rowid FROM search"),
    }


def tried(store: Store, portions: list[list[Change]], *, one_by_one: bool) -> list[dict[str, Any]]:
    """``hear`` of portion after portion, taken back at the end."""
    heard: list[dict[str, Any]] = []
    sound = (lambda *_group: False) if one_by_one else merge.is_sound
    with suppress(InterruptedError), patch.object(merge, "is_sound", sound), store.merging() as connection:
        heard += [hear(store, connection, portion) for portion in portions]
        raise InterruptedError
    return heard


def test_whole_columns_are_judged_as_every_change_by_itself(office: Store) -> None:
    seen: Counter[str] = Counter()

    @given(portions=st.lists(st.lists(changes(), min_size=1, max_size=15), min_size=1, max_size=2))
    @settings(max_examples=200, deadline=None, derandomize=True)  # what it must have met below, it meets every time
    def compare(portions: list[list[Change]]) -> None:
        together, alone = tried(office, portions, one_by_one=False), tried(office, portions, one_by_one=True)
        assert together == alone
        seen["applied"] += together[-1]["report"].applied
        seen.update(reason for _oseq, _tbl, _pk, reason, _raw in together[-1]["kept out"])

    compare()
    assert seen["applied"] > 50
    assert seen.keys() >= {"bad_value", "unknown_row", "duplicate_id", "unknown_table", "unknown_column", "head_office_only", "not_owner"}
