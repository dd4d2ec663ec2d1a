"""Ids: made anywhere, never twice, in order."""

import pytest

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.ids import id_bytes, made_at, new_id, parse_id


def test_ids_grow_and_never_repeat() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_an_id_is_a_uuid_of_version_seven() -> None:
    made = new_id()
    assert (len(made), made[12], made[16] in "89ab") == (32, "7", True)
    assert len(id_bytes(made)) == 16


def test_ids_are_read_as_people_write_them() -> None:
    assert parse_id("0190B0C4-1111-7000-8000-00000000000A") == "0190b0c41111700080000000000000" + "0a"


@pytest.mark.parametrize("text", ["", "12", "g" * 32, "0" * 33])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_id(text)


def test_an_id_that_names_no_day_of_the_calendar_was_made_at_its_end():
    for hostile in ("f" * 32, "ffffffffffff7000800000000000abcd"):
        assert made_at(hostile).astimezone().year == 9999
    assert made_at("0" * 32).year == 1970
