"""Commands about a whole data folder: set up, demo, backup, restore, check."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from localcrm.commands.frame import REFUSED, Session, argument, command, option
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext

_FILE = click.Path(path_type=Path)


@command("init", help=N_("Set up a data folder as head office or as a branch."))
@option(
    "--role", type=click.Choice(["office", "branch"]), required=True, help=N_("Head office (also of a company without branches) or branch.")
)
@option("--code", required=True, help=N_("Short code, printed in document numbers, such as HQ or BR01."))
@option("--name", required=True, help=N_("Name of this place."))
@option("--admin", default="admin", show_default=True, metavar="LOGIN", help=N_("Login of the administrator (head office only)."))
def init(session: Session, role: str, code: str, name: str, admin: str) -> None:
    from localcrm.app import create_folder

    password = session.password() if role == "office" else None
    created = create_folder(
        session.folder,
        role="office" if role == "office" else "branch",
        code=code,
        name=name,
        login=admin,
        password=password,
        passphrase=session.passphrase,
    )
    created.application.close()
    document: dict[str, Any] = {"role": role, "code": code.upper(), "name": name, "data": str(session.folder)}
    if role == "office":
        document["admin"] = admin
        document["admin_recovery_code"] = created.admin_recovery_code
    if created.recovery_code:
        document["recovery_code"] = created.recovery_code
    session.show(document, text=lambda: _created_lines(document))


def _created_lines(document: dict[str, Any]) -> Iterator[str]:
    yield gettext(N_("“{name}” ({code}) is set up in {data}.")).format(**document)
    if "recovery_code" in document:
        yield gettext(N_("Recovery code, shown this once; print it and keep it apart from the machine:"))
        yield document["recovery_code"]
    if "admin_recovery_code" in document:
        yield gettext(N_("Administrator's recovery code for a forgotten password, shown this once; print it and lock it away:"))
        yield document["admin_recovery_code"]
    if document["role"] == "branch":
        yield gettext(N_("Next: “localcrm sync join” with the invite of head office."))


@command("demo", help=N_("Build a demo company: head office and branches that worked apart and merged."))
@option("--branches", type=click.IntRange(0, 20), default=2, show_default=True, help=N_("How many branches."))
@option("--customers", type=click.IntRange(1, 100_000), default=200, show_default=True, help=N_("How many customers."))
@option("--seed", type=int, default=1, show_default=True, help=N_("Fixes names, amounts and choices."))
def demo(session: Session, branches: int, customers: int, seed: int) -> None:
    from localcrm.demo import build_demo

    made_up = not (session.password_stdin or os.environ.get("LOCALCRM_PASSWORD"))
    password = secrets.token_urlsafe(9) if made_up else session.password()
    document = build_demo(session.folder, branches=branches, customers=customers, seed=seed, password=password)
    if made_up:
        document["password"] = password
    session.show(document)


@command("backup", help=N_("Back up the whole folder into one file while it is in use, and read the file back."))
@option("-o", "output", required=True, type=_FILE, metavar="FILE", help=N_("File to write."))
def backup(session: Session, output: Path) -> None:
    from localcrm.domain import policy
    from localcrm.store.backup import backup as make_backup

    policy.require(session.actor_or_system(), "settings.manage")
    session.show(make_backup(session.store, output))


@command("restore", help=N_("Unpack a backup into a new folder, which then goes on under a new epoch."))
@argument("file", type=_FILE)
@option("--into", required=True, type=_FILE, metavar="DIR", help=N_("A folder that does not exist yet, or is empty."))
def restore(session: Session, file: Path, into: Path) -> None:
    from localcrm.domain import subjects as subjects  # noqa: PLC0414 -- declares everything
    from localcrm.store.backup import restore as unpack

    session.show(unpack(file, into))


@command("move", help=N_("Move this branch to a new computer: write one file under a passphrase, and use this folder no more."))
@option("-o", "output", type=_FILE, metavar="FILE", help=N_("File to write."))
@option("--take-back", is_flag=True, help=N_("Go on here after all; only when the file was never used."))
def move(session: Session, output: Path | None, take_back: bool) -> None:
    from localcrm.app import take_back_move
    from localcrm.domain.people.services import check_password_strength
    from localcrm.sync import moving

    if take_back:
        session.show(take_back_move(session.folder, passphrase=session.passphrase))
        return
    if output is None:
        raise InvalidInput("required", N_("{label} is required."), label="-o", field="output")
    store, actor = session.store, session.actor_or_system()
    chosen = session.secret(N_("Passphrase for the file"), confirm=True)
    check_password_strength(chosen)
    document = moving.move(store, actor, output, chosen)
    lines = (
        N_("Everything of this branch is in the file. In this folder nothing can be saved or exchanged any more."),
        N_("On the new computer: “localcrm arrive FILE --into FOLDER”, then “localcrm --data FOLDER”. Delete the file afterwards."),
    )
    session.show(document, text=lambda: map(gettext, lines))


@command("arrive", help=N_("Go on with a moved branch on its new computer: unpack its file into a new folder."))
@argument("file", type=_FILE)
@option("--into", required=True, type=_FILE, metavar="DIR", help=N_("A folder that does not exist yet, or is empty."))
def arrive(session: Session, file: Path, into: Path) -> None:
    from localcrm.domain import subjects as subjects  # noqa: PLC0414 -- declares everything
    from localcrm.sync import moving

    session.show(moving.arrive(file, into, session.secret(N_("Passphrase for the file"))))


@command("check", help=N_("Whether the data are whole; rebuilds what is derived with --repair."))
@option("--repair", is_flag=True, help=N_("Rebuild totals, search index and rules of the data file where they are wrong."))
def check(session: Session, repair: bool) -> None:
    from localcrm.domain import policy
    from localcrm.kernel.errors import StoreError
    from localcrm.store.check import log_blind_spot

    try:
        policy.require(session.actor_or_system(), "settings.manage")
        document = session.application.check(repair=repair)
        with session.store.read() as connection:
            blind_spot = [log_blind_spot(connection)]
    except StoreError as error:
        if error.code != "damaged":
            raise
        document, blind_spot = {"ok": False, "problems": [{"code": error.code, "message": error.message}]}, []
    session.show(document, text=lambda: [*_check_lines(document), *blind_spot])
    if not document["ok"]:
        sys.exit(REFUSED)


@command("passphrase", help=N_("Choose a new passphrase for a protected folder, with the present one or with the recovery code."))
@option("--recovery-code", is_flag=True, help=N_("The passphrase is forgotten: ask for the recovery code instead."))
def passphrase(session: Session, recovery_code: bool) -> None:
    from localcrm.app import choose_passphrase

    if recovery_code:
        given = {"recovery_code": session.secret(N_("Recovery code"))}
    else:
        given = {"passphrase": session.passphrase or session.secret(N_("Passphrase"))}
    choose_passphrase(session.folder, session.secret(N_("New passphrase"), confirm=True), **given)
    document = {"data": str(session.folder), "changed": True}
    session.show(document, text=lambda: [gettext(N_("The passphrase was changed. The recovery code stays good."))])


def _check_lines(document: dict[str, Any]) -> Iterator[str]:
    if document["ok"]:
        yield gettext(N_("Everything is in order."))
    for problem in document["problems"]:
        yield f"{problem['message']} ({problem['code']})"
