"""From an address to an open `NetDialect`, and where the key comes from that is shown there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs
from objectkernel.secret import Secret

from objectkernel_system_dialect.data_plug import ApiKeySource, KeyRenewal
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.opening import attempted, expect_module, prepared
from objectkernel_system_dialect.schema import EntitySchema

if TYPE_CHECKING:
    from objectkernel_system_dialect.generations import Opening


class ApiKeys:
    """Who is asked for a key: a source, if the host has one; for a new one first whoever has registered for that."""

    def __init__(self, source: Callable[[], ApiKeySource | None]) -> None:
        self._source = source
        self.renewal: KeyRenewal | None = None

    async def first(self) -> Secret[str] | None:
        """A key to begin with, None where nobody gives one."""
        source = self._source()
        return None if source is None else Secret(await source.api_key())

    async def renew(self) -> str:
        """Another key for one that was refused, "" where nobody gives one."""
        if self.renewal is not None:
            return await self.renewal()
        source = self._source()
        return "" if source is None else await source.api_key(refresh=True)


@attrs.frozen
class NetOpening:
    """A server of data, and the key for it; without one `keys` is asked."""

    url: Secret[str]
    transport: str
    api_key: Secret[str] | None
    timeout: float
    keys: ApiKeys = attrs.field(eq=False, repr=False)
    owned = True
    renewable = False
    """Its connections come and go with requests."""

    async def open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        """An open dialect; the server has these entities and answers.

        Raises:
            DialectUnsupported: nobody offers the transport, or the address is none.
            DataError: the server does not answer, refuses the key, or has not these entities.
        """
        if self.transport == "rest":
            expect_module("httpx", "net")
        return await attempted("the server of the data", self.url.reveal(), lambda: self._open(schemas))

    async def _open(self, schemas: Sequence[EntitySchema]) -> Dialect:
        from objectkernel_system_dialect.net_dialect import NetDialect

        key = self.api_key or await self.keys.first()
        return await prepared(
            await NetDialect.open(self.url, key, self.transport, self.keys.renew, timeout=self.timeout), schemas
        )


if TYPE_CHECKING:
    _is_an_opening: type[Opening] = NetOpening
