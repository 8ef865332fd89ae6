"""Autobahn's cases, run by kosoku against the reactor's own connections with an echo mounted."""

import asyncio
from typing import Any

import kosoku
import pytest
import trio

from core.base.clock import SystemClock
from core.base.limits import MIB, Limits
from core.reactor.listener import listen
from core.reactor.reactor import Reactor
from core.router.inbox import Inbox
from core.router.outbox import Outbox
from tests.reactor.echo import Echo, refuse_all

COMPRESSION = ["12.*", "13.*"]
"""permessage-deflate, which is never negotiated."""

CASES = 301
"""The 247 protocol cases, and 54 (9.*) about large messages and many of them."""

UNSPECIFIED = {"7.1.6", "7.13.1", "7.13.2"}
"""Where the RFC leaves the behaviour open, the verdict is INFORMATIONAL; everywhere else it must be OK, not only NON-STRICT."""

# Cases 9.* send messages of up to 16 MiB. Everything else is as it is in production.
LIMITS = Limits(frame_bytes=16 * MIB)


def echo_binary(outbox: Outbox, payload: bytes) -> None:
    """The router's protocol has no binary messages, so its frames have no encoder for them either."""
    size = len(payload)
    if size < 126:
        length = bytes((size,))
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    outbox.push(b"\x82" + length + payload)


def drive(address: str) -> list[Any]:
    """Run the cases. kosoku speaks asyncio, which has a thread of its own here."""
    try:
        return list(asyncio.run(kosoku.run_fuzzingclient(address, None, COMPRESSION, concurrency=4)))
    except kosoku.FailureError as failure:
        return list(failure.results)


@pytest.mark.timeout_s(60)
async def test_every_case_of_autobahn_passes_strictly_and_ends_with_a_close_frame() -> None:
    listener = listen("127.0.0.1", 0)
    reactor = Reactor(
        [listener],
        Echo(),
        refuse_all,
        clock=SystemClock(),
        limits=LIMITS,
        inbox=Inbox(),
        websocket_paths=frozenset({"/"}),
        on_binary=echo_binary,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(reactor.run)
        results = await trio.to_thread.run_sync(drive, f"127.0.0.1:{listener.getsockname()[1]}")
        nursery.cancel_scope.cancel()

    assert len(results) == CASES
    verdicts = {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}
    assert {case: verdict for case, verdict in verdicts.items() if verdict != ("OK", "OK")} == dict.fromkeys(
        UNSPECIFIED, ("INFORMATIONAL", "INFORMATIONAL")
    )
    # TCP is not just dropped: each got a Close frame with a code. In 7.3.1 the peer's has none, and so has the answer.
    assert [result.case_id for result in results if result.remote_close_code is None] == ["7.3.1"]
    assert not [result.case_id for result in results if result.dropped_by_me]
