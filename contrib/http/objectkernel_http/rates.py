"""How often somebody may ask: a bucket of requests for each key, account and address, which fills again with time."""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import anyio

from objectkernel_http.limits import UNIX, HttpLimits
from objectkernel_http.problems import Refusal
from objectkernel_http.rate_store import RATE_STORE, RateStore, Taken

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel
    from objectkernel_contracts import Principal

    from objectkernel_http.exchange import Exchange

LOG: Final = logging.getLogger("objectkernel.http")
ATTRIBUTE: Final = "_objectkernel_http_rates"
BUCKETS: Final = 50_000
"""Buckets that are kept in memory; the one that was used longest ago goes first."""
POLICY: Final = b"ratelimit-policy"
STATE: Final = b"ratelimit"
PATIENCE: Final = 0.5
"""Seconds that a store may take."""
SILENCE: Final = 10.0
"""Seconds between two complaints about a store."""
NETWORK: Final = 64
"""Bits of an IPv6 address that are one customer's: whoever has one address has all that begin so."""


class MemoryRates:
    """Buckets of this process."""

    def __init__(self, clock: Callable[[], float] = monotonic, most: int = BUCKETS) -> None:
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def take(self, bucket: str, quota: int, seconds: int) -> Taken:
        """See `RateStore.take`."""
        now = self._clock()
        left, at = self._buckets.get(bucket, (float(quota), now))
        left = min(quota, left + (now - at) * quota / seconds)
        granted = left >= 1
        if granted:
            left -= 1
        self._buckets[bucket] = (left, now)
        self._buckets.move_to_end(bucket)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return Taken(granted, int(left), ((quota if granted else 1) - left) * seconds / quota)


class Limiter:
    """Takes the requests of one place out of their buckets."""

    def __init__(self, kernel: ObjectKernel, limits: HttpLimits) -> None:
        self._kernel = kernel
        self._window = window = limits.rate_window
        rates = {"key": limits.key_rate, "account": limits.account_rate, "address": limits.address_rate}
        self._quotas = {name: int(rate * window) for name, rate in rates.items() if rate}
        self._exempt = tuple(ipaddress.ip_network(one) for one in limits.rate_exempt)
        self._partition = lru_cache(4096)(self._partitioned)
        self._memory: RateStore = _memory_of(kernel)
        self._quiet_until = 0.0

    async def take(self, principal: Principal | None, client: Sequence[Any] | None, exchange: Exchange) -> None:
        """Count a request, and say in its answer's headers what is left (draft-ietf-httpapi-ratelimit-headers).

        Raises:
            Refusal: 429, there is nothing left.
        """
        if not self._quotas:
            return
        policies, states = b"", b""
        for name, of in self._buckets(principal, client):
            quota = self._quotas.get(name)
            taken = None if quota is None else await self._taken(f"{name}:{of}", quota)
            if quota is None or taken is None:
                continue
            between, label = b", " if policies else b"", name.encode()
            policies += b'%b"%b";q=%d;w=%d' % (between, label, quota, self._window)
            states += b'%b"%b";r=%d;t=%d' % (between, label, taken.remaining, ceil(taken.seconds))
            if not taken.granted:
                exchange.added += ((POLICY, policies), (STATE, states))
                raise _one_too_many(name, quota, self._window, taken)
        if policies:
            exchange.added += ((POLICY, policies), (STATE, states))

    def _buckets(self, principal: Principal | None, client: Sequence[Any] | None) -> Sequence[tuple[str, str]]:
        """Who counts: a key together with its account, or else the address that an unknown one comes from."""
        if principal is None:
            host = None if client is None else self._partition(client[0])
            return () if host is None else (("address", host),)
        account = ("account", principal.account_id)
        return (account,) if principal.key_id is None else (("key", principal.key_id), account)

    def _partitioned(self, host: str) -> str | None:
        """The part of an address that counts, None for one that is not counted."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None if host == UNIX else host
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in self._exempt):
            return None
        if address.version == 4:
            return str(address)
        return str(ipaddress.ip_network((int(address), NETWORK), strict=False))

    async def _taken(self, bucket: str, quota: int) -> Taken | None:
        """None where the store fails: then nobody is refused."""
        if RATE_STORE not in self._kernel.compose().graph.services:
            return await self._memory.take(bucket, quota, self._window)
        try:
            with anyio.fail_after(PATIENCE):
                store = await self._kernel.aget(RATE_STORE)
                return await store.take(bucket, quota, self._window)
        except Exception as error:  # whatever it is: requests are not refused for it
            now = monotonic()
            if now >= self._quiet_until:
                self._quiet_until = now + SILENCE
                LOG.error("the store of rates fails, nobody is limited: %s", type(error).__name__, exc_info=error)
            return None


def _one_too_many(name: str, quota: int, window: int, taken: Taken) -> Refusal:
    return Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"too many requests of this {name}: {quota} in {window} seconds",
        headers={"Retry-After": str(ceil(taken.seconds))},
    )


def _memory_of(kernel: ObjectKernel) -> MemoryRates:
    """The buckets of a kernel, whatever number of places it is served at."""
    found: MemoryRates = vars(kernel).setdefault(ATTRIBUTE, MemoryRates())
    return found


if TYPE_CHECKING:
    _is_a_store: type[RateStore] = MemoryRates
