"""The store in a folder, with links that the host answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from objectkernel_contracts import NamedKey

from objectkernel_media_server.folder_uploads import FolderUploads
from objectkernel_media_server.host_links import HostLinks


class FilesystemDriver(FolderUploads, HostLinks):
    """A folder as a store: `contracts.Storage`, `contracts.Signs` and `contracts.Resumable`.

    Args:
        root_dir: the folder; it is made where it is not there.
        signed_url_secret, signed_url_base_url: see `HostLinks`.
        fsync: False is faster, and leaves to the operating system what a power cut may take.
    """

    def __init__(
        self,
        root_dir: str | PathLike[str],
        signed_url_secret: str | Callable[[], Sequence[NamedKey]],
        signed_url_base_url: str,
        *,
        fsync: bool = True,
    ) -> None:
        HostLinks.__init__(self, signed_url_secret, signed_url_base_url)
        FolderUploads.__init__(self, Path(root_dir), fsync=fsync)
