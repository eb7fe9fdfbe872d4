"""A repository and a store in memory, and the behaviour suites of both Protocols."""

from __future__ import annotations

from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.testing.memory_repository import MemoryMediaRepository

__all__ = ["MemoryDriver", "MemoryMediaRepository"]
