"""Codes that people read out and type: 32 signs that cannot be confused, in groups, with check characters.

A sign stands for five bits (Crockford's base32: no I, L, O, U; small letters, spaces and dashes are taken as they come).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})
#: A row of a long code: 15 bytes as 24 signs and a check character, in groups of five.
ROW_BYTES, _ROW, _GROUP = 15, 25, 5
_RECOVERY_SIGNS = 32


def new_recovery_code() -> str:
    """Eight groups of four characters: 155 random bits and a check character."""
    digits = [secrets.randbelow(32) for _ in range(_RECOVERY_SIGNS - 1)]
    return _written([*digits, _check_digit(digits)], 4)


def read_recovery_code(text: str) -> str | None:
    """The code without spaces, however it was typed; None for a mistyped one."""
    digits = _digits(text)
    if digits is None or len(digits) != _RECOVERY_SIGNS or _check_digit(digits[:-1]) != digits[-1]:
        return None
    return "".join(SIGNS[digit] for digit in digits)


def write_code(data: bytes) -> str:
    """Bytes, a multiple of ROW_BYTES, as one line of five groups per row."""
    return "\n".join(
        _written(_row(data[start : start + ROW_BYTES], start // ROW_BYTES), _GROUP) for start in range(0, len(data), ROW_BYTES)
    )


def read_code(text: str, size: int) -> bytes | None:
    """The ``size`` bytes of a code, however it was typed; None when a sign is missing, wrong or in another's place."""
    digits = _digits(text)
    if digits is None or len(digits) != size // ROW_BYTES * _ROW:
        return None
    data = b""
    for start in range(0, len(digits), _ROW):
        row = sum(digit << 5 * place for place, digit in enumerate(reversed(digits[start : start + _ROW - 1]))).to_bytes(ROW_BYTES)
        if _row(row, start // _ROW) != digits[start : start + _ROW]:
            return None
        data += row
    return data


def _row(data: bytes, number: int) -> list[int]:
    """Digits of one row; the check counts the row's number in, so that two rows cannot change places."""
    value = int.from_bytes(data)
    digits = [value >> 5 * place & 31 for place in reversed(range(_ROW - 1))]
    return [*digits, _check_digit([number % 32, *digits])]


def _written(digits: Sequence[int], group: int) -> str:
    text = "".join(SIGNS[digit] for digit in digits)
    return " ".join(text[start : start + group] for start in range(0, len(text), group))


def _digits(text: str) -> list[int] | None:
    signs = "".join(sign for sign in text.upper() if not sign.isspace() and sign != "-").translate(_LOOK_ALIKES)
    digits = [SIGNS.find(sign) for sign in signs]
    return None if -1 in digits else digits


def _check_digit(digits: Sequence[int]) -> int:
    """A polynomial over GF(32): every single wrong character and every swap of neighbours is noticed."""
    check = 0
    for digit in digits:
        check = _double(check ^ digit)
    return check


def _double(element: int) -> int:
    """Times x, modulo x^5 + x^2 + 1."""
    return (element << 1) ^ (0b100101 if element & 16 else 0)
