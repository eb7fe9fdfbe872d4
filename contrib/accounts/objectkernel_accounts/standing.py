"""What people may now, for credentials that act for them: the service `standing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectkernel_contracts import Standing
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_accounts.identity import Grants
from objectkernel_accounts.storage import ACCOUNT, MEMBERSHIP


class HostStanding:
    """Looks it up in the system database, each time anew."""

    def __init__(self, dialect: Dialect, grants: Grants) -> None:
        self._dialect = dialect
        self._grants = grants

    async def scopes(self, account_id: str, user_id: str | None) -> frozenset[str] | None:
        if user_id is None:
            active = await self._dialect.exists(ACCOUNT, {"id": account_id, "state": "active"})
            return self._grants.everything if active else None
        member = await self._dialect.find_one(
            MEMBERSHIP,
            {"account": account_id, "user": user_id, "account.state": "active", "user.state": "active"},
            include=("user",),
        )
        return None if member is None else self._grants.of(member["role"], operator=member["user"]["operator"])


if TYPE_CHECKING:
    _is_standing: type[Standing] = HostStanding
