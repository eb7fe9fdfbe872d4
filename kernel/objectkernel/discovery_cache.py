"""The cache of discovery: a file for each search path, trusted while nothing it was read from has changed."""

from __future__ import annotations

import logging
import marshal
import os
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from objectkernel.distributions import Row, Scan, Stamp

log = logging.getLogger("objectkernel.discovery")

_FORMAT: Final = f"objectkernel discovery 1 {sys.implementation.cache_tag}\n".encode()
_FINE_TICK: Final = 50_000_000  # ns; kernels stamp files by a clock of some milliseconds
_COARSE_TICK: Final = 2_000_000_000  # ns; FAT and some network file systems have whole seconds, or two


def cache_folder() -> Path | None:
    """Where cache files are: ``OBJECTKERNEL_CACHE_DIR``, else a folder in the platform's place for caches.

    None where ``OBJECTKERNEL_NO_CACHE`` is set to anything but 0, or where there is no home.
    """
    environ = os.environ
    if environ.get("OBJECTKERNEL_NO_CACHE", "0") not in ("", "0"):
        return None
    if named := environ.get("OBJECTKERNEL_CACHE_DIR"):
        return Path(named)
    if sys.platform == "win32":
        base = environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = environ.get("XDG_CACHE_HOME", "")
        base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    return Path(base, "objectkernel") if os.path.isabs(base) else None


class CacheFile:
    """The cache file of one search path.

    Its content is marshalled, which is fast and needs no import, behind a format line and a checksum: only
    what this module has written, whole and by this Python, is unmarshalled. A file of another user is not
    read.
    """

    def __init__(self, folder: Path, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)
        self._path = os.path.join(
            folder, f"discovery-{zlib.crc32(os.pathsep.join(folders).encode('utf-8', 'replace')):08x}"
        )

    def read(self) -> tuple[Row, ...] | None:
        """The rows of the last scan, or None if there is none or anything may have changed since."""
        content = self._content()
        if content is None:
            return None
        try:
            folders, began, rows, watched = content
        except (TypeError, ValueError):
            return None
        if folders != self._folders or not _unchanged(watched, began):
            return None
        return rows  # type: ignore[no-any-return]

    def _content(self) -> Any:
        try:
            with open(self._path, "rb", buffering=0) as file:
                if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                    return None
                raw = file.readall()
        except OSError:
            return None
        head = len(_FORMAT)
        body = memoryview(raw)[head + 4 :]
        if raw[:head] != _FORMAT or raw[head : head + 4] != zlib.crc32(body).to_bytes(4, "big"):
            return None
        return marshal.loads(body)

    def write(self, found: Scan) -> None:
        """Keep a scan, in one step: whoever reads meanwhile has the old or the new. Failing does no harm."""
        content = (self._folders, found.began, found.rows, found.watched)
        body = marshal.dumps(content)
        scratch = f"{self._path}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            try:
                with open(scratch, "xb") as file:
                    file.write(_FORMAT + zlib.crc32(body).to_bytes(4, "big") + body)
                os.replace(scratch, self._path)
            except OSError:
                Path(scratch).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.debug("discovery is not cached: %s", error)


def _unchanged(watched: dict[str, Stamp | None], began: int) -> bool:
    """Whether everything that was read is as it was when it was read, `began` being the time just before.

    What was changed within a clock tick of the reading may have changed once more under the same stamp.
    """
    stat = os.stat
    newest_fine, newest_coarse = began - _FINE_TICK, began - _COARSE_TICK
    for path, kept in watched.items():
        try:
            told = stat(path)
        except OSError:
            if kept is not None:
                return False
            continue
        mtime = told.st_mtime_ns
        if kept != (mtime, told.st_size, told.st_ino):
            return False
        if mtime > newest_coarse and (mtime > newest_fine or not mtime % 1_000_000_000):
            return False
    return True
