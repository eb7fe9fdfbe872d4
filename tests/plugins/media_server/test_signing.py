"""Links that the host answers itself."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_contracts import NamedKey
from objectkernel_media_server.errors import InvalidMedia, SigningKeyMissing
from objectkernel_media_server.signing import LinkSigner, attachment, signing_keys

OLD = NamedKey(id="old", secret=b"o" * 32)
NEW = NamedKey(id="new", secret=b"n" * 32)
NOW = 1_800_000_000.0
PATH = "/api/media/blobs/"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(clock: Clock) -> LinkSigner:
    return LinkSigner(lambda: (NEW, OLD), "https://shop.example/", clock)


def split(url: str) -> tuple[str, str, str]:
    """Bucket, key and query of a link."""
    path, _, query = url.partition("?")
    bucket, _, key = path.partition(PATH)[2].partition("/")
    return bucket, key, query


def test_a_link_says_what_it_allows(signer: LinkSigner) -> None:
    """A link that was made is good, and gives back everything that it was made for."""
    link = signer.sign("GET", "one", "a/b.webm", ttl=60, content_type="video/webm; codecs=vp9", filename='é "x"&=.webm')
    assert link.url.startswith("https://shop.example/api/media/blobs/one/a/b.webm?")
    grant = signer.verify("GET", *split(link.url))
    assert grant is not None
    assert (grant.method, grant.bucket, grant.key, grant.size) == ("GET", "one", "a/b.webm", None)
    assert (grant.content_type, grant.filename) == ("video/webm; codecs=vp9", 'é "x"&=.webm')
    assert grant.expires_at == link.expires_at
    assert grant.expires_at.timestamp() == NOW + 60


def test_methods(signer: LinkSigner) -> None:
    """HEAD goes by a link for GET; what reads does not write, and what writes does not read."""
    get = split(signer.sign("GET", "one", "a", ttl=60).url)
    put = split(signer.sign("PUT", "one", "a", ttl=60, size=5, content_type="video/webm").url)
    granted = signer.verify("PUT", *put)
    assert granted is not None
    assert (granted.size, granted.content_type) == (5, "video/webm")
    assert signer.verify("HEAD", *get)
    for method in ("PUT", "POST", "DELETE", "get", ""):
        assert signer.verify(method, *get) is None
    for method in ("GET", "HEAD", "POST"):
        assert signer.verify(method, *put) is None


def test_expiry(signer: LinkSigner, clock: Clock) -> None:
    """A link is good until its second comes."""
    parts = split(signer.sign("GET", "one", "a", ttl=60).url)
    clock.now = NOW + 59.9
    assert signer.verify("GET", *parts)
    clock.now = NOW + 60
    assert signer.verify("GET", *parts) is None


def test_rotation(signer: LinkSigner, clock: Clock) -> None:
    """The first key signs; links of the others are good for as long as those are given."""
    before = LinkSigner(lambda: (OLD,), "", clock)
    old = before.sign("GET", "one", "a", ttl=60)
    assert old.url.startswith("/api/media/blobs/one/a?")
    assert signer.verify("GET", *split(old.url))
    new = signer.sign("GET", "one", "a", ttl=60)
    assert "kid=new" in new.url
    assert before.verify("GET", *split(new.url)) is None
    after = LinkSigner(lambda: (NEW,), "", clock)
    assert after.verify("GET", *split(old.url)) is None
    assert after.verify("GET", *split(new.url))


@pytest.mark.parametrize(("method", "said"), [("GET", {"filename": "a b"}), ("PUT", {"size": 1234})])
def test_altered_in_every_byte(signer: LinkSigner, method: Any, said: dict[str, Any]) -> None:
    """No byte of a link can be another one, be left out or be doubled."""
    url = signer.sign(method, "one", "a/b.webm", ttl=60, content_type="video/webm", **said).url
    assert signer.verify(method, *split(url))
    start = url.index(PATH) + len(PATH)
    for place in range(start, len(url)):
        old = url[place]
        others = (chr(ord(old) ^ 1), old.swapcase(), "", old * 2, "%" + old, *"+ &=/.0A")
        for other in others:
            altered = url[:place] + other + url[place + 1 :]
            if altered != url:
                assert signer.verify(method, *split(altered)) is None, altered


@pytest.mark.parametrize(
    "change",
    [
        lambda query: query + "&",
        lambda query: query + "&x=1",
        lambda query: query + "&exp=9999999999",
        lambda query: "exp=9999999999&" + query,
        lambda query: "&".join(reversed(query.split("&"))),
        lambda query: query.replace("%2F", "%2f"),
        lambda query: query.replace("exp=1", "exp=+1"),
        lambda query: query.replace("exp=1", "exp=01"),
        lambda query: query.replace("exp=1", "exp=%31"),
        lambda query: query + "%",
        lambda query: query + "é",
        lambda query: query + "\udcff",
        lambda query: "",
        lambda query: "exp=" + "9" * 400 + "&kid=new&sig=x",
        lambda query: "exp=x&kid=new&sig=x",
    ],
)
def test_other_spellings(signer: LinkSigner, change: object) -> None:
    """Another spelling of a good query is another link, and not good."""
    assert callable(change)
    bucket, key, query = split(signer.sign("GET", "one", "a", ttl=60, content_type="video/webm").url)
    assert change(query) != query
    assert signer.verify("GET", bucket, key, change(query)) is None


@given(query=st.text(st.characters(codec="utf-8") | st.sampled_from("=&%+"), max_size=80))
@settings(max_examples=100)
def test_any_query(query: str) -> None:
    """Whatever comes as a query, the answer is None and no error."""
    signer = LinkSigner(lambda: (NEW,), "")
    assert signer.verify("GET", "one", "a", query) is None


@given(name=st.text(max_size=30), kind=st.sampled_from(["", "video/webm", "audio/ogg;codecs=opus"]))
@settings(max_examples=100)
def test_names_do_not_run_into_each_other(name: str, kind: str) -> None:
    """Whatever a file is called, the link that says so gives the same name back, and no other grant."""
    name = name.encode("utf-8", "ignore").decode()
    signer = LinkSigner(lambda: (NEW,), "")
    grant = signer.verify("GET", *split(signer.sign("GET", "one", "a", ttl=60, content_type=kind, filename=name).url))
    assert grant is not None
    assert (grant.filename, grant.content_type, grant.size) == (name, kind, None)


def test_secrets_of_a_setting() -> None:
    """Secrets stand with commas between; each has an id that follows from it and does not tell it."""
    one, two = "a" * 32, "b" * 40
    keys = signing_keys(f" {one}, {two},")
    assert [key.secret for key in keys] == [one.encode(), two.encode()]
    assert len({key.id for key in keys}) == 2
    assert signing_keys(two)[0] == keys[1]
    with pytest.raises(SigningKeyMissing):
        signing_keys("too short")
    with pytest.raises(SigningKeyMissing):
        LinkSigner(lambda: (), "").sign("GET", "one", "a", ttl=60)


@pytest.mark.parametrize("base", ["shop.example", "ftp://x", "https://", "https://u:p@x", "https://x?y", "https://x y"])
def test_bases(base: str) -> None:
    """What no link can begin with is refused."""
    with pytest.raises(InvalidMedia):
        LinkSigner(lambda: (NEW,), base)


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("take 1.webm", "attachment; filename=\"take 1.webm\"; filename*=UTF-8''take%201.webm"),
        ("é.webm", "attachment; filename=\"_.webm\"; filename*=UTF-8''%C3%A9.webm"),
        ('a"; x="y', "attachment; filename=\"a__ x__y\"; filename*=UTF-8''a%22%3B%20x%3D%22y"),
        ("..\\..\\boot.ini", "attachment; filename=\"boot.ini\"; filename*=UTF-8''boot.ini"),
        ("/etc/a\r\nb", "attachment; filename=\"ab\"; filename*=UTF-8''ab"),
        ("", "attachment; filename=\"download\"; filename*=UTF-8''download"),
    ],
)
def test_attachment(filename: str, header: str) -> None:
    """A file name gets into the header as RFC 6266 and RFC 8187 want it, and nothing else does."""
    assert attachment(filename) == header
    assert set(header) <= set(string.printable) - set("\r\n")


def test_spelling_is_that_of_the_library(signer: LinkSigner) -> None:
    """The query is ordinary form encoding: what a router decodes is what was signed."""
    url = signer.sign("GET", "one", "a", ttl=60, filename="a+b c%").url
    assert quote_plus("a+b c%") in url
    assert dict(parse_qsl(split(url)[2]))["name"] == "a+b c%"
