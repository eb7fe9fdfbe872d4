"""Tokens in a file that only its owner may read: replaced as a whole, never seen half written.

The file is ``auth.json`` in a folder of the platform's configuration folder (``~/.config/<host>`` on Linux, where
``XDG_CONFIG_HOME`` counts). Beside it lie ``auth.json.lock``, which processes hold while they get a key;
``auth.json.damaged``, what was there when it could not be read; and for moments ``auth.json.new``.
"""

from __future__ import annotations

import json
import logging
import os
import random
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.to_thread
import attrs
from objectkernel.secret import Secret

from objectkernel_device_auth.client_errors import not_kept
from objectkernel_device_auth.contracts import ExclusiveStore, StoredToken

if TYPE_CHECKING:
    from filelock import FileLock

T = TypeVar("T")
log = logging.getLogger(__name__)

FILE: Final = "auth.json"
LARGEST: Final = 4 * 2**20
ROOM: Final = 16 * 1024
"""Bytes that must fit on the disk before a key is asked for."""
PAUSE: Final = (0.05, 0.2)
"""Seconds, at random between the two, until the lock is tried again."""
CLEARED_AFTER: Final = 2.0
"""Seconds to wait for the lock before everything is forgotten without it."""


def folder_of(host: str) -> Path:
    """The folder for a host's tokens."""
    from platformdirs import user_config_path

    return user_config_path(host, appauthor=False)


class FileTokenStore:
    """The tokens of one folder. `exclusive` keeps other processes away, and other users of the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._holding = False
        self._writing = threading.Lock()

    async def load(self, issuer: str, client_id: str, scope: str) -> StoredToken | None:
        """What was kept; a file that cannot be understood is as if it were not there.

        Raises:
            AuthorizationFailed: the file is there, and this user may not read it.
        """
        wanted = issuer, client_id, scope
        return next((token for token in await self.tokens() if _key(token) == wanted), None)

    async def tokens(self) -> tuple[StoredToken, ...]:
        """Everything that is kept.

        Raises:
            AuthorizationFailed: see `load`.
        """
        return (await self._in_thread(self._read)).tokens

    async def save(self, token: StoredToken) -> None:
        """Keep a token in place of the one for the same issuer, client and scope.

        Raises:
            AuthorizationFailed: it cannot be written; what was there is as it was.
        """

        def changed(tokens: Iterable[StoredToken]) -> list[StoredToken]:
            return [*(other for other in tokens if _key(other) != _key(token)), token]

        await self._change(changed)

    async def clear(self) -> None:
        """Forget all. Who holds the lock for long, since somebody has to approve a code, is not waited for.

        Raises:
            AuthorizationFailed: the file cannot be removed.
        """
        if not await self._in_thread(self.path.exists):
            return
        async with AsyncExitStack() as stack:
            if not self._holding:
                with anyio.move_on_after(CLEARED_AFTER):
                    await stack.enter_async_context(self._lock())
            await self._in_thread(lambda: self.path.unlink(missing_ok=True))

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold the folder's lock: nobody else gets a key meanwhile. There is room for one then.

        Raises:
            AuthorizationFailed: nothing can be written there.
        """
        async with self._lock():
            await self._in_thread(self._probe)
            yield

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        from filelock import FileLock  # most hosts have a key, and need no lock

        lock: FileLock | None = None
        try:
            with _Told(self.folder):
                self._make_folder()
                lock = FileLock(self.path.with_name(f"{FILE}.lock"), mode=0o600, thread_local=False)
                while not _taken(lock):
                    await anyio.sleep(random.uniform(*PAUSE))
            self._holding = True
            yield
        finally:
            if lock is not None and lock.is_locked:
                self._holding = False
                lock.release()

    # --- changes --------------------------------------------------------------------------------------

    async def _change(self, change: Callable[[Iterable[StoredToken]], list[StoredToken]]) -> None:
        def replace() -> None:
            with self._writing:
                kept = self._read()
                if kept.damaged:
                    self._set_aside()
                self._replace(change(kept.tokens))

        async with AsyncExitStack() as stack:
            if not self._holding:
                await stack.enter_async_context(self._lock())
            await self._in_thread(replace, received=True)

    async def _in_thread(self, job: Callable[[], T], *, received: bool = False) -> T:
        with _Told(self.folder, received=received):
            return await anyio.to_thread.run_sync(job)

    # --- in threads -----------------------------------------------------------------------------------

    def _read(self) -> _Kept:
        try:
            with self.path.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    with suppress(OSError):  # somebody else's file is their affair
                        self.path.chmod(0o600)
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return _Kept()
        kept = _parsed(content)
        if kept.damaged:
            log.warning("%s is damaged; it is set aside when the next key is kept", self.path)
        return kept

    def _replace(self, tokens: Iterable[StoredToken]) -> None:
        document = {"tokens": [_written(token) for token in tokens]}
        self._write(json.dumps(document, indent=2).encode())
        os.replace(self._new, self.path)
        if os.name == "posix":  # Windows has no descriptors of folders
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _write(self, content: bytes) -> None:
        """Make ``auth.json.new``; what a process that was killed has left there goes."""
        self._new.unlink(missing_ok=True)
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self._new.unlink(missing_ok=True)
            raise

    def _probe(self) -> None:
        with self._writing:
            self._write(bytes(ROOM))
            self._new.unlink()

    def _set_aside(self) -> None:
        damaged = self.path.with_name(f"{FILE}.damaged")
        os.replace(self.path, damaged)
        log.warning("%s was damaged and is now %s", self.path, damaged.name)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(self.folder.stat().st_mode) & 0o077:
            self.folder.chmod(0o700)

    @property
    def _new(self) -> Path:
        return self.path.with_name(f"{FILE}.new")


@attrs.frozen
class _Kept:
    """What a file has. `damaged`: some of it, or all, is not understood."""

    tokens: tuple[StoredToken, ...] = ()
    damaged: bool = False


def _taken(lock: FileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


class _Told:
    """Makes what the system says about a file an error that says what to do."""

    def __init__(self, folder: Path, *, received: bool = False) -> None:
        self._folder = folder
        self._received = received

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            why = error.strerror or type(error).__name__
            raise not_kept(str(self._folder), why, received=self._received) from None


# --- the file's form ----------------------------------------------------------------------------------


def _key(token: StoredToken) -> tuple[str, str, str]:
    return token.issuer, token.client_id, token.scope


def _written(token: StoredToken) -> dict[str, Any]:
    refresh, ends = token.refresh_token, token.expires_at
    return {
        "issuer": token.issuer,
        "client_id": token.client_id,
        "scope": token.scope,
        "granted_scope": token.granted_scope,
        "access_token": token.access_token.reveal(),
        "expires_at": None if ends is None else ends.astimezone(UTC).isoformat(),
        "refresh_token": None if refresh is None else refresh.reveal(),
    }


def _parsed(content: bytes) -> _Kept:
    if len(content) > LARGEST:
        return _Kept(damaged=True)
    try:
        entries = json.loads(content)["tokens"]
        if not isinstance(entries, list):
            return _Kept(damaged=True)
    except (ValueError, LookupError, TypeError, RecursionError):
        return _Kept(damaged=True)
    found = [_token(entry) for entry in entries]
    return _Kept(tuple(token for token in found if token is not None), damaged=None in found)


def _token(entry: Any) -> StoredToken | None:
    try:
        refresh, ends = entry["refresh_token"], entry["expires_at"]
        made = StoredToken(
            access_token=Secret(entry["access_token"]),
            issuer=entry["issuer"],
            client_id=entry["client_id"],
            scope=entry["scope"],
            granted_scope=entry.get("granted_scope"),
            expires_at=None if ends is None else datetime.fromisoformat(ends).astimezone(UTC),
            refresh_token=None if refresh is None else Secret(refresh),
        )
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    texts = [made.access_token.reveal(), made.issuer, made.client_id, made.scope]
    texts += [] if made.refresh_token is None else [made.refresh_token.reveal()]
    return made if all(isinstance(text, str) for text in texts) else None


if TYPE_CHECKING:
    _is_exclusive: type[ExclusiveStore] = FileTokenStore
