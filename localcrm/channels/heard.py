"""What every source says of calls, and how it stands itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """Something a source has heard of a call, as the verb ``calls.heard`` takes it; ``key``: what the source calls the call."""

    event: Literal["ring", "answer", "end"]
    key: str
    caller: str = ""
    called: str = ""
    answered: bool | None = None


@dataclass(frozen=True, slots=True)
class SourceState:
    """running: it listens · problem: msgid of what keeps it from that · place: port or device · signed_in: at a telephone system, None where it need not."""

    running: bool = False
    problem: str = ""
    place: str = ""
    signed_in: bool | None = None
