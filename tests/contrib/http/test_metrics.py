"""The figures of a host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from objectkernel import ObjectKernel, Plugin, Service, contributes, provides
from objectkernel_contracts import METRICS, Figure, FigureSource, public
from objectkernel_http import MetricsAccess, include_kernel, kernel_lifespan
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.contrib.http.shops import Shop, client_of, granted, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

PUBLIC = MetricsAccess(readers="public")
COUNT = "objectkernel_http_request_duration_seconds_count"


async def figures(client: httpx.AsyncClient) -> dict[tuple[str, frozenset[str]], float]:
    """Every sample of ``/metrics``, by its name and the values of its labels."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_template() -> None:
    """Whatever stands in the path: its template, the method and the class of the status, and nothing else."""
    async with serving(shop_kernel(), metrics=PUBLIC) as client:
        for book in ("red", "blue"):
            await client.post(f"/ledger/{book}", json={"amount": 1}, headers=granted("ledger:write"))
        await client.post("/ledger/red", json={})
        found = await figures(client)
    assert found[COUNT, frozenset({"POST", "/ledger/{book}", "2xx"})] == 2
    assert found[COUNT, frozenset({"POST", "/ledger/{book}", "4xx"})] == 1
    assert found["objectkernel_http_requests_in_flight", frozenset()] == 1  # the one that asks


async def test_strangers_make_no_new_figures() -> None:
    """Paths that nobody serves, and methods that nobody knows, are one label each."""
    async with serving(shop_kernel(), metrics=PUBLIC) as client:
        await figures(client)
        before = await figures(client)
        for number in range(20):
            await client.get(f"/nowhere/{number}")
            await client.request(f"METHOD{number}", "/ledger")
        found = await figures(client)
    assert found[COUNT, frozenset({"GET", "other", "4xx"})] == 20
    assert found[COUNT, frozenset({"other", "/ledger", "4xx"})] == 20
    assert len({key for key in found if key[0] == COUNT} - set(before)) == 2


async def test_a_request_that_fails_is_counted() -> None:
    """5xx; and what is under way is counted while it is."""
    began, go_on = anyio.Event(), anyio.Event()

    def add(router: APIRouter) -> None:
        @router.get("/slow")
        @public()
        async def slow() -> None:
            began.set()
            await go_on.wait()
            raise OSError("the disk is gone")

    async with serving(routed(add), metrics=PUBLIC) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.get, "/slow")
        await began.wait()
        assert (await figures(client))["objectkernel_http_requests_in_flight", frozenset()] == 2
        go_on.set()
        while ("objectkernel_http_requests_in_flight", frozenset()) not in (found := await figures(client)) or found[
            "objectkernel_http_requests_in_flight", frozenset()
        ] > 1:
            await anyio.sleep(0.01)
    assert found[COUNT, frozenset({"GET", "/slow", "5xx"})] == 1


class Sick:
    async def ping(self) -> None:
        raise OSError("no route to the database")


SICK = Service[Sick]("shop.sick")


class Hospital(Plugin):
    name = "hospital"

    @provides(SICK)
    def sick(self) -> Sick:
        return Sick()


async def test_the_kernel_is_among_them() -> None:
    """Each service and plugin, the phases of the boot, and the process."""
    async with serving(shop_kernel(Shop(), Hospital()), metrics=PUBLIC) as client:
        found = await figures(client)
    assert found["objectkernel_service_up", frozenset({"shop.ledger", "shop"})] == 1
    assert found["objectkernel_service_up", frozenset({"shop.sick", "hospital"})] == 0
    assert found["objectkernel_ready", frozenset()] == 0
    assert found["objectkernel_plugin_state", frozenset({"shop", "running"})] == 1
    assert found["objectkernel_plugin_state", frozenset({"shop", "failed"})] == 0
    phases = {next(iter(labels)) for name, labels in found if name == "objectkernel_boot_phase_seconds"}
    assert "start" in phases
    assert found["objectkernel_boot_seconds", frozenset()] > 0
    assert found["process_resident_memory_bytes", frozenset()] > 0


class Pooling(Plugin):
    """Contributes figures."""

    name = "pooling"

    def __init__(self, *figures: Figure, broken: bool = False) -> None:
        self._figures = figures
        self._broken = broken

    @contributes(METRICS, uses=())
    def figures(self) -> FigureSource:
        def tell() -> Iterable[Figure]:
            if self._broken:
                raise OSError("postgresql://admin:hunter2@db")
            return self._figures

        return tell


def connections(state: str, value: float, **options: Any) -> Figure:
    return Figure(name="database_connections", help="Open.", value=value, labels={"state": state}, **options)


async def test_plugins_tell_theirs() -> None:
    """Under the host's prefix, counters with ``_total``."""
    told = (connections("idle", 3), connections("used", 2), Figure(name="jobs", help="J.", value=7, kind="counter"))
    async with serving(shop_kernel(Shop(), Pooling(*told)), metrics=PUBLIC) as client:
        found = await figures(client)
    assert found["objectkernel_database_connections", frozenset({"idle"})] == 3
    assert found["objectkernel_database_connections", frozenset({"used"})] == 2
    assert found["objectkernel_jobs_total", frozenset()] == 7


@pytest.mark.parametrize(
    "second",
    [
        connections("idle", 4),
        connections("used", 4, kind="counter"),
        Figure(name="database_connections", help="", value=4),
    ],
    ids=["twice", "of another kind", "with other labels"],
)
async def test_a_figure_that_contradicts_another_is_left_out(second: Figure, caplog: pytest.LogCaptureFixture) -> None:
    """The first one stays, the answer is one that Prometheus takes, and the log says so."""
    async with serving(shop_kernel(Shop(), Pooling(connections("idle", 3), second)), metrics=PUBLIC) as client:
        found = await figures(client)
    assert {value for (name, _), value in found.items() if name.startswith("objectkernel_database")} == {3}
    assert "database_connections" in caplog.text


async def test_a_plugin_that_fails_keeps_no_figures_back(caplog: pytest.LogCaptureFixture) -> None:
    """The others are told."""
    async with serving(shop_kernel(Shop(), Pooling(broken=True)), metrics=PUBLIC) as client:
        assert await figures(client)
    assert "OSError" in caplog.text


async def test_two_kernels_count_for_themselves() -> None:
    """Nothing is counted for the process."""
    async with serving(shop_kernel(), metrics=PUBLIC) as first, serving(shop_kernel(), metrics=PUBLIC) as second:
        await first.get("/ledger")
        assert (COUNT, frozenset({"GET", "/ledger", "2xx"})) in await figures(first)
        assert (COUNT, frozenset({"GET", "/ledger", "2xx"})) not in await figures(second)


async def test_open_metrics_for_whoever_asks_for_it() -> None:
    """By ``Accept``, as Prometheus does."""
    async with serving(shop_kernel(), metrics=PUBLIC) as client:
        answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert list(open_metrics(answer.text))
        assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain")


async def test_routes_in_an_application_of_the_hosts_own_are_counted_too() -> None:
    """By the guard of each, under the prefix that they were given."""
    kernel = shop_kernel()
    app = FastAPI()
    include_kernel(app, kernel, prefix="/shop")
    async with kernel_lifespan(kernel)(app), client_of(app) as client:
        answer = await client.get("/shop/ledger")
        assert answer.headers["x-request-id"]
        async with serving_metrics(kernel) as metrics:
            assert (await figures(metrics))[COUNT, frozenset({"GET", "/shop/ledger", "2xx"})] == 1


def serving_metrics(kernel: ObjectKernel) -> httpx.AsyncClient:
    """A client of another application of a kernel that runs."""
    from objectkernel_http import asgi_app

    return client_of(asgi_app(kernel, metrics=PUBLIC))


# --- who may read them --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "stranger", "operator"),
    [
        (MetricsAccess(), 401, 200),
        (MetricsAccess(readers="public"), 200, 200),
        (MetricsAccess(readers="off"), 404, 404),
        (MetricsAccess(networks=("10.0.0.0/8",)), 401, 200),
        (MetricsAccess(networks=("127.0.0.0/8",)), 200, 200),
    ],
    ids=["operators", "public", "off", "of another network", "of a network"],
)
async def test_who_may_read_them(access: MetricsAccess, stranger: int, operator: int) -> None:
    """Operators, unless the host says otherwise; a network needs no credential."""
    async with serving(shop_kernel(), metrics=access) as client:
        assert (await client.get("/metrics")).status_code == stranger
        assert (await client.get("/metrics", headers=granted("host:operate"))).status_code == operator
        assert (await client.post("/metrics", headers=granted("host:operate"))).status_code in (405, 404)


async def test_a_scope_that_is_another_one_reads_nothing() -> None:
    """403, as text: a scraper shows people what it has read."""
    async with serving(shop_kernel()) as client:
        answer = await client.get("/metrics", headers=granted("ledger:write"))
    assert (answer.status_code, answer.text) == (403, "H403: this needs the scope host:operate\n")
    assert answer.headers["content-type"].startswith("text/plain")


def figure(**given: Any) -> Any:
    return Figure(**{"name": "figure", "help": "told", "value": 1, **given})


@pytest.mark.parametrize(
    "source",
    [
        lambda: [figure(name="two words")],
        lambda: [figure(value="many")],
        lambda: [figure(labels={"shelf": 3})],
        lambda: [figure(kind="histogram")],
        lambda: [None],
        lambda: [figure(name="http_requests_in_flight", value=123456)],
        lambda: [figure(name="http_request_duration_seconds_count", value=123456)],
        lambda: 1 / 0,
    ],
    ids=["name", "value", "label", "kind", "none", "the host's", "the histogram's", "raises"],
)
@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
async def test_a_figure_that_is_none_spoils_no_other(source: Any, accept: str) -> None:
    """It is left out, whatever it is; those of the host and of other plugins are told."""

    class Wrong(Plugin):
        name = "wrong"

        @contributes(METRICS, uses=())
        def figures(self) -> FigureSource:
            return source  # type: ignore[no-any-return]

    class Right(Plugin):
        name = "right"

        @contributes(METRICS, uses=())
        def figures(self) -> FigureSource:
            return lambda: [figure(name="right")]

    async with serving(shop_kernel(Wrong(), Right(), Shop()), metrics=PUBLIC) as client:
        answer = await client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "objectkernel_right 1.0" in answer.text
    assert " 123456.0" not in answer.text
    families = [line for line in answer.text.splitlines() if line.startswith("# TYPE ")]
    assert len(set(families)) == len(families)
    assert "objectkernel_http_requests_in_flight 1.0" in answer.text
