"""Every declaration, walked: what sixty entities must have in common is asked of each of them, also of the one written tomorrow."""

from __future__ import annotations

import inspect
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import localcrm
from localcrm.domain import records, subjects, verbs
from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import EntityType, Field, Kind, Stored, entities, entity
from localcrm.store import ddl
from localcrm.store.changelog import parse_diff, parse_row, write_diff, write_row

assert subjects.SUBJECTS
SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "schema.json"
LOCALES = Path(localcrm.__file__).parent / "locale"
ALL = [pytest.param(kind, id=kind.key) for kind in entities()]
FIELDS = [pytest.param(kind, field, id=f"{kind.key}.{field.key}") for kind in entities() for field in kind.fields.values()]


def labels() -> list[str]:
    """Every text a declaration shows."""
    texts = [kind.label_msgid for kind in entities()]
    texts += [field.f.label for kind in entities() for field in kind.fields.values()]
    texts += [label for kind in entities() for field in kind.fields.values() for label in field.options.values()]
    texts += [field.f.section for kind in entities() for field in kind.fields.values() if field.f.section]
    texts += [verb.label_msgid for verb in verbs.VERBS.values()]
    return sorted(set(texts))


@pytest.mark.parametrize("kind", ALL)
def test_an_entity_has_what_lists_and_pickers_need(kind: EntityType):
    assert kind.label_msgid.strip()
    assert kind.key.isidentifier()
    assert kind.key == kind.key.lower()
    assert kind.fields[kind.title_field].kind in {"text", "longtext", "choice"}
    assert len(kind.columns) >= 2
    places = [field.f.column for field in kind.columns]
    assert len(set(places)) == len(places), "two fields claim one place in the list"
    if kind.order_by:
        assert kind.order_by.removeprefix("-") in kind.fields
    if kind.kind in {Kind.MASTER, Kind.DOCUMENT} and kind.by_hand:
        assert kind.searched, "nobody could find it"


@pytest.mark.parametrize("kind", ALL)
def test_an_entity_has_the_fields_its_merge_rule_needs(kind: EntityType):
    parents = [field for field in kind.fields.values() if field.key == kind.parent]
    match kind.kind:
        case Kind.LINE:
            (parent,) = parents
            assert parent.required
            assert entity(parent.f.ref or "").kind is Kind.DOCUMENT
        case Kind.DOCUMENT:
            assert list(kind.fields["status"].choices or ()) == ["draft", "posted"]
            assert kind.fields["branch_id"].f.ref == "branch"
            assert kind.series
            assert not kind.fields["number"].f.editable
        case Kind.LEDGER:
            assert kind.fields["branch_id"].f.ref == "branch"
            assert not kind.fields["branch_id"].f.editable
    if kind.kind is not Kind.LINE and kind.parent:  # lines of records that every branch writes; their own rules say who changes them
        assert kind.kind is Kind.MASTER
        assert parents[0].required
        assert records.BEHAVIOURS[kind.key].check_document
    for total in kind.totals:
        assert {*total.by, *([total.field] if total.field else [])} <= set(kind.fields)


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_field_is_declared_completely(kind: EntityType, field: Field):
    assert field.f.label.strip()
    assert 0 < field.no < 2**15
    assert kind.no > 0
    if field.kind == "ref":
        assert entity(field.f.ref or "")
        assert field.sql_type == "BLOB"
    assert field.sql_type in {"TEXT", "INTEGER", "BLOB"}, "no floating point, ever"
    assert "REAL" not in ddl.table_sql(kind)
    if field.f.widget == "password":
        assert field not in kind.readable
        assert field not in kind.searched
    if field.f.search:
        assert field.kind in {"text", "longtext"} or field.f.widget == "tags"
    if field.f.merge != "lww":
        assert kind.kind in {Kind.MASTER, Kind.DOCUMENT, Kind.STATE}, "only records that both sides write need a rule of their own"
    if field.f.merge == "hub":
        assert not field.required, "a branch could not add a record at all"
    if field.required:
        assert field.default is None


@pytest.mark.parametrize("kind", ALL)
def test_a_declaration_is_cheap_to_read_and_sound(kind: EntityType):
    """Its validator is built with its first record, so only this says at once that it can be built."""
    model = kind.declared.model
    texts = [name for name, annotation in inspect.get_annotations(model).items() if isinstance(annotation, str)]
    assert not texts, "the module postpones its annotations: each would be compiled again at every start (ADR 0002)"
    model.model_rebuild(force=True)
    assert set(model.model_json_schema()["properties"]) == set(kind.declared.fields)


@pytest.mark.parametrize("kind", ALL)
def test_the_behaviour_of_an_entity_is_bound_to_one_that_exists(kind: EntityType):
    assert set(records.BEHAVIOURS) <= {known.key for known in entities()}
    assert set(records.BEHAVIOURS.get(kind.key, records.Behaviour()).distinct) <= set(kind.fields)
    if kind.series:
        assert "number" in kind.fields


def test_numbers_of_entities_are_unique_and_fit_the_search_index():
    numbers = [kind.no for kind in entities()]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 2**8


def test_series_do_not_share_a_prefix():
    series = [kind.series for kind in entities() if kind.series]
    assert len(set(series)) == len(series)


@pytest.mark.skipif(not (LOCALES / "zh_CN").exists(), reason="there is no Chinese catalogue yet")
def test_every_label_and_option_has_a_chinese_text():
    from babel.messages.pofile import read_po

    with (LOCALES / "zh_CN" / "LC_MESSAGES" / "localcrm.po").open("rb") as file:
        catalogue = read_po(file)
    missing = [text for text in labels() if not (message := catalogue.get(text)) or not message.string or message.fuzzy]
    assert missing == []


def test_labels_follow_the_language():
    with use_language("en"):
        assert entity("customer").label == "Customer"


# values -----------------------------------------------------------------------------------------------------------------------

INTEGERS = st.integers(-(10**15), 10**15)
TEXTS = (
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=60).map(str.strip).filter(bool)
)


def stored_values(field: Field) -> st.SearchStrategy[Stored]:
    """Any value the column may hold."""
    values: dict[str, st.SearchStrategy[Any]] = {
        "ref": st.binary(min_size=16, max_size=16),
        "boolean": st.integers(0, 1),
        "date": st.dates(date(1900, 1, 1), date(2200, 1, 1)).map(date.isoformat),
        "datetime": st.integers(0, 4_000_000_000_000),
        "text": TEXTS,
        "longtext": TEXTS,
        "choices": TEXTS,
        "files": TEXTS,
        "choice": st.sampled_from(sorted(field.choices or ["x"])),
    }
    some = values.get(field.kind, INTEGERS)
    return some if field.required or field.default is not None else st.none() | some


def rows(kind: EntityType) -> st.SearchStrategy[dict[str, Stored]]:
    return st.fixed_dictionaries({key: stored_values(field) for key, field in kind.fields.items()})


@pytest.mark.parametrize("kind", ALL)
def test_a_row_survives_every_form_it_takes(kind: EntityType):
    @settings(max_examples=25)
    @given(rows(kind))
    def check(row: dict[str, Stored]) -> None:
        loaded = {key: field.load(row[key]) for key, field in kind.fields.items()}
        assert {key: field.store(loaded[key]) for key, field in kind.fields.items()} == row
        numbered = {kind.fields[key].no: value for key, value in row.items()}
        assert parse_row(kind, write_row(numbered)) == numbered
        pairs = {no: (value, None) for no, value in numbered.items()}
        assert parse_diff(kind, write_diff(pairs)) == pairs
        for key, field in kind.fields.items():
            shown = field.to_json(loaded[key])
            json.dumps(shown)
            assert not isinstance(shown, float)
            if not field.secret and field.kind != "choice":
                assert _read_back(field, shown) == loaded[key]

    check()


def _read_back(field: Field, shown: Any) -> Any:
    """The value a JSON form stands for, read without our own parser."""
    if shown is None:
        return None
    match field.kind:
        case "money" | "quantity" | "price" | "rate":
            return Decimal(shown)
        case "date":
            return date.fromisoformat(shown)
        case "datetime":
            return datetime.fromisoformat(shown).astimezone(UTC)
    return shown


# numbers are for ever -------------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """Numbers, types and merge rules, as they travel."""
    return {
        kind.key: {
            "no": kind.no,
            "kind": kind.kind.value,
            "fields": {field.key: [field.no, field.kind, field.f.ref or "", field.f.merge] for field in kind.fields.values()},
        }
        for kind in entities()
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What changed, in words."""
    found = []
    for key in sorted({*old, *new}):
        if key not in new:
            found.append(f"{key} is gone; its number {old[key]['no']} may never be given again")
        elif key not in old:
            found.append(f"{key} is new, with the number {new[key]['no']}")
        else:
            found += [
                f"{key}: {part} was {old[key][part]}, is {new[key][part]}" for part in ("no", "kind") if old[key][part] != new[key][part]
            ]
            before, now = old[key]["fields"], new[key]["fields"]
            for name in sorted({*before, *now}):
                if before.get(name) != now.get(name):
                    found.append(f"{key}.{name}: was {before.get(name, 'not there')}, is {now.get(name, 'gone')}")
    return found


def test_numbers_types_and_merge_rules_are_those_that_were_released():
    """A deliberate change: SNAPSHOT=1 writes the file anew; look at its diff before committing it."""
    if os.environ.get("SNAPSHOT") or not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(schema(), ensure_ascii=False, indent=1) + "\n")
    assert differences(json.loads(SNAPSHOT.read_text()), schema()) == []


def test_a_change_of_the_schema_is_told_in_words():
    old = {
        "a": {"no": 1, "kind": "master", "fields": {"x": [1, "text", "", "lww"], "y": [2, "text", "", "lww"]}},
        "b": {"no": 2, "kind": "hub"},
    }
    new = {"a": {"no": 1, "kind": "ledger", "fields": {"x": [3, "text", "", "lww"]}}, "c": {"no": 2, "kind": "hub"}}
    assert differences(old, new) == [
        "a: kind was master, is ledger",
        "a.x: was [1, 'text', '', 'lww'], is [3, 'text', '', 'lww']",
        "a.y: was [2, 'text', '', 'lww'], is gone",
        "b is gone; its number 2 may never be given again",
        "c is new, with the number 2",
    ]
