"""The packages of an existing application go through the registry unharmed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.anyio

SHARED = Path(os.environ.get("OBJECTKERNEL_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
FILES = sorted(SHARED.glob("hotcrm/*.json"))


def test_the_real_packages_are_there():
    """CI has the data; elsewhere a missing folder is a skip that says so."""
    if not FILES and not os.environ.get("CI"):
        pytest.skip(f"no packages in {SHARED}/hotcrm; OBJECTKERNEL_SHARED_DATA names the folder that has them")
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_a_real_package_arrives_as_it_was_published(registry, file):
    """Every value of the file comes back, and publishing what was delivered changes not one byte."""
    text = file.read_bytes()
    published = await registry.publish(text)
    delivered = await registry.get(published.id)
    assert {"manifest": delivered.manifest, "metadata": delivered.metadata} == json.loads(text)
    again = await registry.publish(delivered.content)
    assert (again.hash, again.content) == (published.hash, published.content)
