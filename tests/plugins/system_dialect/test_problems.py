"""Errors as problem details, and back: both ends of a connection see the same error."""

from __future__ import annotations

import json

import pytest
from objectkernel.errors import KernelError
from objectkernel_http.problems import status_of as of_host
from objectkernel_system_dialect import errors
from objectkernel_system_dialect.contracts import DatabaseBusy, DataError, DuplicateKey, UnknownField
from objectkernel_system_dialect.problems import BY_CODE, error_of, problem_of, status_of


@pytest.mark.parametrize("code", BY_CODE)
def test_every_error_comes_back(code: str) -> None:
    """The class of an error survives the way over the wire, with the facts that it may tell."""
    kind = BY_CODE[code]
    there = json.loads(json.dumps(problem_of(kind("what", why=["a", "b"], fix="fix", entity="Thing"))))
    back = error_of(there, "server")
    assert type(back) is kind
    assert back.facts["entity"] == "Thing"
    if status_of(back) < 500:
        assert (back.what, back.why, back.fix) == ("what", ("a", "b"), "fix")


def test_codes_are_unique() -> None:
    """No two errors share a code, so that one stands for one class."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DataError)]
    assert len({kind.code for kind in kinds}) == len(kinds) == len(BY_CODE)


def test_facts_are_the_same() -> None:
    """Facts are attributes, and tuples, as they were."""
    error = error_of(json.loads(json.dumps(problem_of(DuplicateKey("x", entity="Thing", fields=("a", "b"))))), "server")
    assert isinstance(error, DuplicateKey)
    assert error.facts == {"entity": "Thing", "fields": ("a", "b")}


def test_own_errors_tell_only_their_kind() -> None:
    """Of a failing database neither words nor place leave the server; the other end puts in what it knows."""
    problem = problem_of(DatabaseBusy("db7 is busy", why="pid 5", database="db7", reason="BUSY"), instance="urn:x")
    assert (problem["status"], problem["instance"], problem["facts"]) == (503, "urn:x", {"reason": "BUSY"})
    assert "db7" not in json.dumps(problem)
    error = error_of(problem, "server:80")
    assert isinstance(error, DatabaseBusy)
    assert error.facts == {"reason": "BUSY", "database": "server:80"}


@pytest.mark.parametrize("code", BY_CODE)
def test_a_host_tells_the_same(code: str) -> None:
    """A database that is away is 503 on routes of any plugin; what a 4xx tells stays with this plugin's."""
    error = BY_CODE[code]("what", database="db7", reason="x")
    own, hosts = status_of(error), of_host(error)
    assert hosts == (own if own in (503, 507) else 500)


def test_errors_of_others() -> None:
    """An error that is none of data access is a 500 that tells nothing, and no error of data access again."""
    problem = problem_of(KernelError("secret", why="secret"))
    assert problem["status"] == 500
    assert "secret" not in json.dumps(problem)
    assert error_of(problem, "server") is None
    assert error_of({}, "server") is None


def test_damaged_problem() -> None:
    """A problem whose members are of wrong types is still an error of its code."""
    error = error_of({"code": "D201", "facts": [1], "why": "x", "detail": None}, "server")
    assert isinstance(error, UnknownField)


@pytest.mark.parametrize("name", ["self", "what", "where", "why", "fix", "facts", "code", "args", "__class__", "text"])
def test_facts_take_nobodys_place(name: str) -> None:
    """A server cannot put a fact in the place of what every error has."""
    error = error_of({"code": "D201", "detail": "x", "facts": {name: "y", "entity": "Thing"}}, "server")
    assert type(error) is UnknownField
    assert (error.code, error.what, error.args, error.facts) == ("D201", "x", ("x",), {"entity": "Thing"})
