"""The contract of the port MessageLog."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.errors import Rejected
from core.base.limits import INTENT_WINDOW_S
from core.base.records import Append, Appended, Claimed, Conflict, Duplicate, Entry, Intent, SlotRow
from tests.contracts.backends import Backend, Stores, on_every_backend
from tests.contracts.log_model import LogModel
from tests.contracts.log_steps import Step, entries_of, steps
from tests.contracts.people import ANN, BOB, C, D, append, entry

pytestmark = on_every_backend

WINDOW_MS = int(INTENT_WINDOW_S * 1_000)


def test_what_is_appended_is_found_with_every_field(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 1, 0)
        odd = Entry(C, 1, ANN, "", entry(1).client_id, "text", b'{"a" : "\xc3\xa4"}', 7, 123, 1, BOB)
        assert await stores.log.append([append(odd, entry(2))]) == [Appended(C, 2)]
        assert await stores.reader.read(C, 0, 0, 10) == [odd, entry(2)]

    backend.run(test)


def test_an_append_at_another_head_or_epoch_changes_nothing(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 5, 0)
        assert await stores.log.append([append(entry(1), epoch=5)]) == [Appended(C, 1)]
        for refused in (
            append(entry(1, client=9), epoch=5),
            append(entry(3), epoch=5),
            append(entry(2), epoch=4),
            append(entry(2), epoch=6),
        ):
            assert await stores.log.append([refused]) == [Conflict(C, 1, 5)]
        assert await stores.reader.read(C, 0, 0, 10) == [entry(1)]

    backend.run(test)


def test_what_was_never_claimed_takes_no_appends(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        assert await stores.log.append([append(entry(1))]) == [Conflict(C, 0, 0)]

    backend.run(test)


def test_a_repeated_client_id_is_a_duplicate_and_its_whole_item_is_not_written(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 1, 0)
        await stores.log.append([append(entry(1))])
        again = append(entry(2), entry(3, client=1))
        assert await stores.log.append([again]) == [Duplicate(C, ANN, entry(1).client_id, 1)]
        assert await stores.reader.read(C, 0, 0, 10) == [entry(1)]

    backend.run(test)


def test_a_client_id_counts_per_sender_and_conversation(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 1, 0)
        await stores.log.claim(D, 1, 0)
        items = [append(entry(1), entry(2, client=1, sender=BOB)), append(entry(1, conversation=D))]
        assert await stores.log.append(items) == [Appended(C, 2), Appended(D, 1)]

    backend.run(test)


def test_one_refusal_never_fails_the_others_of_a_batch(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 1, 0)
        await stores.log.claim(D, 1, 0)
        items = [append(entry(9)), append(entry(1, conversation=D)), append(entry(1)), append(entry(2, client=1))]
        outcomes = [Conflict(C, 0, 1), Appended(D, 1), Appended(C, 1), Duplicate(C, ANN, entry(1).client_id, 1)]
        assert await stores.log.append(items) == outcomes
        assert await stores.log.append([]) == []

    backend.run(test)


def test_a_claim_reads_the_head_and_the_newest_entries(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        assert await stores.log.claim(C, 1, 3) == Claimed(C, 1, 0, 0, ())
        entries = [entry(seq, texts=seq * 2) for seq in range(1, 6)]
        await stores.log.append([append(*entries)])
        assert await stores.log.claim(C, 2, 3) == Claimed(C, 2, 5, 10, tuple(entries[2:]))
        assert await stores.log.claim(C, 2, 0) == Claimed(C, 2, 5, 10, ())

    backend.run(test)


def test_a_claim_fences_every_lower_epoch(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 2, 0)
        with pytest.raises(Rejected, match="claimed") as refused:
            await stores.log.claim(C, 1, 0)
        assert refused.value.code == "conflict"
        assert await stores.log.append([append(entry(1), epoch=1)]) == [Conflict(C, 0, 2)]
        await stores.log.claim(C, 2, 0)

    backend.run(test)


def test_a_deletion_empties_a_text_and_its_edits_those_that_come_late_too(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(C, 1, 0)
        edit = [entry(seq, kind="edit", ref=1, texts=1) for seq in (2, 4)]
        await stores.log.append(
            [append(entry(1), edit[0]), append(entry(3, kind="delete", ref=1, body=b"{}"), edit[1])]
        )
        found = await stores.reader.read(C, 0, 0, 10)
        assert [(one.body, one.is_emptied) for one in found] == [
            (b"{}", True), (b"{}", True), (b"{}", False), (b"{}", True)
        ]  # fmt: skip

    backend.run(test)


def test_only_texts_are_emptied(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.claim(D, 1, 0)
        member = entry(1, conversation=D, kind="member")
        await stores.log.append([append(member, entry(2, conversation=D, kind="delete", ref=1))])
        assert await stores.reader.entry(D, 1) == member

    backend.run(test)


def test_a_slot_row_keeps_its_greatest_epoch(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        assert await stores.log.open_slot(7, 3) == SlotRow(7, 3, 0)
        assert await stores.log.open_slot(7, 3) == SlotRow(7, 3, 0)
        assert await stores.log.open_slot(7, 4) == SlotRow(7, 4, 0)
        with pytest.raises(Rejected) as refused:
            await stores.log.open_slot(7, 3)
        assert refused.value.code == "conflict"
        assert await stores.log.open_slot(8, 1) == SlotRow(8, 1, 0)

    backend.run(test)


def test_intents_need_the_slots_epoch_and_the_later_time_wins(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        with pytest.raises(Rejected):
            await stores.log.note_intents(7, 1, [Intent(C, 5)])
        await stores.log.open_slot(7, 2)
        for epoch in (1, 3):
            with pytest.raises(Rejected):
                await stores.log.note_intents(7, epoch, [Intent(C, 5)])
        await stores.log.note_intents(7, 2, [Intent(C, 5), Intent(D, 9)])
        await stores.log.note_intents(7, 2, [Intent(C, 8), Intent(D, 1)])
        assert sorted(await stores.log.intents(7, 0), key=lambda one: one.time_ms) == [Intent(C, 8), Intent(D, 9)]
        assert await stores.log.intents(7, 9) == [Intent(D, 9)]
        assert await stores.log.intents(8, 0) == []

    backend.run(test)


def test_an_anchor_only_moves_forward_and_keeps_the_window_behind_it(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.log.open_slot(7, 2)
        anchor = 10 * WINDOW_MS
        await stores.log.note_intents(7, 2, [Intent(C, anchor - WINDOW_MS), Intent(D, anchor - WINDOW_MS - 1)])
        with pytest.raises(Rejected):
            await stores.log.move_anchor(7, 1, anchor)
        await stores.log.move_anchor(7, 2, anchor)
        await stores.log.move_anchor(7, 2, anchor - 1)
        assert await stores.log.open_slot(7, 2) == SlotRow(7, 2, anchor)
        assert Intent(C, anchor - WINDOW_MS) in await stores.log.intents(7, 0)

    backend.run(test)


@settings(max_examples=60)
@given(plan=st.lists(steps, max_size=30), seed=st.integers(0, 1 << 32))
def test_any_appends_and_claims_end_as_in_a_list(backend: Backend, plan: list[Step], seed: int) -> None:
    async def test(stores: Stores) -> None:
        models = {C: LogModel(C, epoch=1), D: LogModel(D)}
        rng = random.Random(seed)
        await stores.log.claim(C, 1, 0)
        for step in plan:
            model = models[step.conversation]
            if step.claim is not None:
                if step.claim < model.epoch:
                    with pytest.raises(Rejected):
                        await stores.log.claim(model.conversation, step.claim, 3)
                    continue
                model.epoch = step.claim
                texts = model.log[-1].texts if model.log else 0
                claimed = await stores.log.claim(model.conversation, step.claim, 3)
                assert claimed == Claimed(model.conversation, step.claim, model.head, texts, tuple(model.log[-3:]))
            else:
                head = max(0, model.head + step.head_off)
                entries = entries_of(step, head, rng)
                item = Append(model.conversation, model.epoch + step.epoch_off, head, entries)
                assert await stores.log.append([item]) == [model.append(item)]
        for model in models.values():
            assert await stores.reader.read(model.conversation, 0, 0, 1_000) == model.log

    backend.run(test)
