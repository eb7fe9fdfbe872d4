"""What becomes of the projects of an account that is deleted."""

from __future__ import annotations

from objectkernel_system_dialect.contracts import DuplicateKey

from objectkernel_project_life.ending import Ending
from objectkernel_project_life.errors import ProjectMissing
from objectkernel_project_life.ground import Done, Ground
from objectkernel_project_life.schema import LONGEST_SLUG


class HandingOver:
    """Gives the projects of an account to its successor, or ends them."""

    def __init__(self, ground: Ground, ending: Ending) -> None:
        self._ground = ground
        self._ending = ending

    async def leave(self, account: str, successor: str | None) -> None:
        """The account has no project when this returns; called again it goes on.

        Raises:
            ProjectConflict: something is being done to one of them; it is gone on with later.
        """
        for id in await self._ground.register.ids_of(account):
            try:
                if successor is None:
                    await self._ending.deprovision(account, id)
                else:
                    await self._hand_over(account, id, successor)
            except ProjectMissing:  # it has gone meanwhile
                continue

    async def _hand_over(self, account: str, id: str, successor: str) -> None:
        ground = self._ground
        async with ground.at(account, id) as record:
            done = Done("hand-over", {"from": account})
            taken = await ground.register.slugs_of(successor)
            while True:
                slug = free_slug(record.slug, taken)
                changes = {"account": successor, "slug": slug, "home": record.home or account}
                try:
                    changed = await ground.intend(record, done=done, **changes)
                except DuplicateKey:  # somebody has taken it at this moment
                    taken.add(slug)
                    continue
                await ground.bring(id, changed)
                return


def free_slug(slug: str, taken: set[str]) -> str:
    """The slug, or the first of ``slug-2``, ``slug-3``, … that is not taken."""
    number, free = 1, slug
    while free in taken:
        number += 1
        end = f"-{number}"
        free = slug[: LONGEST_SLUG - len(end)].rstrip("-") + end
    return free
