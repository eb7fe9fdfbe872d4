"""Versions, tags and ranges: which of them a text is, and what a range leads to."""

from __future__ import annotations

from contextlib import suppress

import pytest
from objectkernel_package_service.contracts import PackageInvalid
from objectkernel_package_service.manifest import Manifest
from objectkernel_package_service.ranges import LONGEST_TAG, Candidate, admits, highest, tag_problems, wanted


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("latest", "latest"),
        ("1.2.0", "exact"),
        ("1.2.0-rc.1+build.5", "exact"),
        ("next", "tag"),
        ("lts-1", "tag"),
        ("release_2.x", "tag"),
        ("1", "range"),
        ("1.x", "range"),
        ("x", "range"),
        ("*", "range"),
        ("v1.2.0", "range"),
        ("^1.2.0 || >=3.0.0 <4.0.0", "range"),
        ("1.2.0 - 1.4.0", "range"),
    ],
)
def test_a_text_is_one_of_four_things(text, kind):
    """`latest`, an exact version, a tag, or else a range."""
    assert (wanted(text).kind, wanted(text).text) == (kind, text)


@pytest.mark.parametrize("text", ["", " ", "Next", "../x", "next release", "1.2.3.4", "x" * 401, None, 1, True, []])
def test_what_is_none_of_them_is_refused(text):
    """The error names the parameter."""
    with pytest.raises(PackageInvalid) as caught:
        wanted(text)
    assert {problem.path for problem in caught.value.problems} == {"version"}


@pytest.mark.parametrize(
    "tag", ["latest", "1.0.0", "1", "x", "v1", "", "-a", "a-", "a..b", "Ä", "a b", "a" * 51, 5, None]
)
def test_a_tag_is_no_version_and_no_range(tag):
    """Nobody can mistake a tag for a version: npm lets `1.x` be one, and it is then never found."""
    assert len(list(tag_problems(tag, "tag"))) == 1
    assert not list(tag_problems("a" * LONGEST_TAG, "tag"))


def candidates(*versions, yanked=()):
    return [Candidate(version, version in yanked) for version in versions]


@pytest.mark.parametrize(
    ("range", "version"),
    [
        ("^1.0.0", "1.10.0"),
        ("~1.9.0", "1.9.1"),
        ("*", "2.0.0"),
        (">=2.0.0-rc.0", "2.0.0"),
        (">=2.0.0-rc.0 <2.0.0", "2.0.0-rc.2"),
        ("^2.0.0-alpha <2.0.0-rc.2", "2.0.0-rc.1"),
        ("<1.0.0", None),
        ("^3.0.0", None),
        ("1.9.0 || 1.9.1", "1.9.1"),
    ],
)
def test_the_highest_version_in_a_range_is_meant(range, version):
    """Precedence is semver's, not that of the text; a pre-release only where the range names one of its version."""
    all_of_them = candidates("1.9.0", "1.10.0", "2.0.0-rc.2", "2.0.0", "2.0.0-rc.1", "1.9.1", "3.0.0-rc.1")
    assert highest(range, all_of_them) == version


def test_of_versions_that_differ_in_their_build_the_newest_is_meant():
    """Build metadata has no precedence (semver 2.0.0, item 10); candidates come newest first."""
    assert highest("^1.0.0", candidates("1.0.0+b", "1.0.0+a")) == "1.0.0+b"


def test_a_yanked_version_is_in_no_range_but_its_own():
    """Who pinned it exactly still gets it; nobody comes to it by a range."""
    assert highest("^1.0.0", candidates("1.1.0", "1.0.0", yanked=["1.1.0"])) == "1.0.0"
    assert admits("1.1.0")(Candidate("1.1.0", True))
    assert not admits(">=1.1.0")(Candidate("1.1.0", True))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("space", [" ", "\t", "\u3000"])
def test_a_range_cannot_be_made_to_take_long(space):
    """Runs of white space between its words are one space: a dozen such ranges would take minutes otherwise."""
    for word in ("1.2.3", "~1", "^1.x", ">"):
        for end in ("", "!", "2"):
            hostile = f"{word}{space * 380}{end}"
            with suppress(PackageInvalid):
                highest(wanted(hostile).text, [Candidate("1.2.3", False)])
    spread = f">=1.0.0{space * 300}<3.0.0"
    assert highest(spread, [Candidate("2.0.0", False)]) == "2.0.0"
    assert Manifest.of({"id": "a", "version": "1.0.0", "engine": spread}).fits("2.0.0")
    assert highest(f"1.0.0{space}-{space}3.0.0", [Candidate("2.0.0", False), Candidate("4.0.0", False)]) == "2.0.0"
