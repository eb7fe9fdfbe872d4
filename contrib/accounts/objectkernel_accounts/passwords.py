"""Passwords as they are kept: Argon2id, in a bounded number of threads."""

from __future__ import annotations

import base64
import os
from typing import Final

import anyio
import attrs
from anyio import to_thread
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from objectkernel_accounts.errors import SignInBusy
from objectkernel_accounts.password_rules import LONGEST, MOST_TYPED, normalized

WAITING: Final = 256
"""Passwords that may wait to be looked at; one more is refused at once."""
SALT: Final = 16
HASH: Final = 32
"""Bytes."""


@attrs.frozen(kw_only=True)
class Hardness:
    """What one guess costs (RFC 9106; the defaults are the least that OWASP's password storage page advises).

    Attributes:
        memory: in KiB.
        iterations, lanes: passes over it, and in how many strands.
    """

    memory: int = 19456
    iterations: int = 2
    lanes: int = 1

    @property
    def mark(self) -> str:
        """What a hash that was made with this begins with (PHC string format)."""
        return f"$argon2id$v=19$m={self.memory},t={self.iterations},p={self.lanes}$"


class Passwords:
    """Hashes passwords and checks them.

    Args:
        threads: how many at once; each takes `Hardness.memory`.
    """

    def __init__(self, threads: int, hardness: Hardness | None = None) -> None:
        self._hardness = hardness or Hardness()
        self._limiter = anyio.CapacityLimiter(threads)
        self._nobody = self._hardness.mark + "$".join(_encoded(os.urandom(count)) for count in (SALT, HASH))

    async def hash(self, password: str) -> str:
        """A password as it is kept.

        Raises:
            SignInBusy
        """
        self._expect_room()
        return await to_thread.run_sync(self._hashed, password, limiter=self._limiter)

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether this is the password that was kept; None, of nobody, takes as long.

        Raises:
            SignInBusy
        """
        self._expect_room()
        return await to_thread.run_sync(self._matches, password, kept, limiter=self._limiter)

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made with another hardness than new ones."""
        return not kept.startswith(self._hardness.mark)

    def _hashed(self, password: str) -> str:
        hardness = self._hardness
        function = Argon2id(
            salt=os.urandom(SALT),
            length=HASH,
            iterations=hardness.iterations,
            lanes=hardness.lanes,
            memory_cost=hardness.memory,
        )
        return function.derive_phc_encoded(_bytes(password))

    def _matches(self, password: str, kept: str | None) -> bool:
        try:
            Argon2id.verify_phc_encoded(_bytes(password), kept or self._nobody)
        except InvalidKey:
            return False
        return kept is not None

    def _expect_room(self) -> None:
        if self._limiter.statistics().tasks_waiting >= WAITING:
            raise SignInBusy(
                "too many people sign in at once",
                why=f"{WAITING} passwords wait to be checked",
                fix="try again in a moment",
            )


def _encoded(random: bytes) -> str:
    """A part of a PHC string: of nobody's, which takes no work to make and the work of anybody's to check."""
    return base64.b64encode(random).decode().rstrip("=")


def _bytes(password: str) -> bytes:
    """What is hashed: no password that is kept was longer, so that a very long one costs no more than another."""
    return normalized(password[:MOST_TYPED])[: LONGEST + 1].encode("utf-8", "surrogatepass")
