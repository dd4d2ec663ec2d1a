"""Commands for a forgotten password: the question of a branch, the answer of head office, the recovery code of an office.

``ask``, ``use`` and ``recover`` need no user: whoever forgot the password cannot sign in. New passwords come as any secret does, on
stdin with --password-stdin, in LOCALCRM_PASSWORD, or typed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from localcrm.commands.frame import Group, Session, argument, command, common_options, option
from localcrm.kernel.clock import to_iso
from localcrm.kernel.errors import NotFound
from localcrm.kernel.i18n import N_, gettext

_MAX_FILE = 4096


@click.group(
    "reset",
    cls=Group,
    places={
        name: f"localcrm.commands.resets:{place}"
        for name, place in {"ask": "ask", "answer": "answer", "use": "use", "recover": "recover", "new-code": "new_code"}.items()
    },
    help=N_("Set a forgotten password: with an answer of head office, or with the recovery code."),
)
@common_options
def reset() -> None:
    pass


@command("ask", help=N_("Print the code to read out to head office (at a branch)."))
@argument("login")
def ask(session: Session, login: str) -> None:
    from localcrm.sync import resets

    code = resets.ask(session.store, login=login)
    session.show({"login": login, "question": code}, text=lambda: [code])


@command("answer", help=N_("Look at the code of a branch and sign the answer (at head office, as an administrator)."))
@argument("question")
@option("--look", is_flag=True, help=N_("Only say who asks; sign nothing."))
def answer(session: Session, question: str, look: bool) -> None:
    from localcrm.sync import resets

    asker = resets.look_at_question(session.store, session.actor, question)
    document = {"branch": asker.branch, "login": asker.login, "name": asker.name}
    if look:
        session.show(document)
        return
    signed = resets.answer(session.store, session.application.keys, session.actor, code=question)
    until = to_iso(datetime.fromtimestamp(signed.expires / 1000, tz=UTC))
    session.show({**document, "answer": signed.code, "until": until}, text=lambda: signed.code.split("\n"))


@command("use", help=N_("Set a new password with the answer of head office (at a branch)."))
@argument("login")
@argument("answer", required=False)
@option("--file", "file", type=click.Path(path_type=Path), metavar="FILE", help=N_("File that holds the answer."))
def use(session: Session, login: str, answer: str | None, file: Path | None) -> None:
    from localcrm.sync import resets

    if (answer is None) == (file is None):
        raise click.UsageError(gettext(N_("Give the answer of head office, or --file with the file that holds it.")))
    resets.reset_password(session.store, login=login, answer=_read(file) if file else answer or "", password=session.password())
    _say_done(session, login)


@command("recover", help=N_("Set an administrator's password with the recovery code, and print the next code (at an office)."))
@argument("login")
@argument("code")
def recover(session: Session, login: str, code: str) -> None:
    from localcrm.domain.people import recovery

    following = recovery.recover(session.store, login=login, code=code, password=session.password())
    document = {"login": login, "changed": True, "admin_recovery_code": following}
    session.show(document, text=lambda: [_done_words(), *_code_words(following)])


@command("new-code", help=N_("A new recovery code for an administrator; the old one is worth nothing any more (at an office)."))
def new_code(session: Session) -> None:
    from localcrm.domain.people import recovery

    code = recovery.renew_code(session.store, session.actor, password=session.password())
    session.show({"admin_recovery_code": code}, text=lambda: _code_words(code))


def _read(file: Path) -> str:
    try:
        with file.open("rb") as source:
            return source.read(_MAX_FILE).decode("utf-8", "replace")
    except OSError as error:
        raise NotFound("no_file", N_("The file “{path}” cannot be read."), path=str(file)) from error


def _say_done(session: Session, login: str) -> None:
    session.show({"login": login, "changed": True}, text=lambda: [_done_words()])


def _done_words() -> str:
    return gettext(N_("The password was set. Whoever was signed in with the old one has been signed out."))


def _code_words(code: str) -> list[str]:
    return [gettext(N_("Administrator's recovery code for a forgotten password, shown this once; print it and lock it away:")), code]
