"""Whom an address belongs to, as far as one can say that."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

__all__ = ("network_of",)

_ADDRESS_CHARACTERS: Final = 64
# A proxy has one address, and most clients come back; to take one apart costs as much as the rest of an admission.
_REMEMBERED: Final = 4096


@lru_cache(maxsize=_REMEMBERED)
def network_of(address: str | None) -> str:
    """Say whom an address belongs to: itself for IPv4, its /64 for IPv6, which is what one subscriber gets.

    Args:
        address: Without a port; what is no address stands for itself.
    """
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return (address or "")[:_ADDRESS_CHARACTERS]
    if isinstance(parsed, ipaddress.IPv4Address):
        return address or ""  # there is one way to write it
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
