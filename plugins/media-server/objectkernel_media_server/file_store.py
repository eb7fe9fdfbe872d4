"""The way that a host which composes by hand names its store."""

from __future__ import annotations

from objectkernel_media_server.storage_contracts import Storage


def create_file_store(driver: Storage) -> Storage:
    """The store that `driver` is.

    Raises:
        TypeError: it lacks a member of `contracts.Storage`.
    """
    if not isinstance(driver, Storage):
        raise TypeError(f"{type(driver).__name__} is no Storage")
    return driver
