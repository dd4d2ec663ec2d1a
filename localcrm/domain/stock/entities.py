"""Movements of goods: only ever added. What is on hand is their sum."""

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Day, Entity, F, Id, Kind, Quantity, Text, Total


class MoveType(Choice):
    """Why goods moved."""

    OPENING = "opening", N_("Opening stock")
    RECEIPT = "receipt", N_("Goods received")
    ISSUE = "issue", N_("Goods issued")
    RETURN = "return", N_("Goods returned")
    ADJUST = "adjust", N_("Stock adjustment")


class StockMove(
    Entity,
    key="stock_move",
    no=30,
    label=N_("Stock movement"),
    kind=Kind.LEDGER,
    title_field="type",
    order_by="-date",
    scope=("branch_id", "order_id", "warehouse_id"),
    totals=(
        Total(name="stock_on_hand", by=("product_id", "warehouse_id"), field="quantity"),
        Total(name="order_line_moved", by=("order_line_id",), field="quantity"),
    ),
):
    """Goods in (+) or out (−) of a warehouse, in the product's unit."""

    date: Annotated[Day | None, F(1, N_("Date"), column=1, index=True)] = None
    type: Annotated[MoveType, F(2, N_("Type"), column=2)] = MoveType.RECEIPT
    product_id: Annotated[Id, F(3, N_("Product"), ref="product", column=3)]
    warehouse_id: Annotated[Id, F(4, N_("Warehouse"), ref="warehouse", column=4)]
    quantity: Annotated[Quantity, F(5, N_("Quantity"), column=5)]
    order_id: Annotated[Id | None, F(6, N_("Sales order"), ref="sales_order", column=6, editable=False)] = None
    order_line_id: Annotated[Id | None, F(7, N_("Order line"), ref="sales_order_line", editable=False)] = None
    branch_id: Annotated[Id | None, F(8, N_("Branch"), ref="branch", column=7, editable=False)] = None
    remark: Annotated[Text | None, F(9, N_("Remark"), column=8)] = None
    enough: Annotated[bool, F(10, N_("There was enough when it went out"), editable=False, like="quantity")] = False


class BranchStock(
    Entity, key="branch_stock", no=98, label=N_("Stock of a branch"), kind=Kind.HUB, title_field="branch", order_by="-as_of", by_hand=False
):
    """What lay in a branch's warehouse on a day, told to branches that do not hold its movements (``elsewhere``)."""

    product_id: Annotated[Id, F(1, N_("Product"), ref="product", column=1, editable=False)]
    warehouse_id: Annotated[Id, F(2, N_("Warehouse"), ref="warehouse", column=2, editable=False)]
    quantity: Annotated[Quantity, F(3, N_("Quantity"), column=3, editable=False)]
    as_of: Annotated[Day, F(4, N_("As of"), column=4, index=True, editable=False)]
    branch: Annotated[Text, F(5, N_("Branch"), column=5, editable=False)]
