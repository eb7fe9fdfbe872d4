"""The parts of accounts, put together: what its services and its pages are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from objectkernel.keys import Service
from objectkernel_contracts import Audit, Keyring
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_accounts.config import AccountsConfig
from objectkernel_accounts.contracts import Accounts, People
from objectkernel_accounts.deletion import Deletions
from objectkernel_accounts.members import HostAccounts
from objectkernel_accounts.passwords import Hardness, Passwords
from objectkernel_accounts.people import HostPeople
from objectkernel_accounts.sessions import Sessions
from objectkernel_accounts.sign_in import SignIn
from objectkernel_accounts.signatures import Signer
from objectkernel_accounts.trail import Trail

FORM_KEYS: Final = "csrf"
DEVICE_KEYS: Final = "devices"


@attrs.frozen(kw_only=True)
class Parts:
    """Everything of one host.

    Attributes:
        forms: signs the tokens of forms.
    """

    config: AccountsConfig
    sessions: Sessions
    accounts: Accounts
    people: People
    sign_in: SignIn
    deletions: Deletions
    forms: Signer


PARTS = Service[Parts]("accounts-parts")
"""Of this plugin alone."""


def assemble(
    dialect: Dialect,
    keyring: Keyring,
    audit: Audit | None,
    emit: Callable[[Any], Awaitable[None]],
    config: AccountsConfig,
    hardness: Hardness | None = None,
) -> Parts:
    """Put the parts together on a dialect that has their tables.

    Args:
        emit: tells plugins what happens to accounts.
        hardness: of new passwords.
    """
    sessions = Sessions(dialect, config)
    trail = Trail(dialect, audit, sessions.forget)
    passwords = Passwords(config.password_threads, hardness)
    deletions = Deletions(dialect, trail, sessions, emit)
    return Parts(
        config=config,
        sessions=sessions,
        accounts=HostAccounts(dialect, trail, sessions, deletions),
        people=HostPeople(dialect, trail, sessions, passwords, config),
        sign_in=SignIn(dialect, trail, sessions, passwords, Signer(keyring, DEVICE_KEYS)),
        deletions=deletions,
        forms=Signer(keyring, FORM_KEYS),
    )
