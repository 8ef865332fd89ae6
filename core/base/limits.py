"""Every bound of the system, in one place, with the relations between them asserted.

`Limits` are those that an operator may set (`TRIMARAN_LIMIT_<NAME>`) and clients are told (`welcome.limits`). The constants below are of
our own making: they bound queues, batches and loops inside, and changing one is a matter of measurement, not of taste.
"""

from dataclasses import dataclass, fields
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settable limits; each field is `TRIMARAN_LIMIT_` and its name in capitals. A rate of 0 is switched off."""

    sends_per_s: int = 20
    sends_burst: int = 100
    frames_per_s: int = 100
    frames_burst: int = 500
    frame_bytes: int = 64 * KIB
    body_bytes: int = 16 * KIB
    server_frame_bytes: int = 256 * KIB
    devices_per_user: int = 20
    connections_per_user: int = 20
    logins_per_hour: int = 60
    registrations_per_hour: int = 20
    login_failures: int = 10
    watched_users: int = 200
    group_members: int = 1_000
    conversations_per_user: int = 5_000
    handshakes_per_s: int = 500
    hello_s: int = 10
    heartbeat_s: int = 25
    outbox_bytes: int = 256 * KIB
    outbox_stuck_s: int = 60
    image_bytes: int = 25 * MIB
    audio_bytes: int = 50 * MIB
    video_bytes: int = 200 * MIB
    file_bytes: int = 100 * MIB
    quota_bytes: int = 5 * 1024 * MIB

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            least = 0 if setting.name in RATES else 1
            if value < least:
                raise ValueError(f"{setting.name} is {value}, expected at least {least}")
        for smaller, greater in (("body_bytes", "frame_bytes"), ("body_bytes", "server_frame_bytes")):
            # Twice: an entry carries its body, and a page's text may carry the body of its edit too.
            if 2 * getattr(self, smaller) + ENVELOPE_BYTES > getattr(self, greater):
                raise ValueError(
                    f"{greater} is {getattr(self, greater)}, expected at least 2 * {smaller} + {ENVELOPE_BYTES}"
                )


RATES: Final = frozenset(
    {"sends_per_s", "frames_per_s", "logins_per_hour", "registrations_per_hour", "login_failures", "handshakes_per_s"}
)
"""The limits of which 0 means off."""

ENVELOPE_BYTES: Final = 4 * KIB
"""Room for everything of a frame but its bodies: ids, reactions in short."""

# ---- protocol
REACTIONS_BYTES_MAX: Final = 2 * KIB  # shown with a text of a page: some 64 emojis
REQUEST_HEAD_BYTES_MAX: Final = 16 * KIB
REQUEST_HEAD_S: Final = 10.0
FRAGMENT_BYTES_MEAN: Final = 16  # of a fragmented message at the limit: more and smaller fragments are abuse
FRAGMENTS_SPARE: Final = 64  # and these, for small messages
BODY_DEPTH_MAX: Final = 32
FRAME_ID_CHARS_MAX: Final = 64
CLOSE_LINGER_S: Final = 2.0  # how long a peer may take to answer our Close frame
CONTROL_FRAMES_PER_S: Final = 50  # pings and pongs of one connection; above it the connection is abusive

# ---- reactor
READ_BUFFER_BYTES: Final = 64 * KIB
READS_PER_CONNECTION_AND_TURN: Final = 1
ACCEPTS_PER_TURN: Final = 64
EVENTS_PER_TURN: Final = 256  # ready sockets looked at in one turn
SENDS_PER_TURN: Final = 256  # a send costs 5-7 us: larger fan-outs go on in the next turn
SEND_BYTES_MAX: Final = 256 * KIB  # joined for one send
UNSENT_BYTES_MAX: Final = 128 * KIB  # of one connection, not yet sent by the kernel (TCP_NOTSENT_LOWAT)
INBOX_CALLS_PER_TURN: Final = 1_024
LINGERING_MAX: Final = 4_096  # closed sockets kept until the peer has seen why
CONNECTIONS_MAX: Final = 100_000
HTTP_CONNECTIONS_MAX: Final = 512
HALF_OPEN_MAX: Final = 1_024  # connections whose request head is not complete

# ---- http
HTTP_BODY_BYTES_MAX: Final = 64 * KIB  # of a request; a route may ask for more
HTTP_BODY_S: Final = 8.0  # from the head of a request to the end of its body
HTTP_BUFFER_BYTES: Final = 64 * KIB  # of a body that its handler has not taken yet; then the socket is not read
HTTP_KEEP_ALIVE_S: Final = 5.0  # from a response to the whole head of the next request
HTTP_REQUESTS_PER_CONNECTION: Final = 1_000
HTTP_SEND_STUCK_S: Final = 15.0  # a peer that takes nothing of a response for so long is gone
HTTP_LINGER_S: Final = 1.0  # how long what a peer still sends is thrown away, so that no reset overtakes the answer
HTTP_LINGER_BYTES: Final = 1 * MIB
HTTP_DRAIN_S: Final = 3.0  # how long a stop waits for the requests in work

# ---- router
INBOX_MAX: Final = 16_384
OUTBOX_LOW_PART: Final = 4  # low mark = high mark / 4
FRAMES_HELD_MAX: Final = 64  # of one connection, until its hello is answered
ABUSE_REFUSALS: Final = 200  # refused frames without a pause (tokens back to half) before 4504
PENDING_LOOKUPS_MAX: Final = 10_000
SENDS_WAITING_PER_CONVERSATION: Final = 512
SENDS_WAITING_MAX: Final = 20_000
APPEND_ENTRIES_MAX: Final = 64  # of one conversation in one append
APPEND_BATCH_ENTRIES_MAX: Final = 1_024  # of one call
REQUEST_DEADLINE_S: Final = 10.0
RECENT_ENTRIES: Final = 128  # of an active conversation, kept for dedupe, refs and rights
CONVERSATIONS_LOADED_MAX: Final = 20_000
CONVERSATION_IDLE_S: Final = 600.0
TYPING_S: Final = 6.0
PRESENCE_GRACE_S: Final = 10.0
PRESENCE_FRAMES_PER_S: Final = 5
MARKS_INTERVAL_S: Final = 1.0
SMALL_GROUP_MEMBERS: Final = 100  # typing and others' marks are told in groups up to this size
LAST_BODY_BYTES_MAX: Final = 1 * KIB
PULL_LIMIT_MAX: Final = 200
PULL_LIMIT: Final = 100
REPLAY_LIMIT: Final = 1_000
REPLAY_EACH_LIMIT: Final = 100
REPLAY_LIMIT_MAX: Final = 10_000
REPLAY_PAGE_ENTRIES: Final = 100  # of one read of a replay
PULLS_WAITING_MAX: Final = 32  # of one session
TOKEN_EXPIRY_CHECK_S: Final = 5.0
DRAIN_S: Final = 5.0

# ---- stores
WRITES_WAITING_MAX: Final = 4_096
WRITES_PER_TRANSACTION_MAX: Final = 512
READS_WAITING_MAX: Final = 4_096
READERS: Final = 4
WAL_PAGES_MAX: Final = 4_096  # 16 MiB: then a checkpoint is made even in the busiest moment
STORE_REST_S: Final = 1.0  # without a write for so long: a checkpoint now disturbs nobody
WORKER_STOP_S: Final = 4.0  # how long a stop waits for a thread's last batch
DEDUPE_DAYS: Final = 7
INTENT_WINDOW_S: Final = 600.0  # how long before a slot's anchor an intent still counts

# ---- accounts
ACCESS_TOKEN_BYTES_MAX: Final = 4 * KIB
REFRESH_RETRY_S: Final = 10.0  # how long a refresh whose answer was lost may be repeated
PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 1_024
PASSWORD_THREADS: Final = 2
PASSWORDS_WAITING_MAX: Final = 64  # some 2 s of work: who comes then is told to come again
EMAIL_CHARS_MAX: Final = 254  # RFC 5321, section 4.5.3.1.3
NAME_CHARS_MAX: Final = 64  # of people and of devices
LOGIN_FAILURES_WINDOW_S: Final = 900.0
ATTEMPT_KEYS_MAX: Final = 50_000  # addresses, and accounts at addresses, whose attempts are counted
USERS_PER_REQUEST_MAX: Final = 200
USERS_FOUND_MAX: Final = 20
BLOCKS_PER_USER_MAX: Final = 5_000

assert SENDS_WAITING_PER_CONVERSATION >= APPEND_ENTRIES_MAX
assert APPEND_BATCH_ENTRIES_MAX >= APPEND_ENTRIES_MAX
assert RECENT_ENTRIES >= APPEND_ENTRIES_MAX
assert PULL_LIMIT <= PULL_LIMIT_MAX
assert REACTIONS_BYTES_MAX < ENVELOPE_BYTES
assert REPLAY_EACH_LIMIT <= REPLAY_LIMIT <= REPLAY_LIMIT_MAX
assert HALF_OPEN_MAX < CONNECTIONS_MAX
assert HTTP_BODY_S < REQUEST_DEADLINE_S
assert HTTP_DRAIN_S + HTTP_LINGER_S < DRAIN_S

DEFAULTS: Final = Limits()
