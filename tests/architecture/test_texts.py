"""The Chinese catalogue is complete: every text of the code, every label of every declaration."""

from __future__ import annotations

import pytest
from babel.messages.catalog import Catalog

from localcrm.kernel import schema
from tools.catalogue import Text, catalogues, faults, placeholders, read_catalogue, renewed, texts_in_code


@pytest.mark.parametrize("path", catalogues(), ids=lambda path: path.parts[-3])
def test_every_text_of_the_code_is_translated(path) -> None:
    assert faults(read_catalogue(path), texts_in_code()) == []


@pytest.mark.parametrize("path", catalogues(), ids=lambda path: path.parts[-3])
def test_every_label_of_every_declaration_is_translated(path) -> None:
    catalogue = read_catalogue(path)
    labels = [
        (entity.key, label)
        for entity in schema.entities()
        for label in [entity.label_msgid, *(x for field in entity.fields.values() for x in (field.f.label, *field.options.values()))]
    ]
    assert [(key, label) for key, label in labels if (message := catalogue.get(label)) is None or not message.string] == []


def test_texts_are_found_in_calls_and_declarations(tmp_path) -> None:
    (tmp_path / "localcrm").mkdir()
    (tmp_path / "localcrm" / "a.py").write_text(
        'class Customer(Entity, key="customer", label="Customer"):\n'
        '    name: Annotated[str, F(1, "Name", column=1)]\n'
        'raise Refused("no", N_("No {thing}."), thing=1)\n'
        '_("Save" if new else "Change")\n'
        '_(f"Save {x}")\n'
        "_(text)\n",
        encoding="utf-8",
    )
    assert [text.msgid for text in texts_in_code(tmp_path / "localcrm")] == ["Customer", "Name", "No {thing}.", "Save", "Change", None]


def test_a_missing_text_a_lost_placeholder_and_an_f_string_are_faults() -> None:
    catalogue = Catalog(locale="zh_CN")
    catalogue.add("Order {number}", "订单 {no}")
    assert faults(catalogue, [Text("Order {number}", "a.py", 1), Text("Save", "a.py", 2), Text(None, "a.py", 3)]) == [
        "a.py:2: no translation of “Save”",
        "a.py:3: an f-string cannot be translated; use {placeholders} and format()",
        "placeholders differ: “Order {number}” and “订单 {no}”",
    ]


def test_renewing_keeps_translations_and_drops_what_is_gone() -> None:
    old, more = Catalog(locale="zh_CN"), Catalog(locale="zh_CN")
    old.add("Save", "保存")
    old.add("Gone", "没了")
    more.add("New", "新建")
    new = renewed(old, [Text("New", "a.py", 1), Text("Save", "a.py", 2), Text("Later", "b.py", 1)], [more])
    assert [(message.id, message.string) for message in new if message.id] == [("New", "新建"), ("Save", "保存"), ("Later", "")]


def test_placeholders_are_names_in_braces() -> None:
    assert placeholders("“{title}” of {count:,} {{not}}") == {"title", "count"}
