"""What pages look like to those who cannot see them well: labels, languages, contrast (WCAG 2.2)."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from objectkernel_accounts.pages import STYLE

from tests.contrib.accounts.browsers import ADA, Browser, Shop

pytestmark = pytest.mark.anyio

LIGHT, DARK = "#ffffff", "#121212"
"""What browsers draw a page on, and on which the text is black, or white."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Outline(HTMLParser):
    """What somebody who listens to a page needs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.languages: list[str] = []
        self.unlabelled: list[str] = []
        self.ids: list[str] = []
        self.described_by: list[str] = []
        self.headings: list[int] = []
        self._labels = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        self.described_by += [values[name] for name in ("aria-describedby", "aria-labelledby") if name in values]
        if tag == "html":
            self.languages.append(values.get("lang", ""))
        elif tag == "label":
            self._labels += 1
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        elif tag == "input" and values["type"] != "hidden" and "hidden" not in values and not self._labels:
            self.unlabelled.append(values["name"])

    def handle_endtag(self, tag: str) -> None:
        self._labels -= tag == "label"


async def pages(served: Shop) -> list[tuple[Browser, str]]:
    """A browser for each page that there is."""
    ((account, *_), _) = await served.accounts.list()
    ada = await served.people.find(ADA)
    assert ada
    stranger, mine = served.browser(), served.browser()
    await mine.sign_in()
    link = await served.people.invite("bob", account.id)
    reset = await served.people.reset_link(ada.id)
    return [
        (stranger, "/sign-in"),
        (stranger, link.path),
        (stranger, reset.path),
        (stranger, "/reset/x"),
        (mine, "/account"),
        (mine, "/sign-out"),
    ]


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_pages_can_be_listened_to(served: Shop, language: str) -> None:
    """Each page says its language, each field has a label, each id is one, and headings come in their order."""
    for browser, path in await pages(served):
        await browser.go(path, **{"Accept-Language": language})
        outline = Outline(browser.page)
        assert outline.languages == [language]
        assert outline.unlabelled == []
        assert len(set(outline.ids)) == len(outline.ids)
        assert set(outline.described_by) <= set(outline.ids)
        assert outline.headings == sorted(outline.headings) and outline.headings.count(1) == 1


def mixed(over: str, under: str, share: float = 1.0) -> str:
    """A colour that lies over another one, as both together look."""
    red = [int(over[at : at + 2], 16) for at in (1, 3, 5)]
    share *= int(over[7:9], 16) / 255 if len(over) > 7 else 1.0
    below = [int(under[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in zip(red, below, strict=True))


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colour(name: str) -> str:
    """A colour that the style sheet names."""
    found = re.search(rf"--{name}: (#[0-9a-f]{{6,8}});", STYLE)
    assert found, name
    return found[1]


def test_every_colour_has_a_name() -> None:
    """No rule has a colour of its own that nobody has held against what it lies on."""
    rules = STYLE.split("\n", 1)[1]
    assert re.findall(r"#[0-9a-f]{3,8}\b", rules) == []


@pytest.mark.parametrize("page, text", [(LIGHT, "#000000"), (DARK, "#ffffff")], ids=["light", "dark"])
def test_contrast(page: str, text: str) -> None:
    """Text has 4.5 to 1 against what it lies on; borders of fields, and what shows the focus, 3 to 1."""
    (share,) = {float(found) for found in re.findall(r"opacity: ([0-9.]+)", STYLE)}
    assert contrast(mixed(text, page, share), page) >= 4.5
    assert contrast(colour("on-strong"), colour("strong")) >= 4.5
    for notice in ("bad", "good"):
        assert contrast(text, mixed(colour(f"{notice}-back"), page)) >= 4.5
    for line in ("field", "focus", "bad", "good"):
        assert contrast(colour(line), page) >= 3
