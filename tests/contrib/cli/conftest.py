"""Hosts in a temporary folder, and the program as click runs it there."""

from __future__ import annotations

import json
import logging
import sys
import textwrap
from itertools import count

import attrs
import pytest
from click.testing import CliRunner
from objectkernel_cli.root import root

NUMBERS = count(1)

PREAMBLE = """
from __future__ import annotations
from collections.abc import AsyncIterator
import attrs
import click
from objectkernel import (
    Extension, KernelError, ObjectKernel, Plugin, Secret, Service, background, collects, configured_by, contributes,
    hookimpl, lifespan, needs, on, provides, wants,
)
from objectkernel_contracts import COMMANDS, CommandMaker

LEDGER = Service[list]("acme.ledger")
CLOCK = Service[list]("acme.clock")
CACHE = Service[list]("acme.cache")
"""

SHOP = """
class ClockPlugin(Plugin):
    name = "acme-clock"
    version = "1.2"
    @provides(CLOCK)
    def clock(self) -> list:
        return []

class Billing(Plugin):
    name = "acme-billing"
    clock = needs(CLOCK)
    cache = wants(CACHE)
    @provides(LEDGER)
    def ledger(self) -> list:
        return ["paid"]

class Shop(Plugin):
    name = "acme-shop"
    ledger = needs(LEDGER)

kernel = ObjectKernel(plugins=[Shop, Billing, ClockPlugin], discover=False)
"""


@attrs.frozen
class Outcome:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        """The error that was printed as JSON."""
        return json.loads(self.err)["error"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty current folder; import path, modules and log handlers are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("OBJECTKERNEL_NO_CACHE", "1")
    monkeypatch.delenv("OBJECTKERNEL_DATA_DIR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    logger = logging.getLogger()
    handlers, level, modules = [*logger.handlers], logger.level, {*sys.modules}
    yield tmp_path
    logger.handlers[:] = handlers
    logger.setLevel(level)
    for name in {*sys.modules} - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


@pytest.fixture
def write_app(folder):
    """Write a module with a host into the folder; returns what --app calls its kernel."""

    def write(source: str = SHOP, attribute: str = "kernel") -> str:
        name = f"host_{next(NUMBERS)}"
        (folder / f"{name}.py").write_text(PREAMBLE + textwrap.dedent(source))
        return f"{name}:{attribute}"

    return write


@pytest.fixture
def install(folder):
    """Install a distribution with one plugin, for discovery to find; returns its module's name."""
    site = folder / "site"
    site.mkdir()
    sys.path.insert(0, str(site))

    def install(name: str, source: str, attribute: str = "Plug", version: str = "1.0") -> str:
        module = f"plug_{next(NUMBERS)}"
        (site / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(source))
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[objectkernel.plugins.v1]\n{name} = {module}:{attribute}\n")
        return module

    return install


@pytest.fixture
def run():
    """Run a command line in this process."""

    def run(*arguments: object) -> Outcome:
        done = CliRunner().invoke(root, [str(a) for a in arguments], prog_name="objectkernel")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    return run
