"""Where money lies, and money received: receipts are only ever added. What an order still owes is its total less these."""

from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, Money, Name, Text, Total


class PaymentMethod(Choice):
    """How money came."""

    TRANSFER = "transfer", N_("Bank transfer")
    CASH = "cash", N_("Cash")
    WECHAT = "wechat", N_("WeChat Pay")
    ALIPAY = "alipay", N_("Alipay")
    CHEQUE = "cheque", N_("Cheque")
    SET_OFF = "set_off", N_("Set off")
    REBATE = "rebate", N_("Rebate credit")


class AccountType(Choice):
    """Where money lies."""

    BANK = "bank", N_("Bank account")
    CASH = "cash", N_("Cash box")
    WECHAT = "wechat", N_("WeChat Pay")
    ALIPAY = "alipay", N_("Alipay")
    OTHER = "other", N_("Other")


class Account(Entity, key="account", no=54, label=N_("Money account"), kind=Kind.MASTER, title_field="name", order_by="name"):
    """A bank account, a cash box, an account of a payment service."""

    name: Annotated[Name, F(1, N_("Account name"), column=1, index=True, search=10)]
    type: Annotated[AccountType, F(2, N_("Type"), column=2)] = AccountType.BANK
    bank: Annotated[Text | None, F(3, N_("Bank"), column=3)] = None
    number: Annotated[Text | None, F(4, N_("Account number"), column=4, search=6)] = None
    branch_id: Annotated[Id | None, F(5, N_("Branch"), ref="branch", column=5)] = None
    active: Annotated[bool, F(6, N_("In use"), column=6)] = True
    remark: Annotated[Text | None, F(7, N_("Remark"))] = None


class Receipt(
    Entity,
    key="receipt",
    no=50,
    label=N_("Receipt"),
    kind=Kind.LEDGER,
    title_field="number",
    under="order_id",
    scope=("branch_id", "order_id"),
    series="RC",
    order_by="-date",
    totals=(Total(name="order_received", by=("order_id",), field="amount"),),
):
    """Money received for an order; a refund is negative."""

    number: Annotated[Text | None, F(1, N_("Receipt no."), column=1, index=True, search=9, editable=False)] = None
    date: Annotated[Day | None, F(2, N_("Date"), column=2, index=True)] = None
    customer_id: Annotated[Id, F(3, N_("Customer"), ref="customer", column=3)]
    order_id: Annotated[Id, F(4, N_("Sales order"), ref="sales_order", column=4)]
    amount: Annotated[Money, F(5, N_("Amount"), column=5)]
    method: Annotated[PaymentMethod, F(6, N_("Way of payment"), column=6)] = PaymentMethod.TRANSFER
    account_id: Annotated[Id | None, F(9, N_("Money account"), ref="account", column=7)] = None
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=8, editable=False)] = None
    remark: Annotated[Text | None, F(8, N_("Remark"), column=9)] = None
    supplier_entry_id: Annotated[Id | None, F(10, N_("Set off at the supplier"), ref="supplier_entry", editable=False)] = None


#: What money is spent on for customers; a company may write others of its own.
EXPENSE_TYPES = {
    "travel": N_("Travel"),
    "hospitality": N_("Hospitality"),
    "gift": N_("Gifts"),
    "freight": N_("Freight"),
    "sample": N_("Samples"),
    "warranty": N_("Parts under warranty"),
    "other": N_("Other"),
}


class Expense(
    Entity,
    key="expense",
    no=85,
    label=N_("Expense"),
    kind=Kind.MASTER,
    title_field="purpose",
    owner="user_id",
    seen_with="customer_id",
    order_by="-date",
):
    """Money spent for a customer, by whoever paid it."""

    date: Annotated[Day | None, F(1, N_("Date"), column=1, index=True)] = None
    customer_id: Annotated[Id | None, F(2, N_("Customer"), ref="customer", column=2)] = None
    type: Annotated[Text, F(3, N_("Spent on"), column=3, index=True, options=EXPENSE_TYPES)] = "travel"
    amount: Annotated[Money, Bounds(gt=0), F(4, N_("Amount"), column=4)]
    tax: Annotated[Money | None, Bounds(ge=0), F(5, N_("Tax in it"))] = None
    user_id: Annotated[Id | None, F(6, N_("Paid by"), ref="user", column=5)] = None
    invoice_no: Annotated[Text | None, F(7, N_("Invoice no."), column=6, search=6)] = None
    purpose: Annotated[Name, F(8, N_("What for"), column=7, search=6)]
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", editable=True)] = None
    order_id: Annotated[Id | None, F(10, N_("Sales order"), ref="sales_order")] = None
    files: Annotated[Attachments | None, F(11, N_("Receipts and invoices"), index=True, widget="files")] = None
    opportunity_id: Annotated[Id | None, F(12, N_("Opportunity"), ref="opportunity")] = None
    contract_id: Annotated[Id | None, F(13, N_("Contract"), ref="contract")] = None
    split_of_id: Annotated[Id | None, F(14, N_("Part of"), ref="expense", editable=False)] = None
