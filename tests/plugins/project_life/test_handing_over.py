"""What becomes of the projects of an account that is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from objectkernel_contracts import AccountDeleting
from objectkernel_project_life.contracts import ProjectConflict
from objectkernel_project_life.handing_over import free_slug

from tests.plugins.project_life.hosts import Hook, Trail, expect_consistent, host

pytestmark = pytest.mark.anyio


async def test_the_successor_takes_over(tmp_path: Path) -> None:
    """Its data is where it was; a slug that the successor has gets a number; told again, nothing is left to do."""
    trail = Trail()
    async with host(tmp_path, trail) as at:
        mine = await at.made("crm", account="heir")
        crm, shop = await at.made("crm", account="gone"), await at.made("shop", account="gone")
        await at.write(crm, "of crm")
        await at.projects.pause_project("gone", shop.id)
        for _ in range(2):
            await at.kernel.emit(AccountDeleting(account_id="gone", successor_id="heir"))
        page = await at.projects.list("heir")
        assert {project.id: project.slug for project in page.projects} == {
            mine.id: "crm",
            crm.id: "crm-2",
            shop.id: "shop",
        }
        assert (await at.projects.list("gone")).projects == ()
        assert await at.titles(crm) == ["of crm"]
        await expect_consistent(at)
    assert trail.entries[-2:] == [
        ("project.hand-over", "heir", {"slug": "crm-2", "from": "gone"}),
        ("project.hand-over", "heir", {"slug": "shop", "from": "gone"}),
    ]
    async with host(tmp_path, opening="eager") as at:
        await expect_consistent(at)
        assert await at.titles(crm) == ["of crm"]
        assert (await at.projects.resume_project("heir", shop.id)).ok
        assert await at.titles(shop) == []
        await at.kernel.emit(AccountDeleting(account_id="heir", successor_id="next"))
        assert await at.titles(crm) == ["of crm"]
        moved = (await at.projects.rotate_uri("next", crm.id, "sqlite:///own.db")).expect_ok()
        assert moved is not None
        assert at.file("own.db", "next").exists()
        assert (await at.row(crm.id))["home"] is None
        await expect_consistent(at)


async def test_without_a_successor(tmp_path: Path) -> None:
    """They are ended; the files stay, and other accounts' projects too."""
    async with host(tmp_path) as at:
        theirs = await at.made(account="bolt")
        ended = await at.made(account="gone")
        await at.made("paused", account="gone")
        await at.kernel.emit(AccountDeleting(account_id="gone"))
        assert list(await at.rows()) == [theirs.id]
        assert at.file(f"{ended.id}.db", "gone").exists()
        await expect_consistent(at)


async def test_in_the_middle_of_an_operation(tmp_path: Path) -> None:
    """The deletion is stopped by it, and gone on with later."""
    hook = Hook()
    async with host(tmp_path, at_step=hook) as at:
        project = await at.made(account="gone")

        async def delete() -> None:
            for heir in (None, "heir"):
                with pytest.raises(ProjectConflict):
                    await at.kernel.emit(AccountDeleting(account_id="gone", successor_id=heir))

        hook.doings["pause.intended"] = delete
        assert (await at.projects.pause_project("gone", project.id)).ok
        await at.kernel.emit(AccountDeleting(account_id="gone", successor_id="heir"))
        assert (await at.projects.get("heir", project.id)).status == "paused"


@pytest.mark.parametrize(
    ("slug", "taken", "free"),
    [
        ("crm", set(), "crm"),
        ("crm", {"crm"}, "crm-2"),
        ("crm", {"crm", "crm-2", "crm-3"}, "crm-4"),
        ("a" * 63, {"a" * 63}, "a" * 61 + "-2"),
        ("a" * 60 + "-bb", {"a" * 60 + "-bb"}, "a" * 60 + "-2"),
    ],
)
def test_free_slugs(slug: str, taken: set[str], free: str) -> None:
    """A number is added to what is taken, within the longest slug."""
    assert free_slug(slug, taken) == free
