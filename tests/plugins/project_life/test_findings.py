"""What `objectkernel doctor` says of a host with projects and without a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from objectkernel_contracts import KEYRING
from objectkernel_project_life.contracts import PROJECTS, EncryptionKeyMissing, ProjectConfig
from objectkernel_project_life.errors import PlaintextAllowed

from tests.contrib.accounts.hosts import Ring
from tests.plugins.project_life.project_hosts import KEY, project_kernel

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """What is said is the same on each."""
    return "asyncio"


async def test_a_host_without_a_key_starts_and_is_told(tmp_path: Path) -> None:
    """It starts, `doctor` warns, and no project can be made."""
    async with project_kernel(tmp_path, encryption_key=None) as kernel:
        (finding,) = [one for one in kernel.findings() if isinstance(one, EncryptionKeyMissing)]
        assert "PROJECT_ENCRYPTION_KEY" in finding.fix
        with pytest.raises(EncryptionKeyMissing):
            await kernel.get(PROJECTS).provision_project("ada", ProjectConfig(name="Crm", slug="crm"))
        assert (await kernel.get(PROJECTS).list(None)).projects == ()


async def test_plain_uris_are_told(tmp_path: Path) -> None:
    """Where they are allowed there is another warning; where a key is there after all, none."""
    async with project_kernel(tmp_path, encryption_key=None, allow_plaintext_uris=True) as kernel:
        assert [type(one) for one in kernel.findings() if one.code.startswith("L")] == [PlaintextAllowed]
        made = await kernel.get(PROJECTS).provision_project("ada", ProjectConfig(name="Crm", slug="crm"))
        assert made.ok
    async with project_kernel(tmp_path, encryption_key=KEY, allow_plaintext_uris=True) as kernel:
        assert not [one for one in kernel.findings() if one.code.startswith("L")]
        (project,) = (await kernel.get(PROJECTS).list(None)).projects
        assert project.uri == f"sqlite:///{project.id}.db"


async def test_a_key_of_the_keyring_will_do(tmp_path: Path) -> None:
    """Nothing has to be set where a host keeps its secrets."""
    kernel = project_kernel(tmp_path, encryption_key=None).provide(KEYRING, Ring())
    async with kernel:
        assert not [one for one in kernel.findings() if one.code.startswith("L")]
        assert (await kernel.get(PROJECTS).provision_project("ada", ProjectConfig(name="Crm", slug="crm"))).ok


async def test_a_wrong_key_does_not_start(tmp_path: Path) -> None:
    """A typo is not taken for no key; it is not shown."""
    with pytest.raises(BaseExceptionGroup) as caught:
        async with project_kernel(tmp_path, encryption_key="hunter2"):
            pass
    found = caught.group_contains(EncryptionKeyMissing)
    assert found
    assert "hunter2" not in str(caught.value)
