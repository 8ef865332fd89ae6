"""What the entries of a group's log make of it."""

import msgspec
import pytest

from core.base.records import GroupBody, GroupState, Kind, MemberBody
from core.rules.membership import after, no_group
from tests.contracts.people import ANN, BOB, CID, D, entry

BEGUN = GroupState(D, 1, "Rowing", "joined", {ANN: "owner", BOB: "reader"}, 1_001)


def then(state: GroupState, kind: Kind, body: MemberBody | GroupBody | None = None) -> GroupState:
    return after(state, entry(state.seq + 1, conversation=D, kind=kind, body=msgspec.json.encode(body or {})))


def test_the_first_entry_makes_the_group() -> None:
    roles = {ANN: "owner", BOB: "reader"}
    body = MemberBody(ANN, [ANN, BOB], roles=roles, name="Rowing", history="joined")  # type: ignore[arg-type]
    assert then(no_group(D), "member", body) == BEGUN


def test_members_come_in_their_roles_and_go() -> None:
    come = then(BEGUN, "member", MemberBody(ANN, [CID]))
    assert come == GroupState(D, 2, "Rowing", "joined", {ANN: "owner", BOB: "reader", CID: "member"}, 1_001)
    assert then(come, "member", MemberBody(ANN, removed=[BOB])).members == {ANN: "owner", CID: "member"}
    assert then(come, "member", MemberBody(ANN, removed=[BOB], added=[BOB])).members[BOB] == "member"


def test_a_deletion_leaves_nobody() -> None:
    assert then(BEGUN, "member", MemberBody(ANN, removed=[ANN], deleted=True)).members == {}


def test_a_change_of_the_group_changes_what_it_names() -> None:
    assert then(BEGUN, "group", GroupBody(ANN, name="Sailing")) == GroupState(
        D, 2, "Sailing", "joined", BEGUN.members, 1_001
    )
    assert then(BEGUN, "group", GroupBody(ANN, history="shared")).history == "shared"
    changed = then(BEGUN, "group", GroupBody(ANN, roles={BOB: "admin", CID: "admin"}))
    assert changed.members == {ANN: "owner", BOB: "admin"}


@pytest.mark.parametrize("kind", ["text", "edit", "delete", "reaction"])
def test_other_entries_move_the_seq_alone(kind: Kind) -> None:
    assert then(BEGUN, kind) == GroupState(D, 2, "Rowing", "joined", BEGUN.members, 1_001)
