"""What a key may be: its name, its scopes, how long it goes on, and who may make it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from objectkernel.errors import nearest, shortened
from objectkernel_contracts import Principal

from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import UNTIL_REVOKED
from objectkernel_device_auth.errors import InvalidRequest
from objectkernel_device_auth.key_scopes import MANAGE, KnownScopes
from objectkernel_device_auth.storage_keys import LONGEST_NAME, LONGEST_OWNER

CENTURY = timedelta(days=36_525)


class KeyRules:
    """Tells what is wrong with a wish for a key, all of it at once."""

    def __init__(self, scopes: KnownScopes, config: DeviceAuthConfig) -> None:
        self._scopes = scopes
        self._config = config

    def expect_allowed(
        self,
        account_id: str,
        name: str,
        scopes: frozenset[str],
        user_id: str | None,
        expires_in: timedelta | None,
        by: Principal | None,
    ) -> None:
        """Raise InvalidRequest unless such a key may be made."""
        problems = [
            *self.name_problems(name),
            *self.scope_problems(scopes),
            *self._time_problems(expires_in),
            *self._owner_problems(account_id, user_id),
        ]
        if by is not None:
            problems += maker_problems(account_id, user_id, by)
            problems += held_problems(scopes, by)
        refuse("this key cannot be made", problems)

    def end_of(self, expires_in: timedelta | None, now: datetime) -> datetime | None:
        """When a key ends that is made now; None: when it is revoked."""
        if expires_in == UNTIL_REVOKED:
            return None
        if expires_in is None:
            longest = self._config.max_key_lifetime
            seconds = self._config.key_lifetime or longest
            seconds = min(seconds, longest) if longest else seconds
            return now + timedelta(seconds=seconds) if seconds else None
        return now + expires_in

    def longest_end(self, now: datetime) -> datetime | None:
        """When a key that is made now has to end, whoever makes it; None: never."""
        longest = self._config.max_key_lifetime
        return now + timedelta(seconds=longest) if longest else None

    def name_problems(self, name: str) -> list[str]:
        """What is wrong with a name."""
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            return [f"its name has to have 1 to {LONGEST_NAME} characters, all of them visible"]
        return []

    def scope_problems(
        self, scopes: frozenset[str], none: str = "it has no scopes, so that it would be good for nothing"
    ) -> list[str]:
        """What is wrong with scopes.

        Args:
            none: what is wrong where there are none.
        """
        if not scopes:
            return [none]
        known = self._scopes.all
        found = []
        for name in sorted(scopes - known.keys()):
            close = nearest(name, known, 1)
            meant = f"; do you mean {close[0]!r}?" if close else ""
            found.append(f"there is no scope {name[:LONGEST_NAME]!r}{meant}")
        if found:
            found = [*shortened(found), f"the scopes are {', '.join(sorted(known))}"]
        return found

    def _time_problems(self, expires_in: timedelta | None) -> list[str]:
        if expires_in is None:
            return []
        longest = self._config.max_key_lifetime
        if longest and expires_in > timedelta(seconds=longest):
            return [f"it would go on longer than {timedelta(seconds=longest)}, the setting max_key_lifetime"]
        if expires_in <= timedelta(0):
            return ["it would have ended already"]
        if expires_in != UNTIL_REVOKED and expires_in > CENTURY:
            return ["it would go on for more than a hundred years; say that it goes on until it is revoked"]
        return []

    def _owner_problems(self, account_id: str, user_id: str | None) -> list[str]:
        found = [
            f"an id of the {what} has 1 to {LONGEST_OWNER} characters"
            for what, id in (("account", account_id), ("person", user_id))
            if id is not None and not 0 < len(id) <= LONGEST_OWNER
        ]
        return found


def maker_problems(account_id: str, user_id: str | None, by: Principal) -> list[str]:
    """Why this principal may make no key for this account and person."""
    if by.account_id != account_id:
        return ["it would be one of another account"]
    if user_id is None and by.user_id is not None and MANAGE not in by.scopes:
        return [f"a key of the account alone needs the scope {MANAGE}"]
    if user_id is not None and user_id != by.user_id:
        return ["it would act for somebody else"]
    return []


def held_problems(scopes: Iterable[str], by: Principal) -> list[str]:
    """Which of these scopes the principal has not, so that it can give them to nobody."""
    lacking = sorted(set(scopes) - by.scopes)
    if not lacking:
        return []
    return [f"whoever makes it has not {', '.join(lacking)}, but {', '.join(sorted(by.scopes)) or 'no scope'}"]


def tidy_name(name: str) -> str:
    """A name as it is kept: composed, its blanks single."""
    if len(name) > 10 * LONGEST_NAME:
        return name  # it is refused as it is
    return " ".join(unicodedata.normalize("NFC", name).split())


def refuse(what: str, problems: Iterable[str]) -> None:
    """Raise InvalidRequest if there are problems."""
    found = tuple(problems)
    if found:
        raise InvalidRequest(what, why=found, fix="change what is named, and ask again")
