"""The one check of a body, and when two bodies say the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Rejected
from core.base.records import Kind
from core.protocol.bodies import check_body, same_body

MAX = 16 * 1024


def refusal(kind: Kind, body: bytes | None) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as caught:
        check_body(kind, body, MAX)
    return caught.value.code, caught.value.field


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"text":"hi","media":[],"mentions":["x"],"other":{"kept":[1,2.50,null]}}',
        b'{"ciphertext":"abc","scheme":"x"}',
        b'{ "text" : "\\u00e9 \\ud83d\\ude00" }',
        b'{"text":"a","text":"b"}',
        '{"text":"héllo 👍"}'.encode(),
        b'{"x":' + b"[" * 31 + b"]" * 31 + b"}",
        b'{"x":1e999}',
    ],
)
def test_a_good_body_stays_the_bytes_that_it_was(body: bytes) -> None:
    assert check_body("text", body, MAX) == body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "body"),
        (b"", "body"),
        (b"null", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b'{"text":1}', "body.text"),
        (b'{"text":null}', "body.text"),
        (b'{"media":"x"}', "body.media"),
        (b'{"mentions":[1]}', "body.mentions[0]"),
        (b'{"x":NaN}', "body"),
        (b'{"x":"\\ud800"}', "body"),
        (b'{"text":"\\udc00"}', "body"),
        (b'{"\\ud800":1}', "body"),
        (b'{"text":"\\u0000"}', "body"),
        (b'{"x":["\\u0000"]}', "body"),
        (b'{"\\u0000":1}', "body"),
        (b'{"text":"a\x00b"}', "body"),
        (b'{"x":"\xff"}', "body"),
        (b'{"x":' + b"[" * 32 + b"]" * 32 + b"}", "body"),
        (b'{"x":' + b'{"y":' * 5_00 + b"1" + b"}" * 500 + b"}", "body"),
        (b"{} x", "body"),
        (b'{"text":"a"', "body"),
    ],
)
def test_a_bad_body_is_refused_by_its_field(body: bytes | None, field: str) -> None:
    assert refusal("text", body) == ("bad_request", field)


def test_a_body_may_have_so_many_bytes() -> None:
    assert check_body("text", b'{"text":"' + b"x" * (MAX - 11) + b'"}', MAX)
    assert refusal("text", b'{"text":"' + b"x" * (MAX - 10) + b'"}') == ("too_large", "body")


def test_a_deletion_needs_no_body() -> None:
    assert check_body("delete", None, MAX) == b"{}"
    assert check_body("delete", b'{"why":"typo"}', MAX) == b'{"why":"typo"}'
    assert refusal("delete", b"[]") == ("bad_request", "body")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "body"),
        (b'{"emoji":""}', "body.emoji"),
        (b'{"emoji":5}', "body.emoji"),
        (b'{"emoji":"+","on":1}', "body.on"),
        (b'{"emoji":"' + b"x" * 65 + b'"}', "body.emoji"),
    ],
)
def test_a_reaction_names_an_emoji(body: bytes, field: str) -> None:
    assert check_body("reaction", b'{"emoji":"+"}', MAX)
    assert refusal("reaction", body) == ("bad_request", field)


def test_same_bodies_are_compared_as_bytes_then_parsed() -> None:
    assert same_body(b'{"a":1,"b":[]}', b'{ "b": [], "a": 1 }')
    assert same_body('{"a":"é"}'.encode(), b'{"a":"\\u00e9"}')
    assert not same_body(b'{"a":1}', b'{"a":2}')
    assert not same_body(b'{"a":[1,2]}', b'{"a":[2,1]}')
    assert not same_body(b'{"a":1}', b'{"a":"1"}')


json_values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("xyz"), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "other"]), json_values), st.booleans())
def test_any_object_whose_known_keys_are_right_passes_and_is_the_same_as_itself(value: Any, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode()
    assert check_body("text", body, 1 << 20) == body
    assert same_body(body, json.dumps(value, ensure_ascii=not is_ascii, indent=1).encode())


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_whatever_comes_passes_or_is_refused(body: bytes) -> None:
    try:
        answer: Any = json.loads(check_body("text", body, MAX))
    except Rejected as error:
        answer = error.code
    assert answer == "bad_request" or isinstance(answer, dict)
