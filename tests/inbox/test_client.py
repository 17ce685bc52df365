from __future__ import annotations

import pytest

from inbox.client import client_of


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_one_client_under_two_addresses_is_one(host: str, other: str) -> None:
    assert client_of(host) == client_of(other)


@pytest.mark.parametrize(
    ("host", "other"),
    [("203.0.113.7", "203.0.113.8"), ("2001:db8:1:2::1", "2001:db8:1:3::1"), ("::ffff:203.0.113.7", "::ffff:203.0.113.8")],
)
def test_clients_of_different_networks_are_two(host: str, other: str) -> None:
    assert client_of(host) != client_of(other)
