"""The store that settings say, and the one that a host names by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from objectkernel.secret import Secret
from objectkernel_contracts import NamedKey
from objectkernel_media_server.config import MediaServerConfig
from objectkernel_media_server.errors import KeyRefused, SigningKeyMissing
from objectkernel_media_server.file_store import create_file_store
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.keys import KEY_LENGTH, check_key
from objectkernel_media_server.opening import LINK_KEYS, open_storage
from objectkernel_media_server.storage_contracts import Resumable, Signs, Storage
from objectkernel_media_server.testing.stores import body_of, read_all

pytestmark = pytest.mark.anyio

SECRET = "a secret of the tests that is long enough for HMAC"
KEY = "acc-1/2026/11/0193-0.webm"


class Ring:
    """A keyring with one key."""

    def current(self, name: str) -> NamedKey:
        assert name == LINK_KEYS
        return NamedKey(id="ring", secret=b"r" * 32)

    def keys(self, name: str) -> tuple[NamedKey, ...]:
        return (self.current(name),)

    def find(self, name: str, id: str) -> NamedKey | None:
        return self.current(name) if id == "ring" else None


@pytest.fixture(params=["filesystem", "memory", "s3", "obstore"])
async def storage(anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    config = MediaServerConfig(
        storage=request.param,
        data_dir=tmp_path,
        signing_secret=Secret(SECRET),
        signed_url_base_url="https://shop.example",
        obstore_url="memory:///",
        s3_endpoint="http://127.0.0.1:9",
        s3_public_endpoint="https://shop.example",
        s3_access_key=Secret("a"),
        s3_secret_key=Secret("b"),
    )
    storage = await open_storage(config, None)
    yield storage
    await storage.aclose()


async def test_every_kind(storage: Storage) -> None:
    """Every kind of store has all powers, and signs what the settings say."""
    assert create_file_store(storage) is storage
    assert isinstance(storage, Signs)
    assert isinstance(storage, Resumable)
    link = await storage.sign_get("media-recordings", KEY, ttl=60)
    assert link.url.startswith("https://shop.example/")


async def test_the_folder_of_the_host(tmp_path: Path) -> None:
    """Blobs lie in the folder ``media`` of the host's, or in one of their own; other drivers read them there."""
    config = MediaServerConfig(data_dir=tmp_path / "host", signing_secret=Secret(SECRET), fsync=False)
    storage = await open_storage(config, None)
    await storage.put_stream("media-recordings", KEY, body_of(b"content"))
    assert (tmp_path / "host" / "media" / "media-recordings" / KEY).read_bytes() == b"content"
    by_hand = create_file_store(FilesystemDriver(tmp_path / "host" / "media", SECRET, "https://shop.example"))
    assert await read_all(by_hand, "media-recordings", KEY) == b"content"
    own = await open_storage(MediaServerConfig(storage_dir=tmp_path / "own", signing_secret=Secret(SECRET)), None)
    await own.put_stream("media-recordings", KEY, body_of(b"other"))
    assert (tmp_path / "own" / "media-recordings" / KEY).read_bytes() == b"other"
    for one in (storage, by_hand, own):
        await one.aclose()


async def test_keys_of_the_keyring(tmp_path: Path) -> None:
    """Without a secret in the settings the keyring's signs; without both there is no store."""
    storage = await open_storage(MediaServerConfig(data_dir=tmp_path), Ring())
    assert isinstance(storage, FilesystemDriver)
    link = await storage.sign_get("media-recordings", KEY, ttl=60)
    assert "kid=ring" in link.url
    assert storage.links.verify("GET", "media-recordings", KEY, link.url.partition("?")[2]) is not None
    await storage.aclose()
    with pytest.raises(SigningKeyMissing):
        await open_storage(MediaServerConfig(data_dir=tmp_path), None)


def test_no_store() -> None:
    """What lacks members of `Storage` is refused by name."""
    with pytest.raises(TypeError, match="str is no Storage"):
        create_file_store("a folder")  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["a", "a/b-c_d.webm", "0/1/2", "x" * KEY_LENGTH, "console/com10.webm", "a..b", "_/-"])
def test_keys(key: str) -> None:
    """Ordinary keys are taken."""
    check_key(key)


def test_key_length() -> None:
    """One byte more is refused."""
    with pytest.raises(KeyRefused):
        check_key("x" * (KEY_LENGTH + 1))
