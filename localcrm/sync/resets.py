"""A forgotten password at a branch without a network: a question that is read out, an answer signed by head office.

The branch asks with a short code: its number, who it is for, a counter, a nonce. An administrator at head office sees in words
who asks and signs; the answer names the branch, who answered and until when, and is good once, for that user, there. Whether somebody
exists is told to nobody: every login gets a question, and every wrong answer the same refusal. Times are Unix milliseconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import msgspec

from localcrm.domain import policy
from localcrm.domain.people import accounts
from localcrm.domain.people.passwords import password_hash
from localcrm.domain.people.recovery import replace_password
from localcrm.domain.people.services import check_password_strength
from localcrm.domain.people.sessions import brake, close_sessions_of, log_event, one_guess
from localcrm.kernel.codes import read_code, write_code
from localcrm.kernel.errors import InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.node import OFFICE_NO
from localcrm.store.signatures import has_signed, sign_keys
from localcrm.sync.identity import NodeKeys

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

ANSWER_HOURS = 24
_MINUTE, _DAY = 60_000, 86_400_000
#: Questions are remembered this long, and this many of them, so that a late or repeated answer can be told what it is.
_KEPT_MS, _KEPT = 30 * _DAY, 200
#: The new password may come with a stick, long after it was chosen.
_EXPECTED_MS = 60 * _DAY
_TAG, _NONCE, _SIGNATURE = 5, 6, 64
_QUESTION_BYTES, _ANSWER_BYTES = 15, 75


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, as head office knows it."""

    user_id: str
    login: str
    name: str
    node_no: int
    branch: str
    branch_name: str
    counter: int
    nonce: bytes


class Answer(NamedTuple):
    """A signed answer: five rows to type or copy, and until when it holds."""

    code: str
    expires: int


# at the branch ------------------------------------------------------------------------------------------------------


def ask(store: Store, *, login: str) -> str:
    """A question for whoever forgot the password of this login, known or not: one row of five groups to read out.

    Raises Refused(not_enrolled, own_office), SignInNeeded(too_many_tries).
    """
    _require_branch(store)
    nonce, node, now = os.urandom(_NONCE), store.node, store.clock.now_ms()
    with store.housekeeping() as connection:
        brake(store, connection, login, "reset_asked")
        user_id = _user_of(connection, login)
        counter = int(connection.value("SELECT coalesce(max(counter), 0) + 1 FROM password_reset"))
        connection.execute("DELETE FROM password_reset WHERE asked < ? OR counter <= ?", (now - _KEPT_MS, counter - _KEPT))
        connection.execute(
            "INSERT INTO password_reset(counter, user_id, nonce, epoch, asked) VALUES (?, ?, ?, ?, ?)",
            (counter, user_id, nonce, node.epoch, now),
        )
    tag = os.urandom(_TAG) if user_id is None else _tag(user_id)
    return write_code(node.node_no.to_bytes(2) + tag + (counter & 0xFFFF).to_bytes(2) + nonce)


def is_question(code: str) -> bool:
    """Whether this has the form of a question."""
    return read_code(code, _QUESTION_BYTES) is not None


def reset_password(store: Store, *, login: str, answer: str, password: str) -> None:
    """Set a forgotten password with the answer of head office, which is used up by it; all sessions of the user end.

    Raises InvalidInput(weak_password, reset_mistyped, reset_wrong), Refused(not_enrolled, own_office, reset_other_branch, reset_used,
    reset_expired, user_disabled), SignInNeeded(too_many_tries); nothing is changed and nothing used up then.
    """
    _require_branch(store)
    check_password_strength(password)
    with one_guess(store, login, "reset_failed"):
        user_id, counter, by = _checked(store, login, answer)
    hashed = password_hash(password)
    with store.unit_of_work(user_id) as uow:
        used = uow.connection.execute(
            "UPDATE password_reset SET used = ? WHERE counter = ? AND used IS NULL", (store.clock.now_ms(), counter)
        )
        if not used.rowcount:  # by another window, between the look and this
            _refuse_used()
        replace_password(uow, user_id, hashed)
        uow.log("password_reset", by)
    close_sessions_of(store, user_id)


def _checked(store: Store, login: str, answer: str) -> tuple[str, int, str]:
    """User, question and who answered; raises as ``reset_password`` says."""
    data = read_code(answer, _ANSWER_BYTES)
    if data is None:
        raise InvalidInput(
            "reset_mistyped",
            N_("The answer is mistyped or incomplete: it has five rows of five groups. Check it and type it again."),
            field="answer",
        )
    node_no, answerer, minutes, signature = int.from_bytes(data[:2]), data[2:7], int.from_bytes(data[7:11]), data[11:]
    if node_no != store.node.node_no:
        raise Refused("reset_other_branch", N_("This answer is for another branch and does nothing here. Nothing was changed."))
    with store.read() as connection:
        user_id = _user_of(connection, login)
        asked_at = minutes * _MINUTE - ANSWER_HOURS * 3_600_000
        keys = [known.key for known in sign_keys(connection, OFFICE_NO) if asked_at <= known.learned]
        asked = connection.all(
            "SELECT counter, nonce, used FROM password_reset WHERE user_id = ? AND epoch = ?", (user_id, store.node.epoch)
        )
        by = _name_by_tag(connection, answerer)
    for counter, nonce, used in asked:
        message = _message(store.node.company_id, node_no, user_id or b"", counter & 0xFFFF, nonce, answerer, minutes)
        if any(has_signed(key, message, signature) for key in keys):
            if used is not None:
                _refuse_used()
            if minutes * _MINUTE < store.clock.now_ms():
                raise Refused(
                    "reset_expired",
                    N_("This answer has expired: it is good for {hours} hours. Ask head office for a new one."),
                    hours=ANSWER_HOURS,
                )
            return (user_id or b"").hex(), counter, by
    raise InvalidInput(
        "reset_wrong",
        N_("This answer does not fit: it was altered, or is for another user or another question. Nothing was changed."),
        field="answer",
    )


# at head office -----------------------------------------------------------------------------------------------------


def look_at_question(store: Store, actor: Actor, code: str) -> Question:
    """Who asks; nothing is changed. Raises Forbidden, InvalidInput(question_mistyped), NotFound(unknown_branch, unknown_asker),
    Refused(not_office, branch_closed, user_disabled).
    """
    policy.require_admin(actor)
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    data = read_code(code, _QUESTION_BYTES)
    if data is None:
        raise InvalidInput(
            "question_mistyped", N_("The code is mistyped or incomplete: it has five groups of five characters."), field="question"
        )
    node_no, tag, counter, nonce = int.from_bytes(data[:2]), data[2:7], int.from_bytes(data[7:9]), data[9:]
    with store.read() as connection:
        branch = connection.one("SELECT code, name, state FROM sync_peer WHERE node_no = ?", (node_no,))
        user = _by_tag(connection, tag)
    if branch is None:
        raise NotFound("unknown_branch", N_("There is no branch “{code}”."), code=str(node_no))
    if branch[2] != "active":
        raise Refused("branch_closed", N_("Branch {code} has been closed; nothing is answered to it."), code=branch[0])
    if user is None:
        raise NotFound(
            "unknown_asker",
            N_(
                "Nobody known here fits this code: the login was mistyped at the branch, or the user was added there since the last exchange. "
                "Ask for the login; exchange with the branch first if the user is new."
            ),
        )
    identity, login, name, active = user
    if not active:
        raise Refused("user_disabled", N_("{name} has been disabled and cannot sign in. Nothing was changed."), name=name)
    return Question(identity.hex(), login, name, node_no, branch[0], branch[1], counter, nonce)


def answer(store: Store, keys: NodeKeys, actor: Actor, *, code: str) -> Answer:
    """Sign the answer to a question, good for ANSWER_HOURS; raises what ``look_at_question`` does."""
    policy.require_acting(actor)
    question = look_at_question(store, actor, code)
    minutes = store.clock.now_ms() // _MINUTE + ANSWER_HOURS * 60
    answerer = _tag(bytes.fromhex(actor.user_id)) if actor.user_id else bytes(_TAG)
    message = _message(
        store.node.company_id, question.node_no, bytes.fromhex(question.user_id), question.counter, question.nonce, answerer, minutes
    )
    detail = f"{question.branch}: {question.name} ({question.login})"
    with store.housekeeping() as connection:
        accounts.expect_password(connection, question.user_id, question.node_no, until_ms=store.clock.now_ms() + _EXPECTED_MS)
    log_event(store, "reset_answered", user_id=actor.user_id, detail=detail)
    with store.read() as connection:  # the branch may not have heard yet that head office has new keys
        known = keys.with_id(connection.value("SELECT used_key FROM sync_peer WHERE node_no = ?", (question.node_no,)))
    return Answer(write_code(question.node_no.to_bytes(2) + answerer + minutes.to_bytes(4) + known.sign(message)), minutes * _MINUTE)


# parts --------------------------------------------------------------------------------------------------------------


def _message(company: bytes, node_no: int, user_id: bytes, counter: int, nonce: bytes, answerer: bytes, minutes: int) -> bytes:
    return b"localcrm password reset\0" + msgspec.msgpack.encode((company, node_no, user_id, counter, nonce, answerer, minutes))


def _tag(user_id: bytes) -> bytes:
    """Stands for a user in a code; only names him: what is signed is the whole id."""
    return sha256(b"localcrm user\0" + user_id).digest()[:_TAG]


def _user_of(connection: Connection, login: str) -> bytes | None:
    """The user of a login; of two that were given it apart the one who still works here."""
    found: bytes | None = connection.value(
        'SELECT id FROM "user" WHERE login = ? AND deleted = 0 ORDER BY active DESC, id', (login.strip(),)
    )
    return found


def _by_tag(connection: Connection, tag: bytes) -> tuple[bytes, str, str, int] | None:
    found = [row for row in connection.all('SELECT id, login, name, active FROM "user" WHERE deleted = 0') if _tag(row[0]) == tag]
    return found[0] if len(found) == 1 else None


def _name_by_tag(connection: Connection, tag: bytes) -> str:
    found = _by_tag(connection, tag)
    return found[2] if found else gettext(N_("head office"))


def _require_branch(store: Store) -> None:
    if store.node.is_office:
        raise Refused("own_office", N_("This is head office: an administrator sets a new password here, or uses the recovery code."))
    if not store.node.enrolled:
        raise Refused("not_enrolled", N_("This branch is not enrolled yet. Finish “sync join” with the reply of head office first."))


def _refuse_used() -> NoReturn:
    raise Refused("reset_used", N_("This answer has been used already: each is good once. Ask head office for a new one."))
