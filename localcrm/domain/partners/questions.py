"""What else a customer is to us, for lists of customers: a supplier, a channel partner, from what whoever asks may see of those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain.conditions import Asking, Question
from localcrm.domain.partners.entities import Partner
from localcrm.domain.purchase.entities import Supplier
from localcrm.kernel.i18n import N_
from localcrm.store.tree import Node, Related


def _supplier(_asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Related(Supplier.entity_type, "customer_id")


def _partner(_asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Related(Partner.entity_type, "customer_id")


QUESTIONS = (
    Question("also_supplier", N_("Also a supplier of ours"), _supplier),
    Question("also_partner", N_("Also a channel partner"), _partner),
)
