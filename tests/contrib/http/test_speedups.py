"""A server that takes what is installed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contrib.http.processes import Host

HIDDEN = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("httptools", "uvloop"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
"""
TELLS = """
    @background
    async def tell(self):
        import asyncio
        from objectkernel_http.speedups import fastest_protocol
        print("speaks", fastest_protocol().__name__, type(asyncio.get_running_loop()).__module__, flush=True)
        await anyio.sleep(3600)
"""


@pytest.mark.parametrize("there", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_host_takes_both(
    serve: Callable[..., Host], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool
) -> None:
    """It serves and stops alike with them and without them."""
    if there:
        pytest.importorskip("httptools")
        pytest.importorskip("uvloop")
    else:
        (tmp_path / "sitecustomize.py").write_text(HIDDEN)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    host = serve(more=TELLS)
    spoken = host.wait_for("speaks").split()[1:]
    assert spoken == (["TimedHttpTools", "uvloop"] if there else ["TimedH11", "asyncio.unix_events"])
    host.wait_until_served()
    assert host.get("/quick").json() == "quick"
    host.process.send_signal(signal.SIGTERM)
    assert host.end() == (0, "stopped\n", "")
