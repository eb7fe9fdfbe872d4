"""From rows to what callers get."""

from __future__ import annotations

from objectkernel_system_dialect.contracts import Row

from objectkernel_accounts.contracts import Account, Membership, User


def account_of(row: Row) -> Account:
    """The account of a row."""
    return Account(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        created_at=row["created_at"],
        successor_id=row["successor"],
    )


def user_of(row: Row) -> User:
    """The person of a row, without the password."""
    return User(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        state=row["state"],
        operator=row["operator"],
        created_at=row["created_at"],
        signed_in_at=row["signed_in_at"],
    )


def membership_of(row: Row) -> Membership:
    """The membership of a row that was read with both its relations."""
    return Membership(account=account_of(row["account"]), user=user_of(row["user"]), role=row["role"])
