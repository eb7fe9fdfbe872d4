"""What keeps a page from doing what was asked; each is told to people in their own language."""

from __future__ import annotations

from http import HTTPStatus

from objectkernel_device_auth.errors import DeviceAuthError


class SignedOut(DeviceAuthError):
    """Nobody is signed in who could decide this."""

    code = "O130"
    http_status = HTTPStatus.UNAUTHORIZED


class FormExpired(DeviceAuthError):
    """A form was not made for whoever sent it, or long ago."""

    code = "O131"
    http_status = HTTPStatus.FORBIDDEN


class FormInvalid(DeviceAuthError):
    """A form is not filled as it should be."""

    code = "O132"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class CodeUnusable(DeviceAuthError):
    """A code is wrong, expired, used, denied or somebody else's: which of these, nobody is told."""

    code = "O133"
    http_status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(
            "this code cannot be used",
            why="it is wrong, expired, used or denied, or another session has it",
            fix="compare it with what the device shows, or let the device ask for a new one",
        )
