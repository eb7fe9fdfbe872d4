"""What the system database keeps of device codes, of what came from them, and of guesses."""

from __future__ import annotations

from typing import Final

from objectkernel_system_dialect.contracts import EntitySchema, Field, Index

LONGEST_SCOPE: Final = 2000
"""Of all scopes of one request together."""
LONGEST_ADDRESS: Final = 64
LONGEST_AGENT: Final = 200
LONGEST_NAME: Final = 100
LONGEST_ID: Final = 255
"""Of an account, a person or a session: the host says what they are."""
LONGEST_CLIENT: Final = 100

DEVICE_CODE: Final = EntitySchema(
    name="DeviceAuthCode",
    collection="sys_device_codes",
    fields={
        "digest": Field("string", length=64, required=True, unique=True),
        "user_digest": Field("string", length=64, unique=True),
        "sealed_user_code": Field("string", length=200),
        "state": Field("enum", enum=("pending", "approved", "denied", "consumed"), required=True, default="pending"),
        "client_id": Field("string", length=LONGEST_CLIENT, required=True),
        "scope": Field("text", required=True),
        "challenge": Field("string", length=43),
        "address": Field("string", length=LONGEST_ADDRESS, required=True),
        "agent": Field("string", length=LONGEST_AGENT, required=True),
        "network": Field("string", length=LONGEST_ADDRESS, required=True),
        "requested_at": Field("datetime", required=True),
        "expires_at": Field("datetime", required=True),
        "interval": Field("integer", required=True),
        "polled_at": Field("datetime"),
        "session_id": Field("string", length=LONGEST_ID),
        "account_id": Field("string", length=LONGEST_ID),
        "user_id": Field("string", length=LONGEST_ID),
        "granted": Field("text"),
        "key_name": Field("string", length=LONGEST_NAME),
        "family": Field("string", length=36),
        "consumed_at": Field("datetime"),
        "consumed_from": Field("string", length=LONGEST_ADDRESS),
        "remove_at": Field("datetime", required=True),
    },
    indexes=(
        Index(("remove_at",)),
        Index(("state", "expires_at")),
        Index(("client_id", "state", "expires_at")),
        Index(("network", "state", "expires_at")),
        Index(("account_id",)),
    ),
)
"""A device that asks.

`user_digest` is there while somebody may claim the code: it is the one of live codes alone. `sealed_user_code` is there
between the claim and the decision, for the page that shows it again. `session_id` is the session that has claimed it.
"""

FAMILY: Final = EntitySchema(
    name="DeviceAuthFamily",
    collection="sys_token_families",
    fields={
        "client_id": Field("string", length=LONGEST_CLIENT, required=True),
        "account_id": Field("string", length=LONGEST_ID, required=True),
        "user_id": Field("string", length=LONGEST_ID),
        "name": Field("string", length=LONGEST_NAME, required=True),
        "scope": Field("text", required=True),
        "turns": Field("integer", required=True, default=0),
        "ended_at": Field("datetime"),
        "remove_at": Field("datetime", required=True),
    },
    indexes=(Index(("remove_at",)), Index(("client_id",)), Index(("account_id",))),
    timestamps=True,
)
"""Everything that came from one approval. `turns` counts its refreshes: counting one up first keeps others waiting."""

REFRESH_TOKEN: Final = EntitySchema(
    name="DeviceAuthRefreshToken",
    collection="sys_refresh_tokens",
    fields={
        "digest": Field("string", length=64, required=True, unique=True),
        "family": Field("string", length=36, required=True),
        "expires_at": Field("datetime", required=True),
        "spent_at": Field("datetime"),
        "answer": Field("text"),
        "answer_until": Field("datetime"),
        "remove_at": Field("datetime", required=True),
    },
    indexes=(Index(("remove_at",)), Index(("family",)), Index(("answer_until",))),
)
"""A refresh token. `answer` is what it was exchanged for, sealed with the token itself, as long as that is replayed."""

BUDGET: Final = EntitySchema(
    name="DeviceAuthBudget",
    collection="sys_device_budgets",
    fields={
        "id": Field("string", length=64, required=True),
        "count": Field("integer", required=True),
        "free_at": Field("datetime", required=True),
        "remove_at": Field("datetime", required=True),
    },
    indexes=(Index(("remove_at",)),),
)
"""How often somebody has tried codes, or asked for them; the digest of who it is, is the key."""

SCHEMAS: Final = (DEVICE_CODE, FAMILY, REFRESH_TOKEN, BUDGET)
"""Each row of any of them is removed at its `remove_at`."""
