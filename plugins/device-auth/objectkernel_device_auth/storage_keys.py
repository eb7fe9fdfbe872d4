"""What the system database keeps of keys and clients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Row

from objectkernel_device_auth.contracts import ApiKey, Client
from objectkernel_device_auth.key_format import ID_LENGTH

LONGEST_NAME: Final = 100
LONGEST_CLIENT_ID: Final = 100
LONGEST_OWNER: Final = 255
DIGEST: Final = Field("string", length=64)
"""SHA-256 in hexadecimal: of 190 random bits, so that no guess leads back."""

KEY: Final = EntitySchema(
    name="DeviceAuthKey",
    collection="sys_api_keys",
    fields={
        "id": Field("string", length=ID_LENGTH, required=True),
        "digest": Field("string", length=64, required=True),
        "account_id": Field("string", length=LONGEST_OWNER, required=True),
        "user_id": Field("string", length=LONGEST_OWNER),
        "name": Field("string", length=LONGEST_NAME, required=True),
        "scopes": Field("array", required=True),
        "client_id": Field("string", length=LONGEST_CLIENT_ID),
        "family": Field("string", length=36),
        "made_by": Field("string", length=ID_LENGTH),
        "created_at": Field("datetime", required=True),
        "expires_at": Field("datetime"),
        "last_used_at": Field("datetime"),
        "revoked_at": Field("datetime"),
        "rotated_to": Field("string", length=ID_LENGTH),
        "rotated_by_itself": Field("boolean"),
        "remove_at": Field("datetime"),
    },
    indexes=(
        Index({"account_id": 1, "created_at": -1, "id": -1}),
        Index(("client_id",)),
        Index(("family",)),
        Index(("made_by",)),
        Index(("rotated_to",)),
        Index(("remove_at",)),
    ),
)
"""A key. `family` is that of its refresh tokens, `made_by` the key that made it; the row goes at `remove_at`.

`rotated_by_itself`: its successor was had by showing this key alone, so that it ends with this one.
"""

CLIENT: Final = EntitySchema(
    name="DeviceAuthClient",
    collection="sys_oauth_clients",
    fields={
        "id": Field("string", length=LONGEST_CLIENT_ID, required=True),
        "name": Field("string", length=LONGEST_NAME, required=True),
        "confidential": Field("boolean", required=True),
        "first_party": Field("boolean", required=True),
        "scopes": Field("array"),
        "device_flow": Field("boolean", required=True),
        "code_lifetime": Field("integer"),
        "access_lifetime": Field("integer"),
        "refresh_lifetime": Field("integer"),
        "interval": Field("integer"),
        "digest": DIGEST,
        "former_digest": DIGEST,
        "former_until": Field("datetime"),
    },
    timestamps=True,
)
"""A program that may ask for keys. Times are seconds; `former_digest` is good until `former_until`."""

SCHEMAS: Final = (KEY, CLIENT)
LIFETIMES: Final = ("code_lifetime", "access_lifetime", "refresh_lifetime", "interval")


def key_of(row: Row) -> ApiKey:
    """The key that a row tells of."""
    names = ("id", "account_id", "user_id", "name", "client_id", "created_at", "expires_at", "last_used_at")
    told: dict[str, Any] = {name: row[name] for name in (*names, "revoked_at", "rotated_to")}
    return ApiKey(scopes=frozenset(row["scopes"]), **told)


def client_of(row: Row) -> Client:
    """The client that a row tells of."""
    told: dict[str, Any] = {name: None if row[name] is None else timedelta(seconds=row[name]) for name in LIFETIMES}
    told |= {name: row[name] for name in ("id", "name", "confidential", "first_party", "device_flow", "created_at")}
    return Client(scopes=None if row["scopes"] is None else frozenset(row["scopes"]), **told)


def client_row(client: Client) -> dict[str, Any]:
    """What is kept of a client, but for its secret."""
    kept: dict[str, Any] = {
        name: None if (value := getattr(client, name)) is None else round(value.total_seconds()) for name in LIFETIMES
    }
    kept |= {name: getattr(client, name) for name in ("id", "name", "confidential", "first_party", "device_flow")}
    return kept | {"scopes": None if client.scopes is None else sorted(client.scopes)}
