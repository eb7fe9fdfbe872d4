"""What goes wrong with accounts, people and sign-in."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar, Literal, TypeAlias

from objectkernel.errors import KernelError

Reason: TypeAlias = Literal["short", "long", "common", "login", "characters", "differs"]
"""Why a password is refused."""


class AccountsError(KernelError):
    """The base of this plugin's errors. `http_status` is what a host answers."""

    code = "A100"
    http_status: ClassVar[int] = HTTPStatus.CONFLICT


class LoginInvalid(AccountsError, ValueError):
    """A text cannot be the name that somebody signs in with."""

    code = "A101"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class PasswordRefused(AccountsError, ValueError):
    """A password is too easily guessed, or cannot be one. Attributes: reasons."""

    code = "A102"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    reasons: tuple[Reason, ...]

    def __init__(self, reasons: Sequence[Reason], why: Sequence[str]) -> None:
        super().__init__(
            "this password cannot be used",
            why=why,
            fix="choose a longer one that nobody would guess, such as four random words",
            reasons=tuple(reasons),
        )


class LoginTaken(AccountsError):
    """Somebody signs in with this name already."""

    code = "A103"


class AccountMissing(AccountsError):
    """There is no such account, or not for the caller. Attributes: account_id."""

    code = "A104"
    http_status = HTTPStatus.NOT_FOUND


class UserMissing(AccountsError):
    """There is no such person, or not for the caller. Attributes: user."""

    code = "A105"
    http_status = HTTPStatus.NOT_FOUND


class RoleRefused(AccountsError):
    """A change of roles that the caller may not make, or that would leave nobody in charge."""

    code = "A106"
    http_status = HTTPStatus.FORBIDDEN


class LinkInvalid(AccountsError):
    """An invitation or a reset link is unknown, has been used, or has expired."""

    code = "A107"
    http_status = HTTPStatus.NOT_FOUND


class AdministratorExists(AccountsError):
    """The host has its first administrator already."""

    code = "A108"


class AccountStateInvalid(AccountsError):
    """The account's state does not allow this. Attributes: account_id, state."""

    code = "A109"


class DeletionUnfinished(AccountsError):
    """A plugin could not let go of what it holds of an account; the deletion is gone on with later.

    Attributes: account_id.
    """

    code = "A110"
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR


class NameInvalid(AccountsError, ValueError):
    """A text cannot be the name of a person or an account."""

    code = "A111"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class SignInFailed(AccountsError):
    """The login is unknown, the password wrong, or the person may not sign in; nobody is told which."""

    code = "A201"
    http_status = HTTPStatus.FORBIDDEN


class TooManyAttempts(AccountsError):
    """Too many wrong passwords. Attributes: retry_after, in seconds."""

    code = "A202"
    http_status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after: int


class FormExpired(AccountsError):
    """A form was not made for whoever sends it, or with a key that is accepted no more."""

    code = "A203"
    http_status = HTTPStatus.FORBIDDEN


class ConnectionInsecure(AccountsError):
    """Somebody would sign in over a connection that others can read."""

    code = "A204"
    http_status = HTTPStatus.FORBIDDEN


class SignInBusy(AccountsError):
    """More people sign in at once than the host can check."""

    code = "A205"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class FormInvalid(AccountsError):
    """A form has a field that it cannot have, or one that is not what it should be."""

    code = "A207"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class SignedOut(AccountsError):
    """This is for somebody who is signed in."""

    code = "A206"
    http_status = HTTPStatus.UNAUTHORIZED
