"""Money received: only ever added. What an order still owes is its total less these."""

from __future__ import annotations

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice, Day, Entity, F, Id, Kind, Money, Text, Total


class PaymentMethod(Choice):
    """How money came."""

    TRANSFER = "transfer", N_("Bank transfer")
    CASH = "cash", N_("Cash")
    WECHAT = "wechat", N_("WeChat Pay")
    ALIPAY = "alipay", N_("Alipay")
    CHEQUE = "cheque", N_("Cheque")


class Receipt(
    Entity,
    key="receipt",
    no=50,
    label=N_("Receipt"),
    kind=Kind.LEDGER,
    title_field="number",
    under="order_id",
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
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=7, editable=False)] = None
    remark: Annotated[Text | None, F(8, N_("Remark"), column=8)] = None
