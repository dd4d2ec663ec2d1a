"""What was set: by users for themselves, by head office for the company, by a branch where it differs."""

from typing import Annotated

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Day, Entity, F, Id, Kind, LongText, Moment, Text


class UserOption(
    Entity, key="user_option", no=31, label=N_("Personal option"), kind=Kind.MASTER, title_field="key", under="user_id", by_hand=False
):
    """What a user has chosen at one node. A node writes its own rows alone; of several for one key the one set last holds."""

    user_id: Annotated[Id, F(1, N_("User"), ref="user", column=1, editable=False)]
    key: Annotated[Text, F(2, N_("Option"), column=2, editable=False)]
    value: Annotated[LongText | None, F(3, N_("Value"), column=3, widget="longtext", editable=False)] = None
    node: Annotated[Text, F(4, N_("Set at"), column=4, editable=False)]
    set_at: Annotated[Moment, F(5, N_("Set on"), column=5, editable=False)]


class CompanyOption(
    Entity, key="company_option", no=32, label=N_("Company option"), kind=Kind.HUB, title_field="key", order_by="key", by_hand=False
):
    """What head office has set for the company; of a personal option, what holds for everybody without a choice of his own."""

    key: Annotated[Text, F(1, N_("Option"), column=1, index=True, editable=False)]
    value: Annotated[LongText | None, F(2, N_("Value"), column=2, widget="longtext", editable=False)] = None
    fixed: Annotated[bool, F(3, N_("Fixed for all branches"), column=3, editable=False)] = False
    next_value: Annotated[LongText | None, F(4, N_("Later value"), column=4, widget="longtext", editable=False)] = None
    next_from: Annotated[Day | None, F(5, N_("Later value from"), column=5, editable=False)] = None


class RoleOption(
    Entity, key="role_option", no=39, label=N_("Option of a role"), kind=Kind.HUB, title_field="key", order_by="key", by_hand=False
):
    """What holds of a personal option, or of the columns of a list, for those who have a role and have chosen nothing; without a value nothing."""

    role_id: Annotated[Id, F(1, N_("Role"), ref="role", column=1, editable=False)]
    key: Annotated[Text, F(2, N_("Option"), column=2, editable=False)]
    value: Annotated[LongText | None, F(3, N_("Value"), column=3, widget="longtext", editable=False)] = None


class BranchOption(
    Entity, key="branch_option", no=33, label=N_("Branch option"), kind=Kind.LEDGER, title_field="key", order_by="key", by_hand=False
):
    """Where a branch differs from head office, from ``set_at`` on; without a value it does no longer. A row says all that holds, also what is planned.

    Only added to, as movements are: head office takes such a row from that branch alone.
    """

    key: Annotated[Text, F(1, N_("Option"), column=1, index=True, editable=False)]
    branch_id: Annotated[Id, F(2, N_("Branch"), ref="branch", column=2, editable=False)]
    value: Annotated[LongText | None, F(3, N_("Value"), column=3, widget="longtext", editable=False)] = None
    set_at: Annotated[Moment, F(4, N_("Set on"), column=4, editable=False)]
    next_value: Annotated[LongText | None, F(5, N_("Later value"), column=5, widget="longtext", editable=False)] = None
    next_from: Annotated[Day | None, F(6, N_("Later value from"), column=6, editable=False)] = None
