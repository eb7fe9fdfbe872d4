"""Hosts: every spelling of one is compared as one, and no spelling passes for another."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.host_rules import HostRules, host_of


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("db.example", "db.example"),
        ("DB.Example", "db.example"),
        ("db.example.", "db.example"),
        ("db_1", "db_1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("ｄｂ.example", "db.example"),
        ("db。example", "db.example"),
        ("10.0.0.1", ipaddress.ip_address("10.0.0.1")),
        ("10.0.0.1.", ipaddress.ip_address("10.0.0.1")),
        ("１０.0.0.1", ipaddress.ip_address("10.0.0.1")),
        ("10。0。0。1", ipaddress.ip_address("10.0.0.1")),
        ("[::1]", ipaddress.ip_address("::1")),
        ("::1", ipaddress.ip_address("::1")),
        ("0:0:0:0:0:0:0:1", ipaddress.ip_address("::1")),
        ("::ffff:127.0.0.1", ipaddress.ip_address("127.0.0.1")),
        ("[::FFFF:7f00:1]", ipaddress.ip_address("127.0.0.1")),
        ("2130706433", None),
        ("0x7f000001", None),
        ("0x7f.0.0.1", None),
        ("0177.0.0.1", None),
        ("010.0.0.1", None),
        ("127.1", None),
        ("127.0.1", None),
        ("127.0.0.0x1", None),
        ("db.0x", None),
        ("1.2.3.4.5", None),
        ("256.0.0.1", None),
        ("127.0.0.1 ", None),
        ("db.example..", None),
        (".db", None),
        ("db..example", None),
        ("-db", None),
        ("db-", None),
        ("a" * 64, None),
        (".".join(["a" * 60] * 5), None),
        ("", None),
        (".", None),
        ("[]", None),
        ("[db]", "db"),
        ("fe80::1%eth0", None),
        ("[fe80::1%25eth0]", None),
        ("/run/postgresql", None),
        ("@abstract", None),
        ("db\0.example", None),
        ("db\n", None),
        ("db example", None),
        ("*.example", None),
        ("user@db", None),
        ("db:5432", None),
        ("db%2eexample", None),
        ("\ud800", None),
        ("é" * 300, None),
    ],
)
def test_how_a_host_is_compared(text: str, host: object) -> None:
    """Case, dots at the end, other scripts, brackets, IPv4 in IPv6; what resolvers guess at is no host."""
    assert host_of(text) == host


@given(st.text())
def test_any_text_is_a_host_or_none(text: str) -> None:
    """No text is an error, and a host is its own normal form."""
    host = host_of(text)
    assert host is None or host_of(str(host)) == host


RULES = HostRules.parse(
    [
        "db.example",
        "*.Tenants.example.",
        "10.1.0.0/16",
        "192.168.0.7",
        "[2001:db8::1]",
        "fd00::/8",
        "::ffff:172.16.0.0/108",
    ]
)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("DB.example.", True),
        ("a.db.example", False),
        ("db.example.evil.test", False),
        ("xdb.example", False),
        ("a.tenants.example", True),
        ("a.b.TENANTS.example", True),
        ("tenants.example", False),
        ("eviltenants.example", False),
        ("10.1.255.255", True),
        ("10.2.0.0", False),
        ("::ffff:10.1.0.1", True),
        ("::10.1.0.1", False),
        ("192.168.0.7", True),
        ("192.168.0.8", False),
        ("2001:DB8:0::1", True),
        ("2001:db8::2", False),
        ("fd12::1", True),
        ("fe80::1", False),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("169.254.169.254", False),
    ],
)
def test_what_rules_allow(text: str, allowed: bool) -> None:
    """Exact names, names below one, addresses, networks."""
    host = host_of(text)
    assert host is not None
    assert RULES.allow(host) is allowed


def test_no_rules_allow_nothing() -> None:
    """An empty setting is no server at all."""
    rules = HostRules.parse(())
    assert not rules.allow("db.example")
    assert not rules.allow(ipaddress.ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "*.example", "*.10.0.0.1", "db.*", "10.1.0.1/16", "10/8", "http://db", "db:5432", "/tmp", "127.1"],
)
def test_a_rule_that_means_nothing_is_refused(entry: str) -> None:
    """With the setting, so that a typo does not open or close more than was meant."""
    with pytest.raises(ValueError, match="allowed_hosts"):
        ProjectLifeConfig(allowed_hosts=("db.example", entry))
