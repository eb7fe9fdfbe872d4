"""What goes wrong with keys, clients and the device flow."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar, Literal, TypeAlias

from objectkernel.errors import KernelError

OAuthCode: TypeAlias = Literal[
    "access_denied",
    "authorization_pending",
    "expired_token",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
]
"""RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009 section 2.2.1, RFC 8628 section 3.5."""


FailureReason: TypeAlias = Literal[
    "address",
    "denied",
    "elsewhere",
    "expired",
    "issuer",
    "no-terminal",
    "not-kept",
    "opted-out",
    "refused",
    "unreachable",
    "unsupported",
]
"""Why a host has no key: where to ask, who decided, what is missing here, or what the server does."""


class DeviceAuthError(KernelError):
    """The base of this plugin's errors. `http_status` is what a host answers."""

    code = "O100"
    http_status: ClassVar[int] = HTTPStatus.CONFLICT


class InvalidRequest(DeviceAuthError, ValueError):
    """What is asked for a key or a client is not allowed; all problems are in `why`."""

    code = "O101"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class KeyMissing(DeviceAuthError):
    """There is no such key in this account, or it is no longer good. Attributes: key_id."""

    code = "O102"
    http_status = HTTPStatus.NOT_FOUND


class ClientMissing(DeviceAuthError):
    """There is no such client. Attributes: client_id."""

    code = "O103"
    http_status = HTTPStatus.NOT_FOUND


class TooManyTries(DeviceAuthError):
    """Codes were guessed: nobody may try more for now. Attributes: retry_after, in seconds."""

    code = "O104"
    http_status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after: int

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "too many codes were tried",
            why=[f"the next is looked at in {retry_after} s"],
            fix="wait, and compare the code with what the device shows",
            retry_after=retry_after,
        )


class OAuthError(DeviceAuthError):
    """An answer of the authorization server. Attributes: error (the standard's code), status, interval, retry_after.

    Args:
        error: the standard's code.
        description: for developers, ASCII, without quotes or backslashes (RFC 6749 section 5.2).
        interval: of ``slow_down``: the seconds that the client has to wait from now on.
        retry_after: the seconds after which the same request may do better; told by the header of that name.
    """

    code = "O105"
    http_status = HTTPStatus.BAD_REQUEST
    error: OAuthCode
    description: str
    interval: int | None
    retry_after: int | None

    def __init__(
        self, error: OAuthCode, description: str, *, interval: int | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(
            f"{error}: {description}",
            error=error,
            description=description,
            interval=interval,
            retry_after=retry_after,
        )

    @property
    def status(self) -> int:
        """401 for ``invalid_client``, 503 for ``temporarily_unavailable``, else 400."""
        if self.error == "invalid_client":
            return HTTPStatus.UNAUTHORIZED
        if self.error == "temporarily_unavailable":
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.BAD_REQUEST


class AuthorizationFailed(DeviceAuthError):
    """No key could be had from the authorization server; `why` and `fix` say what to set or do. Attributes: reason."""

    code = "O106"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    reason: FailureReason
