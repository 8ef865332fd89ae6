"""Logs: events with ids, one a line; for people on a terminal, as JSON everywhere else.

An event never carries what people wrote or what proves who they are: fields with such names are blotted out, and of an
exception only its type and its place are told, since its text may quote anything. The hot path counts
(core/base/metrics.py); it does not log.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog

from core.base.clock import Clock

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]
Logger = structlog.typing.FilteringBoundLogger
Event = MutableMapping[str, Any]

BLOTTED: Final = "[withheld]"
FRAMES_MAX: Final = 12
TEXT_CHARS_MAX: Final = 300

_WITHHELD: Final = (
    "authorization", "body", "cipher", "cookie", "credential", "email", "header", "jwt", "password", "passwd",
    "payload", "query", "secret", "text", "token",
)  # fmt: skip
"""Parts of the names of fields that may hold a secret or a person's words."""

_NUMBERS_ABOUT: Final = ("_s", "_ms", "_bytes", "_chars", "_count")
"""Endings of names that tell how long or how many, which is no secret: `body_bytes`."""


def configure(clock: Clock, *, level: Level = "info", style: Format = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for the whole process; libraries that log by the standard module come out in the same form.

    `auto`: for people where `stream` (standard error by default) is a terminal.
    """
    out = stream if stream is not None else sys.stderr
    is_for_people = style == "console" or (style == "auto" and out.isatty())
    lowest = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _Stamp(clock),
            tell_exceptions,
            withhold,
            structlog.dev.ConsoleRenderer(colors=out.isatty()) if is_for_people else _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_FromLibraries()], level=max(lowest, logging.WARNING), force=True)


def logger(part: str) -> Logger:
    """The logger of a part of the process."""
    found: Logger = structlog.get_logger(part=part)
    return found


def withhold(_logger: object, _method: str, event: Event) -> Event:
    """Blot out fields that must not be logged, also inside of dicts and lists, and cut what is long."""
    for name, value in event.items():
        event[name] = _fit(name, value)
    return event


def _fit(name: str, value: object) -> object:
    lowered = name.lower()
    if any(part in lowered for part in _WITHHELD):
        is_number = isinstance(value, int | float) and lowered.endswith(_NUMBERS_ABOUT)
        return value if is_number else BLOTTED
    if isinstance(value, dict):
        return {str(key): _fit(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_fit("", inner) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        return value[:TEXT_CHARS_MAX] + "…"
    return value


def tell_exceptions(_logger: object, _method: str, event: Event) -> Event:
    """Replace `exc_info` by the types and places of the exceptions, without their texts."""
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["error"] = kinds_of(error)
        event["at"] = places_of(error)
    return event


def kinds_of(error: BaseException) -> str:
    """The type of an exception, and of a group's members: `ExceptionGroup(KeyError, OSError)`."""
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}({', '.join(sorted(map(kinds_of, error.exceptions)))})"[:TEXT_CHARS_MAX]
    return type(error).__name__


def places_of(error: BaseException) -> list[str]:
    """Where an exception came from, innermost last: `file:line function`. Of a group, where its first member did."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = [_place(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return frames[-FRAMES_MAX:]


def _place(frame: FrameType, line: int) -> str:
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-3:])}:{line} {code.co_name}"


class _Stamp:
    """Adds the time, by the process's clock: a replayed run has the same log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        moment = datetime.fromtimestamp(self._clock.wall_ms() / 1_000, UTC)
        event["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event


def _to_json(_logger: object, _method: str, event: Event) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):  # a key that is no text, a lone surrogate: still worth a line
        return msgspec.json.encode(
            {"event": ascii(event.get("event")), "unprintable": sorted(map(ascii, event))}
        ).decode()


class _FromLibraries(logging.Handler):
    """Hands what a library logs to structlog: who, how bad, which message - with neither its arguments nor a trace."""

    def emit(self, record: logging.LogRecord) -> None:
        # `msg` is the library's own template; the arguments may be anything that came in.
        extra = {"exc_info": record.exc_info} if record.exc_info else {}
        logger("library").log(record.levelno, "library", logger=record.name, template=str(record.msg), **extra)
