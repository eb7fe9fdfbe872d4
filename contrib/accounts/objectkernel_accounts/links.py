"""Links that can be used once: random, and known to the database by their digests alone."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from objectkernel.secret import Secret
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_accounts.contracts import Link, LinkKind
from objectkernel_accounts.errors import LinkInvalid
from objectkernel_accounts.storage import LINK
from objectkernel_accounts.values import account_of


class Links:
    """The links of a host that can still be used."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def make(self, kind: LinkKind, lifetime: float, by: Principal | None, **fields: Any) -> str:
        """Make a link and give its token.

        Args:
            lifetime: in seconds.
            fields: of its row.
        """
        token = secrets.token_urlsafe(32)
        made = {
            "kind": kind,
            "digest": _digest(token),
            "made_by": None if by is None else by.user_id,
            "expires_at": datetime.now(UTC) + timedelta(seconds=lifetime),
        }
        await self._dialect.create(LINK, made | fields)
        return token

    async def row(self, kind: LinkKind, token: str) -> Row:
        """The row of a link that can be used, with both its relations.

        Raises:
            LinkInvalid
        """
        which = {"kind": kind, "digest": _digest(token), "expires_at": {"$gt": datetime.now(UTC)}}
        row = await self._dialect.find_one(LINK, which, include=("account", "user"))
        if row is None or (row["account"] is not None and row["account"]["state"] != "active"):
            raise _invalid()
        return row

    async def use(self, row: Row) -> None:
        """Use a link up, within the transaction of what it is used for.

        Raises:
            LinkInvalid: somebody else has been faster.
        """
        if not await self._dialect.delete(LINK, row["id"]):
            raise _invalid()

    async def void_resets(self, user_id: str) -> None:
        """Let nobody choose a new password for somebody with a link that was made before."""
        await self._dialect.delete_many(LINK, {"user": user_id, "kind": "reset"})

    async def void_made_by(self, user_id: str, account_id: str | None = None) -> None:
        """Let nobody in with what somebody has made who may no longer.

        Args:
            account_id: only into this account.
        """
        made = {"made_by": user_id} if account_id is None else {"made_by": user_id, "account": account_id}
        await self._dialect.delete_many(LINK, made)


def link_of(row: Row, token: str, *, is_known: bool = False) -> Link:
    """A link as whoever made or uses it sees it."""
    return Link(
        kind=row["kind"],
        token=Secret(token),
        login=row["login"],
        expires_at=row["expires_at"],
        account=None if row["account"] is None else account_of(row["account"]),
        role=row["role"],
        is_known=is_known,
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _invalid() -> LinkInvalid:
    return LinkInvalid(
        "this link cannot be used",
        why="it has been used, has expired, or was never made",
        fix="ask whoever gave it to you for another one",
    )
