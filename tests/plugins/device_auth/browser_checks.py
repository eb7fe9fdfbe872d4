"""What a page must be in a real browser, whoever looks at it: found by scripts that read what the browser has drawn."""

from __future__ import annotations

from typing import Any, Final

from playwright.async_api import Page

FAULTS: Final = """
() => {
  const faults = [];
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return parts.length === 3 ? [...parts, 1] : parts;
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const over = (top, under) => top.slice(0, 3).map((part, at) => part * top[3] + under[at] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(parse(getComputedStyle(one).backgroundColor));
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reverse().reduce((under, top) => over(top, under), dark ? [18, 18, 18] : [255, 255, 255]);
  };
  const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !shown(element)) continue;
    const style = getComputedStyle(element), under = ground(element);
    const [low, high] = [luminance(over(parse(style.color), under)), luminance(under)].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize), isBold = Number(style.fontWeight) >= 700;
    const least = size >= 24 || (size >= 18.66 && isBold) ? 3 : 4.5;
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) faults.push(`contrast ${ratio.toFixed(2)} of "${texts.currentNode.data.trim()}"`);
    if (size < 12) faults.push(`text of ${size}px: "${texts.currentNode.data.trim()}"`);
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (![...(field.labels ?? [])].some((label) => label.textContent.trim() && shown(label)))
      faults.push(`no label: ${field.outerHTML}`);
  for (const one of document.querySelectorAll("a, button")) {
    if (!(one.getAttribute("aria-label") || one.textContent).trim()) faults.push(`no name: ${one.outerHTML}`);
    const box = one.getBoundingClientRect();
    const isInText = getComputedStyle(one).display === "inline";
    if (!isInText && (box.width < 44 || box.height < 44)) faults.push(`small target: ${one.outerHTML}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`twice: #${id}`);
  for (const one of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
    for (const name of ["aria-describedby", "aria-labelledby"])
      for (const id of (one.getAttribute(name) ?? "").split(/\\s+/).filter(Boolean))
        if (!document.getElementById(id)) faults.push(`${name} names nothing: ${id}`);
  const roles = ["alert", "status"];
  for (const one of document.querySelectorAll("[role]"))
    if (!roles.includes(one.getAttribute("role"))) faults.push(`role: ${one.outerHTML}`);
  if (document.querySelectorAll("main").length !== 1) faults.push("not one main part");
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one heading of the first level");
  if (!document.title.trim()) faults.push("no title");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the window");
  if (document.querySelectorAll("script, style, iframe, img").length) faults.push("more than text and forms");
  return faults;
}
"""
"""Contrast as drawn, labels, names, sizes of what is pressed, ids, roles, one heading, no scrolling sideways."""


async def faults_of(page: Page, language: str) -> list[str]:
    """What is wrong with the page that a browser shows."""
    found: list[str] = await page.evaluate(FAULTS)
    spoken = await page.evaluate("document.documentElement.lang")
    if spoken != language:
        found.append(f"the language is said to be {spoken!r}, not {language!r}")
    return found


async def focus_is_seen(page: Page) -> bool:
    """Whether what has the keyboard is marked so that one sees it."""
    outline: dict[str, Any] = await page.evaluate(
        "(() => { const style = getComputedStyle(document.activeElement);"
        " return {style: style.outlineStyle, width: parseFloat(style.outlineWidth)}; })()"
    )
    return outline["style"] == "solid" and outline["width"] >= 2
