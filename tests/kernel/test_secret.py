"""Secret: a value that does not show itself."""

from __future__ import annotations

import copy
import hmac
import json
import logging
import pickle
import traceback
from pprint import pformat
from typing import Any

import attrs
import pytest
from objectkernel.secret import Secret

RAW = "hunter2-üñï"


@attrs.frozen
class Account:
    user: str
    password: Secret[str]


def test_reveal_gives_the_value() -> None:
    """Only `reveal` gives what the secret holds."""
    assert Secret(RAW).reveal() == RAW
    assert Secret[bytes](b"key").reveal() == b"key"


@pytest.mark.parametrize(
    "show",
    [repr, str, format, pformat, ascii, "{:>40}".format, "{!r}".format, lambda s: f"{s}", "%s".__mod__],
)
def test_every_way_to_print_it_gives_stars(show: Any) -> None:
    """A secret prints as ``***`` alone, whatever the format asks for."""
    assert show(Secret(RAW)) == "***"


def test_containers_and_attrs_classes_print_stars() -> None:
    """What holds a secret does not show it either."""
    account = Account("ann", Secret(RAW))
    assert "password=***" in repr(account)
    assert "hunter2" not in pformat([account, {"key": Secret(RAW)}, attrs.asdict(account)])


def test_log_records_print_stars(caplog: pytest.LogCaptureFixture) -> None:
    """A secret given as an argument of a log call is not in the log."""
    logging.getLogger("objectkernel.test").warning("key %s %r", Secret(RAW), Secret(RAW))
    assert caplog.messages == ["key *** ***"]


def test_traceback_with_a_secret_argument_prints_stars() -> None:
    """An exception about a secret does not carry it, neither in its text nor among captured locals."""

    def fail(secret: Secret[str]) -> None:
        raise ValueError("refused", secret)

    with pytest.raises(ValueError) as caught:
        fail(Secret(RAW))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "hunter2" not in "".join(shown.format())


def test_equal_values_make_equal_secrets() -> None:
    """Secrets are equal if their values are, and never equal to the plain value."""
    assert Secret(RAW) == Secret(RAW)
    assert Secret(RAW) != Secret(RAW + "x")
    assert Secret(b"a") == Secret(bytearray(b"a"))
    assert Secret(b"a") != Secret("a")
    assert Secret((1, 2)) == Secret((1, 2))
    assert Secret(RAW) != RAW


def test_text_and_bytes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparison of text and bytes goes through hmac.compare_digest, text with lone surrogates too."""
    calls = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: calls.append((a, b)) or a == b)
    assert Secret("\udcff") == Secret("\udcff")
    assert Secret(b"k") != Secret(b"l")
    assert len(calls) == 2


def test_hash_tells_nothing() -> None:
    """All secrets have one hash, so that a frozen settings class can be hashed and nothing leaks."""
    assert hash(Secret("a")) == hash(Secret("b"))
    assert {Account("ann", Secret("a")), Account("ann", Secret("a"))} == {Account("ann", Secret("a"))}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(protocol: int) -> None:
    """A secret, or what holds one, cannot be pickled by any protocol; the message says what to do."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(RAW), protocol)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Account("ann", Secret(RAW)), protocol)
    with pytest.raises(TypeError, match="cannot be pickled"):
        Secret(RAW).__getstate__()


def test_json_is_refused() -> None:
    """JSON has no form for a secret."""
    with pytest.raises(TypeError):
        json.dumps(Secret(RAW))


def test_a_copy_is_the_same_object() -> None:
    """Copying makes no second holder of the value."""
    secret = Secret(["mutable"])
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"k": secret})["k"] is secret


@pytest.mark.parametrize("use", [len, iter, vars, sorted, lambda s: s[0], lambda s: "h" in s, lambda s: s + "x"])
def test_it_has_no_length_items_or_attributes(use: Any) -> None:
    """Nothing but `reveal` tells about the value: no length, iteration, index, membership, dict."""
    with pytest.raises(TypeError):
        use(Secret(RAW))


def test_it_cannot_be_changed() -> None:
    """A secret is immutable."""
    secret = Secret(RAW)
    with pytest.raises(AttributeError, match="cannot be changed"):
        secret._value = "other"
    with pytest.raises(AttributeError, match="cannot be changed"):
        del secret._value
    assert secret.reveal() == RAW
