"""Which servers a setting allows: names, `*.example.com`, addresses, networks; and every way to write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

import attrs

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME: Final = re.compile(rf"{LABEL}(?:\.{LABEL})*")
LONGEST_NAME: Final = 253
"""Characters (RFC 1035)."""
NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""What resolvers take for an address, though it is no usual way to write one: ``127.1``, ``2130706433``, ``0x7f.1``."""


@lru_cache(maxsize=1024)
def host_of(text: str) -> Address | str | None:
    """A host as it is compared: an address, or a name in lower case without a dot at its end; None: it is no host.

    Names beyond ASCII are as the resolver gets them (IDNA), which makes digits of other scripts usual ones. An address
    of IPv4 in one of IPv6 is that of IPv4. Numbers that are no address in its one usual form are no host, and neither
    are addresses with a zone, and sockets.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not bare.isascii():
        try:
            bare = bare.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    bare = bare.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        is_name = len(bare) <= LONGEST_NAME and NAME.fullmatch(bare) is not None and NUMBER.fullmatch(bare) is None
        return bare if is_name else None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


@attrs.frozen
class HostRules:
    """What `allowed_hosts` says."""

    names: frozenset[str]
    suffixes: tuple[str, ...]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> HostRules:
        """Read the entries.

        Raises:
            ValueError: with those that are none of the four forms.
        """
        names: set[str] = set()
        suffixes: list[str] = []
        networks: list[Network] = []
        wrong: list[str] = []
        for entry in entries:
            bare = entry.strip()
            network = _network(bare)
            host = host_of(bare.removeprefix("*."))
            if network is not None:
                networks.append(network)
            elif not isinstance(host, str) or (bare.startswith("*.") and "." not in host):
                wrong.append(entry)
            elif bare.startswith("*."):
                suffixes.append(f".{host}")
            else:
                names.add(host)
        if wrong:
            raise ValueError(
                f"{', '.join(map(repr, wrong))}: an entry is a name, *.example.com, an address, or a network such as "
                "10.1.0.0/16 without bits behind its length"
            )
        return cls(frozenset(names), tuple(suffixes), tuple(networks))

    def allow(self, host: Address | str) -> bool:
        """Whether a host is one of them. A name is compared as a name: it is not asked where it leads."""
        if isinstance(host, str):
            return host in self.names or host.endswith(self.suffixes)
        return any(host in network for network in self.networks)


def are_host_rules(_instance: object, attribute: attrs.Attribute[Any], value: Iterable[str]) -> None:
    """A validator of attrs for a setting that is a list of hosts."""
    try:
        HostRules.parse(value)
    except ValueError as error:
        raise ValueError(f"{attribute.name}: {error}") from None


def _network(entry: str) -> Network | None:
    """The network that an entry means, an address being the smallest one; of IPv4 in IPv6 that of IPv4."""
    if "/" not in entry:
        host = host_of(entry)
        return None if host is None or isinstance(host, str) else ipaddress.ip_network(host)
    try:
        network = ipaddress.ip_network(entry)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network
