"""A company in a folder, made once and copied: head office and enrolled branches, real files, real verbs.

Building one costs an Argon2 hash, five data files and an enrolment each; a test that needs one gets a copy in
milliseconds. Every copy has the same keys and the same administrator, so two copies are the same company.
"""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from localcrm.domain import records, subjects, verbs  # noqa: F401 -- subjects makes everything known
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.policy import Actor
from localcrm.kernel.clock import MAX_STEP, SystemClock, WallClock
from localcrm.store.node import Node as NodeFacts, save_node
from localcrm.store.store import Store, create_store, open_store
from localcrm.sync import node_sync
from localcrm.sync.identity import NodeKeys

PASSWORD = "Haus-und-Hof-42"


def fast_folder() -> Path:
    """A new folder in memory where the system has such a thing; gone when the tests end."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="localcrm-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


#: The day it is in a copied company before anybody sets its clock.
FIRST_DAY = date(2026, 11, 20)


@dataclass
class HandClock:
    """A wall clock that a test sets by hand; it starts at noon of ``FIRST_DAY``, UTC."""

    ms: int = 1_795_176_000_000

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return self.ms

    def forward(self, *, days: float = 0, minutes: float = 0, ms: int = 0) -> None:
        """Let time pass, or run back."""
        self.ms += int(days * 86_400_000 + minutes * 60_000) + ms


@dataclass
class Installation:
    """One data folder, opened."""

    folder: Path
    code: str
    keys: NodeKeys
    actor: Actor
    clock: WallClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Start the program; what is drawn by lot in production is not here, or no run could be repeated."""
        self.store = open_store(self.folder, clock=self.clock)
        self.store.step = 1 + crc32(self.folder.name.encode()) % MAX_STEP

    def restart(self) -> None:
        """Close the program and start it again."""
        self.store.close()
        self.open()

    def run(self, verb: str, **parameters: Any) -> Any:
        """One user action."""
        return verbs.run(self.store, self.actor, verb, parameters)

    def new(self, entity: str, **values: Any) -> str:
        """Add a record; returns its id."""
        return str(self.run("records.create_record", entity=entity, values=values)["id"])

    def set(self, entity: str, identity: str, **values: Any) -> None:
        """Change fields of a record."""
        self.run("records.update_record", entity=entity, id=identity, values=values)

    def delete(self, entity: str, identity: str) -> None:
        """Put a record into the recycle bin."""
        self.run("records.delete_record", entity=entity, id=identity)

    def undelete(self, entity: str, identity: str) -> None:
        """Take it out again."""
        self.run("records.undelete_record", entity=entity, id=identity)

    def get(self, entity: str, identity: str) -> dict[str, Any]:
        """A record in JSON form, deleted or not."""
        with self.store.read() as connection:
            return records.read_record(connection, self.actor, entity=entity, id=identity)

    def is_deleted(self, entity: str, identity: str) -> bool:
        """Whether a record lies in the recycle bin."""
        return bool(self.value(f'SELECT deleted FROM "{entity}" WHERE id = ?', bytes.fromhex(identity)))

    def value(self, sql: str, *params: Any) -> Any:
        """One figure straight from the file."""
        with self.store.read() as connection:
            return connection.value(sql, params)

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows straight from the file."""
        with self.store.read() as connection:
            return connection.all(sql, params)

    @property
    def digest(self) -> str:
        """One hash of all data here."""
        return str(node_sync.digest(self.store)["digest"])

    def conflicts(self, **equal: Any) -> list[dict[str, Any]]:
        """What the merges found, oldest first, as far as it equals what is asked for."""
        found = reversed(node_sync.conflicts(self.store)["rows"])
        return [row for row in found if all(row[key] == value for key, value in equal.items())]

    def order(self, customer: str, *products: str, quantity: str = "1") -> str:
        """A draft order with one line per product; returns its id."""
        lines = [{"product_id": product, "quantity": quantity} for product in products]
        return str(self.run("sales.save_order", header={"customer_id": customer}, lines=lines)["id"])


@dataclass
class Company:
    """Head office and its branches."""

    folder: Path
    hq: Installation
    branches: dict[str, Installation]

    @property
    def nodes(self) -> list[Installation]:
        """Head office first."""
        return [self.hq, *self.branches.values()]

    def up(self, code: str) -> dict[str, Any]:
        """A file from a branch to head office."""
        path, branch = self.folder / f"{code}.up", self.branches[code]
        node_sync.pack(branch.store, branch.keys, path)
        return node_sync.unpack(self.hq.store, self.hq.keys, path)

    def down(self, code: str) -> dict[str, Any]:
        """A file from head office to a branch."""
        path, branch = self.folder / f"{code}.down", self.branches[code]
        node_sync.pack(self.hq.store, self.hq.keys, path, for_code=code)
        return node_sync.unpack(branch.store, branch.keys, path)

    def exchange(self, *codes: str) -> None:
        """Both ways by file with each branch named, or with all until everybody knows everything."""
        for code in codes or (*self.branches, *self.branches):
            self.up(code)
            self.down(code)

    def join(self, code: str) -> Installation:
        """One more branch, let in by head office today."""
        folder, keys, clock = self.folder / code, NodeKeys.generate(), self.hq.clock
        fresh = _install(folder, code, "branch", clock)
        enrol((fresh, keys), (self.hq.store, self.hq.keys), self.hq.actor, code)
        fresh.close()
        self.branches[code] = Installation(folder, code, keys, self.hq.actor, clock)
        return self.branches[code]

    @property
    def digests(self) -> set[str]:
        """One element when everybody holds the same data."""
        return {node.digest for node in self.nodes}

    def close(self) -> None:
        """Close every file."""
        for node in self.nodes:
            node.store.close()


@dataclass(frozen=True)
class Template:
    """A company on disk, closed."""

    folder: Path
    keys: dict[str, NodeKeys]
    actor: Actor


@cache
def template(branches: int = 2, name: str = "", prepare: Callable[[Company], None] | None = None) -> Template:
    """An enrolled company, made once per process; another ``name`` is another company, ``prepare`` fills a copy of the first one."""
    folder = fast_folder()
    clock = HandClock()
    if prepare:
        plain = template(branches)
        for code in plain.keys:
            shutil.copytree(plain.folder / code, folder / code)
        filled = _open(folder, plain.keys, plain.actor, dict.fromkeys(plain.keys, clock))
        prepare(filled)
        filled.close()
        return Template(folder, plain.keys, plain.actor)
    keys = {code: NodeKeys.generate() for code in ("HQ", *(f"BR{n:02d}" for n in range(1, branches + 1)))}
    office = _install(folder / "HQ", "HQ", "office", clock)
    actor = set_up_office(office, login="admin", name=f"管理员{name}", password=PASSWORD)
    for code in list(keys)[1:]:
        branch = _install(folder / code, code, "branch", clock)
        enrol((branch, keys[code]), (office, keys["HQ"]), actor, code)
        branch.close()
    office.close()
    _even_out(folder, keys, actor, clock)
    return Template(folder, keys, actor)


def enrol(branch: tuple[Store, NodeKeys], office: tuple[Store, NodeKeys], actor: Actor, code: str = "BR01") -> None:
    """A branch let in by head office: invite, request, approval and reply, by file."""
    request = node_sync.join(*branch, node_sync.invite(*office, actor, code=code))
    assert request is not None
    node_sync.join(*branch, node_sync.approve(*office, actor, request))


def _install(folder: Path, code: str, role: Any, clock: WallClock) -> Store:
    store = create_store(folder, clock=clock)
    with store.housekeeping() as connection:
        number = 1 if role == "office" else 0
        save_node(connection, NodeFacts(secrets.token_bytes(16), code, f"{code}店", role, number, secrets.token_bytes(8), 0))
    return store


def _even_out(folder: Path, keys: dict[str, NodeKeys], actor: Actor, clock: WallClock) -> None:
    """Branches enrolled first learn of those enrolled later."""
    company = _open(folder, keys, actor, dict.fromkeys(keys, clock))
    company.exchange()
    company.close()


def _open(folder: Path, keys: dict[str, NodeKeys], actor: Actor, clocks: dict[str, WallClock]) -> Company:
    nodes = {code: Installation(folder / code, code, key, actor, clocks.get(code) or SystemClock()) for code, key in keys.items()}
    return Company(folder, nodes["HQ"], {code: node for code, node in nodes.items() if code != "HQ"})


def copy_company(
    folder: Path,
    *,
    branches: int = 2,
    name: str = "",
    clocks: dict[str, WallClock] | None = None,
    prepare: Callable[[Company], None] | None = None,
) -> Company:
    """The template's company, copied into ``folder`` and opened; nodes without a clock of their own share one that stands still."""
    made = template(branches, name, prepare)
    for code in made.keys:
        shutil.copytree(made.folder / code, folder / code)
    shared = HandClock()
    return _open(folder, made.keys, made.actor, {code: (clocks or {}).get(code, shared) for code in made.keys})


@contextmanager
def company(*, branches: int = 2, clocks: dict[str, WallClock] | None = None) -> Iterator[Company]:
    """A company for one test, in memory where there is such a folder."""
    folder = fast_folder()
    opened = copy_company(folder, branches=branches, clocks=clocks)
    try:
        yield opened
    finally:
        opened.close()
        shutil.rmtree(folder, ignore_errors=True)
