"""Saved queries and groupings of lists."""

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, LongText, Name, Text


class ShownTo(Choice):
    """Who has a saved query or a grouping."""

    PRIVATE = "private", N_("Only me")
    EVERYBODY = "everybody", N_("Everybody")
    TEMPLATE = "template", N_("Template of head office")


class SavedQuery(
    Entity, key="saved_query", no=77, label=N_("Saved query"), kind=Kind.MASTER, title_field="name", under="owner_id", by_hand=False
):
    """Conditions of a list under a name, with the columns that go with them. ``tree`` as in ``domain.conditions``."""

    name: Annotated[Name, F(1, N_("Name"), column=1, editable=False)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=2, editable=False)]
    tree: Annotated[LongText, F(3, N_("Conditions"), widget="longtext", editable=False)]
    columns: Annotated[LongText | None, F(4, N_("Columns"), widget="longtext", editable=False)] = None
    pinned: Annotated[bool, F(5, N_("Pinned above the list"), column=3, editable=False)] = False
    owner_id: Annotated[Id, F(6, N_("Saved by"), ref="user", column=4, editable=False)]
    shown_to: Annotated[ShownTo, F(7, N_("Shown to"), column=5, editable=False)] = ShownTo.PRIVATE


class Grouping(Entity, key="grouping", no=78, label=N_("Grouping"), kind=Kind.MASTER, title_field="first", under="owner_id", by_hand=False):
    """How the records of a list are counted beside it: by the values of a field, perhaps within those of another."""

    entity: Annotated[Text, F(1, N_("Kind of record"), column=1, editable=False)]
    first: Annotated[Text, F(2, N_("Grouped by"), column=2, editable=False)]
    second: Annotated[Text | None, F(3, N_("Then by"), column=3, editable=False)] = None
    measure: Annotated[Text | None, F(4, N_("Sum shown"), column=4, editable=False)] = None
    owner_id: Annotated[Id, F(5, N_("Saved by"), ref="user", column=5, editable=False)]
    shown_to: Annotated[ShownTo, F(6, N_("Shown to"), column=6, editable=False)] = ShownTo.PRIVATE
