"""Connections to one authorization server, whose endpoints are looked for when they are needed first."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import attrs

from objectkernel_device_auth.client_addresses import Address
from objectkernel_device_auth.client_discovery import discover
from objectkernel_device_auth.client_requests import Requests
from objectkernel_device_auth.contracts import StoredToken
from objectkernel_device_auth.device_client import DeviceClient, Received


class ClientSession:
    """One client at one server, until the block ends; `timeout` seconds for each answer."""

    def __init__(self, address: Address, client_id: str, timeout: float) -> None:
        self._address = address
        self._client_id = client_id
        self._requests = Requests(timeout)
        self._client: DeviceClient | None = None

    async def __aenter__(self) -> Self:
        await self._requests.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._requests.__aexit__(kind, error, trace)

    async def client(self) -> DeviceClient:
        """The client.

        Raises:
            AuthorizationFailed: the server does not say what it offers.
        """
        if self._client is None:
            server = await discover(self._requests, self._address)
            self._client = DeviceClient(self._requests, server, self._client_id)
        return self._client

    async def renewed(self, kept: StoredToken) -> Received | None:
        """New tokens for a kept refresh token; None where that is not possible.

        Raises:
            AuthorizationFailed: the server gives no proper answer.
        """
        if kept.refresh_token is None:
            return None
        received = await (await self.client()).refresh(kept.refresh_token)
        if received is None:
            return None
        return attrs.evolve(  # what an answer leaves out is as it was (RFC 6749 sections 5.1 and 6)
            received,
            refresh_token=received.refresh_token or kept.refresh_token,
            scope=kept.granted_scope if received.scope is None else received.scope,
        )
