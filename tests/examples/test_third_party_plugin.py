"""A plugin of somebody else's: built, installed away from the sources, found through its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import lean_pytest

SOURCE = Path(__file__).parents[2] / "examples" / "third_party_plugin"

BOOT = """
import asyncio, inspect, json
from decimal import Decimal
from objectkernel import ObjectKernel

CONFIG = {"kernel": {"only": ["acme-tax"]}, "plugins": {"acme-tax": {"country": "NL"}}}

async def main():
    async with ObjectKernel(config=CONFIG) as kernel:
        tax = kernel.get_service("acme.tax")
        print(json.dumps({"file": inspect.getfile(type(tax)), "tax": str(tax.add_tax(Decimal(100)).tax)}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder of installed distributions with acme-tax in it."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target), str(SOURCE)]
    done = subprocess.run([*pip, *offline], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


def run(installed, *arguments, cwd):
    environment = {**lean_pytest(), "PYTHONPATH": str(installed), "OBJECTKERNEL_NO_CACHE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def test_an_installed_plugin_is_found_and_configured(installed, tmp_path):
    """A kernel in another process finds the plugin by its entry point and gives it the host's settings."""
    done = run(installed, "-c", BOOT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"tax": "21.00"' in done.stdout
    assert str(installed) in done.stdout


def test_its_own_tests_pass_against_what_is_installed(installed, tmp_path):
    """The plugin is tested with the fixtures of objectkernel and no settings of this repository."""
    done = run(
        installed,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        SOURCE / "tests",
        "-c",
        os.devnull,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
