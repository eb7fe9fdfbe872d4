"""A plugin of the host's own: an account to try things with, and packages to look at."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import attrs
from objectkernel import Plugin, Service, needs, provides
from objectkernel.secret import Secret
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE
from objectkernel_device_auth.contracts import API_KEYS
from objectkernel_package_service.contracts import PACKAGES, PackageRecord

LOGIN = "demo"


@attrs.frozen(kw_only=True)
class Welcome:
    """What to tell whoever has started the host.

    Attributes:
        password: of the account `LOGIN`, if it was made just now.
        key: a key of that account for programs, if the account was made just now.
        published: the packages of the folder.
    """

    password: str | None = attrs.field(repr=False)
    key: Secret[str] | None
    published: tuple[PackageRecord, ...]

    def text(self, address: str) -> str:
        """All of it, for a terminal."""
        rows = [(one.id, one.version, one.hash[:16], _since(one)) for one in self.published]
        lines = [*_table(("PACKAGE", "VERSION", "HASH", "SINCE THE LAST RUN"), rows), ""]
        if self.password is not None:
            lines.append(f"sign in as   {LOGIN}, password {self.password} (shown this once)")
        else:
            lines.append(f"sign in as   {LOGIN}, with the password that the first start has shown")
        if self.key is not None:
            lines.append("or as a program, with a key that reads packages (shown this once):")
            lines.append(f"  curl -H 'Authorization: Bearer {self.key.reveal()}' {address}/api/v1/packages")
        lines += [
            f"open         {address}/sign-in?return_to=/account",
            f"log in       as a program, without a key: objectkernel login --host-url {address}",
            f"let it in    {address}/device; what was let in: {address}/account/devices",
            f"routes       {address}/docs",
            f"serving on   {address}; Ctrl-C stops it",
        ]
        return "\n".join(lines)


WELCOME = Service[Welcome]("host-app.welcome")


class Showroom(Plugin):
    """Fills an empty host."""

    name = "host-app"
    accounts = needs(ACCOUNTS)
    people = needs(PEOPLE)
    packages = needs(PACKAGES)
    keys = needs(API_KEYS)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @provides(WELCOME)
    async def welcome(self) -> Welcome:
        password = key = None
        user = await self.people.find(LOGIN)
        if user is None:
            password = secrets.token_urlsafe(12)
            user = (await self.people.create_admin(LOGIN, password, account="Demo", another=True)).user
        (membership, *_) = await self.accounts.memberships(user.id)
        if password is not None:
            scopes, account = ["packages:read"], membership.account.id
            key = (await self.keys.issue(account, "first steps", scopes, user_id=user.id)).secret
        files = sorted(self._folder.glob("*.json"))
        published = [await self.packages.publish(file.read_bytes(), owner=membership.account.id) for file in files]
        return Welcome(password=password, key=key, published=tuple(published))


def _since(record: PackageRecord) -> str:
    """How this version differs from the one that was there before."""
    if record.previous_hash is None:
        return "new"
    if record.previous_hash == record.hash:
        return "already published, same hash"
    return f"replaced {record.previous_hash[:16]}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
