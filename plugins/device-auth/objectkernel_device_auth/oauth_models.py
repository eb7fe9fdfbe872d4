"""What the authorization server answers, and what its description says of what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from objectkernel_device_auth.contracts import Decision
from objectkernel_device_auth.oauth_forms import FORM

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT: Final = "refresh_token"
LONGEST_TYPED: Final = 100
HOST: Final = "https://shop.example"

_FIELDS: Final[Mapping[str, dict[str, Any]]] = {
    "client_id": {"type": "string", "description": "of a public client, or of one that shows its secret here"},
    "client_secret": {"type": "string", "description": "of a confidential client without an Authorization header"},
    "scope": {"type": "string", "description": "scopes with one blank between them"},
    "code_challenge": {"type": "string", "description": "RFC 7636"},
    "code_challenge_method": {"type": "string", "enum": ["S256"]},
    "code_verifier": {"type": "string", "description": "RFC 7636"},
    "grant_type": {"type": "string", "enum": [DEVICE_GRANT, REFRESH_GRANT]},
    "device_code": {"type": "string"},
    "refresh_token": {"type": "string"},
    "token": {"type": "string"},
    "token_type_hint": {"type": "string", "description": "is passed over: both kinds are looked for"},
}


def taken(example: Mapping[str, str], *more: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The description of a form: the fields of its example, and some more."""
    schema = {
        "type": "object",
        "properties": {name: _FIELDS[name] for name in (*example, *more)},
        "required": list(required),
    }
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema, "example": dict(example)}}}}


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeviceAnswer(Answer):
    """RFC 8628, section 3.2."""

    device_code: str = Field(examples=["GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"])
    user_code: str = Field(examples=["WDJB-MJHT"])
    verification_uri: str = Field(examples=[f"{HOST}/device"])
    verification_uri_complete: str = Field(examples=[f"{HOST}/device?user_code=WDJB-MJHT"])
    expires_in: int = Field(description="seconds", examples=[600])
    interval: int = Field(description="seconds between two polls", examples=[5])


class TokenReply(Answer):
    """RFC 6749, section 5.1."""

    access_token: str = Field(examples=["ok_x3Fz9QpLk2Tb_…"])
    token_type: Literal["Bearer"] = Field(examples=["Bearer"])
    expires_in: int = Field(description="seconds", examples=[86_400])
    scope: str = Field(description="what was granted", examples=["data:read"])
    refresh_token: str | None = Field(default=None, examples=["okr_…"])


class Introspection(Answer):
    """RFC 7662, section 2.2. Of a token that the caller may not know, only that it is not active."""

    active: bool = Field(examples=[True])
    scope: str | None = Field(default=None, examples=["data:read"])
    client_id: str | None = Field(default=None, examples=["objectkernel-cli"])
    token_type: Literal["Bearer"] | None = Field(default=None, examples=["Bearer"])
    exp: int | None = Field(default=None, examples=[1_772_354_400])
    iat: int | None = Field(default=None, examples=[1_772_268_000])
    sub: str | None = Field(default=None, examples=["0b54a1d6-3f0b-4a50-9d4f-9d2f2d6f3b1e"])
    iss: str | None = Field(default=None, examples=[HOST])


class Metadata(Answer):
    """RFC 8414, section 2."""

    issuer: str = Field(examples=[HOST])
    device_authorization_endpoint: str = Field(examples=[f"{HOST}/device_authorization"])
    token_endpoint: str = Field(examples=[f"{HOST}/token"])
    revocation_endpoint: str = Field(examples=[f"{HOST}/revoke"])
    introspection_endpoint: str = Field(examples=[f"{HOST}/introspect"])
    response_types_supported: list[str] = Field(description="none: there is no authorization endpoint", examples=[[]])
    grant_types_supported: list[str] = Field(examples=[[DEVICE_GRANT, REFRESH_GRANT]])
    scopes_supported: list[str] = Field(examples=[["data:read", "data:write"]])
    code_challenge_methods_supported: list[str] = Field(examples=[["S256"]])
    token_endpoint_auth_methods_supported: list[str] = Field(examples=[["none", "client_secret_basic"]])
    revocation_endpoint_auth_methods_supported: list[str] = Field(examples=[["none", "client_secret_basic"]])
    introspection_endpoint_auth_methods_supported: list[str] = Field(examples=[["client_secret_basic"]])


class Approval(Answer):
    """A decision on the device that shows a code."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"user_code": "WDJB-MJHT", "decision": "approved"}}
    )

    user_code: str = Field(max_length=LONGEST_TYPED)
    decision: Decision = Field(description="there is none that goes without saying")
    scopes: list[Annotated[str, Field(max_length=200)]] | None = Field(
        default=None, max_length=200, description="those that are granted; null: all that are asked for"
    )
    name: str | None = Field(default=None, max_length=100, description="of the key; null: the client's")


class Approved(Answer):
    """What was decided."""

    decision: Decision = Field(examples=["approved"])
    client_id: str = Field(examples=["objectkernel-cli"])
    client_name: str = Field(examples=["objectkernel command line"])
