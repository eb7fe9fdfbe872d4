"""The figures of a host, as Prometheus reads them: its requests, its kernel, its process, and those of its plugins.

Each kernel has a registry of its own; nothing is kept for the process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator
from http import HTTPMethod
from typing import Any, Final, Protocol

from objectkernel.health import Health
from objectkernel.kernel import ObjectKernel
from objectkernel.records import STATES
from objectkernel_contracts import METRICS, Figure
from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

LOG: Final = logging.getLogger("objectkernel.http")
ATTRIBUTE: Final = "_objectkernel_http_metrics"
PREFIX: Final = "objectkernel_"
DURATIONS: Final = f"{PREFIX}http_request_duration_seconds"
OTHER: Final = "other"
"""The label of whatever is none of the known values, so that nobody outside makes new ones."""
METHODS: Final = frozenset(HTTPMethod)
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LABELS: Final = ("method", "route", "status")


class _Observed(Protocol):
    def observe(self, amount: float) -> None: ...


class HttpMetrics:
    """The figures of one kernel.

    Attributes:
        in_flight: requests that have not been answered wholly.
    """

    def __init__(self, kernel: ObjectKernel) -> None:
        self.in_flight = 0
        self._known: dict[tuple[str, str, int], _Observed] = {}
        self._registry = CollectorRegistry()
        self._durations = Histogram(
            DURATIONS,
            "From the head of a request to the end of its answer.",
            LABELS,
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._kernel = _KernelFigures(kernel, self)
        self._registry.register(self._kernel)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended.

        Args:
            route: the template of its path, "" without one.
            status: 0 where nothing was answered.
        """
        key = (method if method in METHODS else OTHER, route or OTHER, status // 100)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._durations.labels(key[0], key[1], f"{key[2]}xx" if key[2] else "none")
        known.observe(seconds)

    def exposition(self, accept: str, health: Health) -> tuple[bytes, str]:
        """All figures, and their media type: OpenMetrics where `accept` asks for it."""
        self._kernel.health = health
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type


class _KernelFigures(Collector):
    """What is asked for rather than counted."""

    def __init__(self, kernel: ObjectKernel, requests: HttpMetrics) -> None:
        self._kernel = kernel
        self._requests = requests
        self.health: Health | None = None

    def collect(self) -> Iterator[Metric]:
        own = [
            _gauge("http_requests_in_flight", "Requests that are being answered.", self._requests.in_flight),
            _gauge("http_worker_info", "The process that gives these figures.", 1, pid=str(os.getpid())),
            *self._services(),
            *self._plugins(),
            *self._boot(),
        ]
        yield from own
        yield from _contributed(self._figures(), {family.name for family in own})

    def _services(self) -> Iterator[Metric]:
        if self.health is None:
            return
        up = GaugeMetricFamily(f"{PREFIX}service_up", "1: the service is up and well.", labels=("service", "plugin"))
        for service in self.health.services:
            up.add_metric((service.service, service.plugin), float(service.state == "up"))
        yield up
        yield _gauge("ready", "1: no critical service is unwell.", self.health.ready)

    def _plugins(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            f"{PREFIX}plugin_state", "1 for the state that the plugin is in.", labels=("plugin", "state")
        )
        for plugin in self._kernel.plugins():
            for state in STATES:
                states.add_metric((plugin.name, state), float(plugin.state == state))
        yield states

    def _boot(self) -> Iterator[Metric]:
        timeline = self._kernel.timeline
        phases = GaugeMetricFamily(f"{PREFIX}boot_phase_seconds", "What a phase of the boot took.", labels=("phase",))
        for name, seconds in timeline.phases:
            phases.add_metric((name,), seconds)
        yield phases
        yield _gauge("boot_seconds", "What the boot took.", timeline.total)

    def _figures(self) -> Iterator[Figure]:
        for source in self._kernel.contributions(METRICS):
            try:
                told: list[Any] = list(source())
                if not all(isinstance(one, Figure) for one in told):
                    raise TypeError("what it tells is no Figure")
                yield from told
            except Exception as error:  # of a plugin: the other figures are told all the same
                LOG.error("figures of a plugin could not be had: %s", type(error).__name__, exc_info=error)


def metrics_of(kernel: ObjectKernel) -> HttpMetrics:
    """The figures of a kernel; they live as long as it does."""
    found: HttpMetrics | None = vars(kernel).get(ATTRIBUTE)
    if found is None:
        found = vars(kernel)[ATTRIBUTE] = HttpMetrics(kernel)
    return found


def _gauge(name: str, text: str, value: float, **labels: str) -> GaugeMetricFamily:
    made = GaugeMetricFamily(PREFIX + name, text, labels=tuple(labels))
    made.add_metric(tuple(labels.values()), float(value))
    return made


def _contributed(figures: Iterable[Figure], taken: Collection[str]) -> Iterator[Metric]:
    """Figures of one name together; the first one says what they are, and what labels they have.

    Args:
        taken: the names of the host's own.
    """
    families: dict[str, tuple[Figure, CounterMetricFamily | GaugeMetricFamily, set[tuple[str, ...]]]] = {}
    for figure in figures:
        made = _family(figure)
        first, family, seen = families.setdefault(made.name, (figure, made, set()))
        values = tuple(figure.labels[name] for name in sorted(figure.labels))
        alike = (figure.name, figure.kind, figure.labels.keys()) == (first.name, first.kind, first.labels.keys())
        if not alike or values in seen or made.name in taken or made.name.startswith(DURATIONS):
            LOG.warning("the figure %s is told in two ways; the first one stays", figure.name)
            continue
        seen.add(values)
        family.add_metric(values, figure.value)
    yield from (family for _, family, seen in families.values() if seen)


def _family(figure: Figure) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    return kind(PREFIX + figure.name, figure.help, labels=sorted(figure.labels))
