"""The collector of cycles rests during large works, and never longer."""

import gc

import pytest

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
