"""The folders of a store: made when they are needed, removed when they are empty, on the disk when that matters."""

from __future__ import annotations

import contextlib
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from objectkernel_media_server.errors import KeyRefused

PARTS: Final = ".uploads"
"""The folder of what is not complete yet; it is there as long as the store is."""
_HASHING: Final = 4
_REMEMBERED: Final = 10_000
_ATTEMPTS: Final = 100
"""How often a folder may be removed by others before its first object is in it."""


class Folders:
    """The folders below `root`; `root` itself has to be there: where it is a disk that is gone, nothing is made.

    Args:
        fsync: whether what is written, and its name, is on the disk when a step returns.

    Attributes:
        hashing: threads that hash what another thread writes.
    """

    def __init__(self, root: Path, *, fsync: bool) -> None:
        self.root = root
        self.fsync = fsync
        self.hashing = ThreadPoolExecutor(_HASHING, "media-hash")
        self._known: set[Path] = set()

    def found(self) -> None:
        """Raises FileNotFoundError where the store itself is not there, so that its objects do not count as missing."""
        os.stat(self.root / PARTS)

    def make(self, folder: Path) -> None:
        """Make a folder, with those between.

        One that this process has not seen yet is written to the disk in the one above, also when it is there: whoever
        made it may not have come so far.
        """
        if folder == self.root:
            return
        self.make(folder.parent)
        try:
            os.mkdir(folder, 0o750)
        except FileExistsError:
            if folder in self._known:
                return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self.sync(folder.parent)
        self._known.add(folder)

    def publish(self, part: Path, target: Path) -> bool:
        """Give a part file that is complete and on the disk its name as an object, and take away the one it had.

        Returns:
            False: the name is in use; nothing has changed.

        Raises:
            KeyRefused: an object lies where this one needs a folder, or the other way round.
        """
        for _ in range(_ATTEMPTS):
            try:
                self.make(target.parent)
                os.link(part, target, follow_symlinks=False)
                break
            except FileExistsError:
                if not target.is_file():
                    raise _in_the_way() from None
                return False
            except NotADirectoryError:
                raise _in_the_way() from None
            except FileNotFoundError:  # a folder was empty, and somebody has removed it since `make`
                self.found()
                os.stat(part)
        else:
            raise FileNotFoundError(errno.ENOENT, "its folder is removed again and again")
        self.sync(target.parent)
        os.unlink(part)
        return True

    def sync(self, folder: Path) -> None:
        """Return when the names in `folder` are on the disk."""
        if not self.fsync or os.name == "nt":  # Windows cannot open a folder for this, and needs not
            return
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def prune(self, folder: Path, end: Path) -> None:
        """Remove `folder` and those above it, as long as they are empty, up to `end`, which stays."""
        with contextlib.suppress(OSError):
            while folder != end:
                os.rmdir(folder)
                folder = folder.parent


def _in_the_way() -> KeyRefused:
    return KeyRefused(
        "this key lies below an object, or objects lie below it",
        why="the store is a file system: a name is a file or a folder",
        fix="use keys of which none is the beginning of another's path",
    )
