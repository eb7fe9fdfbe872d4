"""Which ids, versions and ranges a package may carry."""

from __future__ import annotations

import pytest
from objectkernel_package_service.contracts import PackageInvalid
from objectkernel_package_service.naming import check_request, id_problems, range_problems, version_problems


@pytest.mark.parametrize("id", ["crm", "hotcrm.crm", "com.acme.crm-lite", "a_b", "3d", "x" * 200])
def test_good_ids(id):
    """Lower case parts joined by a dot, a hyphen or an underscore are an id."""
    assert list(id_problems(id, "id")) == []


@pytest.mark.parametrize(
    "id",
    [
        "",
        " ",
        "CRM",
        "a b",
        "../etc",
        "a/b",
        "a\\b",
        ".a",
        "a.",
        "a..b",
        "a\n",
        "é",
        "a\x00",
        "x" * 201,
        None,
        7,
        True,
    ],
)
def test_bad_ids(id):
    """Anything that is empty, a path, of another alphabet or too long is refused with one problem."""
    (problem,) = id_problems(id, "$.manifest.id")
    assert problem.path == "$.manifest.id"


@pytest.mark.parametrize(
    "version",
    [
        "0.0.0",
        "1.2.3",
        "10.20.30",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-0.3.7",
        "1.0.0--",
        "1.0.0+20130313",
    ],
)
def test_good_versions(version):
    """What semver 2.0.0 calls a version is one."""
    assert list(version_problems(version, "version")) == []


STRANGE_VERSIONS = [
    "1.2.3.4",
    "1.2.3\n",
    "१.0.0",
    "1.0.0-é",
    "1.0.0-" + "a" * 100,
    "",
    "\t",
    "latest",
    1.0,
    None,
]
LOOSE_VERSIONS = ["1", "1.2", "v1.2.3", "=1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+"]


@pytest.mark.parametrize("version", STRANGE_VERSIONS + LOOSE_VERSIONS)
def test_bad_versions(version):
    """Loose spellings, empty ones, `latest` and what is no text are refused."""
    assert len(list(version_problems(version, "version"))) == 1


@pytest.mark.parametrize(
    ("range", "count"),
    [("^1.2.0", 0), ("*", 0), (">=1.0.0 <3.0.0", 0), ("1.x || 2", 0), ("newest", 1), ("", 1), (1, 1)],
)
def test_ranges(range, count):
    """A dependency's range is one that npm understands."""
    assert len(list(range_problems(range, "range"))) == count


def test_a_request_lists_all_that_is_wrong_with_it():
    """An ill-formed id and an ill-formed version are reported together."""
    with pytest.raises(PackageInvalid) as caught:
        check_request("", "latest")
    assert [problem.path for problem in caught.value.problems] == ["id", "version"]
