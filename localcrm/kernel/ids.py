"""Row identities: UUIDv7 (RFC 9562), made on the node, so that branches never collide and inserts stay nearly ordered.

In Python and JSON an id is 32 lower-case hex digits; in the data file and on the wire it is 16 bytes.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_

_lock = threading.Lock()
_last = 0
#: A day before years have five digits: whichever zone it is told in, it is a date.
_LAST_SECOND = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


def new_id() -> str:
    """A new UUIDv7 as 32 hex digits; ids made by one process are strictly increasing even within a millisecond."""
    global _last
    with _lock:
        # 48 bits of milliseconds followed by a 12-bit counter in rand_a: RFC 9562 §6.2, method 1.
        now = (time.time_ns() // 1_000_000) << 12
        _last = now if now > _last else _last + 1
        stamp = _last
    milliseconds, counter = stamp >> 12, stamp & 0xFFF
    tail = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return f"{milliseconds & 0xFFFF_FFFF_FFFF:012x}7{counter:03x}{tail:016x}"


def made_at(identity: str) -> datetime:
    """When an id was made, in UTC, by the clock of the machine that made it; at the end of the calendar for one that says it was made after it."""
    return datetime.fromtimestamp(min(int(identity[:12], 16) / 1000, _LAST_SECOND), tz=UTC)


def parse_id(text: str) -> str:
    """Normalise an id typed or sent by somebody (dashes and capitals allowed); raises InvalidInput."""
    plain = text.replace("-", "").strip().lower()
    if len(plain) != 32 or any(c not in "0123456789abcdef" for c in plain):
        raise InvalidInput("bad_id", N_("“{value}” is not a record id."), value=text[:60])
    return plain


def is_id(text: str) -> bool:
    """Whether a text is an id as it is kept."""
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def id_bytes(identity: str) -> bytes:
    """The 16 bytes of an id."""
    return bytes.fromhex(identity)
