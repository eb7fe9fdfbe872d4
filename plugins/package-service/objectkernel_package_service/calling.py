"""For whom a call is made."""

from __future__ import annotations

from typing import Any

import attrs
from objectkernel_contracts import Principal

from objectkernel_package_service.contracts import PackageInvalid, Problem
from objectkernel_package_service.table import LONGEST_ACCOUNT


@attrs.frozen
class Caller:
    """An account, with the principal where it is known; without an account the host itself."""

    account: str | None = None
    principal: Principal | None = None


HOST = Caller()


def caller_of(owner: Any) -> Caller:
    """Read the parameter `owner`.

    Raises:
        PackageInvalid: it can be no account.
    """
    if owner is None:
        return HOST
    caller = Caller(owner.account_id, owner) if isinstance(owner, Principal) else Caller(owner)
    if not isinstance(caller.account, str) or not 0 < len(caller.account) <= LONGEST_ACCOUNT:
        raise PackageInvalid(
            "the call is for no account",
            [Problem("owner", f"an account's id is wanted, of 1 to {LONGEST_ACCOUNT} characters, or a principal")],
            fix="give the id of the account that the call is made for, or None for the host itself",
        )
    return caller
