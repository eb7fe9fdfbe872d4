"""The locks: every third-party version with its hashes, on every platform."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

LOCKS = ["requirements.lock", "tests/benchmarks/requirements.lock"]


def entries(text):
    """Requirement -> its hashes, of each entry of a lock."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    parsed = {}
    for line in filter(None, joined.splitlines()):
        requirement, *hashes = line.split(" --hash=")
        parsed[Requirement(requirement)] = [value.strip() for value in hashes]
    return parsed


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_pinned_and_hashed(lock, root):
    """Whoever installs gets what was tested, or an error."""
    locked = entries((root / lock).read_text())
    assert len(locked) > 20
    for requirement, hashes in locked.items():
        assert re.fullmatch(r"==[\w.+!]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_the_project_itself_is_not_locked(lock, root):
    """The distributions are installed from their sources, so a lock names third parties only."""
    locked = entries((root / lock).read_text())
    assert [str(requirement) for requirement in locked if requirement.name.startswith("objectkernel")] == []


def test_the_benchmarks_run_on_the_locked_versions(root):
    """What both locks name has one version, so that a benchmark measures what the tests tested."""
    versions = {r.name: str(r.specifier) for r in entries((root / LOCKS[0]).read_text())}
    for requirement in entries((root / LOCKS[1]).read_text()):
        assert versions.get(requirement.name, str(requirement.specifier)) == str(requirement.specifier)
