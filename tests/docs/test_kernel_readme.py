"""What the kernel's first page promises about itself."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "kernel" / "README.md"


def test_writing_composing_and_testing_a_plugin_takes_less_than_sixty_lines() -> None:
    """A newcomer sees all three at one glance."""
    section = PAGE.read_text().split("## Write, compose and test a plugin")[1].split("\n## ")[0]
    shown, *more = section.strip("\n").split("An installed plugin is found")
    assert more, "the section ends with what comes after the example"
    assert len(shown.splitlines()) < 60
    assert "class Billing(Plugin)" in shown
    assert "ObjectKernel(" in shown
    assert ".fake(" in shown
