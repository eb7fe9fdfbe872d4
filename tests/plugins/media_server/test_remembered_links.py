"""Good links are looked at once, and are no longer good than they say."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_contracts import NamedKey
from objectkernel_media_server import signing
from objectkernel_media_server.signing import LinkSigner, SignedGrant

from tests.plugins.media_server.test_signing import NEW, NOW, OLD, Clock, split


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> list[NamedKey]:
    return [NEW, OLD]


@pytest.fixture
def signer(clock: Clock, keys: list[NamedKey]) -> LinkSigner:
    return LinkSigner(lambda: keys, "", clock)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of links that were looked at closely."""
    seen: list[str] = []
    real = signing._granted

    def granted(method: signing.Method, *rest: Any) -> SignedGrant | None:
        seen.append(method)
        return real(method, *rest)

    monkeypatch.setattr(signing, "_granted", granted)
    return seen


def test_a_good_link_is_looked_at_once(signer: LinkSigner, looked: list[str]) -> None:
    """It allows the same again, HEAD too; to write is something else."""
    place = split(signer.sign("GET", "one", "a.webm", ttl=60, filename="x").url)
    first = signer.verify("GET", *place)
    assert first is not None
    assert signer.verify("GET", *place) is first
    assert signer.verify("HEAD", *place) is first
    assert looked == ["GET"]
    assert signer.verify("PUT", *place) is None
    assert signer.verify("POST", *place) is None


def test_it_expires(signer: LinkSigner, clock: Clock) -> None:
    """To the second, however often it was good."""
    place = split(signer.sign("GET", "one", "a.webm", ttl=60).url)
    clock.now = NOW + 59
    assert signer.verify("GET", *place) is not None
    clock.now = NOW + 60
    assert signer.verify("GET", *place) is None
    assert signer.verify("GET", *place) is None


def test_a_key_that_is_taken_away(signer: LinkSigner, keys: list[NamedKey], looked: list[str]) -> None:
    """Its links are good no more; those of a key that stays are looked at again."""
    new = split(signer.sign("GET", "one", "a.webm", ttl=60).url)
    keys.reverse()
    old = split(signer.sign("GET", "one", "a.webm", ttl=60).url)
    assert signer.verify("GET", *new) is not None
    assert signer.verify("GET", *old) is not None
    keys[:] = [OLD]
    assert signer.verify("GET", *new) is None
    assert signer.verify("GET", *old) is not None
    keys[:] = [NamedKey(id=OLD.id, secret=b"another secret of the same name..")]
    assert signer.verify("GET", *old) is None
    assert len(looked) == 5


def test_bad_links_are_not_remembered(signer: LinkSigner, looked: list[str]) -> None:
    """Each is looked at, and none takes a good one's place; neither do many good ones take much."""
    bucket, key, query = split(signer.sign("GET", "one", "a.webm", ttl=60).url)
    assert signer.verify("GET", bucket, key, query) is not None
    for number in range(3):
        assert signer.verify("GET", bucket, f"{number}.webm", query) is None
        assert signer.verify("GET", bucket, key, f"{query}{number}") is None
    assert (len(looked), len(signer._good)) == (7, 1)


def test_few_are_remembered(signer: LinkSigner, looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that came first goes first."""
    monkeypatch.setattr(signing, "LATEST", 2)
    places = [split(signer.sign("GET", "one", f"{name}.webm", ttl=60).url) for name in "abc"]
    for place in (*places, places[2], places[0]):
        assert signer.verify("GET", *place) is not None
    assert len(looked) == 4
