"""Every limit of the client in one place, with the relations between them asserted.

What the server announces in `welcome.limits` replaces the numbers marked "until welcome"; the names there are those of
the server's settings in lower case.
"""

from typing import Final

DIAL_S: Final = 10.0
"""Connecting and the WebSocket handshake."""

WRITE_S: Final = 10.0
"""Handing one frame to the socket; a peer that does not read for longer is gone."""

CLOSE_S: Final = 2.0
"""Saying goodbye when the program ends."""

SILENCE_BEFORE_SYNCED_S: Final = 10.0
"""A connection on which nothing came for so long before `synced` is closed."""

HEARTBEAT_S: Final = 25.0
"""Until welcome: after so long without a frame the client asks with `ping`."""

PONG_S: Final = 10.0
"""The answer to that `ping`; else the connection is dead."""

ANSWER_S: Final = 30.0
"""The answer to a send or a pull; later it counts as `unavailable` and is transmitted again."""

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0
"""Full jitter: each delay is drawn evenly from 0 to a bound that doubles from the first to the second."""

STEADY_S: Final = 10.0
"""A connection that stayed for so long after `synced` makes the next back-off start small again."""

ATTEMPTS_MAX: Final = 5
"""Transmissions of a send that is answered `internal` or `unauthenticated`, before the caller is told."""

MARK_INTERVAL_S: Final = 1.0
"""One mark a second and conversation is all that is needed."""

SENDS_PER_S: Final = 20.0
SENDS_BURST: Final = 100.0
FRAMES_PER_S: Final = 100.0
FRAMES_BURST: Final = 500.0
FRAME_BYTES: Final = 65_536
"""Until welcome."""

RATE_SHARE: Final = 0.9
"""The share of a rate that the client uses, so that a jittery network does not make it look too fast."""

SERVER_FRAME_BYTES: Final = 1_048_576
"""Frames above are refused; the server's own limit is a quarter of it."""

EVENTS_MAX: Final = 1_000
"""Events that wait for the application; beyond, entries are left to be pulled."""

OUTBOX_ITEMS_MAX: Final = 10_000
"""Messages that wait to be acknowledged."""

PULLS_MAX: Final = 4
"""Conversations that are caught up at one time."""

PULL_LIMIT: Final = 100
PULL_LIMIT_MAX: Final = 200
"""Entries of a page: the usual number, and the most that the server gives."""

UNREAD_TRACKED_MAX: Final = 1_000
"""Unread texts per conversation whose seqs are remembered; older ones are only counted."""

TIMELINE_TEXTS_MAX: Final = 1_000
"""Texts that a `Timeline` keeps."""

HTTP_S: Final = 30.0
"""One REST call."""

REFRESH_ATTEMPTS: Final = 3
"""A refresh whose reply was lost is repeated at once: the server takes the same token again for some seconds."""

RENEW_SHARE: Final = 0.75
"""The share of an access token's life after which it is renewed."""

assert BACKOFF_FIRST_S < BACKOFF_MAX_S
assert FRAME_BYTES < SERVER_FRAME_BYTES
assert PULL_LIMIT <= PULL_LIMIT_MAX <= EVENTS_MAX
assert PONG_S < HEARTBEAT_S
assert 0 < RENEW_SHARE < 1
