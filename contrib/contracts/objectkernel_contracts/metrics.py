"""How a plugin adds figures of its own to what a host reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import attrs
from attrs.validators import and_, deep_mapping, in_, instance_of, matches_re
from objectkernel.keys import Extension

NAME = and_(instance_of(str), matches_re("[a-z_][a-z0-9_]*"))


def _labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(labels))


@attrs.frozen(kw_only=True)
class Figure:
    """One number of now (Prometheus' exposition format: a sample).

    Attributes:
        name: in snake case with its unit last, without the host's prefix: ``database_connections``.
        help: what it counts.
        value: the number.
        labels: what tells it from others of its name; few values only, never an id.
        kind: ``counter``: it only grows (its name is given ``_total``); ``gauge``: it goes up and down.
    """

    name: str = attrs.field(validator=NAME)
    help: str = attrs.field(validator=instance_of(str))
    value: float = attrs.field(validator=instance_of((int, float)))
    labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=_labels, hash=False, validator=deep_mapping(NAME, instance_of(str))
    )
    kind: Literal["counter", "gauge"] = attrs.field(default="gauge", validator=in_(("counter", "gauge")))


FigureSource: TypeAlias = Callable[[], Iterable[Figure]]
"""Tells figures when they are asked for: at once, from memory."""

METRICS = Extension[FigureSource]("metrics")
"""Figures of plugins: a host reports them beside its own."""
