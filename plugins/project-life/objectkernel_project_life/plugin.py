"""The plugin: what project-life needs, provides and contributes."""

from __future__ import annotations

from objectkernel import Plugin


class ProjectLifePlugin(Plugin):
    """The register of projects, and the manager that keeps their connections."""

    name = "project-life"
