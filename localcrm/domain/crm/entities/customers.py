"""Customers, and that two of them are two."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Moment, Money, Name, Tags, Text, Total

#: Customer levels offered; a company may write others of its own.
LEVELS = {"deal": N_("Deal customer"), "developing": N_("Developing customer"), "prospect": N_("Prospect")}
STAGES = {
    "new": N_("Just found"),
    "contacted": N_("In contact"),
    "interested": N_("Interested"),
    "quoted": N_("Quoted"),
    "dealt": N_("Dealt"),
}
INDUSTRIES = {
    "manufacturing": N_("Manufacturing"),
    "trade": N_("Commerce"),
    "construction": N_("Construction"),
    "food": N_("Food and catering"),
    "it": N_("IT and internet"),
    "services": N_("Services"),
    "education": N_("Education"),
    "health": N_("Health care"),
    "government": N_("Public bodies"),
}
SIZES = {
    "micro": N_("Under 20 people"),
    "small": N_("20 to 99 people"),
    "medium": N_("100 to 499 people"),
    "large": N_("500 people and more"),
}
SOURCES = {
    "exhibition": N_("Exhibition"),
    "referral": N_("Referred by a customer"),
    "web": N_("Inquiry from the web"),
    "visit": N_("Met on the market"),
    "call": N_("Called by us"),
    "advert": N_("Advertisement"),
}
PRICE_LEVELS = {"retail": N_("Retail price"), "trade": N_("Trade price"), "member": N_("Member price"), "special": N_("Special price")}
#: Levels of channel partners offered; prices may be set for them too. A company may write others of its own.
PARTNER_LEVELS = {"general": N_("General agent"), "core": N_("Core partner"), "ordinary": N_("Ordinary partner")}


class Customer(
    Entity,
    key="customer",
    no=10,
    label=N_("Customer"),
    kind=Kind.MASTER,
    title_field="name",
    owner="owner_id",
    scope=("branch_id",),
    root=True,
    series="C",
    totals=(Total(name="customer_by_level", by=("level",)), Total(name="customer_by_owner", by=("owner_id",))),
    merged="merged_into_id",
    indexes=(("owner_id", "owner_since"),),
):
    """A company or person we sell to."""

    number: Annotated[Text | None, F(1, N_("Customer no."), column=8, index=True, search=6)] = None
    name: Annotated[Name, F(2, N_("Customer name"), column=1, index=True, search=10, mark="name")]
    short_name: Annotated[Text | None, F(3, N_("Short name"), search=8)] = None
    level: Annotated[Text | None, F(4, N_("Level"), column=2, index=True, options=LEVELS)] = None
    phone: Annotated[Text | None, F(5, N_("Phone"), column=3, search=7, widget="phone", mark="phone")] = None
    address: Annotated[Text | None, F(6, N_("Address"), column=4, search=3, section=N_("Details"))] = None
    credit_limit: Annotated[Money, F(7, N_("Credit limit"), column=5, section=N_("Details"), merge="always_show")] = Decimal("0.00")
    owner_id: Annotated[Id | None, F(8, N_("Salesperson"), ref="user", column=6)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", column=7, editable=True)] = None
    source: Annotated[Text | None, F(10, N_("Source"), index=True, options=SOURCES, section=N_("Details"))] = None
    tax_no: Annotated[Text | None, F(11, N_("Tax no."), search=4, section=N_("Details"), mark="code")] = None
    remark: Annotated[LongText | None, F(12, N_("Remark"), widget="longtext", section=N_("Details"))] = None
    stage: Annotated[Text | None, F(13, N_("Stage"), index=True, options=STAGES)] = None
    industry: Annotated[Text | None, F(14, N_("Industry"), index=True, options=INDUSTRIES, section=N_("Details"))] = None
    size: Annotated[Text | None, F(15, N_("Company size"), index=True, options=SIZES, section=N_("Details"))] = None
    area: Annotated[Text | None, F(16, N_("Area"), index=True, widget="area", section=N_("Details"))] = None
    invoice_title: Annotated[Text | None, F(17, N_("Invoice title"), section=N_("Invoicing and terms"))] = None
    bank: Annotated[Text | None, F(18, N_("Bank"), section=N_("Invoicing and terms"))] = None
    bank_account: Annotated[Text | None, F(19, N_("Bank account no."), section=N_("Invoicing and terms"))] = None
    credit_days: Annotated[int | None, Bounds(ge=0, le=3650), F(20, N_("Days of credit"), section=N_("Invoicing and terms"))] = None
    price_level: Annotated[Text | None, F(21, N_("Price level"), options=PRICE_LEVELS, section=N_("Invoicing and terms"))] = None
    files: Annotated[Attachments | None, F(22, N_("Files"), index=True, widget="files", section=N_("Details"))] = None
    pool_id: Annotated[Id | None, F(26, N_("Pool"), ref="pool", editable=False, section=N_("Ownership"))] = None
    owner_since: Annotated[Moment | None, F(27, N_("Salesperson since"), editable=False, section=N_("Ownership"))] = None
    released_at: Annotated[Moment | None, F(28, N_("In the pool since"), index=True, editable=False, section=N_("Ownership"))] = None
    previous_owner_id: Annotated[Id | None, F(29, N_("Former salesperson"), ref="user", editable=False, section=N_("Ownership"))] = None
    locked: Annotated[bool, F(30, N_("Locked against reclaiming"), editable=False, section=N_("Ownership"))] = False
    protected_until: Annotated[Day | None, F(31, N_("Protected until"), editable=False, section=N_("Ownership"))] = None
    merged_into_id: Annotated[Id | None, F(40, N_("Merged into"), ref="customer", editable=False)] = None
    former_numbers: Annotated[LongText | None, F(41, N_("Former numbers"), search=6, editable=False, section=N_("Details"))] = None
    former_names: Annotated[LongText | None, F(42, N_("Former names"), search=5, editable=False, section=N_("Details"), mark="name")] = None
    tags: Annotated[Tags | None, F(36, N_("Tags"), index=True, search=5, widget="tags", merge="set")] = None
    inactive: Annotated[bool, F(43, N_("No longer dealt with"), section=N_("Details"))] = False
    partner_id: Annotated[Id | None, F(44, N_("Channel partner"), ref="partner", section=N_("Ownership"))] = None
    department_id: Annotated[Id | None, F(32, N_("Department"), ref="department", section=N_("Ownership"))] = None
    place: Annotated[Text | None, F(33, N_("Latitude, longitude"), widget="place", section=N_("Details"))] = None


class HeldBecause(Choice):
    """Why a branch holds a customer that is not its own."""

    NAMED = "named", N_("something of the branch is about it")
    SHARED = "shared", N_("shared with the branch")
    WORKED = "worked", N_("the branch worked on it")


class CustomerBranch(
    Entity,
    key="customer_branch",
    no=117,
    label=N_("Branch that holds a customer"),
    kind=Kind.HUB,
    title_field="because",
    under="customer_id",
    by_hand=False,
):
    """That a branch that holds only its own customers holds this one, too (``sync.grants``)."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=1, editable=False)]
    branch_id: Annotated[Id, F(2, N_("Branch"), ref="branch", column=2, editable=False)]
    because: Annotated[HeldBecause, F(3, N_("Reason"), column=3, editable=False)]


class CustomerDistinct(
    Entity,
    key="customer_distinct",
    no=65,
    label=N_("Not the same customer"),
    kind=Kind.MASTER,
    title_field="note",
    under="one_id",
    by_hand=False,
):
    """That somebody looked at two customers who look like one and found them to be two."""

    one_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=1, editable=False)]
    other_id: Annotated[Id, F(2, N_("Other customer"), ref="customer", column=2, editable=False)]
    note: Annotated[Text | None, F(3, N_("Note"), column=3, editable=False)] = None
    decided_by: Annotated[Id | None, F(4, N_("Decided by"), ref="user", column=4, editable=False)] = None
    decided_at: Annotated[Moment | None, F(5, N_("Decided at"), column=5, editable=False)] = None
