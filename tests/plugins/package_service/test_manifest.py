"""What a package says of itself: typed where it is known, kept where it is not, every problem at once."""

from __future__ import annotations

import json

import pytest
from objectkernel_package_service.canonical import canonical
from objectkernel_package_service.manifest import Manifest, host_version, manifest_problems
from objectkernel_package_service.naming import version_problems

WHOLE = {
    "id": "acme.crm",
    "version": "1.2.0-rc.1",
    "name": "CRM",
    "description": "…",
    "type": "app",
    "license": "MIT",
    "keywords": ["crm"],
    "dependencies": {"acme.base": "^1.0.0"},
    "engine": {"objectkernel": ">=0.1.0", "objectstack": "^4.0.0"},
    "namespace": {"of": ["its", 1.5]},
}


def test_a_manifest_is_a_value():
    """Known members are fields, all others are in `more` as they came."""
    found = Manifest.of(WHOLE)
    assert (found.id, found.version, found.name, found.keywords) == ("acme.crm", "1.2.0-rc.1", "CRM", ("crm",))
    assert (found.dependencies, found.engine) == (WHOLE["dependencies"], WHOLE["engine"])
    assert found.more == {"namespace": {"of": ["its", 1.5]}}
    assert Manifest.of({"id": "a", "version": "1.0.0", "name": None}) == Manifest(id="a", version="1.0.0")


def test_a_sound_manifest_has_no_problems():
    """Neither the smallest one nor one with everything."""
    assert [*manifest_problems(WHOLE), *manifest_problems({"id": "a", "version": "1.0.0"})] == []


def test_every_problem_has_its_place():
    """All of them are told together."""
    bad = {
        "id": "../etc",
        "version": "latest",
        "name": "",
        "description": 5,
        "type": [],
        "license": {},
        "keywords": ["x", 1],
        "engine": {"objectkernel": "newest"},
        "dependencies": {"__proto__": "*", "a": "../b"},
    }
    assert [problem.path for problem in manifest_problems(bad)] == [
        "$.manifest.id",
        "$.manifest.version",
        "$.manifest.name",
        "$.manifest.description",
        "$.manifest.type",
        "$.manifest.license",
        "$.manifest.keywords[1]",
        "$.manifest.engine.objectkernel",
        "$.manifest.dependencies.__proto__",
        "$.manifest.dependencies.a",
    ]


def test_a_manifest_names_a_bounded_number_of_packages():
    """Fifteen thousand fit into its bytes, and each would be a row and a search."""
    needs = {f"p{number}": "*" for number in range(1001)}
    (problem,) = manifest_problems({"id": "a", "version": "1.0.0", "dependencies": needs})
    assert (problem.path, problem.what) == ("$.manifest.dependencies", "1,001 of them; at most 1,000 are allowed")
    del needs["p0"]
    assert [*manifest_problems({"id": "a", "version": "1.0.0", "dependencies": needs})] == []


@pytest.mark.parametrize("keywords", ["crm", {}, 1])
def test_keywords_are_a_list(keywords):
    """One word is no list of words."""
    (problem,) = manifest_problems({"id": "a", "version": "1.0.0", "keywords": keywords})
    assert problem.path == "$.manifest.keywords"


@pytest.mark.parametrize(
    ("engine", "host", "fits"),
    [
        (None, "0.1.0", True),
        ("^0.1.0", "0.1.5", True),
        ("^0.1.0", "0.2.0", False),
        ({"objectkernel": ">=1"}, "0.1.0", False),
        ({"objectstack": ">=99"}, "0.1.0", True),
    ],
    ids=["none", "text-in", "text-out", "named-out", "another"],
)
def test_the_engine_is_held_against_the_host(engine, host, fits):
    """A range alone is of this host; what is said of other hosts is their affair."""
    raw = {"id": "a", "version": "1.0.0"} | ({} if engine is None else {"engine": engine})
    assert Manifest.of(raw).fits(host) is fits


def test_the_host_has_a_version_of_semver():
    """Whatever a distribution's version looks like, ranges can be held against it."""
    assert list(version_problems(host_version(), "")) == []


def test_unknown_members_do_not_change():
    """They are in the stored bytes as they were given."""
    assert json.loads(canonical(WHOLE)) == WHOLE
