"""What pages look like to those who cannot see them well: labels, headings, languages, contrast (WCAG 2.2)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import pytest
from objectkernel_device_auth.pages_shared import STYLE

from tests.contrib.accounts.browsers import Browser
from tests.plugins.device_auth.page_hosts import DeviceShop, action_of, claim, device_shop

pytestmark = pytest.mark.anyio

TEXT_ON = [
    ("text", "page"),
    ("text", "card"),
    ("text", "bad-back"),
    ("text", "good-back"),
    ("text", "warn-back"),
    ("quiet", "page"),
    ("quiet", "card"),
    ("link", "page"),
    ("link", "card"),
    ("on-strong", "strong"),
    ("on-deny", "deny"),
]
LINES_ON = [
    ("field", "page"),
    ("field", "card"),
    ("focus", "page"),
    ("focus", "card"),
    ("strong", "page"),
    ("deny", "page"),
    ("deny", "card"),
    ("bad", "page"),
    ("good", "page"),
    ("warn", "page"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def host(anyio_backend: str) -> AsyncIterator[DeviceShop]:
    async with device_shop() as made:
        yield made


class Outline(HTMLParser):
    """What somebody who listens to a page needs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.languages: list[str] = []
        self.title = ""
        self.ids: list[str] = []
        self.referred: list[str] = []
        self.labelled: list[str] = []
        self.fields: list[str] = []
        self.headings: list[int] = []
        self.nameless: list[str] = []
        self.landmarks: list[str] = []
        self._open: list[str] = []
        self._named = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.referred += [
            id for name in ("aria-describedby", "aria-labelledby", "for") for id in values.get(name, "").split()
        ]
        if tag == "html":
            self.languages.append(values.get("lang", ""))
        elif tag == "label":
            self.labelled.append(values["for"])
        elif tag == "main":
            self.landmarks.append(tag)
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        elif tag == "input" and values["type"] != "hidden":
            self.fields.append(values["id"])
        if tag in ("a", "button"):
            self._named = values.get("aria-label", "")

    def handle_data(self, data: str) -> None:
        if "title" in self._open:
            self.title += data
        self._named += data.strip()

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag in ("a", "button") and not self._named:
            self.nameless.append(tag)


async def pages(host: DeviceShop) -> list[tuple[Browser, str]]:
    """A browser for each page that there is."""
    grace, viewer, stranger = await host.newcomer(), await host.newcomer("viewer"), host.browser()
    await host.let_in(grace)
    await claim(grace, (await host.ask()).user_code)
    decision = action_of(grace.page)
    await claim(viewer, (await host.ask("notes:write")).user_code)
    hopeless = action_of(viewer.page)
    await grace.go("/account/devices")
    device = re.findall(r'href="(/account/devices/[^"?]+)"', grace.page)[0]
    own = ("/device", "/device/approved", "/device/denied", "/device/requests/x", "/account/devices", decision, device)
    return [
        *((grace, path) for path in (*own, "/account/devices/x", "/account/devices?done=revoked")),
        (viewer, hopeless),
        (viewer, "/account/devices"),
        (stranger, "/device/approved"),
    ]


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_pages_can_be_listened_to(host: DeviceShop, language: str) -> None:
    """Each page has a language, a title, one main part; fields have labels, links and buttons names; an id is one."""
    for browser, path in await pages(host):
        await browser.go(path, **{"Accept-Language": language})
        outline = Outline(browser.page)
        assert outline.languages == [language], path
        assert outline.title and outline.landmarks == ["main"], path
        assert set(outline.fields) <= set(outline.labelled), path
        assert outline.nameless == [], path
        assert len(set(outline.ids)) == len(outline.ids), path
        assert set(outline.referred) <= set(outline.ids), path
        assert outline.headings == sorted(outline.headings) and outline.headings.count(1) == 1, path


async def test_a_problem_is_said_at_once_and_with_its_field(host: DeviceShop) -> None:
    """What went wrong is an alert, and what the field is described by."""
    browser = await host.newcomer()
    await claim(browser, "BBBB-BBBB")
    assert '<p class="problem" id="problem" role="alert">' in browser.page
    assert 'aria-describedby="code-hint problem"' in browser.page


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colours(scheme: str) -> dict[str, str]:
    """The colours that the style sheet names, for a scheme."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))


def test_every_colour_has_a_name_in_both_schemes() -> None:
    """No rule has a colour of its own that nobody has held against what it lies on."""
    named = colours("light").keys()
    assert named == colours("dark").keys()
    rules = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgb|hsl|opacity", rules) == []
    assert set(re.findall(r"var\(--([a-z-]+)\)", rules)) == named
    assert named == {name for pair in TEXT_ON + LINES_ON for name in pair} | {"line"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    """Text has 4.5 to 1 against what it lies on; borders of fields, buttons, and what shows the focus, 3 to 1."""
    named = colours(scheme)

    def below(pairs: list[tuple[str, str]], least: float) -> dict[tuple[str, str], float]:
        found = {pair: contrast(named[pair[0]], named[pair[1]]) for pair in pairs}
        return {pair: ratio for pair, ratio in found.items() if ratio < least}

    assert below(TEXT_ON, 4.5) == {}
    assert below(LINES_ON, 3) == {}
