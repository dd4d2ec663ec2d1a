"""Codes for people: whatever way they are typed they are read, and what is mistyped is noticed before anything else."""

from __future__ import annotations

from hypothesis import given, strategies as st

from localcrm.kernel.codes import SIGNS, new_recovery_code, read_code, read_recovery_code, write_code


def test_a_row_is_five_groups_of_five() -> None:
    assert write_code(bytes(15)) == "00000 00000 00000 00000 00000"
    assert write_code(bytes(range(30))).count("\n") == 1
    assert [len(group) for group in write_code(bytes(range(15))).split()] == [5] * 5


def test_a_code_is_read_however_it_is_typed() -> None:
    data = bytes(range(75))
    code = write_code(data)
    for typed in (
        code,
        code.lower(),
        code.replace(" ", "-"),
        code.replace("\n", ""),
        code.replace("0", "o").replace("1", "l"),
        f"\u3000{code}",
    ):
        assert read_code(typed, 75) == data
    assert read_code(code, 15) is None
    assert read_code("", 15) is None
    assert read_code(code.replace("1", "U"), 75) is None


@given(data=st.binary(min_size=30, max_size=30), place=st.integers(0, 49), shift=st.integers(1, 31))
def test_every_wrong_character_swap_and_exchanged_row_is_noticed(data: bytes, place: int, shift: int) -> None:
    code = write_code(data).replace(" ", "").replace("\n", "")
    assert read_code(code, 30) == data
    wrong = SIGNS[(SIGNS.index(code[place]) + shift) % 32]
    assert read_code(code[:place] + wrong + code[place + 1 :], 30) is None
    if place % 25 < 24 and code[place] != code[place + 1]:
        assert read_code(code[:place] + code[place + 1] + code[place] + code[place + 2 :], 30) is None
    assert read_code(code[25:] + code[:25], 30) is None


def test_a_recovery_code_has_eight_groups_of_four() -> None:
    code = new_recovery_code()
    assert [len(group) for group in code.split(" ")] == [4] * 8
    assert read_recovery_code(code.lower().replace(" ", "-")) == code.replace(" ", "")
    for mistyped in ("", "ABCD", "U" * 32, "0" * 31 + "1", "0" * 33):
        assert read_recovery_code(mistyped) is None


@given(place=st.integers(0, 31), shift=st.integers(1, 31))
def test_every_wrong_character_and_every_swap_of_neighbours_is_noticed(place: int, shift: int) -> None:
    code = new_recovery_code().replace(" ", "")
    wrong = SIGNS[(SIGNS.index(code[place]) + shift) % 32]
    assert read_recovery_code(code[:place] + wrong + code[place + 1 :]) is None
    if place < 31 and code[place] != code[place + 1]:
        assert read_recovery_code(code[:place] + code[place + 1] + code[place] + code[place + 2 :]) is None
