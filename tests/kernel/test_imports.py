"""What an import of the kernel, or of a plugin's contracts, brings along: nothing before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "asyncio",
    "cattrs",
    "click",
    "importlib.metadata",
    "msgspec",
    "pluggy",
    "pytest",
    "rich",
    "sqlalchemy",
    "trio",
    "typed_settings",
}
EVERY_NAME = "import objectkernel\nfor name in objectkernel.__all__: getattr(objectkernel, name)"
CONTRACTS = (
    "objectkernel_contracts",
    "objectkernel_contracts.commands",
    "objectkernel_package_service.contracts",
    "objectkernel_system_dialect.contracts",
)


def brought_along(program):
    """The heavy modules that a fresh interpreter has after `program`, and had not before."""
    watch = f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    return HEAVY.intersection(done.stdout.split())


def test_the_watch_sees_what_is_imported():
    """A module that is imported is told of, so the absence of one means something."""
    assert brought_along("import click, importlib.metadata") >= {"click", "importlib.metadata"}


def test_importing_the_kernel_brings_nothing_heavy():
    """``import objectkernel`` alone brings neither an event loop nor a configuration reader."""
    assert brought_along("import objectkernel") == set()


def test_every_public_name_brings_no_more_than_pluggy():
    """Of all public names only the hook markers bring something: pluggy, which they come from."""
    assert brought_along(EVERY_NAME) == {"pluggy"}


def test_a_composed_kernel_brings_nothing_heavy():
    """Composing a plugin that has no settings needs no configuration reader, no metadata and no event loop."""
    program = """
from objectkernel import ObjectKernel, Plugin, Service, provides
KEY = Service[int]("example.number")
class Numbers(Plugin):
    name = "example-numbers"
    @provides(KEY)
    def number(self): return 1
assert ObjectKernel(plugins=[Numbers], discover=False).check() == ()
"""
    assert brought_along(program) == set()


@pytest.mark.parametrize("module", CONTRACTS)
def test_contracts_are_cheap_to_import(module):
    """Who uses a service imports its contracts, and pays nothing for what provides it."""
    assert brought_along(f"import {module}") == set()


@pytest.mark.parametrize("module", ["objectkernel_package_service", "objectkernel_system_dialect"])
def test_a_plugin_package_brings_nothing_heavy(module):
    """The package of a plugin may be imported for its contracts; what is heavy stands in the modules behind it."""
    assert brought_along(f"import {module}") == set()
