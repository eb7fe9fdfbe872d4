"""The bytes that are hashed are those of RFC 8785."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_package_service.canonical import canonical, content_of, digest

NUMBERS = {  # RFC 8785, appendix B
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_the_rfc_lists_them(bits, text):
    """Every double of RFC 8785, appendix B, has exactly the listed spelling."""
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == text.encode()


def test_keys_are_ordered_by_utf16_code_units():
    """The property sorting example of RFC 8785, section 3.2.3, comes out in its order."""
    value = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "ö": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_literals_strings_and_numbers_are_written_as_in_the_example():
    """The example of RFC 8785, section 3.2.2, gives its UTF-8 bytes."""
    text = (
        r'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        r' "string": "\u20ac$\u000F\u000aA' + "'" + r'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    )
    assert (
        canonical(json.loads(text))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(manifest=st.dictionaries(st.text("abc"), values), metadata=st.dictionaries(st.text("abc"), values))
def test_the_whole_is_put_together_from_its_canonical_parts(manifest, metadata):
    """Joining canonical parts gives what canonicalising the whole gives; reading it back changes nothing."""
    joined = content_of(canonical(manifest), canonical(metadata))
    assert joined == canonical({"metadata": metadata, "manifest": manifest})
    assert canonical(json.loads(joined)) == joined


def test_the_hash_is_sha256_in_hexadecimal():
    """The hash of a content is what any other tool computes from the same bytes."""
    assert digest(b"{}") == hashlib.sha256(b"{}").hexdigest()


@given(values)
def test_both_ways_of_writing_agree(value):
    """Whatever is written by json rather than by the RFC's library comes out as that library writes it."""
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("first", range(0, 0x300, 0x40))
def test_every_character_is_escaped_as_the_rfc_says(first):
    """Control characters, quotes, DEL, line separators: json escapes the same ones in the same way."""
    text = "".join(map(chr, range(first, first + 0x40))) + "\u2028\ufeff\U0001f600"
    assert canonical({"text": text}) == rfc8785.dumps({"text": text})
