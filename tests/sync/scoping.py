"""What tests of scopes have in common."""

from __future__ import annotations

from localcrm.domain.admin.entities import BranchHolds
from localcrm.store import check
from localcrm.sync import compaction, node_sync
from localcrm.sync.codec import Batch, Change, Tx
from localcrm.sync.compaction import DAY_MS
from localcrm.sync.merge import admit
from tests.factories import Company

#: What has been exchanged leaves the log, in steps that cut transactions in two.
AT_ONCE = compaction.Rule(keep_ms=-DAY_MS, patience_ms=0, most=5)


def agree(company: Company) -> None:
    """Everybody exchanges; each branch holds exactly what head office says it should, and every file is whole."""
    company.exchange()
    for code, node in company.branches.items():
        assert node.digest == node_sync.digest(company.hq.store, for_code=code)["digest"], code
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0
        # What was not told would be mended afterwards.
        assert node.value("SELECT count(*) FROM event_log WHERE kind LIKE '%mended'") == 0


def narrow(company: Company, code: str, what: str = "own_customers") -> None:
    """Head office decides what a branch holds."""
    node_sync.set_holds(company.hq.store, company.hq.actor, code, BranchHolds(what))


def forged(company: Company, *changes: Change) -> list[str]:
    """Head office hears these of the first branch, whose program was tampered with; returns why something was kept out."""
    hq = company.hq
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'BR01'")[0]
    stamp = (hq.clock.now_ms() + 1000) << 16
    tx = Tx(0, have + 1, len(changes), stamp, stamp, None, 0)
    admit(hq.store, Batch([(number, int.from_bytes(epoch))], [tx], list(changes)), sender_no=number, sender_code="BR01")
    return [reason for (reason,) in hq.rows("SELECT reason FROM sync_quarantine ORDER BY oseq")]
