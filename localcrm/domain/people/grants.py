"""Granting: what roles say, who has them, and handing over when somebody leaves.

Only administrators of head office grant (a single office is its own). A user's own rights are a role of one: the same
windows, the same rules, the same history.
"""

from __future__ import annotations

from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.options.entities import RoleOption
from localcrm.domain.people import signing
from localcrm.domain.people.entities import Department, Role, RoleField, RoleFilter, RoleRight, User, UserRole
from localcrm.domain.people.handing import pass_on
from localcrm.domain.people.rights import actor_of
from localcrm.domain.policy import Actor
from localcrm.domain.roles import BasicRole, FieldRule, Scope
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, Kind, entities, entity as entity_type
from localcrm.store.query import Record
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

_USER, _ROLE, _RIGHT, _FIELD = User.entity_type, Role.entity_type, RoleRight.entity_type, RoleField.entity_type
_USER_ROLE, _DEPARTMENT, _FILTER = UserRole.entity_type, Department.entity_type, RoleFilter.entity_type
#: What a role says: it is copied and deleted with the role.
_OF_A_ROLE = (_RIGHT, _FIELD, _FILTER, RoleOption.entity_type)
#: Takes a right away, where a scope is asked for.
NO_SCOPE = "none"


# verbs for scripts: by login and name -----------------------------------------------------------------------------------


def set_rights(
    uow: UnitOfWork,
    actor: Actor,
    *,
    login: str,
    entity: str,
    actions: list[str],
    scope: str | dict[str, str] = Scope.ALL.value,
    departments: list[str] | None = None,
) -> dict[str, Any]:
    """A user's own rights on a kind of record: exactly these actions, no others. ``scope`` is one for all, or one per action.

    ``departments`` names them by id, code or name, for the scope "departments". Returns {login, entity, rights: {action: scope}}.
    """
    _require_office_admin(uow, actor)
    kind, user = entity_type(entity), user_by_login(uow, login)
    scopes = {action: scope if isinstance(scope, str) else scope.get(action, Scope.ALL.value) for action in dict.fromkeys(actions)}
    role = own_role(uow, actor, user)
    for action in policy.actions_of(kind):
        if action not in scopes:
            set_role_right(uow, actor, role_id=role["id"], entity=entity, action=action, scope=NO_SCOPE)
    for action, wish in scopes.items():
        set_role_right(uow, actor, role_id=role["id"], entity=entity, action=action, scope=wish, departments=departments)
    given = {right["action"]: right["scope"] for right in uow.where(_RIGHT, role_id=role["id"], entity=entity)}
    return {"login": login, "entity": entity, "rights": given}


def set_field_rule(uow: UnitOfWork, actor: Actor, *, login: str, entity: str, field: str, rule: str) -> dict[str, str]:
    """What becomes of one field for a user, whatever the roles say: editable, read_only, masked or hidden."""
    _require_office_admin(uow, actor)
    role = own_role(uow, actor, user_by_login(uow, login))
    return {"login": login, **set_role_field(uow, actor, role_id=role["id"], entity=entity, field=field, rule=rule)}


def set_limits(uow: UnitOfWork, actor: Actor, *, login: str, entity: str, allowed: list[str]) -> dict[str, Any]:
    """The only records of a kind, such as warehouses, a user deals with, by id, code or name; none lifts the limit of his own rights."""
    _require_office_admin(uow, actor)
    role = own_role(uow, actor, user_by_login(uow, login))
    return {"login": login, **set_role_limits(uow, actor, role_id=role["id"], entity=entity, allowed=allowed)}


def set_departments(uow: UnitOfWork, actor: Actor, *, login: str, departments: list[str]) -> dict[str, Any]:
    """The further departments a user works in besides his own, by id, code or name: exactly these. Returns {login, departments}."""
    _require_office_admin(uow, actor)
    user = user_by_login(uow, login)
    chosen = [one for one in _named(uow, _DEPARTMENT, departments, field="departments") if one != user["department_id"]]
    uow.update(_USER, user["id"], {"departments": " ".join(chosen) or None})
    return {"login": login, "departments": chosen}


def own_rights(uow: UnitOfWork, actor: Actor, *, login: str) -> Record:
    """The role that holds a user's own rights; made when there is none yet."""
    _require_office_admin(uow, actor)
    return own_role(uow, actor, user_by_login(uow, login))


def assign_role(uow: UnitOfWork, actor: Actor, *, login: str, role: str) -> dict[str, Any]:
    """Give a user a role, named by its name or id; returns {login, roles}."""
    _require_office_admin(uow, actor)
    user, wanted = user_by_login(uow, login), _role(uow, role)
    if not uow.where(_USER_ROLE, user_id=user["id"], role_id=wanted["id"]):
        uow.insert(_USER_ROLE, {"user_id": user["id"], "role_id": wanted["id"]})
    return {"login": login, "roles": roles_of(uow, user["id"])}


def unassign_role(uow: UnitOfWork, actor: Actor, *, login: str, role: str) -> dict[str, Any]:
    """Take a role from a user; returns {login, roles}."""
    _require_office_admin(uow, actor)
    user, wanted = user_by_login(uow, login), _role(uow, role)
    for row in uow.where(_USER_ROLE, user_id=user["id"], role_id=wanted["id"]):
        uow.set_deleted(_USER_ROLE, row["id"], deleted=True)
    return {"login": login, "roles": roles_of(uow, user["id"])}


def set_roles(uow: UnitOfWork, actor: Actor, *, login: str, roles: list[str]) -> dict[str, Any]:
    """The roles of a user, by name or id: exactly these. Returns {login, roles}."""
    _require_office_admin(uow, actor)
    user, wanted = user_by_login(uow, login), {_role(uow, role)["id"] for role in roles}
    held = uow.where(_USER_ROLE, user_id=user["id"])
    for row in held:
        if row["role_id"] not in wanted:
            uow.set_deleted(_USER_ROLE, row["id"], deleted=True)
    for role_id in sorted(wanted - {row["role_id"] for row in held}):
        uow.insert(_USER_ROLE, {"user_id": user["id"], "role_id": role_id})
    return {"login": login, "roles": roles_of(uow, user["id"])}


def sign_rights(uow: UnitOfWork, actor: Actor) -> dict[str, int]:
    """Sign roles and rights as they stand in the tables, also where somebody changed them by hand; returns {number}."""
    _require_office_admin(uow, actor)
    return {"number": signing.sign_anew(uow)}


# verbs for the windows: by role ------------------------------------------------------------------------------------------


def set_role_right(
    uow: UnitOfWork, actor: Actor, *, role_id: RecordId, entity: str, action: str, scope: str, departments: list[str] | None = None
) -> dict[str, Any]:
    """What a role may do with a kind of record, and whose records it reaches; scope "none" takes the right away."""
    _require_office_admin(uow, actor)
    kind, role = entity_type(entity), uow.get(_ROLE, role_id)
    if kind.parent:
        document = entity_type(kind.fields[kind.parent].f.ref or "")
        raise Refused(
            "line_rights", N_("“{entity}” goes with “{document}”; set the rights there."), entity=kind.label, document=document.label
        )
    if action not in policy.actions_of(kind):
        raise InvalidInput(
            "unknown_action", N_("“{entity}” has no action “{action}”."), entity=kind.label, action=action[:60], field="action"
        )
    existing = uow.where(_RIGHT, role_id=role["id"], entity=entity, action=action)
    if scope == NO_SCOPE:
        for right in existing:
            uow.set_deleted(_RIGHT, right["id"], deleted=True)
        return {"entity": entity, "action": action, "scope": NO_SCOPE}
    values = _RIGHT.validate(
        {
            "role_id": role["id"],
            "entity": entity,
            "action": action,
            "scope": _scope(kind, scope),
            "departments": _departments(uow, departments) if scope == Scope.DEPARTMENTS else None,
        }
    )
    if existing:
        uow.update(_RIGHT, existing[0]["id"], values)
    else:
        uow.insert(_RIGHT, values)
    return {"entity": entity, "action": action, "scope": str(values["scope"])}


def set_role_field(
    uow: UnitOfWork, actor: Actor, *, role_id: RecordId, entity: str, field: str, rule: str, strict: bool = False
) -> dict[str, str]:
    """What becomes of one field for a role; "editable" forgets the rule. ``strict``: no other role of a user lifts it."""
    _require_office_admin(uow, actor)
    kind, role = entity_type(entity), uow.get(_ROLE, role_id)
    column = kind.field(field)
    if rule in {FieldRule.HIDDEN, FieldRule.MASKED} and field == kind.title_field:
        raise Refused(
            "title_field",
            N_("“{label}” names the record and cannot be hidden. Take away the right to look at “{entity}” instead."),
            label=column.label,
            entity=kind.label,
        )
    values = _FIELD.validate({"role_id": role["id"], "entity": entity, "field": field, "rule": rule, "strict": strict})
    existing = uow.where(_FIELD, role_id=role["id"], entity=entity, field=field)
    if rule == FieldRule.EDITABLE:
        for row in existing:
            uow.set_deleted(_FIELD, row["id"], deleted=True)
    elif existing:
        uow.update(_FIELD, existing[0]["id"], values)
    else:
        uow.insert(_FIELD, values)
    return {"entity": entity, "field": field, "rule": rule}


def set_role_limits(uow: UnitOfWork, actor: Actor, *, role_id: RecordId, entity: str, allowed: list[str]) -> dict[str, Any]:
    """The only records of a kind, such as warehouses, that whoever has a role deals with; an empty list limits nothing."""
    _require_office_admin(uow, actor)
    kind, role = entity_type(entity), uow.get(_ROLE, role_id)
    if entity not in policy.LIMITING:
        raise Refused("not_limiting", N_("Roles are not limited to single records of the kind “{entity}”."), entity=kind.label)
    wanted = _named(uow, kind, allowed, field="allowed")
    known = {row["allowed"]: row["id"] for row in uow.where(_FILTER, role_id=role["id"], entity=entity)}
    for record in known.keys() - set(wanted):
        uow.set_deleted(_FILTER, known[record], deleted=True)
    for record in wanted:
        if record not in known:
            uow.insert(_FILTER, _FILTER.validate({"role_id": role["id"], "entity": entity, "allowed": record}))
    return {"entity": entity, "allowed": wanted}


def copy_role(uow: UnitOfWork, actor: Actor, *, role_id: RecordId, name: str) -> Record:
    """A new role with everything another one says; returns it."""
    _require_office_admin(uow, actor)
    source = uow.get(_ROLE, role_id)
    copy = records.create_record(uow, actor, entity="role", values={"name": name, "remark": source["remark"]})
    for kind in _OF_A_ROLE:
        for row in uow.where(kind, role_id=source["id"]):
            uow.insert(kind, {**{key: row[key] for key in kind.fields}, "role_id": copy["id"]})
    return copy


def delete_role(uow: UnitOfWork, actor: Actor, *, role_id: RecordId) -> dict[str, str]:
    """Delete a role that nobody has; refused, with the number, while somebody does."""
    _require_office_admin(uow, actor)
    users = uow.where(_USER_ROLE, role_id=role_id)
    if users:
        raise Refused("role_in_use", N_("{count} users have this role. Take it from them first; nothing was deleted."), count=len(users))
    for kind in _OF_A_ROLE:
        for row in uow.where(kind, role_id=role_id):
            uow.set_deleted(kind, row["id"], deleted=True)
    return records.delete_record(uow, actor, entity="role", id=role_id)


def hand_over(uow: UnitOfWork, actor: Actor, *, login: str, to: str, disable: bool = False) -> dict[str, Any]:
    """Everything a user owns that is still alive goes to somebody else: customers, drafts. Posted documents keep who sold them.

    Returns {login, to, moved: {entity: count}, left: {entity: count}}; ``left`` are drafts that only another branch can change.
    """
    policy.require_admin(actor)
    source, target = user_by_login(uow, login), user_by_login(uow, to)
    if source["id"] == target["id"]:
        raise InvalidInput("same_user", N_("Choose somebody else to hand over to."), field="to")
    if not target["active"]:
        raise Refused("user_disabled", N_("{name} no longer works here and cannot take anything over."), name=target["name"])
    moved: dict[str, int] = {}
    left: dict[str, int] = {}
    for kind in entities():
        if kind.owner is None or kind.owner not in kind.fields:
            continue
        alive = {"status": "draft"} if kind.kind is Kind.DOCUMENT else {}
        found = uow.where(kind, **{kind.owner: source["id"]}, **alive)
        went, stayed = pass_on(uow, actor, kind, found, target["id"], has_left=disable)
        moved |= {kind.key: went} if went else {}
        left |= {kind.key: stayed} if stayed else {}
    if disable:
        records.update_record(uow, actor, entity="user", id=source["id"], values={"active": False})
    return {"login": login, "to": to, "moved": moved, "left": left}


def who_sees(store: Store, actor: Actor, *, entity: str, id: str) -> list[dict[str, Any]]:
    """Who may see a record and change it, and why not: [{login, name, sees, changes, because}], those who see it first.

    Not a verb: it asks for every user, and a verb would keep others from saving as long.
    """
    policy.require_admin(actor)
    kind, identity = entity_type(entity), parse_id(id)
    told = []
    with store.read() as connection:
        granted = signing.granted(store, connection)
        for user, login, name in connection.all('SELECT id, login, name FROM "user" WHERE deleted = 0 AND active = 1 ORDER BY login'):
            one = actor_of(connection, store.node, granted, user_id=user.hex(), login=login, name=name)
            sees = policy.visible(connection, one, kind, identity)
            changes = sees and policy.visible(connection, one, kind, identity, action="update")
            because = gettext(_because(one, kind, sees=sees))
            told.append({"login": one.login, "name": one.name, "sees": sees, "changes": changes, "because": because})
    return sorted(told, key=lambda row: not row["sees"])


def _because(actor: Actor, kind: EntityType, *, sees: bool) -> str:
    if actor.is_admin:
        return N_("administrator")
    reached = policy.reach(actor, f"{kind.key}.read")
    if reached is None:
        return N_("no right to look at records of this kind")
    if kind.under:
        return N_("sees what it belongs to") if sees else N_("does not see what it belongs to")
    if not sees and policy.limits(actor):
        return N_("beyond what the roles are limited to, or beyond their reach")
    if reached.everything:
        return N_("sees all of them")
    return N_("within reach of a role") if sees else N_("beyond the reach of every role")


# helpers ---------------------------------------------------------------------------------------------------------------


def own_role(uow: UnitOfWork, actor: Actor, user: Record) -> Record:
    """The role that holds a user's own rights; made when there is none yet."""
    _require_office_admin(uow, actor)
    found = uow.where(_ROLE, user_id=user["id"])
    if found:
        return found[0]
    return uow.get(_ROLE, uow.insert(_ROLE, _ROLE.validate({"name": user["name"], "user_id": user["id"]})))


def roles_of(uow: UnitOfWork, user_id: str) -> list[str]:
    """Names of the roles a user has."""
    found = [uow.find(_ROLE, row["role_id"]) for row in uow.where(_USER_ROLE, user_id=user_id)]
    return sorted(role["name"] for role in found if role)


def user_by_login(uow: UnitOfWork, login: str, *, actor: Actor | None = None) -> Record:
    """The user with this login, of two with the same one the actor; raises InvalidInput."""
    found = uow.where(_USER, login=login)
    if not found:
        raise InvalidInput("no_such_user", N_("There is no user “{login}”."), login=login[:60])
    return next((user for user in found if actor is not None and user["id"] == actor.user_id), found[0])


def _role(uow: UnitOfWork, wish: str) -> Record:
    named = [role for role in uow.where(_ROLE, name=wish) if role["user_id"] is None]
    if len(named) == 1:
        return named[0]
    try:
        role = uow.find(_ROLE, parse_id(wish))
    except InvalidInput:
        role = None
    if role is None or role["user_id"]:
        raise NotFound("no_such_role", N_("There is no role “{role}”."), role=wish[:60])
    return role


def _scope(kind: EntityType, wish: str) -> Scope:
    """The scope that a wish means for a kind of record; what is seen with another record has none of its own."""
    try:
        scope = Scope(wish)
    except ValueError:
        raise InvalidInput("unknown_scope", N_("There is no scope “{scope}”."), scope=wish[:60], field="scope") from None
    possible = policy.scopes_of(kind)
    if kind.under:
        return Scope.ALL
    if scope not in possible:
        names = gettext(N_(", ")).join(gettext(one.label) for one in possible)
        raise Refused(
            "scope_without_owner",
            N_("Records of the kind “{entity}” belong to nobody in particular; possible scopes: {scopes}."),
            entity=kind.label,
            scopes=names,
        )
    return scope


def _departments(uow: UnitOfWork, wishes: list[str] | None) -> str:
    chosen = _named(uow, _DEPARTMENT, wishes or [], field="departments")
    if not chosen:
        raise InvalidInput("no_departments", N_("Choose at least one department."), field="departments")
    return " ".join(chosen)


def _named(uow: UnitOfWork, kind: EntityType, wishes: list[str], *, field: str) -> list[str]:
    """Ids of records named by id, code or title, each once, in order."""
    known = uow.where(kind)
    chosen = set()
    for wish in wishes:
        found = [one["id"] for one in known if wish in {one["id"], one.get("code"), one[kind.title_field]}]
        if len(found) != 1:
            raise InvalidInput(f"no_such_{kind.key}", N_("{entity}: there is no “{name}”."), entity=kind.label, name=wish[:60], field=field)
        chosen.add(found[0])
    return sorted(chosen)


def _require_office_admin(uow: UnitOfWork, actor: Actor) -> None:
    policy.require_admin(actor)
    if not uow.node.is_office:
        raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=_ROLE.label)


# rules of the records themselves --------------------------------------------------------------------------------------------


def check_role(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Names of roles are unique, or scripts could not name them; only administrators touch them."""
    _require_office_admin(uow, actor)
    twins = [role for role in uow.where(_ROLE, name=new["name"]) if role["user_id"] is None and (old is None or role["id"] != old["id"])]
    if twins:
        raise InvalidInput("name_taken", N_("There is already a role “{name}”."), name=new["name"], field="name")


def check_department(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """A department is not above itself. Its place decides about sight, so only administrators say it."""
    policy.require_admin(actor)
    if old is None:
        return
    if new is not old:
        _refuse_circle(uow, _DEPARTMENT, "parent_id", old["id"], new["parent_id"])
    elif users := [user for user in uow.where(_USER) if old["id"] in (user["departments"] or "").split()]:
        raise Refused(
            "referenced",
            N_("“{title}” is still in use ({users}) and was not deleted."),
            title=old["name"],
            users=f"{_USER.label} {len(users)}",
        )


def check_superior(uow: UnitOfWork, new: dict[str, Any], old: Record) -> None:
    """Nobody is above himself."""
    _refuse_circle(uow, _USER, "superior_id", old["id"], new["superior_id"])


def _refuse_circle(uow: UnitOfWork, kind: EntityType, key: str, start: str, above: str | None) -> None:
    seen: set[str] = set()
    while above is not None and above not in seen:
        if above == start:
            raise Refused(
                "circle", N_("{label}: this would go round in a circle. Nothing was changed."), label=kind.fields[key].label, field=key
            )
        seen.add(above)
        record = uow.find(kind, above)
        above = record[key] if record else None


def check_guarded(actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Who may manage users may not thereby grant rights, nor take over an account by its password."""
    if actor.is_admin:
        return
    for field in signing.HUB_FIELDS:  # they decide what somebody may see
        if new[field.key] != (field.default if old is None else old[field.key]):
            policy.require_admin(actor)
    if old is not None and old["id"] != actor.user_id and (new["password"] != old["password"] or old["role"] == BasicRole.ADMIN):
        policy.require_admin(actor)


BEHAVIOURS = {"role": records.Behaviour(check=check_role, distinct=("name",)), "department": records.Behaviour(check=check_department)}
VERBS = (
    Verb(set_rights, N_("Set a user's own rights")),
    Verb(set_limits, N_("Limit a user to certain warehouses or money accounts")),
    Verb(set_departments, N_("Set a user's further departments")),
    Verb(own_rights, N_("Open a user's own rights")),
    Verb(set_field_rule, N_("Set what a user may do with a field")),
    Verb(assign_role, N_("Give a user a role")),
    Verb(unassign_role, N_("Take a role from a user")),
    Verb(set_roles, N_("Set the roles of a user")),
    Verb(set_role_right, N_("Set a right of a role")),
    Verb(set_role_field, N_("Set what a role may do with a field")),
    Verb(set_role_limits, N_("Limit a role to certain warehouses or money accounts")),
    Verb(copy_role, N_("Copy a role")),
    Verb(delete_role, N_("Delete a role")),
    Verb(sign_rights, N_("Sign roles and rights as they stand")),
    Verb(hand_over, N_("Hand over a user's records")),
)
