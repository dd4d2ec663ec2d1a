"""What is no message is refused by name, whatever it is instead."""

from __future__ import annotations

import pytest

from localcrm.kernel.errors import ExchangeError
from localcrm.sync.messages import Pull, decode, encode

NONSENSE = {
    "nothing": b"",
    "no map": b"\xc0",
    "no kind": b"\x80",
    "another kind": b"\x81\xa4type\xa3bye",
    "a kind that is no text": b"\x81\xa4type\xa4\xe8\x05pu",
    "a key that is no text": b"\x81\xa4\xe8ype\xa4pull",
    "a text that is none": b"\x82\xa4type\xa5hello\xa7program\xa2\xe8\x05",
    "deep": b"\x91" * 200_000,
    "endless": b"\xdf\xff\xff\xff\xff",
    "too much": encode(Pull(1)) + b"\0",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(ExchangeError) as refused:
        decode(data)
    assert refused.value.code == "bad_message"
