"""Each device's way through each log: rising (I4), nothing passed over, head in time (I7), no read behind it (I1).

A device's *cursor* is what its program goes on from; *reached* is the highest it ever applied. The two differ only
after a program started anew with nothing but the server's word for its cursors: it may repeat, it may not pass over.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.history.logs import Log, seqs
from core.history.records import BadHistory, Connected, Disconnected, Listed, ReadBack, Where
from core.history.verdict import Findings, Invariant

REACHED_WITHIN_S = 5.0
"""I7: a connected device has applied the head this long after the last append, faults healed."""


@dataclass(slots=True)
class Position:
    """One device in one conversation."""

    run: int
    cursor: int
    reached: int
    reached_where: Where
    reached_at_s: float
    known: int = 0
    """The highest seq the device was told of, by entry or ack: a read that starts later must find it."""
    known_where: Where | None = None
    started: tuple[int, Where] | None = None
    """The first seq that it did not take on trust: decided at the end, when its user's other devices are known."""


@dataclass(slots=True)
class Device:
    """One device of one user."""

    user: str
    open: set[int] = field(default_factory=set)
    """Connections that nobody saw end."""
    used: set[int] = field(default_factory=set)
    run: int = 0
    """Counts the starts of a program without state."""
    connected_at_s: float = 0.0
    connected_where: Where | None = None
    positions: dict[str, Position] = field(default_factory=dict)


class Devices:
    """Follows every device through its own lines, which stand in order."""

    def __init__(self, logs: Mapping[str, Log], findings: Findings) -> None:
        self._logs = logs
        self._findings = findings
        self.devices: dict[str, Device] = {}

    def device(self, device: str, user: str, where: Where) -> Device:
        """The state of a device; a device has one user for ever."""
        state = self.devices.setdefault(device, Device(user))
        if state.user != user:
            raise BadHistory(where, f"device {device} of user {user} was of {state.user} before; expected one user")
        return state

    def on_connected(self, connected: Connected, where: Where) -> None:
        """A connection begins; with it, perhaps, a program that knows nothing."""
        device = self.device(connected.device, connected.user, where)
        if connected.connection in device.used:
            raise BadHistory(where, f"connection {connected.connection} of this device is used twice; number each anew")
        device.used.add(connected.connection)
        device.open.add(connected.connection)
        device.run += connected.fresh
        device.connected_at_s, device.connected_where = connected.at_s, where

    def on_disconnected(self, disconnected: Disconnected, where: Where) -> None:
        """A connection ends."""
        self.device(disconnected.device, disconnected.user, where).open.discard(disconnected.connection)

    def on_listed(self, listed: Listed, where: Where) -> None:
        """The server's word for the cursor: where a device without its own starts."""
        device = self.device(listed.device, listed.user, where)
        position = device.positions.get(listed.conversation)
        if position is None or position.run != device.run:
            self._start(device, listed.conversation, listed.cursor, listed.at_s, where)

    def on_acked(self, device: Device, conversation: str, seq: int, where: Where) -> None:
        """The device knows of its own entry, before it may apply it."""
        position = device.positions.get(conversation)
        if position is None:
            position = device.positions[conversation] = Position(-1, 0, 0, where, 0.0)
        if seq > position.known:
            position.known, position.known_where = seq, where

    def on_applied(self, device: Device, conversation: str, first: int, last: int, at_s: float, where: Where) -> None:
        """The device applied these seqs, or counted them as applied."""
        position = device.positions.get(conversation)
        if position is None or position.run != device.run:
            position = self._start(device, conversation, first - 1, at_s, where)
        elif first <= position.cursor:
            what = f"applied {seqs(first, last)} when it had reached {position.cursor}"
            self._findings.broken(Invariant.I4, conversation, what, position.reached_where, where)
        elif first > position.cursor + 1:
            self._decide_passed_over(device, conversation, position, first, where)
        position.cursor = max(position.cursor, last)
        if last > position.reached:
            position.reached, position.reached_where, position.reached_at_s = last, where, at_s
        if last > position.known:
            position.known, position.known_where = last, where

    def on_read_back(self, read: ReadBack, where: Where) -> None:
        """I1 as one reader can see it: what its device was told of before is in every read after."""
        if read.user is None or read.device is None:
            return
        position = self.device(read.device, read.user, where).positions.get(read.conversation)
        if position is not None and read.head < position.known and position.known_where is not None:
            what = f"a read found head {read.head}, when its reader had been told of seq {position.known}"
            self._findings.broken(Invariant.I1, read.conversation, what, position.known_where, where)

    def _start(self, device: Device, conversation: str, cursor: int, at_s: float, where: Where) -> Position:
        """A program without a cursor of its own takes one on trust."""
        position = device.positions.get(conversation)
        if position is None or position.run < 0:
            known = (position.known, position.known_where) if position is not None else (0, None)
            position = Position(device.run, cursor, cursor, where, at_s, *known, started=(cursor + 1, where))
            device.positions[conversation] = position
            return position
        if cursor > position.reached:
            self._decide_passed_over(device, conversation, position, cursor + 1, where)
        position.run, position.cursor = device.run, cursor
        return position

    def _decide_passed_over(
        self, device: Device, conversation: str, position: Position, seq: int, where: Where
    ) -> None:
        log = self._logs[conversation]
        passed = log.membership.owed(device.user, position.reached, seq) if log.is_whole else None
        if passed is not None and log.between(*passed):
            what = f"a device of {device.user} passed over {seqs(*passed)}"
            self._findings.broken(Invariant.I7, conversation, what, position.reached_where, where)

    def finish(self, healed_at_s: float, ended_at_s: float) -> None:
        """Decide I7: where devices started, and where they stand at the end."""
        of_user: defaultdict[str, list[tuple[str, Device]]] = defaultdict(list)
        for name, device in self.devices.items():
            of_user[device.user].append((name, device))
        for log in self._logs.values():
            if not log.is_whole:
                continue
            for user in of_user:
                self._decide_starts(log, of_user[user])
            for user, joined in log.membership.present():
                for name, device in of_user.get(user, ()):
                    if device.open and max(joined, 1) <= log.head:
                        self._decide_complete(log, name, device, healed_at_s, ended_at_s)

    def _decide_starts(self, log: Log, devices: list[tuple[str, Device]]) -> None:
        """A user's first device starts at what the user may see first, a later one no higher than the others came."""
        reached = sorted(
            (d.positions[log.conversation].reached for _, d in devices if _has_begun(d, log.conversation)), reverse=True
        )
        for _, device in devices:
            position = device.positions.get(log.conversation)
            if position is None or position.started is None:
                continue
            first, where = position.started
            others = reached[1] if len(reached) > 1 and reached[0] == position.reached else reached[0]
            others = others if len(reached) > 1 else 0
            passed = log.membership.owed(device.user, others, first)
            if passed is not None and log.between(*passed):
                what = f"a device of {device.user} started at {first}: no device of that user had {seqs(*passed)}"
                self._findings.broken(Invariant.I7, log.conversation, what, where)

    def _decide_complete(self, log: Log, name: str, device: Device, healed_at_s: float, ended_at_s: float) -> None:
        position = device.positions.get(log.conversation)
        reached = position.reached if position is not None else 0
        deadline_s = max(healed_at_s, device.connected_at_s, log.head_at_s or healed_at_s) + REACHED_WITHIN_S
        if reached >= log.head and position is not None:
            if position.reached_at_s > deadline_s:
                late_s = position.reached_at_s - deadline_s
                what = f"device {name} of {device.user} came to head {log.head} {late_s:.3f} s late"
                self._findings.broken(Invariant.I7, log.conversation, what, position.reached_where)
            return
        if ended_at_s < deadline_s:
            early_s = deadline_s - ended_at_s
            what = f"device {name} had {reached} of {log.head} when the history ended, {early_s:.3f} s too early"
            self._findings.unclear(log.conversation, what)
            return
        what = f"device {name} of {device.user}, connected to the end, came to {reached or 'nothing'} of {log.head}"
        lines = [w for w in (device.connected_where, position and position.reached_where, log.head_where) if w]
        self._findings.broken(Invariant.I7, log.conversation, what, *lines)


def _has_begun(device: Device, conversation: str) -> bool:
    position = device.positions.get(conversation)
    return position is not None and position.run >= 0
