"""What plugins and hosts share: light, and complete."""

from __future__ import annotations

import subprocess
import sys

import objectkernel_contracts
from objectkernel.keys import Extension, Service
from objectkernel_contracts import COMMANDS, IDENTITY, ROUTERS


def test_keys() -> None:
    """Keys have stable names; many contribute commands and routers, one provides the identity."""
    assert isinstance(COMMANDS, Extension)
    assert isinstance(ROUTERS, Extension)
    assert isinstance(IDENTITY, Service)
    assert (COMMANDS, ROUTERS, IDENTITY) == ("commands", "routers", "identity")


def test_all_names_what_exists() -> None:
    """`__all__` is true, and names each once."""
    assert len(set(objectkernel_contracts.__all__)) == len(objectkernel_contracts.__all__)
    for name in objectkernel_contracts.__all__:
        assert hasattr(objectkernel_contracts, name)


def test_importing_it_loads_no_framework() -> None:
    """A plugin that contributes commands and routes costs nobody a library that is not used."""
    heavy = ("click", "rich", "fastapi", "starlette", "pydantic")
    code = f"import sys, objectkernel_contracts; print(any(name in sys.modules for name in {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
