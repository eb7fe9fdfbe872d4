"""Passwords as they are kept."""

from __future__ import annotations

import threading

import anyio
import pytest
from objectkernel_accounts import passwords as module
from objectkernel_accounts.errors import SignInBusy
from objectkernel_accounts.passwords import Hardness, Passwords

from tests.contrib.accounts.hosts import PASSWORD, QUICK

pytestmark = pytest.mark.anyio


async def test_argon2id_with_the_advised_parameters() -> None:
    """A password is kept as a PHC string of Argon2id with 19 MiB, two passes and one lane; salted."""
    passwords = Passwords(1)
    kept = await passwords.hash(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.hash(PASSWORD) != kept
    assert await passwords.matches(PASSWORD, kept)
    assert not await passwords.matches(PASSWORD + "x", kept)


async def test_composed_otherwise() -> None:
    """A password is right whichever way a keyboard composes it."""
    passwords = Passwords(1, QUICK)
    assert await passwords.matches("cafe\u0301 au lait noir", await passwords.hash("café au lait noir"))


async def test_very_long_is_not_cut() -> None:
    """Of two long passwords that begin alike only the right one is."""
    passwords = Passwords(1, QUICK)
    kept = await passwords.hash("a" * 1024)
    assert not await passwords.matches("a" * 1025, kept)
    assert not await passwords.matches("a" * 100_000, kept)


async def test_outdated() -> None:
    """Hashes of another hardness are known as such, and still checked."""
    old, new = Passwords(1, QUICK), Passwords(1, Hardness(memory=128, iterations=1))
    kept = await old.hash(PASSWORD)
    assert new.is_outdated(kept)
    assert not old.is_outdated(kept)
    assert await new.matches(PASSWORD, kept)


async def test_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown login takes the very work that a known one does, and never matches."""
    passwords = Passwords(1, QUICK)
    checked: list[str] = []

    class Counting:
        @staticmethod
        def verify_phc_encoded(key_material: bytes, phc: str) -> None:
            checked.append(phc.rpartition("$")[0].rpartition("$")[0])

    kept = await passwords.hash(PASSWORD)
    monkeypatch.setattr(module, "Argon2id", Counting)
    assert not await passwords.matches(PASSWORD, None)
    assert await passwords.matches(PASSWORD, kept)
    assert checked[0] == checked[1]


def test_nothing_is_hashed_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what stands for nobody's password nobody knows one: it takes no work, which would delay the boot."""

    class Never:
        def __init__(self, **options: object) -> None:
            raise AssertionError("this takes long")

    monkeypatch.setattr(module, "Argon2id", Never)
    Passwords(1)


async def test_of_nobody_for_real() -> None:
    """What stands for nobody's password is checked as any other, at the full hardness."""
    passwords = Passwords(1)
    assert not await passwords.matches(PASSWORD, None)
    assert passwords._nobody.startswith(Hardness().mark)
    assert len(passwords._nobody) == len(await passwords.hash(PASSWORD))


async def test_only_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more passwords are hashed at once than there are threads for it; too many waiting are refused."""
    passwords = Passwords(2, QUICK)
    running = most = 0
    lock, go = threading.Lock(), threading.Event()

    def slow(self: Passwords, password: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return ""

    monkeypatch.setattr(Passwords, "_hashed", slow)
    monkeypatch.setattr(module, "WAITING", 3)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(passwords.hash, PASSWORD)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(10):
            while running < 2:
                await anyio.sleep(0.001)
        with pytest.raises(SignInBusy):
            await passwords.hash(PASSWORD)
        go.set()
    assert most == 2
