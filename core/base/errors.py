"""Errors by fault, and the one table that maps them to close codes, `error` codes, HTTP and gRPC status.

Who is at fault decides the class: the peer broke the WebSocket protocol (`ProtocolViolation`), asked for something that is not to be had
(`Rejected`), asked for too much (`Overloaded`); or we cannot serve now (`Unavailable`, `DeadlineExceeded`). Foreign exceptions are mapped
in the file that called the library. Anything else is a bug of ours and shows as `internal`.
"""

from typing import Final, Literal

ErrorCode = Literal[
    "bad_request",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "too_large",
    "rate_limited",
    "unavailable",
    "internal",
]

HTTP_STATUS: Final[dict[ErrorCode, int]] = {
    "bad_request": 400,  # 422 where a field of a REST body is at fault, see http_status
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "unavailable": 503,
    "internal": 500,
}

GRPC_STATUS: Final[dict[ErrorCode, str]] = {
    "bad_request": "INVALID_ARGUMENT",
    "unauthenticated": "UNAUTHENTICATED",
    "forbidden": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "conflict": "ABORTED",
    "too_large": "INVALID_ARGUMENT",
    "rate_limited": "RESOURCE_EXHAUSTED",
    "unavailable": "UNAVAILABLE",
    "internal": "INTERNAL",
}


class Close:
    """Close codes: RFC 6455 section 7.4.1, and ours (4000-4099: reconnect; 4500-4599: do not)."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    PROTOCOL_ERROR: Final = 1002
    UNSUPPORTED_DATA: Final = 1003
    NO_STATUS: Final = 1005  # never on the wire: the peer's Close frame had no code
    ABNORMAL: Final = 1006  # never on the wire: the connection went without a Close frame
    INVALID_DATA: Final = 1007
    POLICY_VIOLATION: Final = 1008
    TOO_BIG: Final = 1009
    INTERNAL: Final = 1011
    MOVED: Final = 4000
    DRAINING: Final = 4001
    OVERLOADED: Final = 4002
    TOKEN_EXPIRED: Final = 4003
    OUTBOX_STUCK: Final = 4004
    HEARTBEAT_MISSED: Final = 4005
    UNAUTHENTICATED: Final = 4500
    NO_HELLO: Final = 4501
    SESSION_REVOKED: Final = 4502
    REPLACED: Final = 4503
    ABUSE: Final = 4504


class TrimaranError(Exception):
    """What all our errors have: a code of the contract, a message for people, and what a client needs to react."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message
        self.field: Final = field
        self.retry_after_s: Final = retry_after_s


class ProtocolViolation(Exception):
    """The peer broke the WebSocket protocol: the connection gets a Close frame with `close_code` and ends."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code: Final = close_code
        self.reason: Final = reason


class Rejected(TrimaranError):
    """The request is understood and refused; repeating it changes nothing."""


class Overloaded(TrimaranError):
    """The caller asks for more than its share, or a bounded queue is full: later it may work."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__("rate_limited", message, retry_after_s=retry_after_s)


class Unavailable(TrimaranError):
    """A store, a service or the owner is away: nothing is known to be done; repeat with the same `client_id`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__("unavailable", message, retry_after_s=retry_after_s)


class DeadlineExceeded(Unavailable):
    """An answer did not come in time: the outcome is unknown; repeat with the same `client_id`."""


def http_status(error: TrimaranError) -> int:
    """The HTTP status of an error: a field of a body that is at fault is 422 (RFC 9110, section 15.5.21)."""
    if error.code == "bad_request" and error.field is not None:
        return 422
    return HTTP_STATUS[error.code]


def not_found(what: str) -> Rejected:
    """The one answer for what does not exist and for what exists but is not the asker's."""
    return Rejected("not_found", f"no such {what}")
