"""The description's smoke test, step by step."""

from __future__ import annotations

import pytest
from objectkernel_media_server.service import create_media
from objectkernel_media_server.testing import MemoryDriver, MemoryMediaRepository

pytestmark = pytest.mark.anyio


async def test_smoke() -> None:
    """A repository and a store in memory, three bytes: the row is ready, the link a link."""
    service = create_media(storage=MemoryDriver("https://media.example"), repo=MemoryMediaRepository())
    created = await service.create_recording("acc-1", bytes([1, 2, 3]), mime_type="video/webm", duration_ms=5000)
    assert created.row.status == "ready"
    assert created.signed_url.startswith("http")
