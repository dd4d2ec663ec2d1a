"""What we sell, and where it lies."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounds

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Entity, F, Id, Kind, LongText, Name, Price, Rate, Text


class Product(Entity, key="product", no=20, label=N_("Product"), kind=Kind.MASTER, title_field="name", order_by="code"):
    """Goods or a service."""

    code: Annotated[Name, F(1, N_("Product code"), column=1, index=True, search=9)]
    name: Annotated[Name, F(2, N_("Product name"), column=2, index=True, search=10)]
    spec: Annotated[Text | None, F(3, N_("Specification"), column=3, search=4)] = None
    unit: Annotated[Text | None, F(4, N_("Unit"), column=4, widget="unit")] = None
    price: Annotated[Price, Bounds(ge=0), F(5, N_("List price"), column=5, merge="always_show")] = Decimal("0.000000")
    tax_rate: Annotated[Rate, Bounds(ge=0, le=1), F(6, N_("Tax rate"), column=6, widget="percent")] = Decimal("0.1300")
    barcode: Annotated[Text | None, F(7, N_("Barcode"), column=7, search=6)] = None
    stocked: Annotated[bool, F(8, N_("Kept in stock"), column=8)] = True
    remark: Annotated[LongText | None, F(9, N_("Remark"), widget="longtext")] = None
    floor_price: Annotated[Price | None, Bounds(ge=0), F(10, N_("Lowest price"), merge="always_show")] = None
    cost: Annotated[Price | None, Bounds(ge=0), F(11, N_("Cost price without tax"), merge="always_show")] = None
    warranty_months: Annotated[int | None, Bounds(ge=0, le=600), F(12, N_("Months of warranty"))] = None
    consumable_id: Annotated[Id | None, F(13, N_("Its consumable"), ref="product")] = None
    consumable_months: Annotated[int | None, Bounds(ge=0, le=600), F(14, N_("Consumable due every so many months"))] = None
    active: Annotated[bool, F(20, N_("In use"))] = True


class Warehouse(Entity, key="warehouse", no=21, label=N_("Warehouse"), kind=Kind.MASTER, title_field="name", order_by="code"):
    """A place where goods lie."""

    code: Annotated[Name, F(1, N_("Code"), column=1, index=True, search=8)]
    name: Annotated[Name, F(2, N_("Name"), column=2, search=10)]
    branch_id: Annotated[Id | None, F(3, N_("Branch"), ref="branch", column=3)] = None
    address: Annotated[Text | None, F(4, N_("Address"), column=4)] = None
    active: Annotated[bool, F(5, N_("In use"), column=5)] = True


class ListName(Choice):
    """The small lists that head office keeps."""

    UNIT = "unit", N_("Unit")
    TAX_RATE = "tax_rate", N_("Tax rate")


class ListEntry(Entity, key="list_entry", no=38, label=N_("List entry"), kind=Kind.HUB, title_field="name", order_by="position"):
    """A unit with the decimals its quantities may have, or a tax rate that is offered."""

    list: Annotated[ListName, F(1, N_("List"), column=1, index=True)]
    name: Annotated[Name, F(2, N_("Name"), column=2)]
    decimals: Annotated[int, Bounds(ge=0), F(3, N_("Decimals"), column=3)] = 4
    rate: Annotated[Rate | None, Bounds(ge=0, le=1), F(4, N_("Tax rate"), column=4, widget="percent")] = None
    position: Annotated[int, Bounds(ge=0, le=10_000), F(5, N_("Order in the list"), column=5, index=True)] = 0
