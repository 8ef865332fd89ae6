"""The contract of the port RelayStore."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.base.ids import ConversationId, DeviceId, UserId
from core.base.records import Mark, Row, RowChange
from tests.contracts.backends import Backend, Stores, on_every_backend
from tests.contracts.people import ANN, BOB, CID, DAN, C, D, uuid

pytestmark = on_every_backend

PHONE, LAPTOP, TABLET = (DeviceId(uuid(number)) for number in range(60, 63))


def _joins(user: UserId = ANN, conversation: ConversationId = C, seq: int = 1, first: int = 1) -> RowChange:
    return RowChange(user, conversation, seq, first)


def _leaves(user: UserId = ANN, conversation: ConversationId = C, seq: int = 9) -> RowChange:
    return RowChange(user, conversation, seq, 0)


def test_a_prepared_addition_is_pending_until_it_is_confirmed(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.prepare([_joins(seq=5, first=5), _joins(user=BOB, seq=5, first=1)])
        assert await relay.rows(ANN) == [Row(C, 0, 0, 0, 0, 0, False, 5, 5)]
        await relay.confirm([_joins(seq=5, first=5)])
        assert await relay.row(ANN, C) == Row(C, 5, 5, 0, 0, 0, False)
        assert await relay.row(BOB, C) == Row(C, 0, 0, 0, 0, 0, False, 5, 1)
        assert await relay.row(CID, C) is None
        assert await relay.rows(CID) == []

    backend.run(test)


def test_changes_confirm_without_having_been_prepared_and_repeat_without_effect(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        for _ in range(2):
            await relay.confirm([_joins(seq=2, first=2)])
            assert await relay.row(ANN, C) == Row(C, 2, 2, 0, 0, 0, False)
        for _ in range(2):
            await relay.confirm([_leaves(seq=7)])
            assert await relay.row(ANN, C) == Row(C, 2, 2, 7, 0, 0, False)
        await relay.confirm([_joins(seq=2, first=2)])
        assert await relay.row(ANN, C) == Row(C, 2, 2, 7, 0, 0, False)
        await relay.confirm([_joins(seq=9, first=9)])
        assert await relay.row(ANN, C) == Row(C, 9, 9, 0, 0, 0, False)

    backend.run(test)


def test_a_confirmation_clears_what_is_pending_at_its_seq_or_below_only(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.confirm([_joins(seq=1, first=1)])
        await relay.prepare([_leaves(seq=8)])
        await relay.confirm([_joins(seq=1, first=1)])
        assert await relay.row(ANN, C) == Row(C, 1, 1, 0, 0, 0, False, 8, 0)
        await relay.confirm([_leaves(seq=8)])
        assert await relay.row(ANN, C) == Row(C, 1, 1, 8, 0, 0, False)

    backend.run(test)


def test_one_whose_addition_was_never_confirmed_may_read_the_removal_alone(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.relay.confirm([_leaves(seq=7)])
        assert await stores.relay.row(ANN, C) == Row(C, 7, 0, 7, 0, 0, False)

    backend.run(test)


def test_what_never_happened_is_forgotten(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.prepare([_joins(seq=5, first=5)])
        await relay.forget(ANN, C, 4)
        assert await relay.row(ANN, C) is not None
        await relay.forget(ANN, C, 5)
        assert await relay.row(ANN, C) is None
        await relay.forget(ANN, C, 5)
        await relay.confirm([_joins(seq=1, first=1)])
        await relay.prepare([_leaves(seq=6)])
        await relay.forget(ANN, C, 6)
        assert await relay.row(ANN, C) == Row(C, 1, 1, 0, 0, 0, False)

    backend.run(test)


def test_marks_merge_by_max_and_read_raises_delivered(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.confirm([_joins()])
        await relay.open_device(ANN, PHONE)
        await relay.merge([Mark(ANN, PHONE, C, 4, 2), Mark(ANN, PHONE, C, 3, 0), Mark(BOB, PHONE, C, 9, 9)])
        assert await relay.row(ANN, C) == Row(C, 1, 1, 0, 4, 2, False)
        await relay.merge([Mark(ANN, PHONE, C, 0, 6)])
        assert await relay.cursors(ANN, PHONE) == {C: 6}
        await relay.merge([Mark(ANN, "", C, 0, 8)])
        assert await relay.cursors(ANN, PHONE) == {C: 6}
        assert await relay.marks([(ANN, C), (BOB, C), (ANN, D)]) == [(8, 8), (0, 0), (0, 0)]
        assert await relay.row(BOB, C) is None

    backend.run(test)


def test_a_first_device_starts_at_the_beginning_and_a_later_one_where_the_user_is(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.confirm([_joins(), _joins(conversation=D)])
        await relay.open_device(ANN, PHONE)
        assert await relay.cursors(ANN, PHONE) == {}
        await relay.merge([Mark(ANN, PHONE, C, 5, 0)])
        await relay.open_device(ANN, LAPTOP)
        assert await relay.cursors(ANN, LAPTOP) == {C: 5}
        await relay.merge([Mark(ANN, PHONE, C, 7, 0)])
        for device in (PHONE, LAPTOP):
            await relay.open_device(ANN, device)
        assert await relay.cursors(ANN, LAPTOP) == {C: 5}
        assert await relay.cursors(ANN, PHONE) == {C: 7}
        await relay.open_device(BOB, PHONE)
        assert await relay.cursors(BOB, PHONE) == {}

    backend.run(test)


def test_a_mark_makes_its_device_known(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.confirm([_joins()])
        await relay.merge([Mark(ANN, PHONE, C, 5, 0)])
        await relay.open_device(ANN, PHONE)
        await relay.open_device(ANN, LAPTOP)
        assert await relay.cursors(ANN, PHONE) == {C: 5}
        assert await relay.cursors(ANN, LAPTOP) == {C: 5}

    backend.run(test)


def test_people_share_a_conversation_while_both_are_members(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.confirm([_joins(user=user, conversation=D) for user in (ANN, BOB, CID)])
        await relay.confirm([_leaves(user=CID, conversation=D)])
        await relay.prepare([_joins(user=DAN, conversation=D, seq=10)])
        assert await relay.sharing(ANN, [BOB, CID, DAN, UserId(uuid(99))]) == {BOB}
        assert await relay.sharing(CID, [ANN]) == frozenset()
        assert await relay.sharing(DAN, [ANN]) == frozenset()

    backend.run(test)


def test_muting_needs_a_row(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        assert not await relay.set_muted(ANN, C, muted=True)
        await relay.confirm([_joins()])
        assert await relay.set_muted(ANN, C, muted=True)
        assert await relay.row(ANN, C) == Row(C, 1, 1, 0, 0, 0, True)
        assert await relay.set_muted(ANN, C, muted=False)
        assert await relay.row(ANN, C) == Row(C, 1, 1, 0, 0, 0, False)

    backend.run(test)


# ---- against a model


@dataclass
class _Model:
    rows: dict[tuple[UserId, ConversationId], Row] = field(default_factory=dict)
    devices: dict[tuple[UserId, str], dict[ConversationId, int]] = field(default_factory=dict)

    def open_device(self, user: UserId, device: str) -> None:
        if (user, device) in self.devices:
            return
        is_first = all(owner != user for owner, _ in self.devices)
        mine = {conversation: row.delivered for (owner, conversation), row in self.rows.items() if owner == user}
        self.devices[user, device] = {} if is_first else {name: seq for name, seq in mine.items() if seq}

    def prepare(self, change: RowChange) -> None:
        key = change.user, change.conversation
        row = self.rows.get(key, Row(change.conversation, 0, 0, 0, 0, 0, False))
        self.rows[key] = replace(row, pending=change.seq, pending_first=change.first)

    def confirm(self, change: RowChange) -> None:
        key = change.user, change.conversation
        row = self.rows.get(key, Row(change.conversation, 0, 0, 0, 0, 0, False))
        if change.seq > max(row.joined, row.removal):
            if change.first:
                row = replace(row, first=change.first, joined=change.seq, removal=0)
            else:
                row = replace(row, first=row.first if row.joined else change.seq, removal=change.seq)
        if row.pending <= change.seq:
            row = replace(row, pending=0, pending_first=0)
        self.rows[key] = row

    def forget(self, change: RowChange) -> None:
        key = change.user, change.conversation
        if (row := self.rows.get(key)) is None:
            return
        if row.pending == change.seq:
            row = self.rows[key] = replace(row, pending=0, pending_first=0)
        if not (row.pending or row.joined or row.removal):
            del self.rows[key]

    def merge(self, mark: Mark) -> None:
        key = mark.user, mark.conversation
        if (row := self.rows.get(key)) is None:
            return
        delivered = max(mark.delivered, mark.read)
        if mark.device:
            self.open_device(mark.user, mark.device)
            cursors = self.devices[mark.user, mark.device]
            cursors[mark.conversation] = max(cursors.get(mark.conversation, 0), delivered)
        self.rows[key] = replace(row, delivered=max(row.delivered, delivered), read=max(row.read, mark.read))


@dataclass(frozen=True)
class _Changing:
    verb: str
    change: RowChange


@dataclass(frozen=True)
class _Opening:
    user: UserId
    device: DeviceId


_Call = _Changing | Mark | _Opening

_users = st.sampled_from((ANN, BOB))
_conversations = st.sampled_from((C, D))
_devices = st.sampled_from((PHONE, LAPTOP, TABLET))
_seqs = st.integers(1, 12)
_changes = st.builds(
    lambda user, conversation, seq, joins: RowChange(user, conversation, seq, seq if joins else 0),
    _users, _conversations, _seqs, st.booleans(),
)  # fmt: skip
_marks = st.builds(
    Mark, _users, st.one_of(st.just(""), _devices), _conversations, st.integers(0, 12), st.integers(0, 12)
)
_calls: st.SearchStrategy[_Call] = st.one_of(
    st.builds(_Changing, st.sampled_from(("prepare", "confirm", "forget")), _changes),
    _marks,
    st.builds(_Opening, _users, _devices),
)


@settings(max_examples=60)
@given(calls=st.lists(_calls, max_size=40))
def test_any_calls_leave_what_a_model_says(backend: Backend, calls: list[_Call]) -> None:
    async def test(stores: Stores) -> None:
        relay, model = stores.relay, _Model()
        for call in calls:
            match call:
                case _Changing("prepare", change):
                    await relay.prepare([change])
                    model.prepare(change)
                case _Changing("confirm", change):
                    await relay.confirm([change])
                    model.confirm(change)
                case _Changing(_, change):
                    await relay.forget(change.user, change.conversation, change.seq)
                    model.forget(change)
                case Mark():
                    await relay.merge([call])
                    model.merge(call)
                case _Opening(user, device):
                    await relay.open_device(user, device)
                    model.open_device(user, device)
        for user in (ANN, BOB):
            rows = {row.conversation: row for row in await relay.rows(user)}
            assert rows == {conversation: row for (owner, conversation), row in model.rows.items() if owner == user}
            for device in (PHONE, LAPTOP, TABLET):
                assert await relay.cursors(user, device) == model.devices.get((user, device), {})

    backend.run(test)


def test_rows_are_found_and_counted_in_the_order_asked(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        relay = stores.relay
        await relay.confirm([_joins(), _joins(conversation=D, seq=2, first=2)])
        await relay.prepare([_joins(user=BOB)])
        pairs = [(BOB, C), (ANN, D), (CID, C), (ANN, C), (BOB, D)]
        assert await relay.rows_at(pairs) == [
            Row(C, 0, 0, 0, 0, 0, False, 1, 1),
            Row(D, 2, 2, 0, 0, 0, False),
            None,
            Row(C, 1, 1, 0, 0, 0, False),
            None,
        ]
        assert await relay.rows_at([]) == []
        assert await relay.counts([BOB, CID, ANN, ANN]) == [1, 0, 2, 2]

    backend.run(test)
