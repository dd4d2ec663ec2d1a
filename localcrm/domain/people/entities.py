"""Users, the departments they work in, and the roles that say what they may do."""

from typing import Annotated

from localcrm.domain.roles import BasicRole, FieldRule, Scope, ShareLevel
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Day, Entity, F, Id, Kind, LongText, Name, Text


class User(Entity, key="user", no=1, label=N_("User"), kind=Kind.MASTER, title_field="name", owner="id", order_by="login"):
    """Somebody who signs in. Made at any node; only head office grants rights and says where somebody belongs."""

    login: Annotated[Name, F(1, N_("Login"), column=1, index=True, search=8)]
    name: Annotated[Name, F(2, N_("Name"), column=2, index=True, search=10)]
    password: Annotated[Text | None, F(3, N_("Password"), widget="password")] = None
    role: Annotated[BasicRole, F(4, N_("Basic role"), column=3, merge="hub")] = BasicRole.NONE
    phone: Annotated[Text | None, F(5, N_("Phone"), column=6, search=5, widget="phone")] = None
    email: Annotated[Text | None, F(6, N_("E-mail"), search=3, widget="email")] = None
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=7, merge="hub")] = None
    active: Annotated[bool, F(8, N_("Active"), column=8)] = True
    department_id: Annotated[Id | None, F(9, N_("Department"), ref="department", column=4, merge="hub")] = None
    superior_id: Annotated[Id | None, F(10, N_("Superior"), ref="user", column=5, merge="hub")] = None
    extension: Annotated[Text | None, F(11, N_("Extension"))] = None
    hired_on: Annotated[Day | None, F(12, N_("Hired on"), section=N_("Details"))] = None
    left_on: Annotated[Day | None, F(13, N_("Left on"), section=N_("Details"))] = None
    departments: Annotated[
        LongText | None, F(14, N_("Further departments"), refs="department", merge="hub", section=N_("Details"), editable=False)
    ] = None


class Department(Entity, key="department", no=4, label=N_("Department"), kind=Kind.HUB, title_field="name", order_by="position"):
    """A part of the company; departments form a tree."""

    name: Annotated[Name, F(1, N_("Name"), column=1, search=10)]
    code: Annotated[Text | None, F(2, N_("Code"), column=2, search=8)] = None
    parent_id: Annotated[Id | None, F(3, N_("Higher department"), ref="department", column=3)] = None
    manager_id: Annotated[Id | None, F(4, N_("Manager"), ref="user", column=4)] = None
    position: Annotated[int, F(5, N_("Sort order"), column=5, index=True)] = 0


class Role(Entity, key="role", no=5, label=N_("Role"), kind=Kind.HUB, title_field="name", order_by="name"):
    """A bundle of rights that users are given. ``user_id`` names the one user whose own rights these are."""

    name: Annotated[Name, F(1, N_("Name"), column=1, index=True, search=10)]
    remark: Annotated[LongText | None, F(2, N_("Remark"), column=2, widget="longtext")] = None
    user_id: Annotated[Id | None, F(3, N_("Own rights of"), ref="user", editable=False)] = None


class RoleRight(Entity, key="role_right", no=6, label=N_("Right"), kind=Kind.HUB, title_field="action", by_hand=False):
    """One action on one kind of record, and whose records it reaches."""

    role_id: Annotated[Id, F(1, N_("Role"), ref="role", editable=False)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=1, editable=False)]
    action: Annotated[Text, F(3, N_("Action"), column=2, editable=False)]
    scope: Annotated[Scope, F(4, N_("Scope"), column=3, editable=False)] = Scope.ALL
    departments: Annotated[LongText | None, F(5, N_("Chosen departments"), refs="department", widget="longtext", editable=False)] = None


class RoleField(Entity, key="role_field", no=7, label=N_("Field rule"), kind=Kind.HUB, title_field="field", by_hand=False):
    """What becomes of one field. ``strict``: no other role of the user lifts it."""

    role_id: Annotated[Id, F(1, N_("Role"), ref="role", editable=False)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=1, editable=False)]
    field: Annotated[Text, F(3, N_("Field"), column=2, editable=False)]
    rule: Annotated[FieldRule, F(4, N_("Rule"), column=3, editable=False)] = FieldRule.HIDDEN
    strict: Annotated[bool, F(5, N_("No other role lifts it"), column=4, editable=False)] = False


class RoleFilter(Entity, key="role_filter", no=18, label=N_("Limit of a role"), kind=Kind.HUB, title_field="entity", by_hand=False):
    """One of the records, such as warehouses, that a role is limited to; without any of a kind it is not limited in them."""

    role_id: Annotated[Id, F(1, N_("Role"), ref="role", column=1, editable=False)]
    entity: Annotated[Text, F(2, N_("Kind of record"), column=2, editable=False)]
    allowed: Annotated[Text, F(3, N_("Allowed record"), column=3, index=True, editable=False)]


class UserRole(Entity, key="user_role", no=8, label=N_("Role of a user"), kind=Kind.HUB, title_field="remark", by_hand=False):
    """That a user has a role."""

    user_id: Annotated[Id, F(1, N_("User"), ref="user", column=1, editable=False)]
    role_id: Annotated[Id, F(2, N_("Role"), ref="role", column=2, editable=False)]
    remark: Annotated[Text | None, F(3, N_("Remark"), column=3, editable=False)] = None


class Policy(
    Entity, key="policy", no=17, label=N_("Signed rights"), kind=Kind.HUB, title_field="digest", order_by="-number", by_hand=False
):
    """What head office has signed of everything that decides about rights; ``number`` rises with every change of them."""

    number: Annotated[int, F(1, N_("Version"), column=1, index=True, editable=False)]
    digest: Annotated[Text, F(2, N_("Digest"), column=2, editable=False)]
    signature: Annotated[Text, F(3, N_("Signature"), editable=False)]


class Share(Entity, key="share", no=9, label=N_("Share"), kind=Kind.MASTER, title_field="record", by_hand=False, about=True):
    """That somebody who has the right to look at a kind of record sees this one too, and what is seen with it.

    ``without``: kinds of records that are not, though they could be (``EntityType.seen_with``).
    """

    entity: Annotated[Text, F(1, N_("Kind of record"), column=1, editable=False)]
    record: Annotated[Text, F(2, N_("Record"), index=True, editable=False)]
    user_id: Annotated[Id | None, F(3, N_("User"), ref="user", column=2, editable=False)] = None
    department_id: Annotated[Id | None, F(4, N_("Department"), ref="department", column=3, editable=False)] = None
    branch_id: Annotated[Id | None, F(5, N_("Branch"), ref="branch", column=4, editable=False)] = None
    level: Annotated[ShareLevel, F(6, N_("Shared to"), column=5, editable=False)] = ShareLevel.READ
    until: Annotated[Day | None, F(7, N_("Until"), column=6, editable=False)] = None
    shared_by: Annotated[Id | None, F(8, N_("Shared by"), ref="user", column=7, editable=False)] = None
    without: Annotated[LongText | None, F(9, N_("Not shared along"), editable=False)] = None
    reason: Annotated[Text | None, F(10, N_("Reason"), column=8, editable=False)] = None
