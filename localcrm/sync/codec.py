"""A batch of changes as columns: what an exchange carries over the network and in a file.

Values of one column lie side by side, stamps and numbers are written as differences, so that zstd finds what repeats. The shapes
that travel are these; the merge reads and the extraction writes nothing else.

``Batch.origins``   list of ``(node_no, epoch)``: u16, u64. Everything else names an origin by its index in this list.
``Batch.txs``       list of ``Tx``, in the order in which they are to be applied.
``Batch.changes``   list of ``Change``, flat: the first ``txs[0].count`` belong to the first transaction, and so on. The n-th change of
                    a transaction has the identity ``(tx.origin, tx.first_oseq + n)``; a hole in the numbers needs a new ``Tx``.

``Change.values`` is always a list of tuples, in the order in which they were written, no column twice:

========  ==========================================  =========================================
op        tuple                                       meaning
========  ==========================================  =========================================
INSERT    ``(column_no, value)``                      the row as it was inserted
UPDATE    ``(column_no, old, new)``                   the columns that changed
DELETE    ``(column_no, old, new)``, usually none     hidden; the row is kept
UNDELETE  ``(column_no, old, new)``, usually none     shown again
GONE      ``(column_no, value)``                      the row as it was when it was physically removed
========  ==========================================  =========================================

A value is ``None``, an ``int`` of 64 signed bits, a ``str`` without NUL or lone surrogates, or ``bytes``; never float or bool.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass, field
from itertools import accumulate, chain, starmap
from operator import sub
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

INSERT, UPDATE, DELETE, UNDELETE, GONE = 1, 2, 3, 4, 5

Value: TypeAlias = "int | str | bytes | None"
#: A list of these is ``Change.values``; the module's docstring says which op has which.
Pair: TypeAlias = "tuple[int, Value]"
Triple: TypeAlias = "tuple[int, Value, Value]"
Origin: TypeAlias = "tuple[int, int]"

MAX_CHANGES = 200_000
MAX_VALUES = 4_000_000
MAX_TEXT = 8 << 20
#: A decoded batch is at most this long before it becomes objects; HTTP and bundles pass it to ``decompress``.
MAX_BATCH = 64 << 20
MAX_WINDOW = 8 << 20
MAX_COLUMNS = 2_000
_VERSION = 1
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class Tx(NamedTuple):
    """One business transaction: ``count`` changes of one origin, numbered from ``first_oseq``."""

    origin: int
    """Index into ``Batch.origins``."""
    first_oseq: int
    """1 or more."""
    count: int
    """1 or more."""
    hlc: int
    """Stamp given by the node that wrote it."""
    eff_hlc: int
    """Stamp that counts: differs from ``hlc`` where head office lowered it."""
    actor: bytes | None
    """Id of the user, 16 bytes."""
    hseq: int
    """Number given by head office; 0 where it has none yet."""


class Change(NamedTuple):
    """One change of one row; a plain tuple of these five is as good."""

    table: int
    op: int
    pk: bytes
    """16 bytes."""
    values: list[Pair] | list[Triple]
    prev: tuple[int, int] | None
    """Identity of the change that this one overwrote: index into ``Batch.origins``, oseq."""


@dataclass(slots=True)
class Batch:
    """What one message carries; the module's docstring gives the shapes."""

    origins: list[Origin] = field(default_factory=list)
    txs: list[Tx] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def encode_batch(batch: Batch) -> bytes:
    """The batch as columns, not yet compressed; raises ExchangeError ``bad_batch`` for what may not travel."""
    raise NotImplementedError


def decode_batch(data: bytes) -> Batch:
    """The batch exactly as it was encoded; raises ExchangeError ``bad_batch`` for anything that ``encode_batch`` does not write."""
    raise NotImplementedError


def compress(data: bytes, level: int = 3) -> bytes:
    """One zstd frame with a window of at most 8 MiB."""
    raise NotImplementedError


def decompress(data: bytes, *, max_output: int = MAX_BATCH) -> bytes:
    """What ``compress`` was given; raises ExchangeError ``batch_too_large`` beyond ``max_output`` and ``bad_batch`` for other data."""
    raise NotImplementedError
