"""What people type as names and e-mail addresses: brought to one spelling, or refused with what was expected.

Names are shown, not unique: nothing invisible may be in one, and no word may mix look-alike alphabets. E-mail addresses
are what is unique, so there one person must not have two spellings: they are ASCII, and case does not count.
"""

import re
import unicodedata
from typing import Final

from core.base.errors import Rejected
from core.base.limits import EMAIL_CHARS_MAX, NAME_CHARS_MAX

_LOCAL: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"  # RFC 5322, dot-atom
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL: Final = re.compile(rf"(?=.{{1,64}}@){_LOCAL}@{_LABEL}(?:\.{_LABEL})*", re.ASCII)

_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that show nothing, though Unicode counts them as letters, marks or symbols."""

_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK"})
"""Alphabets with letters that look the same."""


def email_key(email: str) -> str:
    """The one spelling of an e-mail address. Raises: Rejected (bad_request)."""
    key = email.strip().lower()
    # ASCII before lower(): there are letters elsewhere (the Kelvin sign) whose small form is ASCII.
    if len(key) > EMAIL_CHARS_MAX or not email.isascii() or _EMAIL.fullmatch(key) is None:
        expected = (
            f"an e-mail address of ASCII characters, {EMAIL_CHARS_MAX} at most (an international domain as xn--...)"
        )
        raise Rejected("bad_request", f"email: expected {expected}", field="email")
    return key


def clean_name(text: str, field: str = "name") -> str:
    """A name of a person or device as it is kept: NFC, single spaces, nothing invisible.

    Raises: Rejected (bad_request) naming `field`.
    """
    # Cleaning only shortens, but for NFC, which more than triples nothing; so the work is bounded before it is done.
    if len(text) > 4 * NAME_CHARS_MAX:
        raise _bad(field, f"expected 1 to {NAME_CHARS_MAX} characters, got {len(text)}")
    visible = "".join(" " if letter.isspace() else letter for letter in text if not _is_invisible(letter))
    name = unicodedata.normalize("NFC", " ".join(visible.split()))
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise _bad(field, f"expected 1 to {NAME_CHARS_MAX} visible characters, got {len(name)}")
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Co"} for letter in name):
        raise _bad(field, "control characters are not allowed")
    for word in name.split(" "):
        if len(_ALIKE & {unicodedata.name(letter, "").partition(" ")[0] for letter in word}) > 1:
            raise _bad(field, "a word must not mix letters of the Latin, Cyrillic and Greek alphabets")
    return name


def _is_invisible(letter: str) -> bool:
    """Whether it is dropped: format characters (zero-width, direction), variant selectors, and blanks."""
    return letter in _BLANKS or unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f"


def _bad(field: str, said: str) -> Rejected:
    return Rejected("bad_request", f"{field}: {said}", field=field)
