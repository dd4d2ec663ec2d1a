"""Every kind of record that stands in a timeline can be drawn there, and redraws it."""

from __future__ import annotations

from localcrm.domain.sales.timeline import kinds
from localcrm.ui.customer.timeline import ICONS, TIMELINE


def test_every_kind_of_the_timeline_has_its_sign_and_is_heard() -> None:
    assert set(ICONS) == kinds() == TIMELINE.shows
