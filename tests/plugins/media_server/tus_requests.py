"""Requests of tus, one by one, as no client sends them by itself."""

from __future__ import annotations

import base64
from typing import Any

import attrs
import httpx

ENDPOINT = "/api/media/uploads/"
BYTES = "application/offset+octet-stream"


def b64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def metadata(**values: str) -> str:
    return ",".join(f"{name} {b64(value)}" for name, value in values.items())


@attrs.frozen
class Tus:
    """A client that does what it is told."""

    http: httpx.Client

    def send(self, method: str, url: str = ENDPOINT, content: Any = None, **headers: str) -> httpx.Response:
        """A request; ``upload_offset="3"`` is the header ``Upload-Offset: 3``."""
        told = {"Tus-Resumable": "1.0.0"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, httpx.URL(ENDPOINT).join(url), content=content, headers=told)

    def create(self, length: int | None = None, content: Any = None, **headers: str) -> str:
        """A new upload; its address."""
        if length is not None:
            headers["upload_length"] = str(length)
        answer = self.send("POST", content=content, **headers)
        assert answer.status_code == 201, answer.text
        return str(httpx.URL(ENDPOINT).join(answer.headers["location"]))

    def patch(self, url: str, offset: int, content: Any, **headers: str) -> httpx.Response:
        """Bytes of an upload."""
        return self.send("PATCH", url, content, **{"upload_offset": str(offset), "content_type": BYTES, **headers})

    def offset(self, url: str) -> int:
        """How far an upload is."""
        answer = self.send("HEAD", url)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])
