"""The behaviour suite of stores whose objects are files; see `storage_suite`."""

from __future__ import annotations

import os

import pytest

from objectkernel_media_server.errors import KeyRefused, ObjectMissing
from objectkernel_media_server.storage_contracts import OpensFiles, Storage
from objectkernel_media_server.testing.stores import MIB, ONE, Stores, StoreTests, body_of, content_of


@pytest.mark.anyio
class FilesSuite(StoreTests):
    """What every `storage_contracts.OpensFiles` does."""

    @pytest.fixture
    def files(self, store: Storage) -> OpensFiles:
        """The driver, as one that opens files."""
        assert isinstance(store, OpensFiles)
        return store

    async def test_the_file_is_the_object(self, store: Storage, files: OpensFiles, key: str) -> None:
        """All of it, and nothing else, is read by its descriptor, as often as somebody likes."""
        content = content_of(2 * MIB + 7)
        await store.put_stream(ONE, key, body_of(content))
        for _ in range(2):
            async with files.open_file(ONE, key) as file:
                assert os.fstat(file).st_size == len(content)
                assert os.pread(file, 10, MIB) == content[MIB : MIB + 10]
                assert os.pread(file, 3 * MIB, 0) == content

    async def test_several_at_once(self, store: Storage, files: OpensFiles, folder: str) -> None:
        """Whoever is done takes nothing from others, of one object or of two."""
        for name in ("a", "b"):
            await store.put_stream(ONE, f"{folder}/{name}", body_of(name.encode()))
        async with files.open_file(ONE, f"{folder}/a") as first:
            async with files.open_file(ONE, f"{folder}/a") as again, files.open_file(ONE, f"{folder}/b") as other:
                assert [os.pread(file, 9, 0) for file in (first, again, other)] == [b"a", b"a", b"b"]
            assert os.pread(first, 9, 0) == b"a"

    async def test_what_is_not_there(self, files: OpensFiles, key: str) -> None:
        """No file is opened without an object."""
        with pytest.raises(ObjectMissing):
            async with files.open_file(ONE, key):
                raise AssertionError("there is none")

    async def test_an_object_that_is_deleted_meanwhile(
        self, stores: Stores, store: Storage, files: OpensFiles, key: str
    ) -> None:
        """Who reads it reads on; nobody else finds it, by whichever driver it was deleted; another one is another."""
        for driver in (store, stores.another()):
            await store.put_stream(ONE, key, body_of(b"content"))
            async with files.open_file(ONE, key) as file:
                assert await driver.delete(ONE, key)
                assert os.pread(file, 99, 0) == b"content"
                with pytest.raises(ObjectMissing):
                    async with files.open_file(ONE, key):
                        raise AssertionError("it is deleted")
            await store.put_stream(ONE, key, body_of(b"another"))
            async with files.open_file(ONE, key) as file:
                assert os.pread(file, 99, 0) == b"another"
            assert await driver.delete(ONE, key)

    async def test_refused_keys(self, files: OpensFiles) -> None:
        """Keys are refused as in `StorageSuite`."""
        with pytest.raises(KeyRefused):
            async with files.open_file(ONE, "../a"):
                raise AssertionError("that is no key")
