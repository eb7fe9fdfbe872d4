"""What a killed publisher leaves behind: each version wholly, or nothing of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from objectkernel_package_service.canonical import content_of, digest

from tests.plugins.package_service.killed_publisher import NEEDS
from tests.plugins.package_service.killing import victims

KILLS = 50
MODULE = "tests.plugins.package_service.killed_publisher"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_version_is_wholly_there_or_not_at_all_when_its_publisher_is_killed(tmp_path):
    """A publishing process is killed 50 times at random: all that was acknowledged is there, and nothing by halves."""
    path = tmp_path / "killed.db"
    acknowledged = set()
    with victims(MODULE) as processes:
        for run in range(1, KILLS + 1):
            acknowledged |= {line.decode().strip() for line in processes.lines(path, run, most=60, within=0.03)}
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert acknowledged <= whole_versions(connection)
    assert len({version.partition("@")[2].partition(".")[0] for version in acknowledged}) == KILLS


def whole_versions(connection):
    """The versions that are stored, each with its content, history, needs, and in its place in the head."""

    def select(sql):
        return connection.execute(sql).fetchall()

    rows = select("SELECT id, version, hash, manifest, metadata, sequence FROM sys_packages")
    for _, _, hash, manifest, metadata, _ in rows:
        assert digest(content_of(manifest.encode(), metadata.encode())) == hash
    versions = {(id, version): hash for id, version, hash, *_ in rows}
    published = select("SELECT id, version, hash FROM sys_package_history ORDER BY number")
    assert {(id, version): hash for id, version, hash in published} == versions
    needs = {}
    for id, version, wanted, range in select('SELECT id, version, needs, "range" FROM sys_package_needs'):
        needs.setdefault((id, version), {})[wanted] = range
    assert needs == dict.fromkeys(versions, NEEDS)
    newest = {id: (sequence, version) for id, version, *_, sequence in sorted(rows, key=lambda row: row[-1])}
    heads = select("SELECT id, latest, tags FROM sys_package_heads")
    assert {id: latest for id, latest, _ in heads} == {id: sequence for id, (sequence, _) in newest.items()}
    for id, _, tags in heads:
        last = next(version for other, version, _ in reversed(published) if other == id)
        assert json.loads(tags) == {"newest": last}
    return {f"{id}@{version}" for id, version in versions}
