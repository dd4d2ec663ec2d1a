"""When two customers look like one: by the plain forms of ``kernel.likeness``."""

from __future__ import annotations

from localcrm.kernel.likeness import plain_code, plain_name, plain_phones

__all__ = ["plain_code", "plain_name", "plain_phones"]
