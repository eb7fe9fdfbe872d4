"""Codings, conditions and caching of what is delivered."""

from __future__ import annotations

import pytest
from objectkernel_package_service.http_delivery import coding_for, had
from starlette.exceptions import HTTPException


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["gzip"], "gzip"),
        (["x-gzip"], "gzip"),
        (["GZIP;Q=0.5"], "gzip"),
        (["br, zstd"], "identity"),
        (["br", "gzip"], "gzip"),
        (["*"], "gzip"),
        (["*;q=0"], "refused"),
        (["identity;q=0"], "refused"),
        (["identity;q=0, gzip"], "gzip"),
        (["gzip;q=0, *"], "identity"),
        (["gzip;q=0"], "identity"),
        (["gzip;q=0.000"], "identity"),
        (["gzip;q=0.2, identity;q=0.8"], "identity"),
        (["gzip;q=0.8, identity;q=0.2"], "gzip"),
        (["*;q=0, identity"], "identity"),
        (["gzip;q=0, *;q=0"], "refused"),
        (["gzip;q=nonsense"], "identity"),
        (["gzip;level=9"], "identity"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_coding_is_what_the_caller_likes_best(accepted: list[str], coding: str) -> None:
    """Weights count, 0 refuses, a star stands for all that is not named, the plain bytes may be refused too."""
    if coding != "refused":
        assert coding_for(accepted, 5000) == coding
        return
    with pytest.raises(HTTPException) as caught:
        coding_for(accepted, 5000)
    assert caught.value.status_code == 406


def test_what_is_small_is_sent_as_it_is() -> None:
    """Compressing it saves nothing, unless the caller takes nothing else."""
    assert coding_for(["gzip"], 100) == "identity"
    assert coding_for(["gzip, identity;q=0"], 100) == "gzip"


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ([], None),
        ([""], None),
        (["*"], "abc"),
        (['"abc"'], "abc"),
        (['W/"abc"'], "abc"),
        (['"abc-gzip"'], "abc-gzip"),
        (['"abc-gzip", "abc"'], "abc"),
        (['"x", "abc"'], "abc"),
        (['"x"', '"abc"'], "abc"),
        (['"x,y" , W/"abc"'], "abc"),
        (['"abcd"'], None),
        (["abc"], None),
        (['"abc-br"'], None),
        (['"x*"'], None),
    ],
    ids=range(14),
)
def test_the_caller_has_it_in_whichever_coding(told: list[str], known: str | None) -> None:
    """The weak comparison: any of the tags named, strong or weak; that of the answer's own coding is told first."""
    assert had(told, ("abc", "abc-gzip")) == known
