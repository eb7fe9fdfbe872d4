"""The served host with every plugin is what its OpenAPI document says: schemathesis finds nothing."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
import schemathesis
from schemathesis.engine import events, from_schema

from tests.journeys.hosts import document_of, full_host, operations_of, token_for_all

EXAMPLES = int(os.environ.get("OBJECTKERNEL_TEST_EXAMPLES", "4"))
"""How many requests are made up for each route, beside those that cover each bound of its schema; more find more."""
REFUSED_STATE = 412
"""A precondition that the state does not meet is no fault of the request."""
ACCEPTED = frozenset({401, 403, 404, 409, REFUSED_STATE})
"""Beside the 2xx and 3xx, what a request that is as described may be answered."""
DATA = "/api/v1/data/"
PROBLEM = "application/problem+json"
NAMES = frozenset({"title", "description", "summary", "example", "examples", "operationId", "tags", "security"})
"""What the descriptions of two routes may differ in that take the same."""

WHOLE = "a generator that holds whole numbers as floats rounds the bounds of 64 bits to one beyond them"
FILTERS = "a filter is a language of its own: which ones can be meant, JSON Schema cannot say"
CURSORS = "only the host makes cursors, which are opaque: JSON Schema cannot say which ones it has made"
RANGES = "a range of versions has npm's grammar, which is no regular one"
PROJECTS = "what a project may be, and where its database, the host's settings and its entities say, not only shapes"
RECORDINGS = "what bytes are, and how the fields beside them are written, the routes themselves read"
TUS = "what tus needs are headers, which its own specification describes"
TOKEN_ERRORS = r"invalid_(request|grant) |unsupported_grant_type |authorization_pending |slow_down "
STANDARDS = "which parameters a grant needs, and what they may be, OAuth says in words"
VERSIONS = "another method of this path is that of a version with such a name"


@attrs.frozen
class Off:
    """A check that a route cannot meet.

    Attributes:
        route: its method and path; a star stands for any entity.
        told: of a route that may refuse what is as described: with which codes and words it does, and no others.
    """

    route: str
    check: str
    why: str
    told: str = ""


def refuses(route: str, told: str, why: str) -> Off:
    return Off(route, "positive_data_acceptance", why, told)


SWITCHED_OFF = (
    refuses("GET /api/v1/data/*", r"D20[1-57] |D602 the filter cannot be read", FILTERS),
    *(
        refuses(f"POST /api/v1/data/*/{name}", r"D20[1-79] ", FILTERS)
        for name in ("query", "count", "exists", "distinct", "aggregate", "search", "bulk")
    ),
    refuses("POST /api/v1/data/*/upsert", r"D204 ", WHOLE),
    *(
        refuses(f"GET {path}", r"A401 `after` is no cursor|P101 no such page", CURSORS)
        for path in (
            "/api/v1/audit",
            "/api/v1/packages",
            "/api/v1/packages/{id}/versions",
            "/api/v1/packages/{id}/history",
        )
    ),
    *(
        refuses(route, r"P101 no version can be meant", RANGES)
        for route in (
            "GET /api/v1/packages/{id}",
            "GET /api/v1/packages/{id}/{version}",
            "GET /api/v1/packages/{id}/{version}/summary",
            "GET /api/v1/installations/{id}/preview",
            "PUT /api/v1/installations/{id}",
            "POST /api/v1/installations/{id}/upgrade",
        )
    ),
    *(
        Off(f"GET /api/v1/packages/{{id}}/{name}", "unsupported_method", VERSIONS)
        for name in ("versions", "tags", "history")
    ),
    refuses(
        "POST /api/v1/packages", r"P101 the package is refused", "the registry itself reads it, by more than shapes"
    ),
    refuses("POST /api/v1/account/invitations", r"A101 ", "Unicode says which letters can be seen"),
    refuses("GET /api/v1/keys", r"O101 `after` is no cursor", CURSORS),
    refuses("POST /api/v1/keys", r"O101 this key cannot be made", "which scopes and names there are, no schema says"),
    Off("GET /api/v1/keys/self", "unsupported_method", "another method of this path is that of a key with such an id"),
    refuses("POST /device_authorization", r"invalid_(request|scope) ", STANDARDS),
    refuses("POST /api/v1/auth/device/authorize", r"invalid_(request|scope) ", STANDARDS),
    refuses("POST /token", TOKEN_ERRORS, STANDARDS),
    refuses("POST /api/v1/auth/device/token", TOKEN_ERRORS, STANDARDS),
    refuses("POST /revoke", r"invalid_request ", STANDARDS),
    refuses("POST /introspect", r"invalid_request ", STANDARDS),
    refuses("POST /api/v1/auth/device/approve", r"O101 only somebody who has signed in", "a token is no session"),
    Off("POST /sign-out", "negative_data_rejection", "whoever is signed out is so, whatever the form says"),
    refuses("GET /api/projects", r"L101 `after` is no cursor", CURSORS),
    *(
        refuses(route, r"L10[16] ", PROJECTS)
        for route in (
            "POST /api/projects",
            "PATCH /api/projects/{id}",
            "POST /api/projects/{id}/uri",
            "PUT /api/projects/{id}/schemas",
            "POST /api/projects/{id}/schemas/plan",
        )
    ),
    *(
        refuses(f"GET /api/media/{path}", r"M101 this list cannot be had", CURSORS)
        for path in ("recordings", "sessions/{id}")
    ),
    refuses("POST /api/media/recordings", r"M10[15] ", RECORDINGS),
    *(
        Off("POST /api/media/recordings", check, "PUT is for clients that know nothing else; it is the same")
        for check in ("unsupported_method", "allow_header_conformance")
    ),
    refuses("POST /api/media/uploads/{id}", r"there is no POST of an upload", TUS),
    refuses("POST /api/change-dialect", r"D407 ", "which databases there are, only the machine knows"),
)
"""Every check is made of every route, but for these."""


def pattern_of(route: str) -> str:
    return "^" + re.escape(route).replace(r"\*", "[^/]+") + "$"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served host; databases that a route is made to open lie in a folder of the test."""
    with pytest.MonkeyPatch.context() as patch, full_host(tmp_path_factory.mktemp("data")) as url:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield url


@pytest.fixture(scope="module")
def document(url: str) -> dict[str, Any]:
    return document_of(url)


def taken_by(operation: Any, document: Mapping[str, Any]) -> Any:
    """What is sent to a route, without what it is called."""
    if isinstance(operation, list):
        return [taken_by(one, document) for one in operation]
    if not isinstance(operation, dict):
        return operation
    if "$ref" in operation:
        name = operation["$ref"].removeprefix("#/components/schemas/")
        return taken_by(document["components"]["schemas"][name], document)
    return {name: taken_by(one, document) for name, one in operation.items() if name not in NAMES | {"responses"}}


def alike(document: Mapping[str, Any]) -> list[str]:
    """The routes of entities that take what the same route of another entity takes, which stands for them."""
    found: dict[str, list[str]] = {}
    for method, path, operation in operations_of(document):
        if path.startswith(DATA):
            taken = json.dumps([method, operation["summary"], taken_by(operation, document)], sort_keys=True)
            found.setdefault(taken, []).append(f"{method} {path}")
    return [route for routes in found.values() for route in routes[1:]]


def config_for(document: Mapping[str, Any]) -> schemathesis.Config:
    generation = {"max-examples": EXAMPLES, "deterministic": True, "database": "none"}
    checks = {
        "positive_data_acceptance": ["2xx", "3xx", *map(str, sorted(ACCEPTED))],
        "negative_data_rejection": ["400", "401", "403", "404", "405", "406", "409", REFUSED_STATE, "415", "422"],
    }
    return schemathesis.Config.from_dict(
        {
            "seed": 1,
            "headers": {"Authorization": f"Bearer {token_for_all(document)}"},
            "continue-on-failure": True,
            "generation": generation,
            "checks": {name: {"expected-statuses": statuses} for name, statuses in checks.items()},
            "operations": [
                *(
                    {"include-name-regex": pattern_of(off.route), "checks": {off.check: {"enabled": False}}}
                    for off in SWITCHED_OFF
                ),
                {"include-name": alike(document), "phases": {"coverage": {"enabled": False}}},
            ],
        }
    )


def own_answer(case: Any, response: Any) -> bool:
    """Whether it is the route itself that was asked."""
    label: str = case.operation.label
    return label == f"{response.request.method} {case.path}"


@schemathesis.check
def code_is_documented(ctx: Any, response: Any, case: Any) -> None:
    """A problem has a code that the document has for its status, or for any."""
    kind = response.headers.get("content-type", [""])[0]
    if kind != PROBLEM or not own_answer(case, response):
        return
    answers = case.operation.definition.raw["responses"]
    documented = [
        answers[status]["content"][kind]["examples"]
        for status in (str(response.status_code), "default")
        if status in answers
    ]
    code = response.json()["code"]
    if not any(code in codes for codes in documented):
        raise AssertionError(f"{case.operation.label} does not say that {response.status_code} may be {code}")


@schemathesis.check
def refused_as_told(ctx: Any, response: Any, case: Any) -> None:
    """Where what is as described may be refused, it is for what the table of exceptions says."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not positive or response.status_code < 400 or response.status_code in ACCEPTED or not own_answer(case, response):
        return
    reasons = [off.told for off in SWITCHED_OFF if off.told and re.match(pattern_of(off.route), case.operation.label)]
    try:
        answer = response.json()
    except ValueError:  # tus tells it in plain words
        answer = {"code": response.text, "detail": ""}
    told = ("{error} {error_description}" if "error_description" in answer else "{code} {detail}").format_map(answer)
    if reasons and not any(re.match(reason, told) for reason in reasons):
        raise AssertionError(f"{case.operation.label} refuses what is as described: {told}")


numbers = itertools.count()


@schemathesis.serializer("application/offset+octet-stream")
def bytes_of_an_upload(context: Any, value: Any) -> bytes:
    """Whatever bytes are made up."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Keep to what no schema says: a key names one request, and a host's files are not the test's to make."""
    positive = case.meta is not None and not case.meta.generation.mode.is_negative
    if positive and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"{case.headers['Idempotency-Key'][:200]}{next(numbers)}"
    if case.path == "/api/change-dialect" and isinstance(case.body, dict) and isinstance(case.body.get("uri"), str):
        case.body["uri"] = re.sub(r"[/\\]", "_", case.body["uri"])


def findings(scenario: events.ScenarioFinished) -> Iterator[str]:
    recorder = scenario.recorder
    for id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                answer = recorder.interactions[id].response
                told = "" if answer is None else f"\n  {answer.status_code} {answer.text[:500]}"
                failure = check.failure_info
                yield f"{recorder.label}: {check.name}: {failure.failure.message}\n  {failure.code_sample}{told}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(url: str, document: dict[str, Any]) -> None:
    """Examples, the bounds of each schema, made up requests and sequences of them: every answer is as described."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config_for(document))
    found: dict[str, None] = {}
    tried: set[str] = set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            found |= dict.fromkeys(findings(event))
            tried.add(event.recorder.label)
        elif isinstance(event, events.NonFatalError):
            found[f"{event.label}: {event.value}"] = None
        elif isinstance(event, events.FatalError):
            raise event.exception
    assert not found, "\n\n".join([f"{len(found)} findings", *list(found)[:20]])
    assert tried >= {f"{method} {path}" for method, path, _ in operations_of(document)}


def test_each_check_that_is_switched_off_is_of_a_route(document: dict[str, Any]) -> None:
    """A line of the table that no route needs any more is taken out."""
    routes = [f"{method} {path}" for method, path, _ in operations_of(document)]
    unused = [off for off in SWITCHED_OFF if not any(re.match(pattern_of(off.route), route) for route in routes)]
    assert unused == []
    assert all(off.why for off in SWITCHED_OFF)
