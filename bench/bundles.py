"""Bytes per change: in real bundles that a branch packs from its data file, and in batches made by hand, kind by kind.

Real: 40 % inserts of 20 columns, 55 % two-column updates, 5 % deletions, made through units of work, taken out by the production extraction,
compressed, signed and sealed; what the branch says of itself is counted too. By hand: see ``bundle_size``.

    python bench/bundles.py [CHANGES]
"""

from __future__ import annotations

import sys

import _measure  # noqa: F401 -- makes the package importable from anywhere
import bundle_size
from _company import history, work
from _measure import Figure, folder, office, show

from localcrm.domain.admin.services import set_up_office
from localcrm.sync import node_sync
from localcrm.sync.extract import PORTION
from localcrm.sync.identity import NodeKeys


def measure(changes: int = 20_000) -> list[Figure]:
    """Bytes per change of a real bundle, and of batches by kind."""
    size = min(changes, PORTION)
    figures = bundle_size.measure(size)
    return [
        Figure("mixed change in a real bundle", real(changes), "B", goal=55),
        Figure(f"mixed change in a message of {size:,}", figures["mixed"], "B", goal=55),
        Figure("insert alone", figures["insert"], "B"),
        Figure("two-column update alone", figures["update"], "B", goal=25),
        Figure("deletion alone", figures["delete"], "B"),
        Figure("columns / the same changes as msgpack rows", figures["mixed"] / figures["rows"]),
        Figure("batch encoded, changes a second", figures["encode/s"], "/s"),
        Figure("batch decoded, changes a second", figures["decode/s"], "/s"),
    ]


def real(changes: int) -> float:
    """Bytes per change of the bundle of an enrolled branch that worked so much."""
    with folder() as place:
        head, head_keys = office(place / "hq"), NodeKeys.generate()
        admin = set_up_office(head, login="admin", name="admin", password="bench-secret-1")
        branch, branch_keys = office(place / "br01", code="BR01", role="branch"), NodeKeys.generate()
        request = node_sync.join(branch, branch_keys, node_sync.invite(head, head_keys, admin, code="BR01"))
        assert request is not None
        node_sync.join(branch, branch_keys, node_sync.approve(head, head_keys, admin, request))
        work(branch, history(changes), actor=admin.user_id)
        packed = node_sync.pack(branch, branch_keys, place / "bundle")

        branch.close()
        head.close()
        return (place / "bundle").stat().st_size / packed["changes"]


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
