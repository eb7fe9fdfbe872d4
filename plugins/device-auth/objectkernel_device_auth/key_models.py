"""What the routes over keys take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from objectkernel_device_auth.contracts import ApiKey
from objectkernel_device_auth.key_format import ID_LENGTH
from objectkernel_device_auth.storage_keys import LONGEST_NAME

MOST_SCOPES: Final = 200
LONGEST_SCOPE: Final = 200
CENTURY: Final = 100 * 366 * 86_400
EXAMPLE_ID: Final = "x3Fz9QpLk2Tb"
SECRET: Final = "ok_x3Fz9QpLk2Tb_…"
CURSOR: Final = "WyJjcmVhdGVkX2F0Oi0xLGlkOi0xIl0"
_ONE: Final[dict[str, Any]] = {
    "id": EXAMPLE_ID,
    "name": "build server",
    "user_id": "0b54a1d6-3f0b-4a50-9d4f-9d2f2d6f3b1e",
    "scopes": ["data:read"],
    "client_id": None,
    "created_at": "2026-03-01T09:30:00Z",
    "expires_at": "2026-05-30T09:30:00Z",
    "last_used_at": None,
    "revoked_at": None,
    "rotated_to": None,
}

KeyId = Annotated[str, Path(pattern=rf"^[0-9A-Za-z]{{{ID_LENGTH}}}$", examples=[EXAMPLE_ID])]
Seconds = Annotated[int, Field(ge=0, le=CENTURY)]


class KeyParameters(BaseModel):
    """Which keys are asked for."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="keys of the page", examples=[50])
    after: str | None = Field(default=None, max_length=500, description="`next` of the page before", examples=[CURSOR])
    everybody: bool = Field(default=False, description="all of the account, which needs keys:manage", examples=[False])


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "build server", "scopes": ["data:read"], "expires_in": 2_592_000}},
    )

    name: str = Field(max_length=10 * LONGEST_NAME)
    scopes: list[Annotated[str, Field(max_length=LONGEST_SCOPE)]] = Field(max_length=MOST_SCOPES)
    expires_in: Seconds | None = Field(default=None, description="seconds; 0: until it is revoked; null: as is usual")
    of_account: bool = Field(default=False, description="a key of the account and of nobody in it; needs keys:manage")


class Rotation(BaseModel):
    """How a key is to be rotated."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap": 3600}})

    overlap: Seconds | None = Field(default=None, description="seconds that the old key goes on; null: as is usual")


class ShownKey(BaseModel):
    """A key without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _ONE})

    id: str
    name: str
    user_id: str | None
    scopes: list[str]
    client_id: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    rotated_to: str | None


class MadeKey(BaseModel):
    """A new key with its secret, which is shown this once."""

    model_config = ConfigDict(json_schema_extra={"example": {"key": _ONE, "secret": SECRET}})

    key: ShownKey
    secret: str


class KeyPage(BaseModel):
    """Keys that are good, the newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [_ONE], "next": None}})

    items: list[ShownKey]
    next: str | None


class OwnKey(BaseModel):
    """The key that a request shows, and what it may now."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"key": _ONE, "account_id": "8c5d1f0e-54a8-4c3a-9c3b-0d6f5f1c9a10", "scopes": ["data:read"]}
        }
    )

    key: ShownKey
    account_id: str
    scopes: list[str]


def shown(key: ApiKey) -> ShownKey:
    """A key as it is told of."""
    fields = {name: getattr(key, name) for name in ShownKey.model_fields if name != "scopes"}
    return ShownKey(scopes=sorted(key.scopes), **fields)
