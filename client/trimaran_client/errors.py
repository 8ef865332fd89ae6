"""What can go wrong, one class for each situation that a caller can answer differently."""


class ChatError(Exception):
    """The base of everything that this package raises on purpose."""


class Rejected(ChatError):
    """The server answered with an error: `code` is one of the names of the protocol.

    `unavailable` and `rate_limited` are retried by the client itself, so that a caller sees the permanent ones.
    """

    def __init__(
        self, code: str, message: str = "", *, field: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code, message, field)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        where = f" ({self.field})" if self.field else ""
        return f"{self.code}{where}: {self.message}" if self.message else f"{self.code}{where}"


class ApiError(Rejected):
    """A REST call was answered with a problem: `status` is its HTTP status."""

    def __init__(
        self,
        code: str,
        status: int,
        message: str = "",
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, field=field, retry_after_s=retry_after_s)
        self.status = status


class Unreachable(ChatError):
    """No answer: the network, the name or the time. Nothing is known about what the server did."""


class ChatClosed(ChatError):
    """The chat is over and does not reconnect; `code` is the WebSocket close code, 1000 when its user closed it."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed ({code}): {reason}" if reason else f"closed ({code})")
        self.code = code
        self.reason = reason


class OutboxFull(ChatError):
    """So many messages wait for their acknowledgement that no more is taken."""


class OutboxInUse(ChatError):
    """The outbox file belongs to another running program, or to another user."""


class TransportClosed(ChatError):
    """The connection ended; `code` is None when no Close frame came."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"closed ({code}): {reason}" if reason else f"closed ({code})")
        self.code = code
        self.reason = reason


class DialFailed(ChatError):
    """No connection came about; `status` is the HTTP status where the server refused the handshake."""

    def __init__(self, reason: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(f"{reason} (HTTP {status})" if status else reason)
        self.reason = reason
        self.status = status
        self.retry_after_s = retry_after_s


class OutboxBroken(ChatError):
    """The outbox file cannot be written (the disk is full, say): the message is not sent."""
