"""A SeaweedFS of this test run: a real S3 server."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import botocore.session  # type: ignore[import-untyped]
import pytest
from objectkernel_media_server.s3_client import S3Place

BUCKETS = ("suite-one", "suite-two")
ACCESS_KEY = "tests"
SECRET_KEY = "a secret of the tests"


@attrs.frozen
class ObjectServer:
    """A running server, and its ports."""

    url: str
    ports: tuple[int, ...]

    @property
    def place(self) -> S3Place:
        return S3Place(endpoint_url=self.url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """One for all tests of a process."""
    with object_server(tmp_path_factory.mktemp("weed")) as server:
        yield server


@contextmanager
def object_server(folder: Path, ports: list[int] | None = None) -> Iterator[ObjectServer]:
    """Start a server with `BUCKETS`, and kill it.

    Args:
        ports: of an earlier one on this folder, which this one takes the place of.
    """
    ports = ports or _free_ports(7)
    names = (
        "-s3.port",
        "-master.port",
        "-volume.port",
        "-filer.port",
        "-s3.port.iceberg",
        "-s3.port.lance",
        "-admin.port",
    )
    flags = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false", f"-bucket={','.join(BUCKETS)}"]
    flags += [f"{name}={port}" for name, port in zip(names, ports, strict=True)]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "weed", "mini", f"-dir={folder}", *flags],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )
        try:
            server = ObjectServer(f"http://127.0.0.1:{ports[0]}", tuple(ports))
            _wait(server, process, folder / "log")
            yield server
        finally:
            process.kill()
            process.wait()


def _wait(server: ObjectServer, process: subprocess.Popen[bytes], log: Path) -> None:
    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    end = time.monotonic() + 60
    while True:
        try:
            for bucket in BUCKETS:
                client.put_object(Bucket=bucket, Key="ready", Body=b"x")
            break
        except Exception:
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the S3 server does not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
    client.close()


def _free_ports(count: int) -> list[int]:
    """Ports that are free, and 10,000 above too: the server takes those for gRPC. Neither is one that clients get."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(20_000, 22_700)
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
