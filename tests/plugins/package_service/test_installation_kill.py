"""What a process that is killed while it publishes and installs leaves behind."""

from __future__ import annotations

import json

import pytest

from tests.plugins.package_service.killing import victims

KILLS = 50
MODULE = "tests.plugins.package_service.killed_installer"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_change_is_wholly_made_or_not_at_all(tmp_path):
    """Killed 50 times: each start finds what was last acknowledged, or what was being done, and all of it works."""
    path = tmp_path / "killed.db"
    possible = [{"installed": {}, "published": []}]
    interrupted = 0
    with victims(MODULE) as processes:
        for _ in range(KILLS):
            lines = processes.lines(path, most=12, within=0.06)
            (word, found), *rest = [json.loads(line) for line in lines]
            assert word == "found"
            assert found.pop("failed") == []
            assert found in possible
            possible = [found]
            for word, state in rest:
                possible = [state] if word == "done" else [possible[0], state]
            interrupted += len(possible) == 2
    assert interrupted >= 5
