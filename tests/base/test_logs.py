"""Logs: an event a line, and never what people wrote or what proves who they are."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core.base import logs
from core.base.clock import ManualClock

CANARY = "canary-7f3a"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where the log goes; afterwards everything is as before."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure(ManualClock(), level="debug", stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_a_line_of_json_with_time_level_part_and_ids(out: io.StringIO) -> None:
    logs.logger("router").info("session opened", session="s1", user="u1", frames=3)
    assert lines(out) == [
        {
            "part": "router",
            "session": "s1",
            "user": "u1",
            "frames": 3,
            "event": "session opened",
            "level": "info",
            "timestamp": "2027-01-15T08:00:00.000Z",
        }
    ]


@pytest.mark.parametrize(
    "field",
    ["token", "access_token", "refreshToken", "password", "Authorization", "body", "email", "text", "client_secret",
     "cookie", "headers", "query", "tokens", "payload", "ciphertext"],
)  # fmt: skip
def test_a_field_that_may_hold_a_secret_is_blotted_out(field: str, out: io.StringIO) -> None:
    logger = logs.logger("user")
    logger.info("x", **{field: CANARY})
    logger.info("x", request={field: CANARY}, more=[{field: {"deep": CANARY}}])
    logger.bind(**{field: CANARY}).info("x")
    assert CANARY not in out.getvalue()
    assert lines(out)[0][field] == logs.BLOTTED


def test_numbers_about_a_secret_are_none(out: io.StringIO) -> None:
    logs.logger("http").info("x", body_bytes=5, access_token_s=900)
    assert (lines(out)[0]["body_bytes"], lines(out)[0]["access_token_s"]) == (5, 900)


def test_bytes_and_long_texts_are_not_spelled_out(out: io.StringIO) -> None:
    logs.logger("http").info("x", frame=CANARY.encode(), name="n" * 10_000)
    assert lines(out)[0]["frame"] == "[11 bytes]"
    assert len(lines(out)[0]["name"]) <= logs.TEXT_CHARS_MAX + 1


def test_an_exception_is_told_by_type_and_place_without_its_text(out: io.StringIO) -> None:
    try:
        raise ExceptionGroup(CANARY, [KeyError(CANARY), OSError(CANARY)])
    except ExceptionGroup:
        logs.logger("http").exception("failed")
    assert CANARY not in out.getvalue()
    (event,) = lines(out)
    assert event["error"] == "ExceptionGroup(KeyError, OSError)"
    logs.logger("http").error("failed", exc_info=_raised())
    assert lines(out)[1]["error"] == "ValueError"
    assert lines(out)[1]["at"][-1].endswith(" _raised")


def _raised() -> ValueError:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        return error


def test_what_cannot_be_encoded_is_still_a_line(out: io.StringIO) -> None:
    logs.logger("http").info("x", name="\ud800", other={1: object()})
    logs.logger("http").info("x", names={"a": {2, 3}})
    assert len(lines(out)) == 2


def test_libraries_come_out_in_the_same_form_without_their_arguments(out: io.StringIO) -> None:
    logging.getLogger("some.library").warning("could not parse %s", CANARY)
    logging.getLogger("some.library").info("chatter")
    assert CANARY not in out.getvalue()
    (event,) = lines(out)
    assert (event["logger"], event["template"], event["level"]) == ("some.library", "could not parse %s", "warning")


def test_below_the_level_nothing_is_written(out: io.StringIO) -> None:
    logs.configure(ManualClock(), level="warning", stream=out)
    logs.logger("http").info("x")
    assert out.getvalue() == ""


def test_on_a_terminal_it_is_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    logs.configure(ManualClock(), stream=out)
    try:
        logs.logger("http").info("listening", port=8080)
    finally:
        structlog.reset_defaults()
    assert "listening" in out.getvalue()
    assert not out.getvalue().startswith("{")
