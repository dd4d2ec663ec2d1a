"""What is sold: quotes, contracts, sales orders (drafts are edited, posted ones only reversed), deliveries, and what stands at customers since."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.domain.crm.entities.customers import PARTNER_LEVELS, PRICE_LEVELS
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Attachments, Choice, Day, Entity, F, Id, Kind, LongText, Moment, Money, Name, Price, Quantity, Rate, Text

NOTHING = Decimal("0.00")


class OrderStatus(Choice):
    """The stored state; everything else about an order's progress is derived."""

    DRAFT = "draft", N_("Draft")
    POSTED = "posted", N_("Posted")


class SalesOrder(
    Entity,
    key="sales_order",
    no=40,
    label=N_("Sales order"),
    kind=Kind.DOCUMENT,
    title_field="number",
    owner="owner_id",
    seen_with="customer_id",
    scope=("branch_id",),
    series="SO",
):
    """What a customer ordered. Posting gives the number and issues the goods."""

    number: Annotated[Text | None, F(1, N_("Order no."), column=1, index=True, search=10, editable=False)] = None
    customer_id: Annotated[Id | None, F(2, N_("Customer"), ref="customer", column=2)] = None
    status: Annotated[OrderStatus, F(3, N_("Status"), column=3, index=True, editable=False)] = OrderStatus.DRAFT
    date: Annotated[Day | None, F(4, N_("Order date"), column=4, index=True)] = None
    warehouse_id: Annotated[Id | None, F(5, N_("Warehouse"), ref="warehouse")] = None
    owner_id: Annotated[Id | None, F(6, N_("Salesperson"), ref="user", column=8)] = None
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=9, editable=False)] = None
    tax_included: Annotated[bool, F(8, N_("Prices include tax"))] = True
    net: Annotated[Money, F(9, N_("Net"), column=5, editable=False)] = NOTHING
    tax: Annotated[Money, F(10, N_("Tax"), column=6, editable=False)] = NOTHING
    gross: Annotated[Money, F(11, N_("Total"), column=7, index=True, editable=False)] = NOTHING
    customer_name: Annotated[Text | None, F(12, N_("Customer name when posted"), search=6, editable=False)] = None
    reverses_id: Annotated[Id | None, F(13, N_("Reversal of"), ref="sales_order", editable=False)] = None
    posted_at: Annotated[Moment | None, F(14, N_("Posted at"), editable=False)] = None
    delivery_date: Annotated[Day | None, F(15, N_("Delivery date"))] = None
    remark: Annotated[LongText | None, F(16, N_("Remark"), widget="longtext")] = None
    opportunity_id: Annotated[Id | None, F(17, N_("Opportunity"), ref="opportunity")] = None
    legal_entity_id: Annotated[Id | None, F(60, N_("Own company"), ref="legal_entity")] = None
    legal_entity_name: Annotated[Text | None, F(61, N_("Own company's name when posted"), editable=False)] = None
    contract_id: Annotated[Id | None, F(62, N_("Contract"), ref="contract")] = None
    quote_id: Annotated[Id | None, F(63, N_("Quote"), ref="quote", editable=False)] = None
    opening: Annotated[bool, F(66, N_("Opening balance"), editable=False)] = False
    within_limit: Annotated[bool, F(67, N_("Within the credit limit when posted"), editable=False, like="gross")] = False


class SalesOrderLine(
    Entity,
    key="sales_order_line",
    no=41,
    label=N_("Order line"),
    kind=Kind.LINE,
    title_field="description",
    parent="order_id",
    scope=("order_id",),
    order_by="position",
):
    """One product of an order, with its own amounts (rule R2)."""

    order_id: Annotated[Id, F(1, N_("Sales order"), ref="sales_order")]
    position: Annotated[int, Bounds(ge=0, le=100_000), F(2, N_("No."), column=1, index=True)] = 0
    product_id: Annotated[Id, F(3, N_("Product"), ref="product", column=2)]
    description: Annotated[Text | None, F(4, N_("Description"), column=3)] = None
    unit: Annotated[Text | None, F(5, N_("Unit"), column=4)] = None
    quantity: Annotated[Quantity, F(6, N_("Quantity"), column=5)]
    price: Annotated[Price | None, F(7, N_("Unit price"), column=6)] = None
    discount: Annotated[Rate, Bounds(ge=0, le=1), F(8, N_("Discount"), column=7, widget="percent")] = Decimal("1.0000")
    tax_rate: Annotated[Rate | None, Bounds(ge=0, le=1), F(9, N_("Tax rate"), column=8, widget="percent")] = None
    net: Annotated[Money, F(10, N_("Net"), column=9, editable=False)] = NOTHING
    tax: Annotated[Money, F(11, N_("Tax"), column=10, editable=False)] = NOTHING
    gross: Annotated[Money, F(12, N_("Total"), column=11, editable=False)] = NOTHING
    remark: Annotated[Text | None, F(13, N_("Remark"), column=12)] = None
    below_reason: Annotated[Text | None, F(14, N_("Why below the lowest price"))] = None
    list_price: Annotated[Price | None, F(15, N_("Price of the house then"), editable=False, like="price")] = None


class InstalledProduct(
    Entity,
    key="installed_product",
    no=86,
    label=N_("Product in use"),
    kind=Kind.MASTER,
    title_field="serial",
    under="customer_id",
    order_by="warranty_until",
):
    """Something a customer has of us and uses: where it stands, and until when we are answerable for it."""

    customer_id: Annotated[Id, F(1, N_("Customer"), ref="customer", column=3)]
    product_id: Annotated[Id, F(2, N_("Product"), ref="product", column=1)]
    serial: Annotated[Text | None, F(3, N_("Serial no."), column=2, index=True, search=9)] = None
    batch: Annotated[Text | None, F(4, N_("Batch"), search=5)] = None
    quantity: Annotated[Quantity, Bounds(gt=0), F(5, N_("Quantity"), column=4)] = Decimal("1.0000")
    sold_on: Annotated[Day | None, F(6, N_("Sold on"), column=5, index=True)] = None
    warranty_until: Annotated[Day | None, F(7, N_("Warranty until"), column=6, index=True)] = None
    location: Annotated[Text | None, F(8, N_("Where it stands"), column=7)] = None
    order_id: Annotated[Id | None, F(9, N_("Sales order"), ref="sales_order")] = None
    remark: Annotated[Text | None, F(10, N_("Remark"))] = None
    delivery_id: Annotated[Id | None, F(11, N_("Delivery"), ref="delivery", editable=False)] = None
    returned_on: Annotated[Day | None, F(12, N_("Came back on"), column=8)] = None
    consumable_on: Annotated[Day | None, F(13, N_("Consumable due on"), column=9, index=True)] = None
    back_noted: Annotated[bool, F(14, N_("Its delivery says that it came back"), editable=False)] = False


class QuoteStatus(Choice):
    """What became of a quote; that it has expired follows from its date."""

    DRAFT = "draft", N_("Draft")
    SENT = "sent", N_("Sent")
    ACCEPTED = "accepted", N_("Accepted")
    REJECTED = "rejected", N_("Declined")
    REPLACED = "replaced", N_("Replaced by a newer one")


class Quote(
    Entity,
    key="quote",
    no=100,
    label=N_("Quote"),
    kind=Kind.MASTER,
    title_field="title",
    owner="owner_id",
    seen_with="customer_id",
    series="QT",
    order_by="-date",
):
    """What we offered a customer, for how much and until when; the sheet itself is attached. A newer version is a quote of its own."""

    number: Annotated[Text | None, F(1, N_("Quote no."), column=1, index=True, search=9)] = None
    title: Annotated[Name, F(2, N_("Quoted for"), column=2, index=True, search=7)]
    customer_id: Annotated[Id, F(3, N_("Customer"), ref="customer", column=3)]
    opportunity_id: Annotated[Id | None, F(4, N_("Opportunity"), ref="opportunity", column=8)] = None
    contact_id: Annotated[Id | None, F(5, N_("Contact"), ref="contact")] = None
    version_no: Annotated[int, Bounds(ge=1, le=9999), F(6, N_("Version"), column=4, editable=False)] = 1
    amount: Annotated[Money, Bounds(ge=0), F(7, N_("Amount"), column=5, merge="always_show")] = NOTHING
    status: Annotated[QuoteStatus, F(8, N_("Status"), column=6, index=True)] = QuoteStatus.DRAFT
    date: Annotated[Day | None, F(9, N_("Date"), index=True)] = None
    valid_until: Annotated[Day | None, F(10, N_("Valid until"), column=7, index=True)] = None
    replaces_id: Annotated[Id | None, F(11, N_("Replaces"), ref="quote", editable=False)] = None
    owner_id: Annotated[Id | None, F(12, N_("Salesperson"), ref="user", column=9)] = None
    branch_id: Annotated[Id | None, F(13, N_("Branch"), ref="branch", editable=False)] = None
    files: Annotated[Attachments | None, F(14, N_("Files"), index=True, widget="files")] = None
    remark: Annotated[LongText | None, F(15, N_("Remark"), widget="longtext")] = None
    tax_included: Annotated[bool, F(16, N_("Prices include tax"))] = True
    net: Annotated[Money, F(17, N_("Net"), editable=False)] = NOTHING
    tax: Annotated[Money, F(18, N_("Tax"), editable=False)] = NOTHING


class ContractStatus(Choice):
    """How far a contract is; that it has run out follows from its dates."""

    DRAFT = "draft", N_("Draft")
    SIGNED = "signed", N_("Signed")
    FULFILLED = "fulfilled", N_("Fulfilled")
    CANCELLED = "cancelled", N_("Cancelled")


class Contract(
    Entity,
    key="contract",
    no=83,
    label=N_("Contract"),
    kind=Kind.MASTER,
    title_field="title",
    owner="owner_id",
    seen_with="customer_id",
    series="CT",
    order_by="-signed_on",
):
    """What was agreed with a customer. How much of it was ordered and paid follows from the orders that name it, whichever branch wrote them."""

    number: Annotated[Text | None, F(1, N_("Contract no."), column=1, index=True, search=9)] = None
    title: Annotated[Name, F(2, N_("Contract title"), column=2, index=True, search=7)]
    customer_id: Annotated[Id, F(3, N_("Customer"), ref="customer", column=3)]
    opportunity_id: Annotated[Id | None, F(4, N_("Opportunity"), ref="opportunity")] = None
    contact_id: Annotated[Id | None, F(5, N_("Signed by"), ref="contact")] = None
    amount: Annotated[Money, Bounds(ge=0), F(6, N_("Contract amount"), column=4, merge="always_show")] = NOTHING
    status: Annotated[ContractStatus, F(7, N_("Status"), column=5, index=True)] = ContractStatus.DRAFT
    signed_on: Annotated[Day | None, F(8, N_("Signed on"), column=6, index=True)] = None
    starts_on: Annotated[Day | None, F(9, N_("Runs from"))] = None
    ends_on: Annotated[Day | None, F(10, N_("Runs until"), column=7, index=True)] = None
    previous_id: Annotated[Id | None, F(11, N_("Renews"), ref="contract", editable=False)] = None
    owner_id: Annotated[Id | None, F(12, N_("Salesperson"), ref="user", column=8)] = None
    branch_id: Annotated[Id | None, F(13, N_("Branch"), ref="branch", editable=False)] = None
    files: Annotated[Attachments | None, F(14, N_("Files"), index=True, widget="files")] = None
    remark: Annotated[LongText | None, F(15, N_("Remark"), widget="longtext")] = None


class DeliveryStatus(Choice):
    """Where a delivery is."""

    PACKED = "packed", N_("Packed")
    SHIPPED = "shipped", N_("On its way")
    RECEIVED = "received", N_("Signed for")
    RETURNED = "returned", N_("Came back")


class Delivery(
    Entity,
    key="delivery",
    no=84,
    label=N_("Delivery"),
    kind=Kind.MASTER,
    title_field="number",
    owner="owner_id",
    seen_with="customer_id",
    series="DN",
    order_by="-date",
):
    """How goods went to a customer: with whom, under which number, who took them in, with the paper or a picture to prove it.

    One that names another in ``returns_id`` went the other way: it is what came back of that one.
    """

    number: Annotated[Text | None, F(1, N_("Delivery no."), column=1, index=True, search=9)] = None
    customer_id: Annotated[Id, F(2, N_("Customer"), ref="customer", column=2)]
    order_id: Annotated[Id | None, F(3, N_("Sales order"), ref="sales_order", column=3)] = None
    date: Annotated[Day | None, F(4, N_("Shipped on"), column=4, index=True)] = None
    content: Annotated[Text | None, F(5, N_("What was sent"), column=5)] = None
    parcels: Annotated[int | None, Bounds(ge=0, le=100_000), F(6, N_("Parcels"))] = None
    carrier: Annotated[Text | None, F(7, N_("Carrier"), column=6)] = None
    tracking_no: Annotated[Text | None, F(8, N_("Tracking no."), column=7, index=True, search=9)] = None
    address: Annotated[Text | None, F(9, N_("Delivered to"))] = None
    status: Annotated[DeliveryStatus, F(10, N_("Status"), column=8, index=True)] = DeliveryStatus.PACKED
    received_on: Annotated[Day | None, F(11, N_("Received on"), column=9)] = None
    received_by: Annotated[Text | None, F(12, N_("Received by"), column=10)] = None
    owner_id: Annotated[Id | None, F(13, N_("Sent by"), ref="user")] = None
    branch_id: Annotated[Id | None, F(14, N_("Branch"), ref="branch", editable=False)] = None
    files: Annotated[Attachments | None, F(15, N_("Proof of delivery"), index=True, widget="files")] = None
    remark: Annotated[LongText | None, F(16, N_("Remark"), widget="longtext")] = None
    signature: Annotated[Attachments | None, F(17, N_("Signature of the receiver"), index=True, widget="files", editable=False)] = None
    signed_at: Annotated[Moment | None, F(18, N_("Signed at"), editable=False)] = None
    returns_id: Annotated[Id | None, F(19, N_("Comes back from"), ref="delivery", editable=False)] = None
    replaces_id: Annotated[Id | None, F(20, N_("In exchange for"), ref="delivery", editable=False)] = None


class QuoteLine(
    Entity,
    key="quote_line",
    no=108,
    label=N_("Quote line"),
    kind=Kind.MASTER,
    title_field="description",
    parent="quote_id",
    order_by="position",
):
    """One product of a quote, with its own amounts (rule R2). Only the branch that wrote the quote changes it, and only while it is a draft."""

    quote_id: Annotated[Id, F(1, N_("Quote"), ref="quote")]
    position: Annotated[int, Bounds(ge=0, le=100_000), F(2, N_("No."), column=1, index=True)] = 0
    product_id: Annotated[Id, F(3, N_("Product"), ref="product", column=2)]
    description: Annotated[Text | None, F(4, N_("Description"), column=3, search=3)] = None
    unit: Annotated[Text | None, F(5, N_("Unit"), column=4)] = None
    quantity: Annotated[Quantity, F(6, N_("Quantity"), column=5)]
    price: Annotated[Price | None, F(7, N_("Unit price"), column=6)] = None
    discount: Annotated[Rate, Bounds(ge=0, le=1), F(8, N_("Discount"), column=7, widget="percent")] = Decimal("1.0000")
    tax_rate: Annotated[Rate | None, Bounds(ge=0, le=1), F(9, N_("Tax rate"), column=8, widget="percent")] = None
    net: Annotated[Money, F(10, N_("Net"), column=9, editable=False)] = NOTHING
    tax: Annotated[Money, F(11, N_("Tax"), column=10, editable=False)] = NOTHING
    gross: Annotated[Money, F(12, N_("Total"), column=11, editable=False)] = NOTHING
    remark: Annotated[Text | None, F(13, N_("Remark"), column=12)] = None
    list_price: Annotated[Price | None, F(14, N_("Price of the house then"), editable=False, like="price")] = None
    below_reason: Annotated[Text | None, F(15, N_("Why below the lowest price"))] = None


class LevelPrice(Entity, key="level_price", no=109, label=N_("Price by level"), kind=Kind.HUB, title_field="level", order_by="product_id"):
    """What a product costs customers of a price level, or partners of a level, as list prices are meant; head office sets it. Others pay the list price."""

    product_id: Annotated[Id, F(1, N_("Product"), ref="product", column=1)]
    level: Annotated[Text, F(2, N_("Price level"), column=2, index=True, options=PRICE_LEVELS | PARTNER_LEVELS)]
    price: Annotated[Price, Bounds(ge=0), F(3, N_("Unit price"), column=3)]
    remark: Annotated[Text | None, F(4, N_("Remark"), column=4)] = None


class DeliveryLine(
    Entity,
    key="delivery_line",
    no=110,
    label=N_("Goods of a delivery"),
    kind=Kind.MASTER,
    title_field="description",
    parent="delivery_id",
    order_by="position",
):
    """One product of a delivery with the serial numbers that went. Only the branch that sends it changes it."""

    delivery_id: Annotated[Id, F(1, N_("Delivery"), ref="delivery")]
    position: Annotated[int, Bounds(ge=0, le=100_000), F(2, N_("No."), column=1, index=True)] = 0
    product_id: Annotated[Id, F(3, N_("Product"), ref="product", column=2)]
    description: Annotated[Text | None, F(4, N_("Description"), column=3, search=3)] = None
    quantity: Annotated[Quantity, Bounds(gt=0), F(5, N_("Quantity"), column=4)] = Decimal("1.0000")
    serials: Annotated[LongText | None, F(6, N_("Serial numbers"), column=5, search=7, widget="longtext")] = None
    batch: Annotated[Text | None, F(7, N_("Batch"), column=6, search=5)] = None
    over_reason: Annotated[Text | None, F(8, N_("Why more than was ordered"))] = None
