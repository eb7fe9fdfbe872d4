"""Somebody who has signed in claims a request by its code, and decides it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Row

from objectkernel_device_auth.codes import read_user_code, shown
from objectkernel_device_auth.contracts import Asker, Client, Decision, PendingRequest
from objectkernel_device_auth.errors import InvalidRequest
from objectkernel_device_auth.ground import Ground, joined, present
from objectkernel_device_auth.guessing import Guesses
from objectkernel_device_auth.storage_codes import DEVICE_CODE, LONGEST_NAME


class Deciding:
    """Claims and decisions."""

    def __init__(self, ground: Ground, guesses: Guesses) -> None:
        self._ground = ground
        self._guesses = guesses

    async def claim(self, user_code: str, by: Principal, asker: Asker) -> PendingRequest | None:
        """See `DeviceAuth.claim`."""
        _expect_session(by)
        code = read_user_code(user_code)
        if code is None:  # it can be nobody's, so that it tells nothing and counts for nothing
            return None
        await self._guesses.take(by, asker)
        found = await self._claimed(code, by)
        if found is None:
            self._ground.steps["guessed"] += 1
            await self._guesses.wrong(by, asker)
            return None
        await self._guesses.right(by)
        self._ground.steps["claimed"] += 1
        return found

    async def pending(self, request_id: str, by: Principal) -> PendingRequest | None:
        """See `DeviceAuth.pending`."""
        if by.session_id is None:
            return None
        row = await self._ground.dialect.find_one(DEVICE_CODE, {"id": request_id, **_claimed_by(by)})
        if row is None or row["sealed_user_code"] is None:
            return None
        code = self._ground.codes.unsealed(row["sealed_user_code"], row["id"])
        return None if code is None else await self._told(row, code, by)

    async def decide(
        self, request_id: str, decision: Decision, by: Principal, scopes: Iterable[str] | None, name: str | None
    ) -> bool:
        """See `DeviceAuth.decide`."""
        found = await self.pending(request_id, by)
        if found is None:
            return False
        changes: dict[str, Any] = {"state": decision, "user_digest": None, "sealed_user_code": None}
        told: dict[str, Any] = {"client": found.client.id, "address": found.asker.address}
        if decision == "approved":
            granted = _granted(found, scopes)
            changes |= {"granted": joined(granted), "key_name": _name(name) or found.client.name[:LONGEST_NAME]}
            told["scope"] = changes["granted"]
        async with self._ground.dialect.transaction():
            won = await self._ground.dialect.update_many(DEVICE_CODE, {"id": request_id, **_claimed_by(by)}, changes)
            if won:
                action = "device.approve" if decision == "approved" else "device.deny"
                await self._ground.note(action, request_id, by=by, **told)
        self._ground.steps[decision] += won
        return won > 0

    async def _claimed(self, code: str, by: Principal) -> PendingRequest | None:
        ground = self._ground
        live = {"state": "pending", "expires_at": {"$gt": present()}}
        which = {"user_digest": {"$in": ground.codes.digests(code)}, **live}
        row = await ground.dialect.find_one(DEVICE_CODE, which)
        told = None if row is None else await self._told(row, code, by)
        if row is None or told is None:
            return None
        free: list[dict[str, Any]] = [{"session_id": None}, {"session_id": by.session_id}]
        if by.user_id is not None:  # the same person has signed in anew
            free.append({"user_id": by.user_id, "account_id": by.account_id})
        whose = {"session_id": by.session_id, "account_id": by.account_id, "user_id": by.user_id}
        changes = {**whose, "sealed_user_code": ground.codes.sealed(code, row["id"])}
        async with ground.dialect.transaction():
            won = await ground.dialect.update_many(DEVICE_CODE, {"id": row["id"], **live, "$or": free}, changes)
            if won:
                told_trail = {"client": row["client_id"], "address": row["address"]}
                await ground.note("device.claim", row["id"], by=by, **told_trail)
        return told if won else None

    async def _told(self, row: Row, code: str, by: Principal) -> PendingRequest | None:
        """What is shown of a request; None when its client is there no more, or may ask no more."""
        client = await self._ground.clients.get(row["client_id"])
        if client is None or not client.device_flow:
            return None
        return PendingRequest(
            id=row["id"],
            user_code=shown(code),
            client=client,
            scopes=tuple(sorted(self._grantable(row, client) & by.scopes)),
            asker=Asker(address=row["address"] or None, user_agent=row["agent"] or None),
            requested_at=row["requested_at"],
            expires_at=row["expires_at"],
        )

    def _grantable(self, row: Row, client: Client) -> frozenset[str]:
        return frozenset(row["scope"].split()) & self._ground.allowed(client)


def _claimed_by(by: Principal) -> dict[str, Any]:
    """What waits for the decision of this session."""
    whose = {"session_id": by.session_id, "account_id": by.account_id, "user_id": by.user_id}
    return {**whose, "state": "pending", "expires_at": {"$gt": present()}}


def _granted(found: PendingRequest, scopes: Iterable[str] | None) -> frozenset[str]:
    offered = frozenset(found.scopes)
    granted = offered if scopes is None else frozenset(scopes)
    if surplus := sorted(granted - offered):
        raise InvalidRequest(
            "more would be granted than was asked for, or than there is to give",
            why=[f"the request has not {', '.join(surplus)}"],
            fix=f"choose among {joined(offered) or 'none'}",
        )
    if not granted:
        raise InvalidRequest(
            "nothing would be granted",
            why="of what the device asks for, whoever approves has no scope, or has chosen none",
            fix="deny it, or let somebody approve who has what the device needs",
        )
    return granted


def _name(name: str | None) -> str:
    return "".join(filter(str.isprintable, name or "")).strip()[:LONGEST_NAME]


def _expect_session(by: Principal) -> None:
    if by.session_id is None:
        raise InvalidRequest(
            "only somebody who has signed in decides on a device",
            why="a key cannot make another one without a person",
            fix="sign in with a browser, and type the code there",
        )
