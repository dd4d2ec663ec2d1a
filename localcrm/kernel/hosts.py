"""Hosts as people write them and as addresses of pages need them: an IPv6 address stands in brackets there, in its short form."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def plain_host(text: str) -> str:
    """A name in small letters or an address in its short form, without brackets and zone: the form browsers use, too."""
    bare = text.strip().removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(bare.partition("%")[0]))
    except ValueError:
        return bare.lower()


def url_host(host: str) -> str:
    """The same as it stands in an address: ``[fd00::2]``."""
    return f"[{host}]" if is_ipv6(host) else host


def is_ipv6(host: str) -> bool:
    """Whether this is an IPv6 address."""
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False
