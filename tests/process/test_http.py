"""The application around the routes: problems, headers, health, metrics, the web client."""

from pathlib import Path

import pytest
from quart import Blueprint, Response, abort
from werkzeug.exceptions import BadGateway

from core.base.errors import HTTP_STATUS, ErrorCode, Overloaded, Rejected, TrimaranError, Unavailable
from core.rules.names import OPEN
from sidecars.ports.http import reply, route
from sidecars.process import static
from sidecars.process.http import page_policy
from tests.process.door import Answer, World, serving, web_files

CANARY = "canary-7f3a"


def raising(error: Exception) -> Blueprint:
    """A page on which this is raised."""
    pages = Blueprint("raising", __name__)

    @route(pages, "GET", "/raise", rule=OPEN)
    async def fail() -> Response:
        raise error

    return pages


async def answer_to(error: Exception) -> Answer:
    async with serving(World(raising(error))) as served:
        answer = await served.get("/raise")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json["type"], answer.json["status"]) == ("about:blank", answer.status)
        return answer


# ---- problems


@pytest.mark.parametrize("code", [code for code in HTTP_STATUS if code != "internal"])
async def test_every_code_of_the_contract_is_a_problem_with_its_status(code: ErrorCode) -> None:
    answer = await answer_to(TrimaranError(code, "what it is"))
    assert answer.status == HTTP_STATUS[code]
    assert (answer.json["code"], answer.json["detail"]) == (code, "what it is")
    assert ("Retry-After" in answer.headers) == (answer.status in (429, 503))


async def test_a_field_at_fault_makes_it_422() -> None:
    answer = await answer_to(Rejected("bad_request", "name: required", field="name"))
    assert (answer.status, answer.json["field"]) == (422, "name")


@pytest.mark.parametrize(
    ("error", "status", "seconds"),
    [
        (Overloaded("slower", retry_after_s=0.2), 429, "1"),
        (Overloaded("slower", retry_after_s=899.1), 429, "900"),
        (Unavailable("away", retry_after_s=2), 503, "2"),
    ],
)
async def test_what_may_be_tried_again_says_when(error: TrimaranError, status: int, seconds: str) -> None:
    answer = await answer_to(error)
    assert (answer.status, answer.headers["Retry-After"]) == (status, seconds)
    assert answer.json["retry_after_s"] == error.retry_after_s


@pytest.mark.parametrize(
    "error",
    [
        KeyError(CANARY),
        ExceptionGroup(CANARY, [OSError(CANARY)]),
        BadGateway(CANARY),
        TrimaranError("internal", CANARY),
    ],
)
async def test_what_nobody_foresaw_is_internal_with_an_id_and_no_word_more(error: Exception) -> None:
    answer = await answer_to(error)
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert answer.json["error_id"]
    assert CANARY.encode() not in answer.content
    assert b"Traceback" not in answer.content


async def test_a_foreseen_error_out_of_a_nursery_is_itself() -> None:
    answer = await answer_to(ExceptionGroup("", [Rejected("conflict", "already there")]))
    assert (answer.status, answer.json["code"]) == (409, "conflict")


async def test_what_the_framework_refuses_is_a_problem_too() -> None:
    async with serving(World()) as served:
        missing = await served.get("/nowhere")
        assert (missing.status, missing.json["code"]) == (404, "not_found")
        wrong = await served.post("/healthz", b"")
        assert (wrong.status, wrong.json["code"]) == (405, "bad_request")
        assert set(wrong.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    pages = Blueprint("pages", __name__)

    @route(pages, "GET", "/abort", rule=OPEN)
    async def stop() -> Response:
        abort(413)

    async with serving(World(pages)) as served:
        assert (await served.get("/abort")).json["code"] == "too_large"


# ---- methods and headers


async def test_head_and_options_say_what_get_would() -> None:
    async with serving(World()) as served:
        got = await served.get("/healthz")
        head = await served.ask(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD")
        assert (head.status, head.content) == (200, b"")
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
        options = await served.ask(b"OPTIONS /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS")
        assert options.status == 200
        assert "GET" in options.headers["Allow"]


async def test_every_answer_has_the_security_headers() -> None:
    async with serving(World(raising(KeyError()))) as served:
        for path in ("/healthz", "/nowhere", "/raise", "/metrics"):
            headers = (await served.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert "Server" not in headers


def test_a_page_may_load_from_here_alone_and_nothing_inline() -> None:
    policy = page_policy("chat.test:8080")
    assert "default-src 'self';" in policy
    assert "connect-src 'self' ws://chat.test:8080 wss://chat.test:8080;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080;" in page_policy("[::1]:8080")


@pytest.mark.parametrize("host", ["", "x; script-src *", "a b", "x,y", "x\r\ny", "http://x", "x:y", "*"])
def test_a_host_that_is_none_does_not_get_into_the_policy(host: str) -> None:
    assert page_policy(host) == page_policy("")
    assert "connect-src 'self';" in page_policy(host)


# ---- health and metrics


async def test_health_is_about_living_and_readiness_about_serving() -> None:
    async with serving(World()) as served:
        served.world.not_ready = "draining"
        for prefix in ("", "/chat-service"):
            assert (await served.get(f"{prefix}/healthz")).status == 200
            answer = await served.get(f"{prefix}/readyz")
            assert (answer.status, answer.json["code"], answer.json["detail"]) == (503, "unavailable", "draining")
        served.world.not_ready = None
        assert (await served.get("/readyz")).status == 200
        statistics = await served.get("/chat-service/statistics", {"Authorization": "Bearer operator"})
        assert statistics.json == {"sessions": 3}


async def test_metrics_count_requests_by_route_and_not_by_path() -> None:
    pages = Blueprint("things", __name__)

    @route(pages, "GET", "/things/<thing>", rule=OPEN)
    async def get(thing: str) -> Response:
        return reply({"thing": thing})

    async with serving(World(pages)) as served:
        for path in ("/things/1", "/things/2", "/nowhere/1", "/nowhere/2"):
            await served.get(path)
        text = (await served.get("/metrics")).content.decode()
    assert 'trimaran_http_seconds_count{route="/things/<thing>",service="things"} 2.0' in text
    assert 'trimaran_http_seconds_count{route="",service=""} 2.0' in text


# ---- the web client


async def test_the_web_client_is_served_with_its_types_and_asked_for_anew(tmp_path: Path) -> None:
    files = web_files(tmp_path, [("index.html", "<!doctype html>"), ("app.js", "1"), ("css/a.css", "a{}")])
    async with serving(World(files=files)) as served:
        page = await served.get("/")
        assert (page.status, page.content) == (200, b"<!doctype html>")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Content-Security-Policy"] == page_policy("localhost")
        script = await served.get("/app.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert script.headers["Cache-Control"] == "no-cache"
        assert (await served.get("/css/a.css")).headers["Content-Type"] == "text/css; charset=utf-8"
        for tag in (script.headers["Etag"], "*", f'"x", {script.headers["Etag"]}'):
            again = await served.get("/app.js", {"If-None-Match": tag})
            assert (again.status, again.content) == (304, b"")
        assert (await served.get("/app.js", {"If-None-Match": '"x"'})).status == 200


async def test_what_is_not_part_of_the_web_client_does_not_exist(tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.txt"
    secret.write_text(CANARY, encoding="utf-8")
    (tmp_path / "link.txt").symlink_to(secret)
    names = [".git/config.txt", ".env.txt", "tests/a.js", "node_modules/a.js", "page.py", "sub/index.html"]
    files = web_files(tmp_path, [("index.html", "x"), *((name, CANARY) for name in names)])
    assert set(files) == {"/", "/sub/"}
    traversals = [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/./index.html",
        "//etc/passwd",
        "/link.txt",
    ]
    async with serving(World(files=files)) as served:
        for path in [*traversals, *(f"/{name}" for name in names if name != "sub/index.html")]:
            answer = await served.get(path)
            assert (answer.status, answer.json["code"]) == (404, "not_found"), path
        assert (await served.post("/nowhere", b"")).status == 404


def test_the_web_client_is_found_where_it_lies() -> None:
    found = static.web_root()
    assert found is None or (found / "index.html").is_file()
