"""The behaviour suite of stores that give links; see `storage_suite`. Whether links work, their server has to show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from objectkernel_media_server.errors import InvalidMedia, KeyRefused
from objectkernel_media_server.storage_contracts import Signs, Storage
from objectkernel_media_server.testing.stores import ONE, StoreTests


@pytest.mark.anyio
class SignsSuite(StoreTests):
    """What every `contracts.Signs` does."""

    @pytest.fixture
    def links(self, store: Storage) -> Signs:
        """The driver, as one that gives links."""
        assert isinstance(store, Signs)
        return store

    async def test_links(self, links: Signs, folder: str) -> None:
        """A link is an address for one method, one object and one time, and does not show itself."""
        asked = datetime.now(UTC)
        get = await links.sign_get(ONE, f"{folder}/a", ttl=90, content_type="video/webm", filename='ta"ké\r\n.webm')
        put = await links.sign_put(ONE, f"{folder}/a", ttl=90, size=5, content_type="video/webm")
        other = await links.sign_get(ONE, f"{folder}/b", ttl=90)
        assert len({get.url, put.url, other.url}) == 3
        for link in (get, put, other):
            assert link.url.startswith("http")
            assert link.url.isascii()
            assert not {"\r", "\n", " ", '"'} & set(link.url)
            assert abs(link.expires_at - asked - timedelta(seconds=90)) < timedelta(seconds=30)
            assert link.url not in repr(link)

    @pytest.mark.parametrize("ttl", [0, -1, 0.5, 8 * 24 * 3600.0, float("inf"), float("nan")])
    async def test_times(self, links: Signs, key: str, ttl: float) -> None:
        """A link lives for one second to seven days."""
        with pytest.raises(InvalidMedia):
            await links.sign_get(ONE, key, ttl=ttl)
        with pytest.raises(InvalidMedia):
            await links.sign_put(ONE, key, ttl=ttl, size=1, content_type="video/webm")

    @pytest.mark.parametrize("content_type", ["video", "a/b\r\nx: y", "a b/c", "video/webm; x=\x00"])
    async def test_types(self, links: Signs, key: str, content_type: str) -> None:
        """What is no media type does not get into a link."""
        with pytest.raises(InvalidMedia):
            await links.sign_get(ONE, key, ttl=60, content_type=content_type)

    async def test_refused_keys(self, links: Signs) -> None:
        """Keys are refused as in `StorageSuite`."""
        with pytest.raises(KeyRefused):
            await links.sign_get(ONE, "../a", ttl=60)
