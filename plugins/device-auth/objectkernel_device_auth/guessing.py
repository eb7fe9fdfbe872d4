"""How many codes somebody may try, so that guessing one is hopeless and nobody who has one is kept out.

A code is tried by somebody who has signed in. Each person has `TRIES` within the lifetime of a code, with waits that
grow; what they try is counted before it is looked at, so that trying at once gains nothing. Wrong ones also count for
the network they came from, and for the whole host: the more codes wait, the fewer wrong ones it takes until a stranger
might hit one, so the host looks at no more than keep that chance below `CHANCE` in the lifetime of a code.

The first try of a person is looked at whatever others have done, from the same network or elsewhere: so nobody is kept
out by a stranger's guesses, and a stranger gains one guess for each person that can sign in to the host. A right one
costs no try and ends the waiting, but leaves the wrong ones counted: anybody can ask for a code of their own, and would
wipe them out with it.

Who is refused is refused before anything of theirs is written: rows grow with people, and not with guesses.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_device_auth.budgets import Budgets, budget_id, network_of
from objectkernel_device_auth.codes import POSSIBLE
from objectkernel_device_auth.contracts import Asker
from objectkernel_device_auth.errors import TooManyTries
from objectkernel_device_auth.storage_codes import DEVICE_CODE

TRIES: Final = 5
"""Of one person, and wrong ones from one network, within the lifetime of a code."""
WAITS: Final = (0, 0, 4, 16)
"""Seconds after the first wrong one, the second and so on; after the last one, the lifetime of a code."""
CHANCE: Final = 2**20
"""One in so many, that any of all wrong guesses would have been right."""
EVERYBODY: Final = budget_id("guesses")


class Guesses:
    """Counts the codes that people try.

    Args:
        lifetime: of a code.
    """

    def __init__(self, dialect: Dialect, lifetime: timedelta) -> None:
        self._dialect = dialect
        self._budgets = Budgets(dialect)
        self._lifetime = lifetime

    async def take(self, by: Principal, asker: Asker) -> None:
        """Take one try, before the code is looked at.

        Raises:
            TooManyTries: there is none to take now.
        """
        person, now = _person(by), datetime.now(UTC)
        spent = await self._budgets.spent(person)
        if spent is not None:
            if now < spent.free_at:
                raise _too_many(spent.free_at - now)
            if spent.count:
                await self._expect_quiet(asker, now)
        counted = await self._budgets.count(person, self._lifetime)
        count = counted.count
        wait = timedelta(seconds=WAITS[count - 1]) if count <= len(WAITS) else self._lifetime
        await self._budgets.wait(person, now + wait, max(counted.ends_at, now + wait))
        if count > TRIES:
            raise _too_many(wait)
        if count > 1 and (spent is None or not spent.count):  # others of this person's came in between
            await self._expect_quiet(asker, now)

    async def right(self, by: Principal) -> None:
        """The code was one: give back the try that it took. The wrong ones before count on."""
        await self._budgets.give_back(_person(by))

    async def wrong(self, by: Principal, asker: Asker) -> None:
        """The code was none: it is remembered for the lifetime of one, with those before."""
        await self._budgets.remember(_person(by), datetime.now(UTC) + self._lifetime)
        await self._budgets.count(EVERYBODY, self._lifetime)
        if network := network_of(asker.address):
            await self._budgets.count(budget_id("guesses", network), self._lifetime)

    async def _expect_quiet(self, asker: Asker, now: datetime) -> None:
        """Refuse a further try while too many others were wrong."""
        if network := network_of(asker.address):
            spent = await self._budgets.spent(budget_id("guesses", network))
            if spent is not None and spent.count >= TRIES:
                raise _too_many(spent.ends_at - now)
        spent = await self._budgets.spent(EVERYBODY)
        if spent is not None and spent.count >= TRIES:
            live = await self._dialect.count(DEVICE_CODE, {"state": "pending", "expires_at": {"$gt": now}})
            if spent.count >= POSSIBLE // CHANCE // max(live, 1):
                raise _too_many(spent.ends_at - now)


def _person(by: Principal) -> str:
    return budget_id("tries", by.account_id if by.user_id is None else "", by.user_id or by.session_id or "")


def _too_many(wait: timedelta) -> TooManyTries:
    return TooManyTries(max(1, math.ceil(wait.total_seconds())))
