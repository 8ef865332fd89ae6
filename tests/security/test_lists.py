"""Lists: limits are checked, cursors are opaque and one's own, and text in a query is text."""

import base64
import json
import re
from urllib.parse import quote

import pytest

from tests.security.world import Person, Target, direct, messages, new_id

LISTS = {
    "groups": ("/group-service/groups", "groups"),
    "conversations": ("/relay-service/conversations", "conversations"),
}
"""Lists in pages: their path, and under which name the items come."""

SQL = [
    "' OR 1=1 --",
    "'; DROP TABLE users; --",
    "%",
    "_",
    "*",
    '"',
    "\\",
    "x' UNION SELECT password_hash FROM users --",
]


@pytest.fixture(scope="module")
def rich(target: Target) -> Person:
    """One with several groups and conversations."""
    ann, *others = target.people("Ann", "Bob", "Cy", "Dan", "Eve")
    for other in others:
        ann.say(direct(ann, other))
        ann.group(other)
    return ann


@pytest.mark.parametrize(
    "limit", ["-1", "0", "201", "1000000000", "9" * 30, "text", "", "1.5", "1e2", "+5", " 5", "٥", "0x5", "5;"]
)
@pytest.mark.parametrize("kind", [*LISTS, "pending", "messages"])
def test_a_limit_that_cannot_be_is_named(rich: Person, kind: str, limit: str) -> None:
    if kind == "messages":
        path = messages(rich.group()["conversation"])
    else:
        path = LISTS[kind][0] if kind in LISTS else "/relay-service/pending"
    answer = rich.rest("GET", f"{path}?limit={quote(limit)}")
    assert (answer.status, answer.problem["field"]) == (422, "limit")


@pytest.mark.parametrize("kind", LISTS)
def test_cursors_lead_through_the_whole_list_once(rich: Person, kind: str) -> None:
    path, name = LISTS[kind]
    whole = rich.rest("GET", f"{path}?limit=200").json[name]
    found, query = [], ""
    while True:
        page = rich.rest("GET", f"{path}?limit=1{query}").json
        found += page[name]
        if "cursor" not in page:
            break
        query = f"&cursor={page['cursor']}"
    assert [each["conversation"] for each in found] == [each["conversation"] for each in whole]


@pytest.mark.parametrize("kind", LISTS)
def test_a_cursor_that_was_altered_or_made_up_is_refused(rich: Person, kind: str) -> None:
    path, _ = LISTS[kind]
    good = rich.rest("GET", f"{path}?limit=1").json["cursor"]
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    made_up = base64.urlsafe_b64encode(json.dumps(new_id()).encode()).decode()
    # The payload can be read, but what is put in its place has no seal.
    forged = base64.urlsafe_b64encode(raw[:16] + json.dumps(new_id()).encode()).decode().rstrip("=")
    for cursor in (
        good[:-2],
        "A" + good[1:] if good[0] != "A" else "B" + good[1:],
        good + "AAAA",
        forged,
        made_up,
        "0",
        "null",
        "x" * 2_000,
        *SQL,
    ):
        answer = rich.rest("GET", f"{path}?cursor={quote(cursor, safe='')}")
        assert (answer.status, answer.problem["field"]) == (422, "cursor"), cursor


@pytest.mark.parametrize("kind", LISTS)
def test_a_cursor_of_another_user_or_list_is_refused(target: Target, rich: Person, kind: str) -> None:
    path, _ = LISTS[kind]
    cursor = rich.rest("GET", f"{path}?limit=1").json["cursor"]
    assert target.register().rest("GET", f"{path}?cursor={cursor}").problem["field"] == "cursor"
    for other, _ in LISTS.values():
        if other != path:
            assert rich.rest("GET", f"{other}?cursor={cursor}").problem["field"] == "cursor"
    assert rich.rest("GET", f"{path}?cursor={cursor}&cursor={cursor}").problem["field"] == "cursor"


@pytest.mark.parametrize("text", SQL)
def test_what_is_searched_for_is_text(target: Target, text: str) -> None:
    person, unrelated = target.people(f"look {text} here", "Zacharias")
    found = person.rest("GET", f"/user-service/users?search={quote(text)}").json["users"]
    words = re.findall(r"\w+", text)
    assert all(word in each["name"] for each in found for word in words)
    assert bool(found) == bool(words)
    assert unrelated.id not in {each["id"] for each in found}


@pytest.mark.parametrize("text", [*SQL, "../../etc/passwd", "x" * 3_000, "ä" * 100, "\u202e", "' OR '1'='1"])
def test_an_id_that_is_no_id_is_not_found_or_refused(rich: Person, text: str) -> None:
    part = quote(text, safe="")
    for path in (
        f"/user-service/users/{part}",
        f"/user-service/users?ids={part}",
        f"/last-seen-service/users/{part}",
        f"/last-seen-service/users?ids={part}",
        f"/group-service/groups/{part}",
        f"/message-service/conversations/{part}/messages",
        f"/group-message-service/conversations/{part}/messages",
        f"/relay-service/conversations/{part}",
    ):
        answer = rich.rest("GET", path)
        assert answer.status in (400, 404, 405, 422) or answer.json == {"users": []}, path
    for method, path in (
        ("DELETE", f"/user-service/users/me/devices/{part}"),
        ("PUT", f"/user-service/users/me/blocks/{part}"),
        ("DELETE", f"/user-service/users/me/blocks/{part}"),
        ("POST", f"/group-service/invites/{part}/accept"),
        ("PUT", f"/relay-service/conversations/{part}/mute"),
    ):
        assert rich.rest(method, path).status in (204, 400, 404, 422), path


def test_too_many_ids_are_refused(rich: Person) -> None:
    many = ",".join(new_id() for _ in range(201))
    for path in ("/user-service/users", "/last-seen-service/users"):
        answer = rich.rest("GET", f"{path}?ids={many}")
        assert (answer.status, answer.problem["field"]) == (422, "ids")


def test_a_search_shows_no_addresses_and_nobody_by_a_part_of_one(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    for text in (bob.email, bob.email.upper()):
        (found,) = ann.rest("GET", f"/user-service/users?search={quote(text)}").json["users"]
        assert found == {"id": bob.id, "name": bob.name}
    for text in (bob.email[:-1], bob.email.split("@")[0], "@people.test"):
        assert ann.rest("GET", f"/user-service/users?search={quote(text)}").json["users"] == []
    assert ann.rest("GET", f"/user-service/users/{bob.id}").json == {"id": bob.id, "name": bob.name}
