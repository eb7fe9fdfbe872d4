"""The dist-tags of a package: a few names, each for one version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from objectkernel_package_service.contracts import PackageInvalid, Problem

MOST_TAGS: Final = 100


def with_tag(tags: Mapping[str, str], tag: str, version: str) -> dict[str, str]:
    """The tags, one of which names this version now.

    Raises:
        PackageInvalid: there are too many.
    """
    changed = {**tags, tag: version}
    if len(changed) > MOST_TAGS:
        raise PackageInvalid(
            "the package has too many dist-tags",
            [Problem("tag", f"{tag!r} would be one more than {MOST_TAGS}")],
            fix="remove one that is not needed any more",
        )
    return changed


def without_version(tags: Mapping[str, str], version: str) -> dict[str, str]:
    """The tags that name other versions."""
    return {tag: named for tag, named in tags.items() if named != version}
