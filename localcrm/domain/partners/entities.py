"""Channel partners: what was agreed with them, the companies they have registered, rebates, targets, deposits, and what they report of their stock."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.domain.crm.entities.customers import PARTNER_LEVELS
from localcrm.domain.finance.entities import PaymentMethod
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Moment, Money, Name, Quantity, Rate, Text, Total


class RebateBasis(Choice):
    """What a rebate is reckoned on."""

    RECEIVED = "received", N_("Money received")
    ORDERED = "ordered", N_("Orders posted")
    SHIPPED = "shipped", N_("Goods shipped")


class Partner(
    Entity, key="partner", no=101, label=N_("Channel partner"), kind=Kind.MASTER, title_field="name", owner="owner_id", series="CP"
):
    """A company that sells for us: an agent, a dealer. One that buys from us himself names himself as customer."""

    number: Annotated[Text | None, F(1, N_("Partner no."), column=8, index=True, search=6)] = None
    name: Annotated[Name, F(2, N_("Partner name"), column=1, index=True, search=10)]
    level: Annotated[Text | None, F(3, N_("Partner level"), column=2, index=True, options=PARTNER_LEVELS)] = None
    area: Annotated[Text | None, F(4, N_("Area"), column=3, index=True, widget="area")] = None
    contact: Annotated[Text | None, F(5, N_("Contact"), column=4, search=5)] = None
    phone: Annotated[Text | None, F(6, N_("Phone"), column=5, search=7, widget="phone")] = None
    starts_on: Annotated[Day | None, F(7, N_("Agreement from"))] = None
    ends_on: Annotated[Day | None, F(8, N_("Agreement until"), column=6, index=True)] = None
    discount: Annotated[Rate | None, Bounds(ge=0, le=1), F(9, N_("Agreed discount (price × %)"), widget="percent", merge="always_show")] = (
        None
    )
    rebate_on: Annotated[RebateBasis, F(10, N_("Rebate based on"), merge="always_show")] = RebateBasis.RECEIVED
    owner_id: Annotated[Id | None, F(11, N_("Salesperson"), ref="user", column=7)] = None
    branch_id: Annotated[Id | None, F(12, N_("Branch"), ref="branch", editable=True)] = None
    customer_id: Annotated[Id | None, F(13, N_("Also our customer"), ref="customer", section=N_("Details"))] = None
    address: Annotated[Text | None, F(14, N_("Address"), search=3, section=N_("Details"))] = None
    tax_no: Annotated[Text | None, F(15, N_("Tax no."), search=4, section=N_("Details"))] = None
    bank: Annotated[Text | None, F(16, N_("Bank"), section=N_("Details"))] = None
    bank_account: Annotated[Text | None, F(17, N_("Bank account no."), section=N_("Details"))] = None
    remark: Annotated[LongText | None, F(18, N_("Remark"), widget="longtext", section=N_("Details"))] = None
    files: Annotated[Attachments | None, F(19, N_("Files"), index=True, widget="files", section=N_("Details"))] = None


class RegistrationState(Choice):
    """What was done about a registration; that its days have run out follows from the calendar."""

    LIVE = "live", N_("Registered")
    RELEASED = "released", N_("Given up")
    WON = "won", N_("Became our customer")


class PartnerRegistration(
    Entity,
    key="partner_registration",
    no=102,
    label=N_("Registration"),
    kind=Kind.MASTER,
    title_field="name",
    owner="owner_id",
    order_by="-since",
    by_hand=False,
):
    """A company that a partner has told us he is selling to. For some days nobody else is to get there before him.

    ``since``: when its days began to run without a gap; of several partners the first one is protected.
    """

    name: Annotated[Name, F(1, N_("Registered company"), column=1, index=True, search=9, mark="name", editable=False)]
    partner_id: Annotated[Id, F(2, N_("Channel partner"), ref="partner", column=2, editable=False)]
    phone: Annotated[Text | None, F(3, N_("Phone"), column=3, search=6, widget="phone", mark="phone", editable=False)] = None
    tax_no: Annotated[Text | None, F(4, N_("Tax no."), search=4, mark="code", editable=False)] = None
    contact: Annotated[Text | None, F(5, N_("Contact"), search=4, editable=False)] = None
    since: Annotated[Moment | None, F(6, N_("Registered at"), column=5, index=True, editable=False)] = None
    protected_until: Annotated[Day | None, F(7, N_("Protected until"), column=4, index=True, editable=False)] = None
    state: Annotated[RegistrationState, F(8, N_("State"), index=True, editable=False)] = RegistrationState.LIVE
    customer_id: Annotated[Id | None, F(9, N_("Customer"), ref="customer", column=8, editable=False)] = None
    owner_id: Annotated[Id | None, F(10, N_("Salesperson"), ref="user", column=6)] = None
    branch_id: Annotated[Id | None, F(11, N_("Branch"), ref="branch", column=7, editable=False)] = None
    remark: Annotated[LongText | None, F(12, N_("Remark"), widget="longtext")] = None
    area: Annotated[Text | None, F(13, N_("Area"), column=9, widget="area", editable=False)] = None


class RebateTier(Entity, key="rebate_tier", no=103, label=N_("Rebate tier"), kind=Kind.MASTER, title_field="remark", order_by="level"):
    """From which amount in a month which share of all of it comes back: for one partner, or for all of a level that have no tiers of their own. Head office sets them."""

    level: Annotated[Text | None, F(1, N_("Partner level"), column=1, index=True, options=PARTNER_LEVELS, merge="hub")] = None
    partner_id: Annotated[Id | None, F(2, N_("Channel partner"), ref="partner", column=2, merge="hub")] = None
    from_amount: Annotated[Money, Bounds(ge=0), F(3, N_("From amount in a month"), column=3, index=True, merge="hub")] = Decimal("0.00")
    percent: Annotated[Rate, Bounds(ge=0, le=1), F(4, N_("Rebate"), column=4, widget="percent", merge="hub")] = Decimal("0.0000")
    starts_on: Annotated[Day | None, F(5, N_("For months from"), column=5, merge="hub")] = None
    ends_on: Annotated[Day | None, F(6, N_("For months until"), column=6, merge="hub")] = None
    remark: Annotated[Text | None, F(7, N_("Remark"), column=7, search=5)] = None


class RebateWay(Choice):
    """How a rebate is given."""

    CREDIT = "credit", N_("Credit for goods")
    MONEY = "money", N_("Money")


class RebateSettlement(
    Entity,
    key="rebate_settlement",
    no=104,
    label=N_("Rebate given"),
    kind=Kind.LEDGER,
    title_field="month",
    order_by="-date",
    by_hand=False,
):
    """That a partner was given a rebate for a month; one that takes some of it back is negative."""

    partner_id: Annotated[Id, F(1, N_("Channel partner"), ref="partner", column=1)]
    month: Annotated[Text, F(2, N_("Month"), column=2, index=True)]
    amount: Annotated[Money, F(3, N_("Amount"), column=3)]
    way: Annotated[RebateWay, F(4, N_("Given as"), column=4)] = RebateWay.CREDIT
    basis: Annotated[Money, F(5, N_("Based on"), column=5)] = Decimal("0.00")
    percent: Annotated[Rate, F(6, N_("Rebate"), column=6, widget="percent")] = Decimal("0.0000")
    date: Annotated[Day | None, F(7, N_("Date"), column=7, index=True)] = None
    user_id: Annotated[Id | None, F(8, N_("Entered by"), ref="user", column=8)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", editable=False)] = None
    remark: Annotated[Text | None, F(10, N_("Remark"), column=9)] = None


class PartnerTarget(
    Entity,
    key="partner_target",
    no=114,
    label=N_("Partner's target"),
    kind=Kind.MASTER,
    title_field="period",
    under="partner_id",
    order_by="-period",
):
    """What a partner is to bring in in a year (2026) or a quarter (2026-Q3), on the basis that his rebate is reckoned on."""

    partner_id: Annotated[Id, F(1, N_("Channel partner"), ref="partner", column=1)]
    period: Annotated[Name, F(2, N_("Year or quarter"), column=2, index=True, search=6)]
    amount: Annotated[Money, Bounds(gt=0), F(3, N_("Target"), column=3, merge="always_show")]
    remark: Annotated[Text | None, F(4, N_("Remark"), column=4, search=4)] = None


class DepositKind(Choice):
    """What became of a partner's money."""

    PAID_IN = "paid_in", N_("Paid in")
    USED = "used", N_("Used")
    RETURNED = "returned", N_("Paid back")


class PartnerDeposit(
    Entity,
    key="partner_deposit",
    no=115,
    label=N_("Partner's deposit"),
    kind=Kind.LEDGER,
    title_field="number",
    under="partner_id",
    scope=("branch_id",),
    series="PD",
    order_by="-date",
    totals=(Total(name="partner_deposited", by=("partner_id",), field="held"),),
):
    """Money that a partner left with us as security; what we hold is the sum of ``held``. A wrong entry is reversed by another."""

    number: Annotated[Text | None, F(1, N_("Entry no."), column=1, index=True, search=8, editable=False)] = None
    date: Annotated[Day | None, F(2, N_("Date"), column=2, index=True)] = None
    partner_id: Annotated[Id, F(3, N_("Channel partner"), ref="partner", column=3)]
    kind: Annotated[DepositKind, F(4, N_("Type"), column=4, index=True)] = DepositKind.PAID_IN
    amount: Annotated[Money, F(5, N_("Amount"), column=5)]
    held: Annotated[Money, F(6, N_("Adds to what we hold"), column=6, editable=False)] = Decimal("0.00")
    method: Annotated[PaymentMethod | None, F(7, N_("Way of payment"))] = None
    account_id: Annotated[Id | None, F(8, N_("Money account"), ref="account", column=7)] = None
    reverses_id: Annotated[Id | None, F(9, N_("Reversal of"), ref="partner_deposit", editable=False)] = None
    branch_id: Annotated[Id | None, F(10, N_("Branch"), ref="branch", column=8, editable=False)] = None
    remark: Annotated[Text | None, F(11, N_("What for"), column=9, search=5)] = None


class PartnerStock(
    Entity,
    key="partner_stock",
    no=116,
    label=N_("Partner's stock"),
    kind=Kind.MASTER,
    title_field="remark",
    under="partner_id",
    order_by="-date",
):
    """How much of a product a partner had on a day, as he reported it."""

    partner_id: Annotated[Id, F(1, N_("Channel partner"), ref="partner", column=1)]
    product_id: Annotated[Id, F(2, N_("Product"), ref="product", column=2)]
    date: Annotated[Day | None, F(3, N_("As of"), column=3, index=True)] = None
    quantity: Annotated[Quantity, Bounds(ge=0), F(4, N_("Quantity"), column=4)]
    remark: Annotated[Text | None, F(5, N_("Remark"), column=5, search=4)] = None


class PartnerSale(
    Entity,
    key="partner_sale",
    no=111,
    label=N_("Partner's sale"),
    kind=Kind.MASTER,
    title_field="buyer",
    under="partner_id",
    order_by="-date",
):
    """What a partner sold on to whom, as he reported it; a return is negative."""

    partner_id: Annotated[Id, F(1, N_("Channel partner"), ref="partner", column=1)]
    date: Annotated[Day | None, F(2, N_("Date"), column=2, index=True)] = None
    buyer: Annotated[Name, F(3, N_("Sold to"), column=3, index=True, search=6)]
    product_id: Annotated[Id, F(4, N_("Product"), ref="product", column=4)]
    quantity: Annotated[Quantity, F(5, N_("Quantity"), column=5)]
    amount: Annotated[Money | None, F(6, N_("Amount"), column=6)] = None
    number: Annotated[Text | None, F(7, N_("Paper no."), column=7, search=6)] = None
    customer_id: Annotated[Id | None, F(8, N_("Also our customer"), ref="customer", column=8)] = None
    remark: Annotated[Text | None, F(9, N_("Remark"), column=9, search=4)] = None
