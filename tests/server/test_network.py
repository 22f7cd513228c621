from __future__ import annotations

import pytest

from gqlink.server.network import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("x" * 100, "x" * 64),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_stands_for_its_subscriber(address: str | None, network: str) -> None:
    """One who has an IPv6 address has 2 to the 64th of them."""
    assert network_of(address) == network
