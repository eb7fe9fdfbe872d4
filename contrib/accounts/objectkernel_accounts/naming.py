"""What people sign in with, and what they and their accounts are called."""

from __future__ import annotations

import unicodedata
from typing import Final

from objectkernel_accounts.errors import LoginInvalid, NameInvalid

LONGEST_LOGIN: Final = 254
LONGEST_NAME: Final = 200
MOST_TYPED: Final = 2
"""Times as many characters before they are composed: composing takes time with the square of their number."""


def login_of(text: str) -> str:
    """A login as it is shown: an e-mail address or any other name (Unicode's NFKC).

    Raises:
        LoginInvalid
    """
    login = unicodedata.normalize("NFKC", text[: MOST_TYPED * LONGEST_LOGIN]).strip()
    too_long = len(text) > MOST_TYPED * LONGEST_LOGIN or max(len(login), len(login_key(login))) > LONGEST_LOGIN
    if not login or too_long or not login.isprintable() or " " in login:
        raise LoginInvalid(
            "this cannot be a login",
            why=f"a login has 1 to {LONGEST_LOGIN} characters, all of them visible",
            fix="take an e-mail address, or a name without spaces",
        )
    return login


def login_key(login: str) -> str:
    """What is the same for logins that are one: however they are composed, in capitals or not; none is so long."""
    login = login[: MOST_TYPED * LONGEST_LOGIN]
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", login).strip().casefold())


def is_login(text: str) -> bool:
    """Whether somebody can have this login."""
    try:
        return bool(login_of(text))
    except LoginInvalid:
        return False


def name_of(text: str, *, required: bool = False) -> str:
    """The name of a person or an account as it is kept.

    Raises:
        NameInvalid
    """
    too_long = len(text) > MOST_TYPED * LONGEST_NAME
    name = "" if too_long else " ".join(unicodedata.normalize("NFC", text).split())
    if too_long or len(name) > LONGEST_NAME or not name.isprintable() or (required and not name):
        raise NameInvalid(
            "this cannot be a name",
            why=f"a name has {'1' if required else '0'} to {LONGEST_NAME} characters, all of them visible",
            fix="choose another one",
        )
    return name
