"""The people at a customer."""

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Day, Entity, F, Id, Kind, LongText, Name, Text

#: What somebody has to say when his company buys.
PARTS = {"decides": N_("Decides"), "influences": N_("Influences"), "uses": N_("Uses it"), "opposes": N_("Is against it")}
GENDERS = {"male": N_("Male"), "female": N_("Female")}


class Contact(Entity, key="contact", no=11, label=N_("Contact"), kind=Kind.MASTER, title_field="name", under="customer_id"):
    """A person at a customer."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=2)]
    name: Annotated[Name, F(2, N_("Name"), column=1, index=True, search=10)]
    title: Annotated[Text | None, F(3, N_("Position"), column=3)] = None
    phone: Annotated[Text | None, F(4, N_("Phone"), column=4, search=7, widget="phone", mark="phone")] = None
    email: Annotated[Text | None, F(5, N_("E-mail"), column=5, search=4, widget="email")] = None
    wechat: Annotated[Text | None, F(6, N_("WeChat"), column=6, search=3)] = None
    is_main: Annotated[bool, F(7, N_("Main contact"), column=7)] = False
    birthday: Annotated[Day | None, F(8, N_("Birthday"), index=True)] = None
    remark: Annotated[LongText | None, F(9, N_("Remark"), widget="longtext")] = None
    part: Annotated[Text | None, F(10, N_("Part in decisions"), column=8, index=True, options=PARTS)] = None
    gender: Annotated[Text | None, F(11, N_("Gender"), options=GENDERS)] = None
    second_phone: Annotated[Text | None, F(12, N_("Second phone"), search=7, widget="phone", mark="phone")] = None
    other_phones: Annotated[Text | None, F(13, N_("Other phones"), index=True, search=7, widget="phone", mark="phone")] = None
    lunar_birthday: Annotated[Text | None, F(14, N_("Lunar birthday"), index=True, widget="lunar")] = None
    likes: Annotated[LongText | None, F(15, N_("Likes and dislikes"), widget="longtext")] = None
    has_left: Annotated[bool, F(16, N_("Has left the company"), column=9)] = False


class Tie(Choice):
    """What two people are to each other, as the first would say it of the second."""

    SPOUSE = "spouse", N_("Spouse")
    RELATIVE = "relative", N_("Relative")
    FRIEND = "friend", N_("Friend")
    CLASSMATE = "classmate", N_("Classmate")
    FORMER_COLLEAGUE = "former_colleague", N_("Former colleague")
    REPORTS_TO = "reports_to", N_("Reports to")
    RECOMMENDED_BY = "recommended_by", N_("Recommended by")


class ContactTie(
    Entity,
    key="contact_tie",
    no=99,
    label=N_("Relation between people"),
    kind=Kind.MASTER,
    title_field="kind",
    under="one_id",
    by_hand=False,
):
    """What one person is to another, who may be at another customer. Whoever sees both people sees it."""

    one_id: Annotated[Id, F(1, N_("Person"), ref="contact", column=1, editable=False)]
    kind: Annotated[Tie, F(2, N_("Relation"), column=2, editable=False)]
    other_id: Annotated[Id, F(3, N_("Other person"), ref="contact", column=3, editable=False)]
    note: Annotated[Text | None, F(4, N_("Note"), column=4, editable=False)] = None
