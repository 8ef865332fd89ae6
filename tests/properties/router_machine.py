"""The state machine: clients, faults and time around one router and its stores, in any order; afterwards all is healed and must be whole."""

from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.base.errors import TrimaranError, Unavailable
from core.base.ids import ConversationId, UserId, direct_conversation
from core.base.limits import Limits
from core.base.records import MemberBody, Send
from tests.properties.client import Device, Shown, is_member
from tests.router.model import Store
from tests.router.world import ANN, BOB, CAT, DAN, GROUP, Answers, AppendCall, Call, World, device_id

OTHER_GROUP = ConversationId("g:00000008-0000-7000-8000-000000000000")
USERS = (ANN, BOB, CAT, DAN)
DIRECT = direct_conversation(ANN, BOB)
CONVERSATIONS = (DIRECT, GROUP, GROUP, OTHER_GROUP, direct_conversation(BOB, CAT))
LIMITS = Limits(sends_per_s=0, frames_per_s=0, handshakes_per_s=0, outbox_bytes=1_200)

some = st.integers(0, 11)


class RouterMachine(RuleBasedStateMachine):
    """Rules are what may happen; each ends a turn of the router."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(*USERS, limits=LIMITS, store=Store(is_trusting=True))
        self.shown = Shown()
        devices = ((ANN, 1), (ANN, 2), (BOB, 1), (BOB, 2), (CAT, 1), (DAN, 1))
        self.devices = [Device(self.world, self.shown, *each) for each in devices]
        self.made = 0

    @initialize(history=st.sampled_from(["joined", "shared"]))
    def groups(self, history: str) -> None:
        for group, policy in ((GROUP, history), (OTHER_GROUP, "joined")):
            body = MemberBody(ANN, [ANN, BOB], roles={ANN: "owner"}, name="a group", history=policy)
            self._change(group, ANN, body)
        for device in self.devices:
            device.connect()
        self.world.settle()

    def _change(self, group: ConversationId, by: UserId, body: MemberBody) -> None:
        send = Send(
            group, by, device_id(1), self.world.next_client_id(), "member", msgspec.json.encode(body), via="service"
        )
        with suppress(TrimaranError):
            self.world.router.submit(send, Answers())

    def _device(self, number: int) -> Device:
        return self.devices[number % len(self.devices)]

    def _call(self, number: int) -> Call | None:
        self.world.turn()
        return self.world.calls[number % len(self.world.calls)] if self.world.calls else None

    # ---- clients

    @rule(number=some, replay=st.sampled_from([0, 2, 1000]), each=st.sampled_from([1, 100]))
    def connect(self, number: int, replay: int, each: int) -> None:
        self._device(number).connect(replay=replay, replay_each=each)
        self.world.turn()

    @rule(number=some, luck=st.integers(0, 1))
    def disconnect(self, number: int, luck: int) -> None:
        device = self._device(number)
        if not luck and device.connection is not None and device.is_connected:
            device.connection.drop()

    @rule(number=some, where=some, count=st.integers(1, 4))
    def send(self, number: int, where: int, count: int) -> None:
        device, conversation = self._device(number), CONVERSATIONS[where % len(CONVERSATIONS)]
        if not device.is_connected:
            device.connect()
            self.world.settle()
        for _ in range(count):
            self._send(device, conversation, body={"text": "x" * 40})
        self.world.turn()

    def _send(self, device: Device, conversation: ConversationId, **fields: Any) -> None:
        device.send({"conversation": conversation}, _conversation=conversation, **fields)

    @rule(number=some, where=some, ref=st.integers(1, 8), kind=st.sampled_from(["edit", "delete", "reaction", "text"]))
    def refer(self, number: int, where: int, ref: int, kind: str) -> None:
        body = {"emoji": "+"} if kind == "reaction" else {} if kind == "delete" else {"text": "new"}
        self._send(self._device(number), CONVERSATIONS[where % len(CONVERSATIONS)], kind=kind, body=body, ref=ref)
        self.world.turn()

    @rule(number=some)
    def retry(self, number: int) -> None:
        self._device(number).retry()
        self.world.turn()

    @rule(number=some, where=some, is_read=st.booleans())
    def mark(self, number: int, where: int, is_read: bool) -> None:
        self._device(number).mark(CONVERSATIONS[where % len(CONVERSATIONS)], is_read=is_read)
        self.world.turn()

    @rule(number=some, where=some)
    def pull(self, number: int, where: int) -> None:
        conversation = CONVERSATIONS[where % len(CONVERSATIONS)]
        if conversation in self._device(number).told:
            self._device(number).pull(conversation)

    @rule(number=some, speed=st.sampled_from([0, 100, None]))
    def change_speed(self, number: int, speed: int | None) -> None:
        connection = self._device(number).connection
        if connection is not None:
            connection.bytes_per_turn = speed

    @rule(who=some, group=st.sampled_from([GROUP, OTHER_GROUP]))
    def add_or_remove(self, who: int, group: ConversationId) -> None:
        user = USERS[1:][who % 3]
        if is_member(self.world, group, user):
            self._change(group, ANN, MemberBody(ANN, removed=[user]))
        else:
            self._change(group, ANN, MemberBody(ANN, added=[user]))
        self.world.turn()

    @rule()
    def block_or_unblock(self) -> None:
        self.world.store.blocks ^= {(BOB, ANN)}
        self.world.router.block_changed(BOB, ANN)
        self.world.turn()

    # ---- the world

    @rule(count=st.integers(1, 8))
    def answer(self, count: int) -> None:
        for _ in range(count):
            self.world.turn()
            if self.world.calls:
                self.world.calls.pop(0).answer()

    @rule(number=some, is_told=st.booleans())
    def do(self, number: int, is_told: bool) -> None:
        call = self._call(number)
        if call is not None:
            call.do()
            if is_told:
                self.world.calls.remove(call)
                call.answer()
                self.world.turn()

    @rule()
    def settle(self) -> None:
        for _ in range(60):
            self.world.turn()
            if not self.world.calls:
                break
            self.world.calls.pop(0).answer()

    @rule(number=some, fate=st.sampled_from(["landed", "lost", "late"]))
    def lose(self, number: int, fate: str) -> None:
        self.world.turn()
        appends = [call for call in self.world.calls if isinstance(call, AppendCall)]
        if appends:
            call = appends[number % len(appends)]
            self.world.calls.remove(call)
            call.lose(landed=fate == "landed", may_land=fate == "late")
            self.world.turn()

    @rule()
    def land_late(self) -> None:
        if self.world.ports.late:
            self.world.store.append(self.world.ports.late.pop(0))

    @rule(number=some)
    def fail(self, number: int) -> None:
        call = self._call(number)
        if call is not None and not isinstance(call, AppendCall):
            self.world.calls.remove(call)
            call.answer_with(Unavailable("away"))
            self.world.turn()

    @rule(seconds=st.sampled_from([1.0, 1.0, 4.0, 11.0]))
    def tick(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule(luck=st.integers(0, 3), is_landed=st.booleans())
    def crash(self, luck: int, is_landed: bool) -> None:
        """What a dead process had under way is in the log or never will be: the epoch's fence is of the cluster's rules."""
        if luck:
            return
        for call in self.world.calls:
            if is_landed and isinstance(call, AppendCall):
                call.do()
        self.world.ports.late.clear()
        self.world.start_router()

    # ---- what must hold

    @invariant()
    def logs_are_dense(self) -> None:
        for log in self.world.store.logs.values():
            assert [entry.seq for entry in log.log] == list(range(1, len(log.log) + 1))
            senders = [(entry.sender, entry.client_id) for entry in log.log]
            assert len(set(senders)) == len(senders), "one send, two entries"

    @invariant()
    def outboxes_are_bounded(self) -> None:
        for connection in self.world.connections:
            assert connection.outbox.size < LIMITS.outbox_bytes + 12_000

    def teardown(self) -> None:
        """Heal everything; then everybody has everything."""
        for device in self.devices:
            if device.is_connected and device.connection is not None:
                device.connection.bytes_per_turn = None
        for _ in range(40):
            for device in self.devices:
                if not device.is_connected:
                    device.connect()
                device.pull_again()
            self.world.settle()
            for device in self.devices:
                device.retry()
            self.world.settle()
            self.world.tick()
        self.logs_are_dense()
        for device in self.devices:
            assert device.is_synced
            device.assert_complete()
        for conversation, sender, client_id in self.shown.refused:
            assert self.world.store.find(ConversationId(conversation), sender, client_id) is None
        for (conversation, sender, client_id), seq in self.shown.acked.items():
            entry = self.world.store.entries(ConversationId(conversation))[seq - 1]
            assert (entry.sender, entry.client_id) == (sender, client_id)
        statistics = self.world.router.statistics()
        assert statistics["sends_waiting"] == 0
