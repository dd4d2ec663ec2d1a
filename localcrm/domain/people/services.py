"""Users: signing in, passwords, roles."""

from __future__ import annotations

from typing import Any

from localcrm.domain.options.company import company_number
from localcrm.domain.people import accounts, grants, sharing, signing
from localcrm.domain.people.entities import User
from localcrm.domain.people.passwords import password_hash, password_matches
from localcrm.domain.people.rights import actor_of
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record
from localcrm.domain.roles import BasicRole
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import Forbidden, InvalidInput, Refused, SignInNeeded
from localcrm.kernel.i18n import N_
from localcrm.store.query import Record
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

#: No company may ask for less (see the option "password_length").
MIN_PASSWORD = 8
#: No password has this hash; it is compared with when nobody has the login, so that the answer takes as long.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$" + "A" * 22 + "$" + "A" * 43
_USER = User.entity_type


def check_password_strength(password: str, *, shortest: int = MIN_PASSWORD) -> None:
    """Refuse an empty, short or trivial password."""
    if len(password) < shortest or len(set(password)) < 4:
        raise InvalidInput(
            "weak_password",
            N_("The password is too weak: at least {length} characters, not all the same. Nothing was changed."),
            length=shortest,
            field="password",
        )


def _shortest(uow: UnitOfWork) -> int:
    return company_number(uow.connection, uow.node, "password_length")


def prepare_user(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """Only the hash of a password is ever stored; an empty password field means no change."""
    filled = dict(values)
    password = filled.pop("password", None)
    if password:
        check_password_strength(password, shortest=_shortest(uow))
        filled["password"] = password_hash(password)
    return filled


def check_user(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Logins are unique; nobody is above himself; the last administrator stays one."""
    grants.check_guarded(actor, new, old)
    if old is not None and (new is old or old["deleted"] or accounts.is_changed(new, old)):
        accounts.require_at_home(uow, old)
    if old is not None and new is not old:
        grants.check_superior(uow, new, old)
    twins = [user for user in uow.where(_USER, login=new["login"]) if old is None or user["id"] != old["id"]]
    if twins:
        raise InvalidInput("login_taken", N_("The login “{login}” is already in use."), login=new["login"], field="login")
    was_admin = old is not None and old["role"] == BasicRole.ADMIN and old["active"]
    stays_admin = new["role"] == BasicRole.ADMIN and new["active"] and new is not old
    if old is not None and was_admin and not stays_admin:
        others = [user for user in uow.where(_USER, role=BasicRole.ADMIN, active=True) if user["id"] != old["id"]]
        if not others:
            raise Refused("last_admin", N_("This is the last administrator; the role stays. Appoint another one first."))


def set_password(uow: UnitOfWork, actor: Actor, *, login: str, password: str, old_password: str | None = None) -> dict[str, str]:
    """Set a password: one's own with the old one, anybody's as administrator."""
    if not actor.is_admin and login != actor.login:  # before anything is looked up: which logins there are is not told
        raise Forbidden("forbidden", N_("Only an administrator may set somebody else's password."))
    user = grants.user_by_login(uow, login, actor=actor)
    own = actor.user_id == user["id"]
    if own and not password_matches(old_password or "", user["password"] or ""):
        raise InvalidInput("wrong_password", N_("The old password is wrong. Nothing was changed."), field="old_password")
    accounts.require_at_home(uow, user)
    check_password_strength(password, shortest=_shortest(uow))
    uow.update(_USER, user["id"], {"password": password_hash(password)})
    return {"id": user["id"]}


def create_administrator(uow: UnitOfWork, actor: Actor, *, login: str, name: str, password: str) -> Record:
    """The first administrator of a new company; a password is required, as everywhere."""
    check_password_strength(password)
    return create_record(uow, actor, entity="user", values={"login": login, "name": name, "password": password, "role": BasicRole.ADMIN})


def authenticate(store: Store, login: str, password: str) -> Actor:
    """Who this is; raises SignInNeeded for a wrong login or password (never telling which) or a user without rights."""
    with store.read() as connection:
        # Two branches may have given one login apart: the password tells who of them it is. Whom head office has given a role comes
        # first, so that nobody is crowded out by others of his login.
        rows = connection.all(
            """SELECT id, password FROM "user" WHERE login = ? AND deleted = 0 AND active = 1 ORDER BY role = ?, id LIMIT 10""",
            (login.strip(), BasicRole.NONE.value),
        )
    row = next((row for row in rows or [(_NOBODY,)] if password_matches(password, row[-1] or _NOBODY)), None)
    if row is None:
        raise SignInNeeded("bad_credentials", N_("Wrong login or password."))
    actor = actor_by_id(store, row[0].hex())
    if actor is None:
        raise SignInNeeded("no_rights", N_("This user has no rights yet. Head office must grant them."))
    return actor


def actor_by_id(store: Store, user_id: str) -> Actor | None:
    """The actor a session belongs to, as of now; None when disabled, deleted or without rights."""
    with store.read() as connection:
        row = connection.one('SELECT login, name FROM "user" WHERE id = ? AND deleted = 0 AND active = 1', (bytes.fromhex(user_id),))
        if row is None:
            return None
        actor = actor_of(connection, store.node, signing.granted(store, connection), user_id=user_id, login=row[0], name=row[1])
    return actor if actor.is_admin or (actor.rights and actor.rights.reaches) else None


BEHAVIOURS = {"user": Behaviour(prepare=prepare_user, check=check_user, distinct=("login",)), **grants.BEHAVIOURS}
VERBS = (Verb(set_password, N_("Set a password")), *grants.VERBS, *sharing.VERBS)
