"""The collector of cycles rests during large works, and never longer."""

import gc
import threading
import types

import pytest

from localcrm.kernel import collector
from localcrm.kernel.collector import collector_at_rest


def test_it_rests_during_the_work_and_is_at_work_again_whatever_happens() -> None:
    @collector_at_rest()
    def work(*, fails: bool) -> bool:
        with collector_at_rest():
            pass
        if fails:
            raise ValueError
        return gc.isenabled()

    assert work(fails=False) is False
    assert gc.isenabled()
    with pytest.raises(ValueError):
        work(fails=True)
    assert gc.isenabled()


def test_who_has_put_it_to_rest_before_finds_it_at_rest() -> None:
    gc.disable()
    try:
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_is_at_work_again_where_one_work_ends_while_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, has_ended = threading.Event(), threading.Event()

    def first() -> None:
        with collector_at_rest():
            may_end.wait(5)
        has_ended.set()

    def disable() -> None:
        """As long as it takes for another thread to come in between."""
        if threading.current_thread() is not one:
            may_end.set()
            has_ended.wait(0.2)
        gc.disable()

    monkeypatch.setattr(collector, "gc", types.SimpleNamespace(isenabled=gc.isenabled, enable=gc.enable, disable=disable))
    one = threading.Thread(target=first)
    one.start()
    while gc.isenabled():
        pass
    with collector_at_rest():
        pass
    one.join()
    at_work = gc.isenabled()
    gc.enable()
    assert at_work
