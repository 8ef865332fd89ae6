"""Records whose JSON clients see."""

import msgspec

from core.base.ids import UserId
from core.base.records import MemberBody


def test_a_member_entry_always_says_who_was_added_and_who_removed() -> None:
    assert msgspec.json.decode(msgspec.json.encode(MemberBody(UserId("ann"), removed=[UserId("bob")]))) == {
        "by": "ann",
        "added": [],
        "removed": ["bob"],
    }
