"""An S3 server behind worker threads, with our errors instead of the client's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import anyio
import attrs
import botocore.session  # type: ignore[import-untyped]
from anyio import to_thread
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from objectkernel_media_server.errors import StorageFull, StorageUnavailable
from objectkernel_media_server.pinging import Pinging

T = TypeVar("T")

MISSING: Final = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
TAKEN: Final = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})
BEYOND: Final = frozenset({"416", "InvalidRange"})
_FULL: Final = frozenset(
    {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
)


@attrs.frozen(kw_only=True)
class S3Place:
    """Where an S3 server is.

    Attributes:
        endpoint_url: ``https://…`` of the server; "": Amazon's, by its region.
        public_endpoint_url: where browsers reach it, for links; "": as `endpoint_url`.
        access_key, secret_key: "" for both: as the environment says (variables, files, the machine's role).
        path_style: the bucket is in the path, and not in the host's name.
        connect_timeout, read_timeout: seconds.
        attempts: how often a request is sent that fails in a way which may pass.
        threads: how many requests at once.
    """

    endpoint_url: str = ""
    public_endpoint_url: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = attrs.field(default="", repr=False)
    path_style: bool = True
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    attempts: int = 3
    threads: int = 16


class S3Client:
    """The calls of an S3 server, each in a worker thread."""

    def __init__(self, place: S3Place) -> None:
        self._threads = anyio.CapacityLimiter(place.threads)
        self._pinging = Pinging("s3")
        self._calls = _client(place, place.endpoint_url)
        public = place.public_endpoint_url or place.endpoint_url
        self._links = self._calls if public == place.endpoint_url else _client(place, public)

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One request.

        Raises:
            S3Refused: the server answers with an error that some caller may know what to do with.
            StorageUnavailable: it does not answer.
        """
        return Told(await self.run(getattr(self._calls, operation), **parameters))

    async def pages(self, operation: str, **parameters: Any) -> PagesOf:
        """The answers of a request that gives its list in pages."""
        return PagesOf(self, iter(self._calls.get_paginator(operation).paginate(**parameters)))

    async def run(self, step: Callable[..., T], *args: Any, **parameters: Any) -> T:
        """A blocking step of the client."""
        with _our_errors():
            return await to_thread.run_sync(lambda: step(*args, **parameters), limiter=self._threads)

    async def ping(self) -> None:
        """Have an answer, whichever it is; see `pinging`."""
        with _our_errors():
            await self._pinging.ask(self._calls.list_buckets)

    def link(self, operation: str, ttl: float, parameters: dict[str, Any]) -> str:
        """An address that does one request for `ttl` seconds; nothing is asked of the server."""
        url: str = self._links.generate_presigned_url(operation, Params=parameters, ExpiresIn=int(ttl))
        return url

    async def aclose(self) -> None:
        """Close the connections."""
        await self.run(self._calls.close)
        if self._links is not self._calls:
            await self.run(self._links.close)


class PagesOf:
    """Pages, each fetched when it is asked for."""

    def __init__(self, client: S3Client, pages: Iterator[dict[str, Any]]) -> None:
        self._client = client
        self._pages = pages

    def __aiter__(self) -> PagesOf:
        return self

    async def __anext__(self) -> dict[str, Any]:
        page: dict[str, Any] | None = await self._client.run(next, self._pages, None)
        if page is None:
            raise StopAsyncIteration
        return page


class Told(dict[str, Any]):
    """What a server tells, or a part of it. What it should and does not is its failure: it may be no S3 server at all,
    but a page that a proxy shows.
    """

    def __missing__(self, name: str) -> Any:
        raise garbled(f"it has no {name}")


class S3Refused(StorageUnavailable):
    """The server refuses a request. Attributes: store, reason (its code)."""

    reason: str


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _refused(error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StorageUnavailable(
            "there are no keys for the object store",
            why=str(error),
            fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the settings s3_access_key and s3_secret_key",
            store="s3",
            reason=type(error).__name__,
        ) from error
    except BotoCoreError as error:
        raise _down(type(error).__name__) from error
    except (ValueError, RecursionError) as error:  # of an answer that the client cannot read, or of redirects in a ring
        raise garbled(type(error).__name__) from error


def garbled(why: str) -> StorageUnavailable:
    """What a server answers is no answer of S3."""
    return StorageUnavailable(
        "the object store does not answer as S3 does",
        why=why,
        fix="see that its address is right, and what stands before it",
        store="s3",
        reason="garbled",
    )


def _refused(error: ClientError) -> StorageUnavailable:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _FULL or status == 507:
        return StorageFull("the object store has no room left", why=code, store="s3", reason=code)
    return S3Refused(
        "the object store refuses what it is asked",
        why=code,
        fix="see that the bucket is there, and that the credentials may use it",
        store="s3",
        reason=code,
    )


def _down(reason: str) -> StorageUnavailable:
    return StorageUnavailable(
        "the object store does not answer",
        why=reason,
        fix="see that it runs, and that its address is right",
        store="s3",
        reason=reason,
    )


def _client(place: S3Place, endpoint_url: str) -> Any:
    config = Config(
        signature_version="s3v4",
        connect_timeout=place.connect_timeout,
        read_timeout=place.read_timeout,
        max_pool_connections=place.threads,
        retries={"mode": "standard", "total_max_attempts": place.attempts},
        request_checksum_calculation="when_required",  # others than Amazon's do not know the newer ones
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if place.path_style else "virtual"},
    )
    return botocore.session.Session().create_client(
        "s3",
        region_name=place.region,
        endpoint_url=endpoint_url or None,
        aws_access_key_id=place.access_key or None,
        aws_secret_access_key=place.secret_key or None,
        config=config,
    )
