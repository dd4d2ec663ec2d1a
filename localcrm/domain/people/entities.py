"""Users: one row each for the whole company, the same at every node."""

from __future__ import annotations

from typing import Annotated

from localcrm.domain.roles import Role
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Entity, F, Id, Kind, Name, Text


class User(Entity, key="user", no=1, label=N_("User"), kind=Kind.MASTER, title_field="name", order_by="login"):
    """Somebody who signs in. Made at any node; only head office grants a role."""

    login: Annotated[Name, F(1, N_("Login"), column=1, index=True, search=8)]
    name: Annotated[Name, F(2, N_("Name"), column=2, index=True, search=10)]
    password: Annotated[Text | None, F(3, N_("Password"), widget="password")] = None
    role: Annotated[Role, F(4, N_("Role"), column=3, merge="hub")] = Role.NONE
    phone: Annotated[Text | None, F(5, N_("Phone"), column=4, search=5, widget="phone")] = None
    email: Annotated[Text | None, F(6, N_("E-mail"), column=5, search=3)] = None
    branch_id: Annotated[Id | None, F(7, N_("Branch"), ref="branch", column=6)] = None
    active: Annotated[bool, F(8, N_("Active"), column=7)] = True
