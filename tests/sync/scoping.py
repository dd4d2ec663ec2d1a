"""What tests of scopes have in common."""

from __future__ import annotations

from localcrm.store import check
from localcrm.sync import compaction, node_sync
from localcrm.sync.compaction import DAY_MS
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
