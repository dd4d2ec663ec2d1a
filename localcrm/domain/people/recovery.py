"""A forgotten password where nobody above can help: an administrator's recovery code, printed once, good once.

A code has 155 random bits, so its plain hash is as good a lock as a slow one, and comparing it costs nobody anything.
"""

from __future__ import annotations

import hashlib
import hmac

from localcrm.domain import policy
from localcrm.domain.people.entities import User
from localcrm.domain.people.passwords import password_hash
from localcrm.domain.people.services import authenticate, check_password_strength
from localcrm.domain.people.sessions import close_sessions_of, log_event, one_guess
from localcrm.domain.policy import Actor
from localcrm.kernel.codes import new_recovery_code, read_recovery_code
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

_USER = User.entity_type


def first_code(store: Store, user_id: str) -> str:
    """The code of a new company's administrator, to be shown once."""
    code = new_recovery_code()
    with store.housekeeping() as connection:
        connection.execute(*_kept(store, user_id, code))
    return code


def renew_code(store: Store, actor: Actor, *, password: str) -> str:
    """A new code for an administrator who gives his password; the old one is worth nothing from now on.

    Raises Forbidden, Refused(office_only), SignInNeeded(bad_credentials, too_many_tries).
    """
    policy.require_acting(actor)
    policy.require_admin(actor)
    _require_office(store)
    with one_guess(store, actor.login):
        proven = authenticate(store, actor.login, password)
    code = first_code(store, proven.user_id or "")
    log_event(store, "recovery_code", user_id=proven.user_id)
    return code


def recover(store: Store, *, login: str, code: str, password: str) -> str:
    """Set a forgotten password with the recovery code; returns the next code, to be shown once. All sessions of the user end.

    Raises InvalidInput(weak_password, recovery_code_mistyped, wrong_recovery_code), Refused(office_only, user_disabled),
    SignInNeeded(too_many_tries).
    """
    _require_office(store)
    check_password_strength(password)
    with one_guess(store, login, "reset_failed"):
        user_id = _owner(store, login, code)
    hashed, following = password_hash(password), new_recovery_code()
    with store.unit_of_work(user_id) as uow:
        replace_password(uow, user_id, hashed)
        uow.connection.execute(*_kept(store, user_id, following))
        uow.log("password_recovered")
    close_sessions_of(store, user_id)
    return following


def replace_password(uow: UnitOfWork, user_id: str, hashed: str) -> None:
    """Write the new password of somebody who proved otherwise who he is; Refused(user_disabled) for one who may not sign in."""
    user = uow.get(_USER, user_id)
    if not user["active"]:
        raise Refused("user_disabled", N_("{name} has been disabled and cannot sign in. Nothing was changed."), name=user["name"])
    uow.update(_USER, user_id, {"password": hashed})


def _owner(store: Store, login: str, code: str) -> str:
    """Whose code this is; the same answer for a wrong login, a wrong code and a user without one."""
    text = read_recovery_code(code)
    if text is None:
        raise InvalidInput(
            "recovery_code_mistyped",
            N_("The recovery code is mistyped: it has eight groups of four characters. Check it and type it again."),
            field="code",
        )
    with store.read() as connection:
        rows = connection.all(
            "SELECT code_hash, user_id FROM password_recovery WHERE user_id IN (SELECT id FROM user WHERE login = ? AND deleted = 0)",
            (login.strip(),),
        )
    for kept, user_id in rows:
        if hmac.compare_digest(kept, _hash(text)):
            return str(user_id.hex())
    raise InvalidInput(
        "wrong_recovery_code",
        N_("This is not the recovery code of this administrator. Look for the sheet that was printed last; older ones no longer count."),
        field="code",
    )


def _kept(store: Store, user_id: str, code: str) -> tuple[str, tuple[bytes, bytes, int]]:
    """The statement that keeps a code, which ends the one before."""
    statement = "INSERT OR REPLACE INTO password_recovery(user_id, code_hash, made) VALUES (?, ?, ?)"
    return statement, (bytes.fromhex(user_id), _hash(read_recovery_code(code) or ""), store.clock.now_ms())


def _hash(text: str) -> bytes:
    return hashlib.sha256(b"localcrm administrator\0" + text.encode()).digest()


def _require_office(store: Store) -> None:
    if not store.node.is_office:
        raise Refused("ask_head_office", N_("At a branch, head office answers for a forgotten password. Ask it there."))
