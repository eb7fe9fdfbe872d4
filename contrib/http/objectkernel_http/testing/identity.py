"""An identity for tests, whose tokens say themselves whose they are and what they have been granted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from objectkernel_contracts import Credentials, Principal

ACCOUNT: Final = "account="
TESTER: Final = "tester"


def token(*scopes: str, account: str = TESTER) -> str:
    """What `ScopeTokens` takes for this account with these scopes."""
    return " ".join([f"{ACCOUNT}{account}", *sorted(scopes)])


class ScopeTokens:
    """An identity whose tokens are scopes with spaces between; a word ``account=ada`` says whose it is.

    Without that word it is ``tester``'s.
    """

    async def principal(self, credentials: Credentials) -> Principal | None:
        """Whoever shows a token."""
        if credentials.bearer is None:
            return None
        words = credentials.bearer.split()
        return Principal(account_id=_account(words), scopes=(word for word in words if not word.startswith(ACCOUNT)))

    def sign_in_url(self, return_to: str) -> str:
        """Nowhere in particular."""
        return f"/?return_to={return_to}"


def _account(words: Iterable[str]) -> str:
    return next((word.removeprefix(ACCOUNT) for word in words if word.startswith(ACCOUNT)), TESTER)
