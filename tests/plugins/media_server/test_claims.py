"""What senders say of recordings, and what is wrong with it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from objectkernel_media_server.claims import Claims, Limits, checked
from objectkernel_media_server.contracts import InvalidMedia

GOOD: dict[str, Any] = {
    "mime_type": "video/webm;codecs=vp9,opus",
    "size": 0,
    "duration_ms": 5000,
    "session_id": "séance 1",
    "take_index": 0,
    "owner_email": "ada.l+x@example.org",
    "metadata": {"a": {"b": [1, 2.5, None, True, ""]}, "ü": "ü"},
    "sha256": "AB" * 32,
}


def nested(depth: int) -> dict[str, Any]:
    found: Any = 1
    for number in range(depth):
        found = [found] if number % 2 else {"a": found}
    return {"x": found}


def test_good() -> None:
    """All of it is kept as it is; a digest is in small letters."""
    found = checked("acc", Claims(**GOOD), Limits())
    assert found == Claims(**{**GOOD, "sha256": "ab" * 32})
    assert checked("acc", Claims(), Limits()) == Claims()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mime_type", "video/webm\r\nX: y"),
        ("mime_type", "é"),
        ("mime_type", "a" * 201),
        ("mime_type", 3),
        ("size", -1),
        ("size", 2.0),
        ("size", True),
        ("size", "3"),
        ("duration_ms", -1),
        ("duration_ms", 1.5),
        ("duration_ms", 2**60),
        ("session_id", ""),
        ("session_id", "x" * 201),
        ("session_id", "a\0b"),
        ("session_id", "\ud800"),
        ("session_id", 7),
        ("take_index", -1),
        ("take_index", 2**32),
        ("owner_email", ""),
        ("owner_email", "ada"),
        ("owner_email", "ada@"),
        ("owner_email", "a da@example.org"),
        ("owner_email", "ada@example.org\nbcc: x"),
        ("owner_email", "a@b@c"),
        ("owner_email", "a@" + "b" * 300),
        ("sha256", ""),
        ("sha256", "zz" * 32),
        ("sha256", "ab" * 31),
        ("metadata", []),
        ("metadata", "{}"),
        ("metadata", {1: "a"}),
        ("metadata", {"a": {2: 3}}),
        ("metadata", {"a": math.nan}),
        ("metadata", {"a": math.inf}),
        ("metadata", {"a": 2**63}),
        ("metadata", {"a": b"x"}),
        ("metadata", {"a": {1, 2}}),
        ("metadata", {"a": "\0"}),
        ("metadata", {"a": ["\udfff"]}),
        ("metadata", {"a": "x" * 20_000}),
        ("metadata", {"a": ["é"] * 6000}),
        ("metadata", nested(8)),
    ],
)
def test_bad(name: str, value: Any) -> None:
    """Each is one problem, told in words."""
    with pytest.raises(InvalidMedia) as caught:
        checked("acc", Claims(**{**GOOD, name: value}), Limits())
    assert len(caught.value.why) == 1


def test_far_too_deep() -> None:
    """However deep they are, it is told, and nothing overflows."""
    with pytest.raises(InvalidMedia, match="too deep"):
        checked("acc", Claims(metadata=nested(100_000)), Limits())


def test_bounds() -> None:
    """Metadata may be as deep and as long as the limits say, in bytes."""
    limits = Limits(metadata_depth=3, metadata_bytes=14)
    for good in ({"a": {"b": []}}, {"a": "ééé"}, {}):
        assert checked("acc", Claims(metadata=good), limits).metadata == good
    for bad in ({"a": {"b": [[]]}}, {"a": "éééé"}):
        with pytest.raises(InvalidMedia):
            checked("acc", Claims(metadata=bad), limits)


@pytest.mark.parametrize("account", ["", "x" * 256, "a\0", None, 3])
def test_account(account: Any) -> None:
    """An account that none can be is refused before anything is asked."""
    with pytest.raises(InvalidMedia):
        checked(account, Claims(), Limits())


def test_all_at_once() -> None:
    """All problems are told together."""
    with pytest.raises(InvalidMedia) as caught:
        checked("", Claims(size=-1, sha256="x", metadata={"a": b""}), Limits())
    assert len(caught.value.why) == 4
