"""The keys of accounts: the service `api-keys`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs
from objectkernel.secret import Secret
from objectkernel_contracts import Principal, Standing
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import ApiKey, ApiKeys, IssuedKey
from objectkernel_device_auth.errors import InvalidRequest, KeyMissing
from objectkernel_device_auth.key_endings import KeyEndings
from objectkernel_device_auth.key_format import make_token
from objectkernel_device_auth.key_rules import KeyRules, held_problems, maker_problems, refuse, tidy_name
from objectkernel_device_auth.key_scopes import MANAGE
from objectkernel_device_auth.storage_keys import KEY, key_of
from objectkernel_device_auth.trail import Trail
from objectkernel_device_auth.verifying import KeyChecks

ENDED: Final = 10
"""How many times `keys_per_account` keys that were made by hand are remembered: nobody fills the table by rotating."""


@attrs.frozen
class HostKeys:
    """The keys of a host, in its system database."""

    dialect: Dialect
    trail: Trail
    rules: KeyRules
    endings: KeyEndings
    checks: KeyChecks
    config: DeviceAuthConfig
    standing: Standing | None = None

    async def issue(
        self,
        account_id: str,
        name: str,
        scopes: Iterable[str],
        *,
        user_id: str | None = None,
        expires_in: timedelta | None = None,
        by: Principal | None = None,
    ) -> IssuedKey:
        name, granted = tidy_name(name), frozenset(scopes)
        self.rules.expect_allowed(account_id, name, granted, user_id, expires_in, by)
        if self.standing is not None and await self.standing.scopes(account_id, user_id) is None:
            refuse("this key cannot be made", ["there is no such account, or nobody of this id in it, or not any more"])
        now = datetime.now(UTC)
        async with self.dialect.transaction():
            await self.expect_room(account_id, now)
            maker = await self._maker(by)
            ends_at = _earliest(self.rules.end_of(expires_in, now), _end_of(maker))
            issued = await self.insert(
                {
                    "account_id": account_id,
                    "user_id": user_id,
                    "name": name,
                    "scopes": sorted(granted),
                    "made_by": maker and maker["id"],
                },
                now,
                ends_at,
            )
            await self._note("key.issue", issued.key, by)
        return issued

    async def list(
        self, account_id: str, *, user_id: str | None = None, limit: int = 50, after: str | None = None
    ) -> tuple[tuple[ApiKey, ...], str | None]:
        return await self.of_host(account_id, user_id, limit, after)

    async def of_host(
        self, account_id: str | None, user_id: str | None, limit: int, after: str | None = None
    ) -> tuple[tuple[ApiKey, ...], str | None]:
        """As `list`, for the host itself: None is every account."""
        whose = {"account_id": account_id, "user_id": user_id}
        which = good_at(datetime.now(UTC)) | {name: id for name, id in whose.items() if id is not None}
        page = await self.dialect.find_page(KEY, which, sort={"created_at": -1}, limit=limit, after=after)
        return tuple(map(key_of, page.rows)), page.next

    async def find(self, key_id: str) -> ApiKey | None:
        """A key of whatever account, for the host itself."""
        row = await self.dialect.find_by_id(KEY, key_id)
        return None if row is None else key_of(row)

    async def get(self, account_id: str, key_id: str) -> ApiKey | None:
        row = await self.dialect.find_one(KEY, {"id": key_id, "account_id": account_id})
        return None if row is None else key_of(row)

    async def rotate(
        self, account_id: str, key_id: str, *, overlap: timedelta | None = None, by: Principal | None = None
    ) -> IssuedKey:
        now = datetime.now(UTC)
        until = now + (timedelta(seconds=self.config.rotation_overlap) if overlap is None else overlap)
        if overlap is not None and overlap < timedelta(0):
            refuse("the key cannot be rotated", ["the overlap would be over already"])
        which = {"id": key_id, "account_id": account_id, "rotated_to": None, **good_at(now), **_own(by)}
        async with self.dialect.transaction():
            old = await self.dialect.find_one(KEY, which)
            if old is None:
                raise missing(key_id)
            self._expect_rotatable(old, by)
            await self._expect_remembered_room(account_id)
            maker = await self._maker(by)
            lifetime = None if old["expires_at"] is None else now + (old["expires_at"] - old["created_at"])
            longest = self.rules.longest_end(now)
            kept = {name: old[name] for name in ("account_id", "user_id", "name", "scopes", "made_by")}
            ends_at = _earliest(lifetime, longest, _end_of(maker), _end_of(await self._made_by(old)))
            issued = await self.insert(kept, now, ends_at)
            changes: dict[str, Any] = {
                "rotated_to": issued.key.id,
                "rotated_by_itself": maker is not None and maker["id"] == key_id,
            }
            if old["expires_at"] is None or until < old["expires_at"]:
                changes |= {"expires_at": until, "remove_at": self.remove_at(until)}
            if not await self.dialect.update_many(KEY, which, changes):
                raise missing(key_id)  # somebody else was faster
            await self.dialect.update_many(KEY, {"made_by": key_id}, {"made_by": issued.key.id})
            await self._note("key.rotate", issued.key, by, rotated=key_id)
        self.checks.forget()
        return issued

    async def revoke(self, account_id: str, key_id: str, *, by: Principal | None = None) -> bool:
        which = {"id": key_id, "account_id": account_id, **_own(by)}
        async with self.dialect.transaction():
            if by is not None and by.key_id is not None:  # it ends what it has replaced, and not itself with it
                await self.dialect.update_many(KEY, {**which, "rotated_to": by.key_id}, {"rotated_by_itself": False})
            ended = await self.endings.end(which, by=by)
        self.checks.forget()
        return ended > 0

    async def verify(self, token: str) -> ApiKey | None:
        checked = await self.checks.check(token)
        return None if checked is None else checked.key

    async def forget_account(self, account_id: str) -> None:
        """Remove every key of an account that is being deleted, with the tokens that came with it."""
        async with self.dialect.transaction():
            await self.endings.end({"account_id": account_id}, by=None, why="the account is being deleted")
            if self.endings.forget_account is not None:
                await self.endings.forget_account(account_id)
            await self.dialect.delete_many(KEY, {"account_id": account_id})
        self.checks.forget()

    async def expect_room(self, account_id: str, now: datetime) -> None:
        """Raise InvalidRequest where the account has as many keys as it may; those made at once may be some more."""
        most, own = self.config.keys_per_account, {"account_id": account_id}
        if await self.dialect.count(KEY, own | good_at(now) | {"rotated_to": None}) >= most:
            raise _no_room(
                f"the account has {most} keys, which is as many as the setting keys_per_account lets it have"
            )
        await self._expect_remembered_room(account_id)

    async def _expect_remembered_room(self, account_id: str) -> None:
        most = ENDED * self.config.keys_per_account
        if await self.dialect.count(KEY, {"account_id": account_id, "family": None}) >= most:
            raise _no_room(f"the account has made {most} keys that are remembered still, most of which have ended")

    async def insert(self, row: dict[str, Any], now: datetime, ends_at: datetime | None) -> IssuedKey:
        """Make a key that is known to be allowed.

        Args:
            row: fields of `KEY`, but for the id and what tells of times and secrets.
        """
        token = make_token(self.config.key_prefix)
        times = {"created_at": now, "expires_at": ends_at, "remove_at": ends_at and self.remove_at(ends_at)}
        made = await self.dialect.create(KEY, {**row, **times, "id": token.id, "digest": token.digest})
        return IssuedKey(key=key_of(made), secret=Secret(token.text))

    def remove_at(self, ends_at: datetime) -> datetime:
        """When a key that ends then is no longer told of."""
        return ends_at + timedelta(seconds=self.config.remembered)

    def _expect_rotatable(self, old: Row, by: Principal | None) -> None:
        """Raise InvalidRequest where the new key would be more than its maker is, or belongs to a device."""
        problems: list[str] = []
        if by is not None:
            problems += maker_problems(old["account_id"], old["user_id"], by)
            problems += held_problems(old["scopes"], by)
            if by.key_id is not None and by.key_id not in (old["id"], old["made_by"]):
                problems.append("a key rotates itself and what it has made; other keys somebody who has signed in")
        if old["family"] is not None:
            problems.append("it was given to a device, which renews it by itself")
        refuse("the key cannot be rotated", problems)

    async def _maker(self, by: Principal | None) -> Row | None:
        """The key that makes another one, held until the end of the transaction: who ends it finds what it has made.

        None: nobody does, or one of another kind.
        """
        if by is None or by.key_id is None:
            return None
        now = datetime.now(UTC)
        held = await self.dialect.update_many(KEY, {"id": by.key_id} | good_at(now), {"last_used_at": now})
        row = await self.dialect.find_by_id(KEY, by.key_id)
        if row is not None and not held:
            refuse("this key cannot be made", ["the key that asks for it is no longer good"])
        return row

    async def _made_by(self, row: Row) -> Row | None:
        return None if row["made_by"] is None else await self.dialect.find_by_id(KEY, row["made_by"])

    async def _note(self, action: str, key: ApiKey, by: Principal | None, **details: Any) -> None:
        told = {"user": key.user_id, "scopes": sorted(key.scopes), **details}
        await self.trail.note(action, key.id, by=by, account_id=key.account_id, **told)


def good_at(now: datetime) -> dict[str, Any]:
    """Which keys are good, as a filter."""
    return {"revoked_at": None, "$or": [{"expires_at": None}, {"expires_at": {"$gt": now}}]}


def _own(by: Principal | None) -> dict[str, Any]:
    """Which keys somebody may change: all, or those of their own."""
    if by is None:
        return {}
    own: list[dict[str, Any]] = [{"account_id": by.account_id}]
    if MANAGE not in by.scopes:
        if by.user_id is not None:
            own.append({"user_id": by.user_id})
        else:
            key_id = by.key_id or "(none)"  # None would be every key that no other one has made
            own.append({"$or": [{"id": key_id}, {"made_by": key_id}]})
    return {"$and": own}


def _end_of(row: Row | None) -> datetime | None:
    return None if row is None else row["expires_at"]


def _earliest(*ends: datetime | None) -> datetime | None:
    return min((end for end in ends if end is not None), default=None)


def _no_room(why: str) -> InvalidRequest:
    fix = "revoke keys that nobody uses, make fewer, or raise the setting keys_per_account"
    return InvalidRequest("this key cannot be made", why=why, fix=fix)


def missing(key_id: str) -> KeyMissing:
    """There is none, or none any more."""
    return KeyMissing(
        "there is no such key in this account, or it is no longer good",
        why="it was revoked, has expired, or was rotated already",
        fix="list the keys of the account",
        key_id=key_id,
    )


if TYPE_CHECKING:
    _are_keys: type[ApiKeys] = HostKeys
