"""What senders were told, against the log: what was acknowledged is kept (I1), once (I2), in order (I5).

And nothing is in the log that was not sent by a member (I6).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.history.logs import Kept, Log
from core.history.records import SERVER_KINDS, Acked, Entry, Refused, Sent, Where
from core.history.verdict import Findings, Invariant

UNKNOWN_OUTCOMES = frozenset({"unavailable", "internal"})
"""Error codes after which the entry may still land in the log; every other code says that it will not."""

Content = tuple[str, int | None, str | None]
"""(kind, ref, body)."""


@dataclass(slots=True)
class Send:
    """All transmissions of one client_id."""

    where: Where
    contents: list[Content] = field(default_factory=list)
    transmissions: int = 0
    refusals: int = 0
    """Answers that promise that this transmission stored nothing."""
    refused_where: Where | None = None
    seq: int | None = None
    """As acknowledged first."""
    acked_where: Where | None = None
    last_at_s: float = 0.0


@dataclass(slots=True)
class OnConnection:
    """One client_id as one connection carried it."""

    where: Where
    is_first: bool
    """No connection carried it before."""
    is_refused: bool = False
    seq: int | None = None


ConnectionKey = tuple[str, int, str]
"""(device, connection, conversation)."""


class Sends:
    """Follows each client_id from its transmissions to its answers."""

    def __init__(self, logs: Mapping[str, Log], findings: Findings) -> None:
        self._logs = logs
        self._findings = findings
        self._sends: defaultdict[str, dict[tuple[str, str], Send]] = defaultdict(dict)
        """Of each conversation by (sender, client_id)."""
        self._connections: defaultdict[ConnectionKey, dict[str, OnConnection]] = defaultdict(dict)
        self._senders: dict[ConnectionKey, str] = {}

    def on_sent(self, sent: Sent, where: Where) -> None:
        """A transmission leaves."""
        sends = self._sends[sent.conversation]
        send = sends.setdefault((sent.user, sent.client_id), Send(where))
        content = (sent.kind, sent.ref, sent.body)
        if content not in send.contents:
            send.contents.append(content)
        send.transmissions += 1
        send.last_at_s = sent.at_s
        if sent.connection is not None:
            key = (sent.device, sent.connection, sent.conversation)
            self._senders[key] = sent.user
            self._connections[key].setdefault(sent.client_id, OnConnection(where, send.transmissions == 1))

    def on_refused(self, refused: Refused, where: Where) -> None:
        """The server said no to a transmission."""
        send = self._sends[refused.conversation].get((refused.user, refused.client_id))
        if send is not None and refused.code not in UNKNOWN_OUTCOMES:
            send.refusals += 1
            send.refused_where = where
        if refused.connection is not None:
            key = (refused.device, refused.connection, refused.conversation)
            carried = self._connections[key].get(refused.client_id)
            if carried is not None:
                carried.is_refused = True

    def on_acked(self, acked: Acked, where: Where) -> None:
        """The server promised: I1 and I2 are decided here, while only what it can have promised is known as sent."""
        send = self._sends[acked.conversation].get((acked.user, acked.client_id))
        if send is None:
            what = f"{acked.client_id} of {acked.user} was acknowledged, but never sent"
            self._findings.broken(Invariant.I6, acked.conversation, what, where)
            return
        if send.seq is None or send.acked_where is None:
            send.seq, send.acked_where = acked.seq, where
        elif send.seq != acked.seq:
            what = f"client_id {acked.client_id} of {acked.user} was acknowledged at seq {send.seq} and at {acked.seq}"
            self._findings.broken(Invariant.I2, acked.conversation, what, send.where, send.acked_where, where)
        if acked.connection is not None:
            carried = self._connections[acked.device, acked.connection, acked.conversation].get(acked.client_id)
            if carried is not None:
                carried.seq = acked.seq
        self._decide_durable(self._logs[acked.conversation], acked, send, where)

    def _decide_durable(self, log: Log, acked: Acked, send: Send, where: Where) -> None:
        if log.head_where is None:
            return
        kept = log.entries.get(acked.seq)
        if kept is None:
            if not log.is_whole:
                return  # Hidden from every final reader: already stated as undecided.
            found = log.by_client_id.get((acked.user, acked.client_id))
            instead = f"; it is at {found}" if found is not None else ""
            what = f"seq {acked.seq}, acknowledged to {acked.user} ({acked.client_id}), is not in the log{instead}"
            self._findings.broken(Invariant.I1, acked.conversation, what, where, log.head_where)
        elif (kept.entry.sender, kept.entry.client_id) != (acked.user, acked.client_id):
            what = (f"seq {acked.seq} was acknowledged to {acked.user} ({acked.client_id}); "
                    f"the log has {kept.entry.client_id} of {kept.entry.sender} there")  # fmt: skip
            self._findings.broken(Invariant.I1, acked.conversation, what, where, kept.where)
        elif not _holds(log, kept.entry, send.contents):
            what = f"seq {acked.seq} was acknowledged to {acked.user}; the log has another kind, ref or body there"
            self._findings.broken(Invariant.I1, acked.conversation, what, send.where, where, kept.where)

    def finish(self) -> None:
        """Decide what needs all answers: what is in the logs (I6), and the order on each connection (I5)."""
        for log in self._logs.values():
            sends = self._sends[log.conversation]
            for seq in log.order:
                self._decide_sent(log, log.entries[seq], sends)
        for key, carried in self._connections.items():
            self._decide_sender_order(key, carried)

    def last_transmission_at_s(self, log: Log, entry: Entry) -> float | None:
        """When an entry was sent for the last time; None if the server made it."""
        if entry.sender is None or entry.client_id is None:
            return None
        send = self._sends[log.conversation].get((entry.sender, entry.client_id))
        return send.last_at_s if send is not None else None

    def _decide_sent(self, log: Log, kept: Kept, sends: Mapping[tuple[str, str], Send]) -> None:
        entry, where = kept
        if entry.kind in SERVER_KINDS:
            return
        broken = self._findings.broken
        name = f"seq {entry.seq} ({entry.client_id} of {entry.sender})"
        send = sends.get((entry.sender, entry.client_id)) if entry.sender and entry.client_id else None
        if send is None:
            broken(Invariant.I6, log.conversation, f"{name} was never sent", where)
        elif not _holds(log, entry, send.contents):
            what = f"{name} is not what was sent: another kind, ref or body"
            broken(Invariant.I6, log.conversation, what, send.where, where)
        elif send.refusals >= send.transmissions and send.refused_where is not None:
            what = f"{name} is in the log although every transmission of it was refused"
            broken(Invariant.I6, log.conversation, what, send.where, send.refused_where, where)
        if log.is_whole and entry.sender is not None and not log.membership.was_member(entry.sender, entry.seq):
            what = f"{name} was accepted from one who was not a member at that seq"
            broken(Invariant.I6, log.conversation, what, *[send.where] if send else [], where)

    def _decide_sender_order(self, key: ConnectionKey, carried: Mapping[str, OnConnection]) -> None:
        """I5 for one connection and conversation.

        Counted are only sends certain to have been accepted *on this connection*: acknowledged on it, or transmitted
        once ever and in the log. A later one must lie above an earlier one if it was new here; a retry may have been
        accepted long before. One that was refused here and accepted when tried again does not stand in this order.
        """
        conversation = key[2]
        log = self._logs[conversation]
        sends = self._sends[conversation]
        highest: OnConnection | None = None
        for client_id, one in carried.items():
            sender = self._senders[key]
            if one.seq is None and sends[sender, client_id].transmissions == 1:
                one.seq = log.by_client_id.get((sender, client_id))
            if one.seq is None or one.is_refused:
                continue
            if highest is None or highest.seq is None or one.seq > highest.seq:
                highest = one
            elif one.is_first and one.seq < highest.seq:
                what = f"{sender} sent the entry at seq {highest.seq} before the one at {one.seq}, on one connection"
                self._findings.broken(Invariant.I5, conversation, what, highest.where, one.where)


def _holds(log: Log, entry: Entry, contents: list[Content]) -> bool:
    """Whether an entry of the log is one of the contents sent, or what a deletion left of it."""
    if entry.body is None and log.is_emptied(entry):
        return any((kind, ref) == (entry.kind, entry.ref) for kind, ref, _ in contents)
    return (entry.kind, entry.ref, entry.body) in contents
