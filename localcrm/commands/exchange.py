"""Commands of the exchange between branches and head office."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from localcrm.commands.frame import Group, Session, argument, command, common_options, option, table_lines
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_

_FILE = click.Path(path_type=Path)
#: Enrolment files are small; anything longer is something else.
_MAX_FILE = 4 << 20


@click.group(
    "sync",
    cls=Group,
    places={
        name: f"localcrm.commands.exchange:{name.replace('-', '_')}"
        for name in (
            "invite",
            "join",
            "approve",
            "approve-join",
            "run",
            "status",
            "pack",
            "unpack",
            "digest",
            "conflicts",
            "resolve",
            "close",
            "reopen",
            "allow-deletions",
            "take-back",
            "holds",
            "compact",
            "rotate-keys",
            "revoke-keys",
            "approve-keys",
        )
    },
    help=N_("Exchange with head office or with branches, by file or network."),
)
@common_options
def sync() -> None:
    pass


# joining ---------------------------------------------------------------------------------------------------------------


@command("invite", help=N_("Invite a branch (at head office)."))
@argument("code")
@option("-o", "output", required=True, type=_FILE, metavar="FILE", help=N_("File to write."))
@option("--url", default="", help=N_("Address of this head office, as the branch reaches it; with it the branch can join by words."))
def invite(session: Session, code: str, output: Path, url: str) -> None:
    from localcrm.kernel.spoken import write_checked
    from localcrm.sync import enrol, http, joining

    actor = _manager(session)
    _check_target(session, output)
    url = http.check_url(url)
    made = enrol.invite(session.store, session.application.keys, actor, code=code)
    _write(output, made.file)
    document = {"code": code, "file": str(output), "bytes": len(made.file)}
    if url:
        document |= {"url": url, "words": write_checked(made.spoken), "picture": joining.picture_text(made, url)}
    session.show(document)


@command("join", help=N_("Join head office with its invite, or finish joining with its reply (at a branch)."))
@argument("file", type=_FILE, required=False)
@option("--url", default="", help=N_("Address of head office."))
@option("--words", default="", metavar="TEXT", help=N_("The words of the invite, or the text of its picture, instead of a file."))
@option("-o", "output", type=_FILE, metavar="REQUEST", help=N_("File for the request to head office (default: beside the invite)."))
def join(session: Session, file: Path | None, url: str, words: str, output: Path | None) -> None:
    from localcrm.sync import http, joining, node_sync
    from localcrm.sync.bundle import MAX_FILE

    _allow(session)
    keys = session.application.keys
    if file is None:  # over the network: the first time with the words, then again until head office has approved
        if words:
            joining.read_told(session.store, keys, words, url=url)
        elif not joining.join_url(session.store):
            raise InvalidInput(
                "no_invite", N_("Name the invite file, or give the words of the invite with --words and the address with --url.")
            )
        session.show({"enrolled": joining.ask_again(session.store, keys), "file": None, "fingerprint": keys.public.fingerprint})
        return
    target = output or file.with_suffix(".request")
    _check_target(session, target)
    # A reply holds everything that the branch should know; an invite is small, and read as such.
    request = node_sync.join(session.store, keys, _read(file, most=MAX_FILE), url=http.check_url(url) or None)
    if request is not None:
        _write(target, request)
    elif url:
        node_sync.set_office_url(session.store, session.actor_or_system(), url)
    session.show({"enrolled": request is None, "file": None if request is None else str(target)})


@command("approve-join", help=N_("Let in a branch that asks over the network, after comparing the digits by telephone (at head office)."))
@argument("code")
@option("--fingerprint", required=True, metavar="DIGITS", help=N_("The six groups of digits that the branch reads out."))
def approve_join(session: Session, code: str, fingerprint: str) -> None:
    from localcrm.sync import joining

    actor = _manager(session)
    joining.approve_waiting(session.store, session.application.keys, actor, code, fingerprint=fingerprint)
    session.show({"code": code.upper()})


@command("approve", help=N_("Let a branch in (at head office)."))
@argument("request", type=_FILE)
@option("-o", "output", type=_FILE, metavar="REPLY", help=N_("File for the reply to the branch (default: beside the request)."))
def approve(session: Session, request: Path, output: Path | None) -> None:
    from localcrm.sync import node_sync

    actor = _manager(session)
    target = output or request.with_suffix(".reply")
    _check_target(session, target)
    reply = node_sync.approve(session.store, session.application.keys, actor, _read(request))
    _write(target, reply)
    session.show({"file": str(target), "bytes": len(reply)})


@command("close", help=N_("Hear a branch no more, as when its computer was stolen (at head office)."))
@argument("code")
def close(session: Session, code: str) -> None:
    from localcrm.sync import node_sync

    session.show(node_sync.close_branch(session.store, _manager(session), code))


@command("reopen", help=N_("Hear a branch again that was closed by mistake (at head office)."))
@argument("code")
def reopen(session: Session, code: str) -> None:
    from localcrm.sync import node_sync

    session.show(node_sync.reopen_branch(session.store, _manager(session), code))


@command("holds", help=N_("Send a branch everything, or of orders, stock and money, or of customers too, only its own (at head office)."))
@argument("code")
@argument("what", type=click.Choice(["all", "own", "own_customers"]))
def holds(session: Session, code: str, what: str) -> None:
    from localcrm.domain.admin.entities import BranchHolds
    from localcrm.sync import node_sync

    session.show(node_sync.set_holds(session.store, _manager(session), code, BranchHolds(what)))


@command("allow-deletions", help=N_("Take in what a branch deletes in the next 24 hours, however much (at head office)."))
@argument("code")
def allow_deletions(session: Session, code: str) -> None:
    from localcrm.sync import node_sync

    session.show(node_sync.allow_deletions(session.store, _manager(session), code))


@command("take-back", help=N_("After a restore: take back from the branches what was done after the backup (at head office)."))
def take_back(session: Session) -> None:
    from localcrm.sync import node_sync

    session.show(node_sync.take_back(session.store, _manager(session)))


@command("compact", help=N_("Condense the part of the change log that everybody has; done by itself once a day."))
def compact(session: Session) -> None:
    from localcrm.sync import compaction

    _allow(session)
    session.show(compaction.compact(session.store).as_dict())


# keys ------------------------------------------------------------------------------------------------------------------


@command("rotate-keys", help=N_("New keys for this installation; the others follow with their next exchange. Make a backup afterwards."))
@option("--lost", is_flag=True, help=N_("The present keys are lost: head office must let the new ones in (at a branch)."))
def rotate_keys(session: Session, lost: bool) -> None:
    from localcrm.sync import rotation

    actor = _manager(session)
    session.show(rotation.change_keys(session.store, None if lost else session.application.keys, actor))


@command("revoke-keys", help=N_("Revoke the keys of a branch at once, as when they were stolen; it must make new ones (at head office)."))
@argument("code")
def revoke_keys(session: Session, code: str) -> None:
    from localcrm.sync import rotation

    session.show(rotation.demand_keys(session.store, _manager(session), code))


@command("approve-keys", help=N_("Let in the new keys of a branch that were compared by telephone (at head office)."))
@argument("code")
@option("--fingerprint", required=True, metavar="DIGITS", help=N_("The six groups of digits that the branch reads out."))
def approve_keys(session: Session, code: str, fingerprint: str) -> None:
    from localcrm.sync import rotation

    actor = _manager(session)
    session.show(rotation.let_keys_in(session.store, session.application.keys, actor, code, fingerprint=fingerprint))


# exchanging --------------------------------------------------------------------------------------------------------------


@command("run", help=N_("Exchange with head office over the network."))
def run(session: Session) -> None:
    from localcrm.sync import node_sync

    _allow(session)
    session.show(_counts(node_sync.run(session.store, session.application.keys)))


@command("pack", help=N_("Write what the other side does not have yet into a sealed file."))
@option("--for", "for_code", metavar="CODE", help=N_("The branch it is for (at head office)."))
@option("-o", "output", required=True, type=_FILE, metavar="FILE", help=N_("File to write."))
@option("--part-mb", type=click.IntRange(1, 2_000), metavar="MB", help=N_("Split it into parts of at most so many MB, as for e-mail."))
def pack(session: Session, for_code: str | None, output: Path, part_mb: int | None) -> None:
    from localcrm.sync import node_sync

    _allow(session)
    _check_target(session, output)
    keys = session.application.keys
    document: dict[str, Any] = node_sync.pack(session.store, keys, output, for_code=for_code)
    if part_mb:
        made = node_sync.split(session.store, keys, output, for_code=for_code, part_bytes=part_mb * 1_000_000)
        document |= {"files": [str(path) for path in made]}
    session.show(document)


@command("unpack", help=N_("Take in sealed files from the other side, parts of them, or all in a folder."))
@argument("files", type=_FILE, nargs=-1, required=True)
def unpack(session: Session, files: tuple[Path, ...]) -> None:
    from localcrm.sync import node_sync

    _allow(session)
    for file in files:
        if not file.exists():
            raise _no_file(file)
    outcome = node_sync.unpack_all(session.store, session.application.keys, files)
    session.show(_counts(outcome) | ({"refused": outcome["refused"]} if "refused" in outcome else {}))


@command("status", help=N_("How many changes wait, and when the last exchange was."))
def status(session: Session) -> None:
    from localcrm.sync import node_sync

    _allow(session)
    session.show(node_sync.status(session.store))


@command("digest", help=N_("One hash per table, from the data: equal means nothing is missing."))
@option("--for", "for_code", metavar="CODE", help=N_("What that branch should hold (at head office)."))
def digest(session: Session, for_code: str | None) -> None:
    from localcrm.sync import node_sync

    _allow(session)
    document = node_sync.digest(session.store, for_code=for_code)
    session.show(document, text=lambda: [*(f"{value}  {key}" for key, value in document["tables"].items()), document["digest"]])


# conflicts -----------------------------------------------------------------------------------------------------------------


@command("conflicts", help=N_("Values that work done apart overwrote."))
def conflicts(session: Session) -> None:
    from localcrm.sync import node_sync

    document = node_sync.conflicts(session.store, session.actor_or_system())
    columns = ["id", "kind", "entity", "record", "field", "base", "kept", "lost", "state"]
    session.show(document, text=lambda: table_lines(columns, [[row[column] for column in columns] for row in document["rows"]]))


@command("resolve", help=N_("Settle a conflict."))
@argument("id")
@option("--keep", required=True, metavar="kept|lost|value=…", help=N_("Which value stays."))
def resolve(session: Session, id: str, keep: str) -> None:
    from localcrm.domain import verbs

    session.show(verbs.run(session.store, session.actor, "admin.resolve_conflict", {"id": id, "keep": keep}))


# head office -----------------------------------------------------------------------------------------------------------------


@command("serve-hub", help=N_("Serve branches without the screens (at head office)."))
@option("--host", default="127.0.0.1", show_default=True, help=N_("Address to listen on."))
@option("--port", default=8470, show_default=True, type=click.IntRange(0, 65535), help=N_("Port to listen on."))
def serve_hub(session: Session, host: str, port: int) -> None:
    from localcrm.app import serve_hub as serve
    from localcrm.kernel.errors import Refused
    from localcrm.kernel.hosts import plain_host, url_host

    if not session.store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    session.show({"address": f"http://{url_host(plain_host(host))}:{port}"})
    serve(session.application, host=host, port=port)


def _counts(outcome: dict[str, Any]) -> dict[str, Any]:
    return {key: outcome[key] for key in ("sent", "received", "applied", "duplicate", "conflicts", "quarantined")}


def _allow(session: Session) -> None:
    """Whoever may read the folder may exchange; a user named by --as needs the right."""
    from localcrm.domain import policy

    policy.require(session.actor_or_system(), "sync.manage")


def _manager(session: Session) -> Any:
    from localcrm.domain import policy

    policy.require(session.actor, "sync.manage")
    return session.actor


def _read(path: Path, *, most: int = _MAX_FILE) -> bytes:
    if not path.is_file():
        raise _no_file(path)
    if path.stat().st_size > most:
        raise InvalidInput("wrong_file", N_("“{name}” is not an enrolment file. Nothing was changed."), name=path.name)
    return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    from localcrm.store.files import write_file_atomically

    write_file_atomically(path, data, private=True)


def _check_target(session: Session, path: Path) -> None:
    """Refuse before anything is done whose result could not be written, or would take the place of the data themselves."""
    from localcrm.store.backup import is_ours

    if not path.parent.is_dir():
        raise NotFound("no_such_folder", N_("There is no folder “{name}”."), name=str(path.parent))
    if is_ours(session.store, path.resolve()):
        raise InvalidInput("bad_target", N_("“{name}” belongs to the data folder itself. Choose the name of a new file."), name=path.name)


def _no_file(path: Path) -> NotFound:
    return NotFound("no_such_file", N_("There is no file “{name}”."), name=path.name)
