"""The rows of recordings: lists, one of them, its link, its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast, get_args
from urllib.parse import parse_qsl

import attrs

from objectkernel_media_server.answers import json_answer, shown_link, shown_row
from objectkernel_media_server.calls import Answer, Call
from objectkernel_media_server.contracts import InvalidMedia, MediaFilter, MediaPage, MediaStatus
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.tus_headers import number
from objectkernel_media_server.upload_rows import missing_upload

STATUSES: Final = get_args(MediaStatus)
MOST_FIELDS: Final = 32
DEFAULT_LIMIT: Final = 50


class Rows:
    """The endpoints."""

    def __init__(self, media: HostMedia) -> None:
        self._media = media

    async def list(self, call: Call) -> Answer:
        """Some recordings of the account, newest first; of one session in the order of its takes."""
        return await self._page(call, _filter(call.query))

    async def session(self, call: Call) -> Answer:
        """The takes of a session in their order."""
        return await self._page(call, attrs.evolve(_filter(call.query), session_id=call.path["id"]))

    async def one(self, call: Call) -> Answer:
        """A recording with a fresh link."""
        found = await self._media.get_media(call.account_id, call.id)
        if found is None:
            raise missing_upload()
        return json_answer(shown_link(found))

    async def link(self, call: Call) -> Answer:
        """Another link, for as long as ``ttl`` says."""
        if number(call.headers, "content-length"):
            raise InvalidMedia("this takes no body", fix="say in the query how long the link is to work: ?ttl=600")
        ttl = _seconds(dict(_pairs(call.query)).get("ttl"))
        found = await self._media.reissue_signed_url(call.account_id, call.id, ttl)
        if found is None:
            raise missing_upload()
        return json_answer(shown_link(found))

    async def delete(self, call: Call) -> Answer:
        """The recording goes, with its blob."""
        if not await self._media.delete_media(call.account_id, call.id):
            raise missing_upload()
        return Answer(status=HTTPStatus.NO_CONTENT)

    async def _page(self, call: Call, filter: MediaFilter) -> Answer:
        page: MediaPage = await self._media.list_for_account(call.account_id, filter)
        return json_answer({"items": [shown_row(row) for row in page.items], "nextCursor": page.next_cursor})


def _filter(query: bytes) -> MediaFilter:
    pairs = _pairs(query)
    given: Mapping[str, str] = dict(pairs)
    statuses = [one for name, value in pairs if name == "status" for one in value.split(",")]
    if not set(statuses) <= set(STATUSES):
        raise InvalidMedia("status is one of several", why=f"they are {', '.join(STATUSES)}")
    limit = given.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        raise InvalidMedia("limit is a whole number from 1 to 200")
    return MediaFilter(
        status=cast(Any, tuple(dict.fromkeys(statuses)) or "ready"),
        session_id=given.get("sessionId") or None,
        limit=int(limit),
        after=given.get("after") or None,
    )


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InvalidMedia("ttl is a number of seconds")
    return found


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidMedia(f"a query has at most {MOST_FIELDS} fields") from None
