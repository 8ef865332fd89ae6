"""Names and e-mail addresses have one spelling; what is invisible or pretends is dropped or refused."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Rejected
from core.base.limits import NAME_CHARS_MAX
from sidecars.ports.users import words_of
from sidecars.user.names import clean_name, email_key


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ann", "Ann"),
        ("  Ann \t\n Arbor ", "Ann Arbor"),
        ("A\u200bn\u200dn\ufeff", "Ann"),
        ("\u202eAnn\u2066", "Ann"),
        ("Ann\u3164\u2800", "Ann"),
        ("A\u00adnn", "Ann"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("Юра Smith", "Юра Smith"),
        ("田中 太郎", "田中 太郎"),
        ("🦊 Ann", "🦊 Ann"),
        ("O'Neil-Smith 3rd", "O'Neil-Smith 3rd"),
        ("<b>Ann</b>", "<b>Ann</b>"),
        ("x" * NAME_CHARS_MAX, "x" * NAME_CHARS_MAX),
    ],
)
def test_a_name_is_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "\u200b\u3164",
        "x" * (NAME_CHARS_MAX + 1),
        "x" * 1_000_000,
        "Ann\0",
        "Ann\x1b[31m",
        "Ann\ud800",
        "Ann\ue000",
        "\u0410nn",  # a Cyrillic A
        "Ad\u03bfm",  # a Greek omicron
    ],
)
def test_a_name_that_hides_or_pretends_is_refused(typed: str) -> None:
    with pytest.raises(Rejected) as caught:
        clean_name(typed, "device_name")
    assert (caught.value.code, caught.value.field) == ("bad_request", "device_name")
    assert caught.value.message.startswith("device_name: ")
    assert len(caught.value.message) < 200


@given(st.text(max_size=100))
def test_cleaning_a_clean_name_changes_nothing(typed: str) -> None:
    try:
        name = clean_name(typed)
    except Rejected:
        return
    assert clean_name(name) == name
    assert 1 <= len(name) <= NAME_CHARS_MAX
    assert unicodedata.is_normalized("NFC", name)
    name.encode()


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("ann@example.org", "ann@example.org"),
        (" Ann@Example.ORG ", "ann@example.org"),
        ("a.b+c@localhost", "a.b+c@localhost"),
        ("o'neil@xn--bcher-kva.example", "o'neil@xn--bcher-kva.example"),
    ],
)
def test_an_address_has_one_key(typed: str, key: str) -> None:
    assert email_key(typed) == key


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "ann@example..org",
        "ann@-example.org",
        ".ann@example.org",
        "an n@example.org",
        "ann@example.org\0",
        "ann\u200b@example.org",
        "\u0430nn@example.org",
        "an\u212a@example.org",  # the Kelvin sign, whose small form is k
        "ann@ex\uff41mple.org",
        "ann@example.org\nBcc: bob@example.org",
        '"ann"@example.org',
        "ann@[127.0.0.1]",
        "a" * 65 + "@example.org",
        "ann@" + "a" * 64 + ".org",
        "ann@" + "a." * 150 + "org",
        "a@" * 500_000,
        "a." * 500_000 + "@b",
    ],
)
def test_what_is_no_address_or_a_look_alike_is_refused(typed: str) -> None:
    with pytest.raises(Rejected) as caught:
        email_key(typed)
    assert (caught.value.code, caught.value.field) == ("bad_request", "email")


def test_words_have_one_spelling() -> None:
    assert words_of("Straße  STRASSE") == ["strasse"]
    assert words_of("ﬁsh Ａnn e\u0301te\u0301") == ["ann", "ete", "fish"]
    assert words_of("o'neil-smith") == ["neil", "o", "smith"]
    assert words_of("\u200b !") == []
