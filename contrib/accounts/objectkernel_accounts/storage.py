"""What the system database keeps of accounts, people, sessions and links."""

from __future__ import annotations

from typing import Final

from objectkernel_contracts import ROLES
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Relation

from objectkernel_accounts.naming import LONGEST_LOGIN, LONGEST_NAME

DIGEST: Final = Field("string", length=64, required=True, unique=True)
"""SHA-256 in hexadecimal: of 256 random bits, so that no guess leads back."""

ACCOUNT: Final = EntitySchema(
    name="HostAccount",
    collection="sys_accounts",
    fields={
        "name": Field("string", length=LONGEST_NAME, required=True),
        "state": Field("enum", enum=("active", "disabled", "deleting", "deleted"), required=True, default="active"),
        "successor": Field("string", length=36),
        "changes": Field("integer", required=True, default=0),
    },
    indexes=(Index(("state",)),),
    timestamps=True,
)
"""A tenant. `changes` counts those of its people: counting one up first keeps others of the same account waiting."""

USER: Final = EntitySchema(
    name="HostUser",
    collection="sys_users",
    fields={
        "login": Field("string", length=LONGEST_LOGIN, required=True),
        "login_key": Field("string", length=LONGEST_LOGIN, required=True, unique=True),
        "name": Field("string", length=LONGEST_NAME, required=True, default=""),
        "password": Field("string", length=255),
        "state": Field("enum", enum=("active", "disabled"), required=True, default="active"),
        "operator": Field("boolean", required=True, default=False),
        "founder": Field("integer", unique=True),
        "signed_in_at": Field("datetime"),
    },
    timestamps=True,
)
"""A person. `founder` is 1 for the first administrator, and nothing for everybody else: so there is one only."""

MEMBERSHIP: Final = EntitySchema(
    name="HostMembership",
    collection="sys_memberships",
    fields={"role": Field("enum", enum=ROLES, required=True)},
    relations={
        "account": Relation("HostAccount", required=True, on_delete="cascade"),
        "user": Relation("HostUser", required=True, on_delete="cascade"),
    },
    indexes=(Index(("account", "user"), unique=True), Index(("user",))),
    timestamps=True,
)

SESSION: Final = EntitySchema(
    name="HostSession",
    collection="sys_sessions",
    fields={
        "digest": DIGEST,
        "started_at": Field("datetime", required=True),
        "seen_at": Field("datetime", required=True),
        "expires_at": Field("datetime", required=True),
        "ends_at": Field("datetime", required=True),
        "address": Field("string", length=64, required=True, default=""),
        "agent": Field("string", length=200, required=True, default=""),
    },
    relations={
        "user": Relation("HostUser", required=True, on_delete="cascade"),
        "account": Relation("HostAccount", required=True, on_delete="cascade"),
    },
    indexes=(Index(("expires_at",)), Index(("user",)), Index(("account",))),
)
"""Somebody who is signed in. It is over at `expires_at`, which moves on with use, but never beyond `ends_at`."""

LINK: Final = EntitySchema(
    name="HostLink",
    collection="sys_links",
    fields={
        "digest": DIGEST,
        "kind": Field("enum", enum=("invitation", "reset"), required=True),
        "login": Field("string", length=LONGEST_LOGIN, required=True),
        "role": Field("enum", enum=ROLES),
        "operator": Field("boolean", required=True, default=False),
        "made_by": Field("string", length=36),
        "expires_at": Field("datetime", required=True),
    },
    relations={
        "account": Relation("HostAccount", on_delete="cascade"),
        "user": Relation("HostUser", on_delete="cascade"),
    },
    indexes=(Index(("expires_at",)), Index(("account",)), Index(("user",))),
)
"""A link that can be used once: an invitation into `account`, or to give `user` a new password."""

ATTEMPTS: Final = EntitySchema(
    name="HostSignInAttempts",
    collection="sys_sign_in_attempts",
    fields={
        "id": Field("string", length=64, required=True),
        "count": Field("integer", required=True),
        "free_at": Field("datetime", required=True),
        "expires_at": Field("datetime", required=True),
    },
    indexes=(Index(("expires_at",)),),
)
"""How often a password was tried in vain, for one login, device or address, whose digest is the key."""

SCHEMAS: Final = (ACCOUNT, USER, MEMBERSHIP, SESSION, LINK, ATTEMPTS)
EXPIRING: Final = (SESSION, LINK, ATTEMPTS)
