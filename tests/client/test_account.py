"""REST: paths, bodies, typed answers, errors, and the life of tokens."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from tests.client.client_driver import FixedClock
from tests.client.model_server import DIRECT, GROUP, ME, OTHER
from trimaran_client import Account, ApiError, Member, SignedIn, Unreachable
from trimaran_client.limits import REFRESH_ATTEMPTS
from trimaran_client.rest import http_address, socket_address

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class FakeRest:
    """Answers calls from a list, and signs everybody in with a new pair of tokens each time."""

    def __init__(self, *answers: Answer | Callable[[], Exception]) -> None:
        self.answers = list(answers)
        self.calls: list[httpx.Request] = []
        self.signed_in = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        is_auth = request.url.path.startswith("/user-service/auth/") and not request.url.path.endswith("logout")
        if self.answers and (not is_auth or callable(self.answers[0])):
            answer = self.answers.pop(0)
            if callable(answer):
                raise answer()
            status, body, *headers = answer
            return httpx.Response(status, json=body, headers=headers[0] if headers else {})
        assert is_auth, request.url
        self.signed_in += 1
        return httpx.Response(200, json=self.tokens(self.signed_in))

    def tokens(self, number: int) -> dict[str, Any]:
        return {
            "user": {"id": ME, "name": "Ann", "email": "ann@example.test", "since": "extra"},
            "device": "dev",
            "access_token": f"access{number}",
            "refresh_token": f"refresh{number}",
            "token_type": "Bearer",
            "expires_in_s": 900,
        }

    def seen(self) -> list[tuple[str, str, Any]]:
        """Method, path with query, and body of each call after the sign-in."""
        return [
            (call.method, call.url.raw_path.decode(), json.loads(call.content) if call.content else None)
            for call in self.calls[1:]
        ]


def account(fake: FakeRest, clock: FixedClock | None = None, **more: Any) -> Account:
    http = httpx.AsyncClient(transport=httpx.MockTransport(fake))
    return Account("http://server.test:8080/", http=http, clock=clock or FixedClock(), **more)


async def test_register_and_login_send_what_is_given_and_keep_the_tokens() -> None:
    fake, kept = FakeRest(), list[SignedIn]()
    ann = account(fake, on_tokens=kept.append)
    await ann.register("ann@example.test", "Ann", "secret", device_name="phone")
    signed_in = await ann.login("ann@example.test", "secret")
    assert (signed_in.user.id, signed_in.user.email, signed_in.access_token) == (ME, "ann@example.test", "access2")
    assert [tokens.refresh_token for tokens in kept] == ["refresh1", "refresh2"]
    register = json.loads(fake.calls[0].content)
    assert register == {"email": "ann@example.test", "name": "Ann", "password": "secret", "device_name": "phone"}
    assert json.loads(fake.calls[1].content) == {"email": "ann@example.test", "password": "secret"}
    assert "authorization" not in fake.calls[0].headers


async def test_each_method_calls_its_route() -> None:
    page = {"conversation": DIRECT, "messages": [], "first": 1, "head": 0, "more": False, "skip": []}
    group = {
        "id": "1",
        "conversation": GROUP,
        "name": "G",
        "history": "joined",
        "members": [{"user": ME, "role": "owner"}],
    }
    ack = {"client_id": "c", "conversation": DIRECT, "seq": 4, "time_ms": 1, "duplicate": False}
    fake = FakeRest(
        (200, {"users": [{"id": OTHER, "name": "Bob"}]}),
        (200, [{"id": OTHER, "name": "Bob"}]),
        (201, group),
        (200, group),
        (204, None),
        (201, {"code": "abc"}),
        (200, group),
        (200, page),
        (201, ack),
        (200, {"messages": [], "more": False}),
        (200, {"conversations": [{"conversation": DIRECT}], "cursor": "next"}),
        (200, {"messages": [{"seq": 1, "conversation": DIRECT}], "more": True}),
        (204, None),
        (204, None),
    )
    ann = account(fake)
    await ann.login("a", "b")
    assert [user.name for user in await ann.search_users("bo b")] == ["Bob"]
    assert [user.id for user in await ann.users([OTHER, ME])] == [OTHER]
    made = await ann.create_group("G", [OTHER, Member(user=ME, role="admin")], history="shared")
    assert made.members == [Member(user=ME, role="owner")]
    await ann.add_members("1", [OTHER])
    await ann.remove_member("1", OTHER)
    assert (await ann.create_invite("1", uses=3)).code == "abc"
    assert (await ann.accept_invite("a/b")).conversation == GROUP
    assert (await ann.messages(DIRECT, before=9, limit=5)).head == 0
    assert (await ann.send(DIRECT, "hi", client_id="c")).seq == 4
    assert not (await ann.search("hi", conversation=GROUP)).more
    assert (await ann.conversations(limit=1)).cursor == "next"
    assert (await ann.pending()).messages[0].seq == 1
    await ann.delivered(DIRECT, 7)
    await ann.logout()
    assert fake.seen() == [
        ("GET", "/user-service/users?search=bo+b", None),
        ("GET", f"/user-service/users?ids={OTHER}%2C{ME}", None),
        (
            "POST",
            "/group-service/groups",
            {"name": "G", "members": [{"user": OTHER}, {"user": ME, "role": "admin"}], "history": "shared"},
        ),
        ("POST", "/group-service/groups/1/members", {"members": [{"user": OTHER}]}),
        ("DELETE", f"/group-service/groups/1/members/{OTHER}", None),
        ("POST", "/group-service/groups/1/invites", {"uses": 3}),
        ("POST", "/group-service/invites/a%2Fb/accept", None),
        ("GET", f"/message-service/conversations/{DIRECT}/messages?before=9&limit=5", None),
        (
            "POST",
            f"/message-service/conversations/{DIRECT}/messages",
            {"client_id": "c", "kind": "text", "body": {"text": "hi"}},
        ),
        ("GET", f"/group-message-service/search?q=hi&conversation={GROUP.replace(':', '%3A')}", None),
        ("GET", "/relay-service/conversations?limit=1", None),
        ("GET", "/relay-service/pending", None),
        ("POST", "/relay-service/delivered", {"conversation": DIRECT, "seq": 7}),
        ("POST", "/user-service/auth/logout", None),
    ]
    assert {call.headers["authorization"] for call in fake.calls[1:]} == {"Bearer access1"}
    assert ann.renew_in_s() is None, "signed out"


async def test_a_problem_becomes_an_error_with_its_parts() -> None:
    problem = {
        "type": "about:blank",
        "title": "No",
        "status": 422,
        "code": "bad_request",
        "detail": "x",
        "field": "name",
    }
    fake = FakeRest((422, problem), (429, {"code": "rate_limited"}, {"Retry-After": "7"}), (502, "<html>"))
    ann = account(fake)
    await ann.login("a", "b")
    with pytest.raises(ApiError) as first:
        await ann.me()
    error = first.value
    assert (error.code, error.status, error.field, error.message) == ("bad_request", 422, "name", "x")
    with pytest.raises(ApiError) as second:
        await ann.me()
    assert (second.value.code, second.value.retry_after_s) == ("rate_limited", 7.0)
    with pytest.raises(ApiError) as third:
        await ann.me()
    assert (third.value.code, third.value.status) == ("unavailable", 502)


async def test_no_answer_and_a_senseless_answer_are_unreachable() -> None:
    fake = FakeRest(lambda: httpx.ConnectError("refused"), (200, {"name": "no id"}), (200, {"others": []}))
    ann = account(fake)
    with pytest.raises(Unreachable, match="refused"):
        await ann.login("a", "b")
    await ann.login("a", "b")
    with pytest.raises(Unreachable):
        await ann.me()
    with pytest.raises(Unreachable):
        await ann.search_users("x")


async def test_a_token_is_renewed_before_it_ends() -> None:
    fake, clock = FakeRest((200, {"id": ME}), (200, {"id": ME})), FixedClock()
    ann = account(fake, clock)
    await ann.login("a", "b")
    assert ann.renew_in_s() == 675
    await ann.me()
    clock.s += 675
    assert ann.renew_in_s() == 0
    await ann.me()
    assert [call.headers.get("authorization") for call in fake.calls] == [
        None,
        "Bearer access1",
        None,
        "Bearer access2",
    ]
    assert json.loads(fake.calls[2].content) == {"refresh_token": "refresh1"}


async def test_a_token_that_the_server_has_forgotten_is_replaced_once() -> None:
    fake = FakeRest((401, {"code": "unauthenticated"}), (200, {"id": ME}), (401, {}), (401, {}))
    ann = account(fake)
    await ann.login("a", "b")
    assert (await ann.me()).id == ME
    with pytest.raises(ApiError) as caught:
        await ann.me()
    assert caught.value.code == "unauthenticated"
    assert fake.signed_in == 3


async def test_many_calls_at_one_moment_spend_the_refresh_token_once() -> None:
    fake, clock = FakeRest(*[(200, {"id": ME})] * 5), FixedClock()
    ann = account(fake, clock)
    await ann.login("a", "b")
    clock.s += 700
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ann.me)
    assert fake.signed_in == 2


async def test_a_refresh_whose_reply_was_lost_is_repeated_with_the_same_token() -> None:
    lost: list[Answer | Callable[[], Exception]] = [lambda: httpx.ReadTimeout("lost")] * (REFRESH_ATTEMPTS - 1)
    fake = FakeRest(*lost)
    ann = account(fake)
    ann.resume("old")
    assert await ann.fresh() == "access1"
    assert [json.loads(call.content)["refresh_token"] for call in fake.calls] == ["old"] * REFRESH_ATTEMPTS


async def test_a_forced_refresh_of_many_makes_one_new_token() -> None:
    fake = FakeRest()
    ann = account(fake)
    await ann.login("a", "b")
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(lambda: ann.fresh(force=True))
    assert fake.signed_in == 2


async def test_without_signing_in_nothing_is_asked() -> None:
    fake = FakeRest()
    with pytest.raises(ApiError, match="log in first"):
        await account(fake).me()
    assert not fake.calls


@pytest.mark.parametrize(
    ("given", "http", "socket"),
    [
        ("http://a.test:8080", "http://a.test:8080", "ws://a.test:8080/chat/ws"),
        ("https://a.test/", "https://a.test", "wss://a.test/chat/ws"),
        ("https://a.test/base/", "https://a.test/base", "wss://a.test/base/chat/ws"),
        ("ws://a.test/chat/ws", "http://a.test", "ws://a.test/chat/ws"),
        ("wss://a.test/chat/n1/ws", "https://a.test", "wss://a.test/chat/n1/ws"),
    ],
)
def test_one_address_gives_both(given: str, http: str, socket: str) -> None:
    assert (http_address(given), socket_address(given)) == (http, socket)


@pytest.mark.parametrize("url", ["", "a.test", "ftp://a.test", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        socket_address(url)
