"""Who may write, change and delete in a conversation."""

from typing import get_args

import pytest
from msgspec.structs import replace

from core.base.errors import Rejected
from core.base.records import Entry, Kind, Role
from core.rules.conversations import may_read, may_refer, may_write
from tests.contracts.people import ANN, BOB, entry

ROLES = [*get_args(Role), "none", ""]
CLIENT_KINDS: list[Kind] = ["text", "edit", "delete", "reaction"]


def told(refused: Rejected | None) -> str:
    return "ok" if refused is None else refused.code


@pytest.mark.parametrize("role", ROLES)
def test_members_write_readers_do_not_and_others_are_strangers(role: str) -> None:
    expected = {"reader": "forbidden", "none": "not_found", "": "not_found"}.get(role, "ok")
    assert told(may_write(role)) == expected


@pytest.mark.parametrize("role", ROLES)
def test_who_is_or_was_a_member_reads(role: str) -> None:
    assert told(may_read(role)) == ("ok" if role else "not_found")


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
@pytest.mark.parametrize("kind", CLIENT_KINDS)
@pytest.mark.parametrize("is_author", [True, False])
def test_authors_edit_authors_and_admins_delete_and_everyone_reacts(kind: Kind, role: str, is_author: bool) -> None:
    may = is_author or kind in ("text", "reaction") or (kind == "delete" and role in ("owner", "admin"))
    sender = ANN if is_author else BOB
    assert told(may_refer(kind, sender, role, entry(3), 1)) == ("ok" if may else "forbidden")


@pytest.mark.parametrize("kind", CLIENT_KINDS)
@pytest.mark.parametrize(
    "target",
    [
        None,
        entry(3, kind="edit", ref=1),
        entry(3, kind="delete", ref=1),
        entry(3, kind="reaction", ref=1),
        entry(3, kind="member"),
        entry(3, kind="group"),
        entry(1),
        entry(3, sender=BOB, hidden_from=ANN),
    ],
)
def test_what_is_no_message_or_not_to_be_seen_is_not_found_and_nothing_tells_which(
    kind: Kind, target: Entry | None
) -> None:
    refused = may_refer(kind, ANN, "owner", target, first=2)
    assert refused is not None
    missing = may_refer(kind, ANN, "owner", None, first=2)
    assert missing is not None
    assert (refused.code, refused.message, refused.field) == (missing.code, missing.message, "ref")
    assert refused.code == "not_found"


@pytest.mark.parametrize(
    ("kind", "expected"), [("text", "ok"), ("edit", "not_found"), ("delete", "ok"), ("reaction", "not_found")]
)
def test_a_deleted_message_may_be_answered_and_deleted_again_only(kind: Kind, expected: str) -> None:
    emptied = replace(entry(3), is_emptied=True)
    assert told(may_refer(kind, ANN, "member", emptied, 1)) == expected
