"""An ASGI application of a test, mounted by a plugin, on either of asyncio's event loops."""

from __future__ import annotations

from typing import Any, Final

import pytest
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_contracts import MOUNTS, MountedApplication, Public

LOOPS: Final = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]
"""For the fixture `anyio_backend`: uvloop has transports of its own."""


def loop_of(request: pytest.FixtureRequest) -> Any:
    """The one of `LOOPS` that a fixture is asked for."""
    if request.param[1]["use_uvloop"]:
        pytest.importorskip("uvloop")
    return request.param


def kernel_of(app: Any) -> ObjectKernel:
    """A kernel whose one plugin has the application at ``/app``, for anybody."""

    class Mounting(Plugin):
        name = "mounting"

        @contributes(MOUNTS, uses=())
        def application(self) -> MountedApplication:
            return MountedApplication(path="/app", make=lambda: app, access=Public())

    return ObjectKernel(plugins=[Mounting], discover=False)
