"""The programs that may ask for keys: the service `oauth-clients`."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs
from objectkernel.secret import Secret
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Dialect, DuplicateKey, Row

from objectkernel_device_auth.config import DAY, HOUR, MINUTE, DeviceAuthConfig
from objectkernel_device_auth.contracts import Client, Clients
from objectkernel_device_auth.errors import ClientMissing
from objectkernel_device_auth.key_endings import KeyEndings
from objectkernel_device_auth.key_format import digest_of, make_token
from objectkernel_device_auth.key_rules import KeyRules, refuse, tidy_name
from objectkernel_device_auth.storage_keys import CLIENT, LONGEST_CLIENT_ID, client_of, client_row
from objectkernel_device_auth.trail import Trail
from objectkernel_device_auth.verifying import KeyChecks

SECRET_WORD: Final = "client"
"""Stands in a client's secret where a key has its id."""
MOST: Final = 10_000
_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~-]*[A-Za-z0-9])?")
_BOUNDS: Final = {
    "code_lifetime": (MINUTE, HOUR),
    "access_lifetime": (MINUTE, 366 * DAY),
    "refresh_lifetime": (MINUTE, 10 * 366 * DAY),
    "interval": (1.0, MINUTE),
}
"""Seconds."""


@attrs.frozen
class HostClients:
    """The clients of a host, in its system database, and the first-party one, which is there without a row."""

    dialect: Dialect
    trail: Trail
    rules: KeyRules
    endings: KeyEndings
    checks: KeyChecks
    config: DeviceAuthConfig

    async def register(self, client: Client, *, by: Principal | None = None) -> tuple[Client, Secret[str] | None]:
        client = attrs.evolve(client, name=tidy_name(client.name))
        refuse("this client cannot be registered", self._problems(client))
        async with self.dialect.transaction():
            before = await self.dialect.find_by_id(CLIENT, client.id)
            if before is not None and before["confidential"] != client.confidential:
                refuse("this client cannot be changed", ["whether it has a secret stays as it is; remove it first"])
            secret = None if before is not None or not client.confidential else make_token(self._prefix, SECRET_WORD)
            kept = client_row(client)
            if before is None:
                await self._create(kept | {"digest": None if secret is None else secret.digest})
            else:
                await self.dialect.update(CLIENT, kept.pop("id"), kept)
            await self.trail.note("client.register", client.id, by=by, name=client.name, new=before is None)
            row = await self.dialect.find_by_id(CLIENT, client.id)
        assert row is not None, "it was written in this transaction"
        return client_of(row), None if secret is None else Secret(secret.text)

    async def get(self, client_id: str) -> Client | None:
        row = await self._row(client_id)
        return self._first_party(client_id) if row is None else client_of(row)

    async def list(self) -> tuple[Client, ...]:
        rows = await self.dialect.find(CLIENT, sort={"id": 1}, limit=MOST)
        found = {row["id"]: client_of(row) for row in rows}
        first = self._first_party(self.config.first_party_client)
        if first is not None:
            found.setdefault(first.id, first)
        return tuple(found[id] for id in sorted(found))

    async def remove(self, client_id: str, *, by: Principal | None = None) -> bool:
        if client_id == self.config.first_party_client:
            refuse("this client cannot be removed", ["it is the host's own: the setting first_party_client names it"])
        async with self.dialect.transaction():
            there = await self.dialect.delete(CLIENT, client_id)
            if there:
                if self.endings.forget_client is not None:
                    await self.endings.forget_client(client_id)  # waits for codes that are being exchanged for keys
                await self.endings.end({"client_id": client_id}, by=by, why="the client was removed")
                await self.trail.note("client.remove", client_id, by=by)
        self.checks.forget()
        return there

    async def rotate_secret(
        self, client_id: str, *, overlap: timedelta | None = None, by: Principal | None = None
    ) -> Secret[str]:
        """Give a confidential client another secret; the one before goes on for `overlap` (a setting's default)."""
        until = datetime.now(UTC) + (timedelta(seconds=self.config.rotation_overlap) if overlap is None else overlap)
        secret = make_token(self._prefix, SECRET_WORD)
        async with self.dialect.transaction():
            row = await self._row(client_id)
            if row is None:
                raise client_missing(client_id)
            if not row["confidential"]:
                refuse("this client has no secret to change", ["it is a public one"])
            changes = {"digest": secret.digest, "former_digest": row["digest"], "former_until": until}
            await self.dialect.update(CLIENT, client_id, changes)
            await self.trail.note("client.rotate-secret", client_id, by=by)
        return Secret(secret.text)

    async def authenticate(self, client_id: str, secret: str | None) -> Client | None:
        """The client, if this is its secret, or if it is public and shows none."""
        row = await self._row(client_id)
        if row is None:
            return self._first_party(client_id) if secret is None else None
        if not row["confidential"]:
            return client_of(row) if secret is None else None
        return client_of(row) if secret is not None and _is_secret(row, secret) else None

    @property
    def _prefix(self) -> str:
        return self.config.key_prefix

    async def _row(self, client_id: str) -> Row | None:
        if len(client_id) > LONGEST_CLIENT_ID or not _ID.fullmatch(client_id):
            return None
        return await self.dialect.find_by_id(CLIENT, client_id)

    async def _create(self, row: Row) -> None:
        try:
            async with self.dialect.transaction():
                await self.dialect.create(CLIENT, row)
        except DuplicateKey:
            refuse("this client cannot be registered", ["somebody registers one of this id at this moment"])

    def _first_party(self, client_id: str) -> Client | None:
        if client_id != self.config.first_party_client:
            return None
        return Client(id=client_id, name=self.config.first_party_name, first_party=True)

    def _problems(self, client: Client) -> Iterator[str]:
        if len(client.id) > LONGEST_CLIENT_ID or not _ID.fullmatch(client.id):
            yield f"its id has to have 1 to {LONGEST_CLIENT_ID} letters, digits and .-_~, no sign at its ends"
        yield from self.rules.name_problems(client.name)
        if client.id == self.config.first_party_client and client.confidential:
            yield "the host's own client cannot keep a secret"
        if client.scopes is not None:
            yield from self.rules.scope_problems(client.scopes, "it may ask for no scopes at all")
        for name, (least, most) in _BOUNDS.items():
            value: timedelta | None = getattr(client, name)
            if value is not None and not least <= value.total_seconds() <= most:
                yield f"its {name} has to be {least:g} to {most:g} seconds"
            elif value is not None and value % timedelta(seconds=1):
                yield f"its {name} has to be whole seconds"


def client_missing(client_id: str) -> ClientMissing:
    """There is none of this id."""
    return ClientMissing(
        f"there is no client {client_id[:LONGEST_CLIENT_ID]!r}",
        why="it was never registered, or was removed",
        fix="`objectkernel clients list` names them",
        client_id=client_id,
    )


def _is_secret(row: Row, secret: str) -> bool:
    digest = digest_of(secret)
    if row["digest"] is not None and hmac.compare_digest(row["digest"], digest):
        return True
    former, until = row["former_digest"], row["former_until"]
    return former is not None and until > datetime.now(UTC) and hmac.compare_digest(former, digest)


if TYPE_CHECKING:
    _are_clients: type[Clients] = HostClients
