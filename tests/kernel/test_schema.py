"""One declaration says everything once; a wrong one is refused when it is declared."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st
from pydantic import Field as Bounds

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import (
    FIRST_YEAR,
    LAST_YEAR,
    Choice,
    Day,
    Entity,
    EntityType,
    F,
    Id,
    Kind,
    LongText,
    Moment,
    Money,
    Name,
    Price,
    Rate,
    plain_decimal,
    scratch_registry,
)


class Colour(Choice):
    RED = "red", "Red"
    BLUE = "blue", "Blue"


@pytest.fixture(scope="module")
def thing() -> Iterator[EntityType]:
    with scratch_registry():

        class Thing(Entity, key="thing", no=201, label="Thing", kind=Kind.MASTER, title_field="name"):
            name: Annotated[Name, F(1, "Name", column=1)]
            credit: Annotated[Money, F(2, "Credit")] = Decimal("0.00")
            price: Annotated[Price | None, F(3, "Price")] = None
            rate: Annotated[Rate, Bounds(ge=0, le=1), F(4, "Rate")] = Decimal("0.1300")
            owner_id: Annotated[Id | None, F(5, "Owner", ref="user")] = None
            day: Annotated[Day | None, F(6, "Day")] = None
            at: Annotated[Moment | None, F(7, "At")] = None
            colour: Annotated[Colour, F(8, "Colour")] = Colour.RED
            note: Annotated[LongText | None, F(9, "Note", widget="longtext")] = None
            secret: Annotated[Name | None, F(10, "Secret", widget="password")] = None

        yield Thing.entity_type


def test_kinds_follow_from_types(thing: EntityType) -> None:
    assert [field.kind for field in thing.fields.values()] == [
        "text", "money", "price", "rate", "ref", "date", "datetime", "choice", "longtext", "text",
    ]  # fmt: skip


def test_values_are_typed_once_checked(thing: EntityType) -> None:
    values = thing.validate({"name": " 甲 ", "credit": "1,234.5", "day": "2026-02-28", "at": "2026-01-01T08:00:00+08:00", "colour": "blue"})
    assert (values["name"], values["credit"], values["day"]) == ("甲", Decimal("1234.50"), date(2026, 2, 28))
    assert values["at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert values["colour"] == Colour.BLUE


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({}, "required", "name"),
        ({"name": "  "}, "required", "name"),
        ({"name": "x" * 501}, "too_long", "name"),
        ({"name": "a\x00b"}, "bad_text", "name"),
        ({"name": "a\ud800b"}, "bad_text", "name"),
        ({"name": "x", "credit": "abc"}, "bad_number", "credit"),
        ({"name": "x", "credit": "1.005"}, "too_many_decimals", "credit"),
        ({"name": "x", "credit": "1e30"}, "number_too_large", "credit"),
        ({"name": "x", "rate": "1.5"}, "too_large", "rate"),
        ({"name": "x", "day": "2026-02-30"}, "bad_date", "day"),
        ({"name": "x", "owner_id": "me"}, "bad_id", "owner_id"),
        ({"name": "x", "colour": "green"}, "bad_choice", "colour"),
        ({"name": "x", "note": "n" * 1_000_000}, "too_long", "note"),
        ({"name": "x", "other": 1}, "unknown_field", "other"),
    ],
)
def test_every_fault_has_a_code_and_names_its_field(thing: EntityType, values: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused, use_language("en"):
        thing.validate(values)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.message


def test_all_faults_of_a_form_are_told_at_once(thing: EntityType) -> None:
    assert set(thing.faults({"name": "", "credit": "abc"})) == {"name", "credit"}


@given(
    credit=st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    price=st.none() | st.decimals(min_value=0, max_value=10**6, places=6),
    day=st.none() | st.dates(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)),
    at=st.none() | st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),
    colour=st.sampled_from(list(Colour)),
)
def test_a_record_survives_the_data_file_and_json(thing: EntityType, **values: Any) -> None:
    if values["at"]:
        values["at"] = values["at"].replace(microsecond=values["at"].microsecond // 1000 * 1000)
    typed = thing.validate({"name": "x", **values})
    for key, field in thing.fields.items():
        assert field.load(field.store(typed[key])) == typed[key]
    again = thing.validate({key: field.to_json(typed[key]) for key, field in thing.fields.items()})
    assert again == typed


def test_a_secret_shows_nothing(thing: EntityType) -> None:
    assert thing.fields["secret"].show("hunter2") is None
    assert "secret" not in [field.key for field in thing.readable]


def test_decimals_are_written_plainly() -> None:
    assert [plain_decimal(Decimal(text), minimum=2) for text in ("1E+3", "0.10", "-5")] == ["1000.00", "0.10", "-5.00"]


def test_clashing_declarations_are_refused(thing: EntityType) -> None:
    with pytest.raises(TypeError, match="clashes"):

        class Twin(Entity, key="twin", no=thing.no, label="Twin", kind=Kind.MASTER, title_field="name"):
            name: Annotated[Name, F(1, "Name")]

    with pytest.raises(TypeError, match="used twice"):

        class Double(Entity, key="double", no=202, label="Double", kind=Kind.MASTER, title_field="name"):
            name: Annotated[Name, F(1, "Name")]
            other: Annotated[Name, F(1, "Other")]

    with pytest.raises(TypeError, match="floats"):

        class Inexact(Entity, key="inexact", no=203, label="Inexact", kind=Kind.MASTER, title_field="name"):
            name: Annotated[Name, F(1, "Name")]
            weight: Annotated[float, F(2, "Weight")]


def test_nothing_installed_beside_the_program_plugs_into_its_declarations() -> None:
    """Looking for plug-ins reads the description of every package there is, at every start."""
    found = subprocess.run(
        [sys.executable, "-c", "import localcrm.kernel.schema; from pydantic.plugin import _loader; print(_loader._plugins)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == "None"


FIRST_RECORDS = """
import sys, threading
from localcrm.domain import declarations
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.schema import entities

assert declarations
sys.setswitchinterval(1e-6)
kinds, told, start = list(entities()), [], threading.Barrier(6)

def first(kind):
    start.wait()
    try:
        told.append((kind.key, sorted(kind.validate({}))))
    except InvalidInput as error:
        told.append((kind.key, error.code))

for kind in kinds[::4]:
    threads = [threading.Thread(target=first, args=(kind,)) for _ in range(start.parties)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    answers = {str(answer) for key, answer in told if key == kind.key}
    assert len(answers) == 1 and sum(key == kind.key for key, _ in told) == start.parties, (kind.key, told[-6:])
print(len(told))
"""


def test_the_first_records_of_a_kind_may_be_checked_by_several_threads_at_once() -> None:
    """A validator is built with the first record; whoever comes meanwhile waits for it and gets the same answer."""
    found = subprocess.run([sys.executable, "-c", FIRST_RECORDS], check=True, capture_output=True, text=True)
    assert int(found.stdout) >= 6 * 20
