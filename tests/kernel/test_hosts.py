"""Hosts as they are typed, compared and shown."""

from __future__ import annotations

import pytest

from localcrm.kernel.hosts import is_ipv6, plain_host, url_host


@pytest.mark.parametrize(
    ("typed", "plain", "shown"),
    [
        ("192.168.1.5", "192.168.1.5", "192.168.1.5"),
        (" HQ-PC.local ", "hq-pc.local", "hq-pc.local"),
        ("FD00:0:0::0002", "fd00::2", "[fd00::2]"),
        ("[::1]", "::1", "[::1]"),
        ("fe80::1%eth0", "fe80::1", "[fe80::1]"),
        ("::", "::", "[::]"),
    ],
)
def test_an_address_has_one_form(typed: str, plain: str, shown: str) -> None:
    assert plain_host(typed) == plain
    assert url_host(plain) == shown
    assert is_ipv6(plain) == (":" in plain)
