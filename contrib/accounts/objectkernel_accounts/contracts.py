"""What others may import of accounts: keys, Protocols and values."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, TypeAlias

import attrs
from objectkernel.keys import Service
from objectkernel.secret import Secret
from objectkernel_contracts import Principal, Role

AccountState: TypeAlias = Literal["active", "disabled", "deleting", "deleted"]
UserState: TypeAlias = Literal["active", "disabled"]
LinkKind: TypeAlias = Literal["invitation", "reset"]


@attrs.frozen(kw_only=True)
class Account:
    """A tenant: whose data it is.

    Attributes:
        successor_id: of one that is being deleted: who takes over what can be handed over.
    """

    id: str
    name: str
    state: AccountState
    created_at: datetime
    successor_id: str | None = None


@attrs.frozen(kw_only=True)
class User:
    """A person.

    Attributes:
        login: what they sign in with.
        operator: they run the host.
        signed_in_at: the last time.
    """

    id: str
    login: str
    name: str
    state: UserState
    operator: bool
    created_at: datetime
    signed_in_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Membership:
    """What somebody is in an account."""

    account: Account
    user: User
    role: Role


@attrs.frozen(kw_only=True)
class Link:
    """A link that can be used once.

    Attributes:
        token: whoever has it may use it; it is stored nowhere.
        login: whom it is for.
        account: of an invitation: into which account, with which `role`.
        is_known: whether somebody has this login already.
    """

    kind: LinkKind
    token: Secret[str]
    login: str
    expires_at: datetime
    account: Account | None = None
    role: Role | None = None
    is_known: bool = False

    @property
    def path(self) -> str:
        """Where it is used, below the host's address; secret as `token` is."""
        return f"/{self.kind}/{self.token.reveal()}"


class Accounts(Protocol):
    """Accounts, and who is what in them.

    `by` is who asks: their role decides what they may, and the audit trail names them; None is the host itself, which
    may everything. What is not the caller's is `AccountMissing` or `UserMissing`, as if it were not there.
    """

    async def create(self, name: str, *, by: Principal | None = None) -> Account:
        """Make an account, which has nobody in it yet."""
        ...

    async def get(self, account_id: str) -> Account | None:
        """The account; None where there is none, or it has been deleted."""
        ...

    async def list(self, limit: int = 50, after: str | None = None) -> tuple[tuple[Account, ...], str | None]:
        """Some accounts, oldest first, and what to give as `after` for more; None at the end."""
        ...

    async def members(self, account_id: str) -> tuple[Membership, ...]:
        """Who is in an account, by login."""
        ...

    async def memberships(self, user_id: str) -> tuple[Membership, ...]:
        """The active accounts that somebody is in, by name."""
        ...

    async def set_role(self, account_id: str, user_id: str, role: Role, *, by: Principal | None = None) -> Membership:
        """Let somebody be something else in an account. Their sessions in it end: what they may has changed.

        With a lower role the invitations that they have made are void.

        Raises:
            RoleRefused: `by` may not, or the account would have no owner.
        """
        ...

    async def remove_member(self, account_id: str, user_id: str, *, by: Principal | None = None) -> None:
        """Take somebody out of an account, with the invitations that they have made; nothing else happens to them.

        Raises:
            RoleRefused: `by` may not, or the account would have no owner, or nobody would be left who runs the host.
        """
        ...

    async def disable(self, account_id: str, *, by: Principal | None = None) -> Account:
        """Let nobody into an account, from now on; nothing in it is changed.

        Raises:
            RoleRefused: nobody would be left who runs the host.
        """
        ...

    async def enable(self, account_id: str, *, by: Principal | None = None) -> Account:
        """Undo `disable`."""
        ...

    async def delete(self, account_id: str, *, successor_id: str | None = None, by: Principal | None = None) -> Account:
        """Delete an account, and the people who are in no other one; asked again, go on where it was left.

        Nobody gets into it from now on; plugins remove or hand over what they hold (event `AccountDeleting`).

        Args:
            successor_id: the account that takes over what can be handed over.

        Raises:
            DeletionUnfinished: a plugin could not; the deletion is gone on with at the next call, and by itself.
            AccountStateInvalid: it takes over from another account that is being deleted.
            RoleRefused: nobody would be left who runs the host.
        """
        ...


class People(Protocol):
    """People, their passwords, and the links that let them in. `by` is as in `Accounts`."""

    async def create_admin(
        self, login: str, password: str, *, name: str = "", account: str = "", another: bool = False
    ) -> Membership:
        """Make the first administrator: who runs the host, and owns a first account.

        Args:
            account: its name; without one, the login.
            another: also where there is one already.

        Raises:
            AdministratorExists, LoginTaken, PasswordRefused
        """
        ...

    async def get(self, user_id: str) -> User | None:
        """The person; None where there is none."""
        ...

    async def find(self, login: str) -> User | None:
        """The person who signs in with this, in capitals or not."""
        ...

    async def list(self, limit: int = 50, after: str | None = None) -> tuple[tuple[User, ...], str | None]:
        """Some people, in the order of their coming, and what to give as `after` for more; None at the end."""
        ...

    async def rename(self, user_id: str, name: str, *, by: Principal | None = None) -> User:
        """Let somebody be called otherwise; what they sign in with stays."""
        ...

    async def invite(
        self, login: str, account_id: str, role: Role = "member", *, operator: bool = False, by: Principal | None = None
    ) -> Link:
        """A link with which whoever has this login, or will have it, joins an account.

        Raises:
            RoleRefused: `by` may not give this role.
        """
        ...

    async def invitation(self, token: str) -> Link:
        """What an invitation says.

        Raises:
            LinkInvalid
        """
        ...

    async def accept(self, token: str, password: str, *, name: str = "") -> Membership:
        """Join with an invitation as somebody new.

        Raises:
            LinkInvalid, LoginTaken, PasswordRefused
        """
        ...

    async def join(self, token: str, user_id: str) -> Membership:
        """Join with an invitation as the one whom it is for.

        Raises:
            LinkInvalid: also when it is for somebody else.
        """
        ...

    async def reset_link(self, user_id: str, *, by: Principal | None = None) -> Link:
        """A link with which somebody chooses a new password; the links made before are void."""
        ...

    async def reset(self, token: str) -> Link:
        """What such a link says.

        Raises:
            LinkInvalid
        """
        ...

    async def reset_password(self, token: str, password: str) -> User:
        """Choose a new password with such a link; every session ends.

        Raises:
            LinkInvalid, PasswordRefused
        """
        ...

    async def disable(self, user_id: str, *, by: Principal | None = None) -> User:
        """Let somebody in no more, from now on; links that they have made, or were given, are void.

        Raises:
            RoleRefused: nobody would be left who runs the host.
        """
        ...

    async def enable(self, user_id: str, *, by: Principal | None = None) -> User:
        """Undo `disable`."""
        ...


ACCOUNTS = Service[Accounts]("accounts")
"""Accounts, and who is what in them."""

PEOPLE = Service[People]("people")
"""People, their passwords, and the links that let them in."""
