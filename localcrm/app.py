"""Composition root: opens a data folder and knows every part. Commands and the running program start here.

A folder is set up as head office (with its first administrator) or as a branch, which has no users and no records until
head office has let it in.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcrm.domain import subjects as subjects  # noqa: PLC0414 -- makes every entity, rule and verb known
from localcrm.domain.admin.doctor import examine
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.people import signing
from localcrm.domain.people.recovery import first_code
from localcrm.domain.people.services import check_password_strength
from localcrm.domain.verbs import run
from localcrm.kernel.errors import InvalidInput, StoreError
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.folder import DATABASE
from localcrm.store.node import OFFICE_NO, Node, Role, require_here, save_node
from localcrm.store.store import Store, create_store, open_store

if TYPE_CHECKING:
    from localcrm.sync.identity import NodeKeys

_CODE = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)


@dataclass(frozen=True)
class Application:
    """An open data folder with what it needs to speak to others."""

    store: Store

    @property
    def keys(self) -> NodeKeys:
        """The node's present secret keys; raises StoreError when they are missing or cannot be opened."""
        from localcrm.sync.keyring import read_keys

        return read_keys(self.store)

    @property
    def log_key(self) -> bytes | None:
        """The public key that the head of the system log must be signed with; None where the keys cannot be read."""
        with suppress(StoreError):
            return self.keys.public.sign_key
        return None

    def check(self, *, repair: bool = False) -> dict[str, Any]:
        """What the data doctor finds, rights and the system log with the keys of this node included."""
        return examine(self.store, self.log_key, repair=repair)

    def close(self) -> None:
        """Close the data file."""
        self.store.close()


@dataclass(frozen=True)
class Created:
    """A new data folder; codes are shown this once. ``recovery_code`` opens the folder, None without a passphrase;
    ``admin_recovery_code`` sets the administrator's password, None at a branch.
    """

    application: Application
    recovery_code: str | None
    admin_recovery_code: str | None = None


def create_folder(
    folder: Path,
    *,
    role: Role,
    code: str,
    name: str,
    login: str = "admin",
    user_name: str | None = None,
    password: str | None = None,
    passphrase: str | None = None,
) -> Created:
    """Set up a data folder; nothing is left behind when it is refused. Codes are kept in capitals.

    Raises StoreError("already_set_up", "cannot_open"), InvalidInput("bad_code", "required", "weak_password").
    """
    code = code.upper()
    _check_set_up(role, code, name, password)
    if (folder / DATABASE).exists():
        raise StoreError("already_set_up", N_("“{folder}” is already set up. Nothing was changed."), folder=str(folder))
    with _nothing_left_on_failure(folder):
        key, recovery_code = _folder_key(folder, passphrase)
        admin_code = None
        store = create_store(folder, key=key)
        try:
            _found(store, role=role, code=code, name=name.strip())
            _sign_log(store)
            if role == "office":
                admin = set_up_office(store, login=login, name=user_name or login, password=password or "")
                run(store, admin, "crm.add_standard_stages", {})
                admin_code = first_code(store, admin.user_id or "")
        except BaseException:
            store.close()
            raise
    return Created(Application(store), recovery_code, admin_code)


def open_folder(folder: Path, *, passphrase: str | None = None, recovery_code: str | None = None) -> Application:
    """Open a data folder; a restored one becomes a node of its own epoch here.

    Raises NotFound("no_data_folder"), StoreError (passphrase_needed, wrong_passphrase, wrong_key, newer_schema, damaged …).
    """
    from localcrm.store.backup import settle_copy
    from localcrm.store.keys import unlock
    from localcrm.sync.keyring import LogSigner, name_first

    key = unlock(folder, passphrase=passphrase, recovery_code=recovery_code) if (folder / DATABASE).exists() else None
    signer = LogSigner(folder, key)
    store = open_store(folder, key=key, sign_log=signer)
    signer.store = store
    try:
        settle_copy(store)
        with store.read() as connection:
            require_here(connection)
        name_first(store)
        signing.examine(store)
    except BaseException:
        store.close()
        raise
    return Application(store)


def arrive_in(folder: Path, file: Path, passphrase: str) -> Application:
    """Go on with a moved branch in the folder of this program, which has no data yet; nothing is left behind when it is refused.

    Raises what ``sync.moving.arrive`` raises, and StoreError("passphrase_needed") where the folder has a passphrase of its own: it has arrived then.
    """
    from localcrm.sync.moving import arrive

    if (folder / DATABASE).exists():
        raise StoreError("already_set_up", N_("“{folder}” is already set up. Nothing was changed."), folder=str(folder))
    with _nothing_left_on_failure(folder):
        arrive(file, folder, passphrase, beside=True)
    return open_folder(folder)


def take_back_move(folder: Path, *, passphrase: str | None = None) -> dict[str, Any]:
    """Go on in a folder that was moved, because its file was never used; {"code", "moved"}. Raises NotFound, StoreError."""
    from localcrm.store.keys import unlock
    from localcrm.sync.keyring import LogSigner
    from localcrm.sync.moving import take_back

    key = unlock(folder, passphrase=passphrase) if (folder / DATABASE).exists() else None
    signer = LogSigner(folder, key)
    store = open_store(folder, key=key, sign_log=signer)
    signer.store = store
    try:
        return take_back(store)
    finally:
        store.close()


def choose_passphrase(folder: Path, new_passphrase: str, *, passphrase: str | None = None, recovery_code: str | None = None) -> None:
    """A new passphrase for a protected folder, with the present one or the recovery code, which stays good.

    Raises InvalidInput("weak_password"), StoreError (no_passphrase, wrong_passphrase, wrong_recovery_code, recovery_code_mistyped …).
    """
    from localcrm.store.keys import change_passphrase, unlock

    check_password_strength(new_passphrase)
    key = unlock(folder, passphrase=passphrase, recovery_code=recovery_code)
    if key is None:
        raise StoreError("no_passphrase", N_("This data folder has no passphrase. One can be chosen only when a folder is set up."))
    change_passphrase(folder, key, new_passphrase)


# --- serving ----------------------------------------------------------------------------------------------------------


def serve(folder: Path, *, host: str, port: int | None, open_browser: bool, passphrase: str | None = None) -> int:
    """The running program: screens, the exchange endpoint, the scheduled jobs and what hears of calls; returns the exit code when it is told to stop.

    A folder that is not set up yet is served with the first-run page only; a protected one, without a passphrase, with
    the page that asks for it.
    """
    from localcrm.channels import lines
    from localcrm.jobs import scheduler
    from localcrm.store.keys import is_protected
    from localcrm.sync import http
    from localcrm.ui.server import run_server

    is_set_up = (folder / DATABASE).exists()
    locked = is_set_up and passphrase is None and is_protected(folder)
    application = open_folder(folder, passphrase=passphrase) if is_set_up and not locked else None
    opened = [] if application is None else [application]

    def unlock(passphrase: str, recovery_code: str | None) -> Store:
        if recovery_code is not None:
            choose_passphrase(folder, passphrase, recovery_code=recovery_code)
        opened.append(open_folder(folder, passphrase=passphrase))
        return opened[-1].store

    def create(name: str, code: str, login: str, user_name: str, password: str) -> tuple[Store, str]:
        made = create_folder(folder, role="office", code=code, name=name, login=login, user_name=user_name, password=password)
        opened.append(made.application)
        return made.application.store, made.admin_recovery_code or ""

    def create_branch(name: str, code: str) -> Store:
        opened.append(create_folder(folder, role="branch", code=code, name=name).application)
        return opened[-1].store

    def arrive(file: Path, passphrase: str) -> Store:
        opened.append(arrive_in(folder, file, passphrase))
        return opened[-1].store

    def current() -> Application:
        if not opened:
            raise StoreError("not_set_up_yet", N_("This program is not set up yet."))
        return opened[-1]

    def jobs(store: Store) -> Callable[[], None]:
        stops = (scheduler.start(store, lambda: current().keys), lines.start(store))

        def stop() -> None:
            for each in stops:
                each()

        return stop

    try:
        return run_server(
            folder,
            store=application.store if application else None,
            host=host,
            port=port,
            open_browser=open_browser,
            create_folder=create,
            create_branch=create_branch,
            arrive=arrive,
            unlock_folder=unlock if locked else None,
            extra_routes=http.routes(lambda: (current().store, current().keys)),
            start_jobs=jobs,
            keys=lambda: current().keys,
        )
    finally:
        for each in opened:
            each.close()


def serve_hub(application: Application, *, host: str, port: int) -> None:
    """Head office's endpoint for its branches, without the screens."""
    from localcrm.sync import http

    http.serve_hub(application.store, application.keys, host=host, port=port)


# --- setting up -------------------------------------------------------------------------------------------------------


def _check_set_up(role: Role, code: str, name: str, password: str | None) -> None:
    if not _CODE.fullmatch(code):
        raise InvalidInput(
            "bad_code", N_("“{code}” cannot be a branch code: use 1 to 12 letters and digits, such as BR01."), code=code[:40]
        )
    if not name.strip():
        raise InvalidInput("required", N_("{label} is required."), label=gettext(N_("Name")), field="name")
    if role == "office":
        check_password_strength(password or "")


def _folder_key(folder: Path, passphrase: str | None) -> tuple[bytes | None, str | None]:
    if passphrase is None:
        return None, None
    from localcrm.store.keys import create_folder_key

    return create_folder_key(folder, passphrase)


def _found(store: Store, *, role: Role, code: str, name: str) -> None:
    """Give the node its identity and its keys."""
    from localcrm.sync.identity import NodeKeys
    from localcrm.sync.keyring import name_present, write_pairs

    keys = NodeKeys.generate()
    write_pairs(store.folder, store.key, [keys])
    number = OFFICE_NO if role == "office" else 0
    with store.housekeeping() as connection:
        save_node(connection, Node(secrets.token_bytes(16), code, name, role, number, secrets.token_bytes(8), 0))
        name_present(connection, keys.public.key_id)


def _sign_log(store: Store) -> None:
    """From here on what is noted in the system log is signed."""
    from localcrm.sync.keyring import LogSigner

    signer = LogSigner(store.folder, store.key)
    signer.store = store
    store.sign_log = signer


@contextmanager
def _nothing_left_on_failure(folder: Path) -> Iterator[None]:
    existed = folder.exists()
    before = set(folder.iterdir()) if existed else set()
    try:
        yield
    except BaseException:
        if existed:
            for entry in set(folder.iterdir()) - before:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
