"""Suppliers: what they deliver at which price, the certificates they hold, and what we owe them."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.domain.finance.entities import PaymentMethod
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Money, Name, Price, Quantity, Text, Total


class Rating(Choice):
    """How good a supplier is to us."""

    A = "a", N_("A · first choice")
    B = "b", N_("B · good")
    C = "c", N_("C · if need be")
    D = "d", N_("D · not any more")


class Supplier(Entity, key="supplier", no=80, label=N_("Supplier"), kind=Kind.MASTER, title_field="name", owner="buyer_id", series="V"):
    """A company or person we buy from. One that buys from us too names itself as customer."""

    number: Annotated[Text | None, F(1, N_("Supplier no."), column=7, index=True, search=6)] = None
    name: Annotated[Name, F(2, N_("Supplier name"), column=1, index=True, search=10)]
    short_name: Annotated[Text | None, F(3, N_("Short name"), search=8)] = None
    rating: Annotated[Rating | None, F(4, N_("Rating"), column=2, index=True)] = None
    contact: Annotated[Text | None, F(5, N_("Contact"), column=3, search=5)] = None
    phone: Annotated[Text | None, F(6, N_("Phone"), column=4, search=7, widget="phone", mark="phone")] = None
    payment_days: Annotated[int | None, Bounds(ge=0, le=3650), F(7, N_("Days of credit"), column=5)] = None
    buyer_id: Annotated[Id | None, F(8, N_("Buyer"), ref="user", column=6)] = None
    branch_id: Annotated[Id | None, F(9, N_("Branch"), ref="branch", editable=True)] = None
    address: Annotated[Text | None, F(10, N_("Address"), search=3, section=N_("Details"))] = None
    area: Annotated[Text | None, F(11, N_("Area"), widget="area", section=N_("Details"))] = None
    tax_no: Annotated[Text | None, F(12, N_("Tax no."), search=4, section=N_("Details"))] = None
    bank: Annotated[Text | None, F(13, N_("Bank"), section=N_("Details"))] = None
    bank_account: Annotated[Text | None, F(14, N_("Bank account no."), section=N_("Details"))] = None
    customer_id: Annotated[Id | None, F(15, N_("Also our customer"), ref="customer", section=N_("Details"))] = None
    remark: Annotated[LongText | None, F(16, N_("Remark"), widget="longtext", section=N_("Details"))] = None
    files: Annotated[Attachments | None, F(17, N_("Files"), index=True, widget="files", section=N_("Details"))] = None
    active: Annotated[bool, F(18, N_("In use"), section=N_("Details"))] = True


class SupplierPrice(
    Entity, key="supplier_price", no=81, label=N_("Supplier's price"), kind=Kind.MASTER, title_field="supplier_code", under="supplier_id"
):
    """What a supplier asks for a product from some quantity on; several of them make a scale of prices."""

    supplier_id: Annotated[Id, F(1, N_("Supplier"), ref="supplier", column=2)]
    product_id: Annotated[Id, F(2, N_("Product"), ref="product", column=1)]
    supplier_code: Annotated[Text | None, F(3, N_("Supplier's code"), column=3, search=6)] = None
    from_quantity: Annotated[Quantity, Bounds(ge=0), F(4, N_("From quantity"), column=4)] = Decimal("0.0000")
    price: Annotated[Price, Bounds(ge=0), F(5, N_("Unit price"), column=5)]
    lead_days: Annotated[int | None, Bounds(ge=0, le=3650), F(6, N_("Days to deliver"), column=6)] = None
    until: Annotated[Day | None, F(7, N_("Valid until"), column=7)] = None
    remark: Annotated[Text | None, F(8, N_("Remark"), column=8)] = None


class SupplierCertificate(
    Entity,
    key="supplier_certificate",
    no=82,
    label=N_("Certificate"),
    kind=Kind.MASTER,
    title_field="name",
    under="supplier_id",
    order_by="expires_on",
):
    """A licence or certificate that a supplier holds, such as an ISO one; it runs out."""

    supplier_id: Annotated[Id, F(1, N_("Supplier"), ref="supplier", column=2)]
    name: Annotated[Name, F(2, N_("Certificate"), column=1, search=8)]
    number: Annotated[Text | None, F(3, N_("Certificate no."), column=3, search=6)] = None
    expires_on: Annotated[Day | None, F(4, N_("Runs out on"), column=4, index=True)] = None
    files: Annotated[Attachments | None, F(5, N_("Files"), index=True, widget="files")] = None


class EntryKind(Choice):
    """What an entry of a supplier's account is."""

    OPENING = "opening", N_("Opening balance")
    BILL = "bill", N_("Bill")
    PAYMENT = "payment", N_("Payment")
    SET_OFF = "set_off", N_("Set off")


class SupplierEntry(
    Entity,
    key="supplier_entry",
    no=113,
    label=N_("Supplier's account entry"),
    kind=Kind.LEDGER,
    title_field="number",
    under="supplier_id",
    scope=("branch_id",),
    series="AP",
    order_by="-date",
    totals=(Total(name="supplier_owed", by=("supplier_id",), field="owed"),),
):
    """What a supplier billed or was paid; what we owe is the sum of ``owed``. A wrong one is reversed by another.

    ``amount`` is that on the paper: of a bill what it is over, of a payment what was paid; less than nothing for what goes the other way.
    What is set off against receipts of a customer, who is the same company, is named by those receipts.
    """

    number: Annotated[Text | None, F(1, N_("Entry no."), column=1, index=True, search=8, editable=False)] = None
    date: Annotated[Day | None, F(2, N_("Date"), column=2, index=True)] = None
    supplier_id: Annotated[Id, F(3, N_("Supplier"), ref="supplier", column=3)]
    kind: Annotated[EntryKind, F(4, N_("Type"), column=4, index=True)] = EntryKind.BILL
    amount: Annotated[Money, F(5, N_("Amount"), column=5)]
    owed: Annotated[Money, F(6, N_("Adds to what we owe"), column=6, editable=False)] = Decimal("0.00")
    invoice_no: Annotated[Text | None, F(7, N_("Supplier's invoice no."), column=7, index=True, search=9)] = None
    due_on: Annotated[Day | None, F(8, N_("Due on"), column=8, index=True)] = None
    method: Annotated[PaymentMethod | None, F(9, N_("Way of payment"))] = None
    account_id: Annotated[Id | None, F(10, N_("Money account"), ref="account", column=9)] = None
    customer_id: Annotated[Id | None, F(11, N_("Customer"), ref="customer", editable=False)] = None
    reverses_id: Annotated[Id | None, F(12, N_("Reversal of"), ref="supplier_entry", editable=False)] = None
    branch_id: Annotated[Id | None, F(13, N_("Branch"), ref="branch", column=10, editable=False)] = None
    remark: Annotated[Text | None, F(14, N_("Remark"), column=11)] = None
