"""The contract of the port LogReader."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.ids import UserId
from core.base.records import (
    Edited,
    Entry,
    HeadQuery,
    HeadState,
    Kind,
    Page,
    PageEntry,
    PageQuery,
    Reaction,
    Reader,
)
from tests.contracts.backends import Backend, Stores, on_every_backend
from tests.contracts.log_model import LogModel
from tests.contracts.log_steps import appends, random_entries
from tests.contracts.people import ANN, BOB, CID, C, D, append, entry

pytestmark = on_every_backend


async def _fill(stores: Stores, *entries: Entry) -> None:
    await stores.log.claim(entries[0].conversation, 1, 0)
    await stores.log.append([append(*entries)])


def _seqs(page: Page) -> list[int]:
    return [shown.entry.seq for shown in page.entries]


def test_raw_reading_goes_by_bounds_and_limit(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        assert await stores.reader.read(C, 0, 0, 10) == []
        entries = [entry(seq) for seq in range(1, 8)]
        await _fill(stores, *entries)
        assert await stores.reader.read(C, 2, 5, 10) == entries[2:5]
        assert await stores.reader.read(C, 2, 0, 2) == entries[2:4]
        assert await stores.reader.read(C, 7, 0, 2) == []
        assert await stores.reader.read(D, 0, 0, 2) == []

    backend.run(test)


def test_an_entry_is_found_by_its_seq_and_by_its_senders_client_id(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await _fill(stores, entry(1), entry(2, sender=BOB))
        assert await stores.reader.entry(C, 2) == entry(2, sender=BOB)
        assert await stores.reader.entry(C, 3) is None
        assert await stores.reader.entry(D, 1) is None
        assert await stores.reader.find(C, ANN, entry(1).client_id) == entry(1)
        assert await stores.reader.find(C, BOB, entry(1).client_id) is None
        assert await stores.reader.find(D, ANN, entry(1).client_id) is None
        assert await stores.reader.find(C, CID, entry(1).client_id) is None

    backend.run(test)


def test_pages_of_what_does_not_exist_are_empty(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        query = PageQuery(C, Reader(ANN, 1), 10, after=0)
        assert await stores.reader.page(query) == Page(C, (), 1, 0, more=False)
        head = HeadQuery(C, Reader(ANN, 1), 0)
        assert await stores.reader.heads([head]) == [HeadState(C, 0, 0, None)]

    backend.run(test)


@pytest.mark.parametrize(
    "query, seqs, more",
    [
        ({"after": 0, "limit": 3}, [2, 3, 4], True),
        ({"after": 5, "limit": 3}, [6, 7, 8], True),
        ({"after": 6, "limit": 3}, [7, 8, 9], False),
        ({"after": 9, "limit": 3}, [], False),
        ({"after": 500, "limit": 3}, [], False),
        ({"before": 500, "limit": 3}, [7, 8, 9], True),
        ({"before": 5, "limit": 3}, [2, 3, 4], False),
        ({"before": 2, "limit": 3}, [], False),
        ({"before": -7, "limit": 3}, [], False),
        ({"around": 5, "limit": 4}, [3, 4, 5, 6], True),
        ({"around": 0, "limit": 4}, [2, 3, 4, 5], True),
        ({"around": 99, "limit": 4}, [7, 8, 9], True),
        ({"around": 5, "limit": 50}, [2, 3, 4, 5, 6, 7, 8, 9], False),
        ({"around": 5, "limit": 1}, [5], True),
    ],
)
def test_pages_are_clipped_to_their_readers_bounds(
    backend: Backend, query: dict[str, int], seqs: list[int], more: bool
) -> None:
    async def test(stores: Stores) -> None:
        await _fill(stores, *(entry(seq) for seq in range(1, 11)))
        page = await stores.reader.page(PageQuery(C, Reader(ANN, 2, 9), **query))
        assert (_seqs(page), page.more, page.first, page.head) == (seqs, more, 2, 9)

    backend.run(test)


def test_texts_carry_their_newest_edit_and_present_reactions(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await _fill(
            stores,
            entry(1),
            entry(2, kind="edit", ref=1, body=b'{"text":"a"}'),
            entry(3, kind="edit", ref=1, body=b'{"text":"b"}'),
            entry(4, kind="reaction", ref=1, body=b'{"emoji":"+","on":true}'),
            entry(5, kind="reaction", ref=1, body=b'{"emoji":"+","on":true}', sender=BOB),
            entry(6, kind="reaction", ref=1, body=b'{"emoji":"-","on":true}'),
            entry(7, kind="reaction", ref=1, body=b'{"emoji":"-","on":false}'),
            entry(8, kind="reaction", ref=1, body=b'{"emoji":7}'),
        )
        page = await stores.reader.page(PageQuery(C, Reader(ANN, 1), 1, after=0))
        assert page.entries == (PageEntry(entry(1), Edited(3, b'{"text":"b"}', 1_003), (Reaction("+", 2, mine=True),)),)
        as_of_four = await stores.reader.page(PageQuery(C, Reader(CID, 1, 4), 1, after=0))
        assert as_of_four.entries[0].reactions == (Reaction("+", 1, mine=False),)
        as_of_two = await stores.reader.page(PageQuery(C, Reader(ANN, 1, 2), 1, after=0))
        assert as_of_two.entries == (PageEntry(entry(1), Edited(2, b'{"text":"a"}', 1_002)),)

    backend.run(test)


def test_a_deleted_text_shows_nothing_that_was_done_to_it(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await _fill(
            stores,
            entry(1),
            entry(2, kind="edit", ref=1),
            entry(3, kind="reaction", ref=1, body=b'{"emoji":"+","on":true}'),
            entry(4, kind="delete", ref=1),
            entry(5, kind="reaction", ref=1, body=b'{"emoji":"+","on":true}', sender=BOB),
        )
        for last in (0, 3):
            page = await stores.reader.page(PageQuery(C, Reader(ANN, 1, last), 1, after=0))
            (shown,) = page.entries
            assert (shown.entry.is_emptied, shown.entry.body, shown.edited, shown.reactions) == (True, b"{}", None, ())

    backend.run(test)


def test_what_is_hidden_from_a_reader_is_skipped_and_does_nothing_to_what_it_sees(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await _fill(
            stores,
            entry(1),
            entry(2, hidden_from=BOB, texts=1),
            entry(3, hidden_from=BOB, kind="edit", ref=1, texts=1),
            entry(4, hidden_from=BOB, kind="reaction", ref=1, texts=1, body=b'{"emoji":"+","on":true}'),
            entry(5, texts=2),
            entry(6, hidden_from=BOB, texts=2),
        )
        page = await stores.reader.page(PageQuery(C, Reader(BOB, 1), 10, after=0))
        assert page.entries == (PageEntry(entry(1)), PageEntry(entry(5, texts=2)))
        assert page.skip == ((2, 4), (6, 6))
        assert not page.more
        own = await stores.reader.page(PageQuery(C, Reader(ANN, 1), 10, after=0))
        assert _seqs(own) == [1, 2, 3, 4, 5, 6]
        assert own.entries[0].edited is not None
        assert own.skip == ()
        (head,) = await stores.reader.heads([HeadQuery(C, Reader(BOB, 1), 1)])
        assert head == HeadState(C, 6, 1, PageEntry(entry(5, texts=2)))

    backend.run(test)


def test_heads_answer_in_the_order_asked_with_unread_by_difference(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await _fill(stores, *(entry(seq, texts=seq * 3) for seq in range(1, 5)))
        await _fill(stores, entry(1, conversation=D))
        found = await stores.reader.heads(
            [
                HeadQuery(D, Reader(ANN, 1), 0),
                HeadQuery(C, Reader(ANN, 1), 1),
                HeadQuery(C, Reader(ANN, 1, 3), 2),
                HeadQuery(C, Reader(ANN, 1), 99),
                HeadQuery(C, Reader(ANN, 9), 0),
            ]
        )
        assert [(state.head, state.unread, state.last and state.last.entry.seq) for state in found] == [
            (1, 1, 1), (4, 9, 4), (3, 3, 3), (4, 0, 4), (4, 12, None)
        ]  # fmt: skip

    backend.run(test)


_readers = st.builds(
    Reader, user=st.sampled_from((ANN, BOB, CID)), first=st.integers(0, 12), last=st.sampled_from((0, 0, 0, 3, 8, 20))
)


@settings(max_examples=60)
@given(
    plan=appends,
    seed=st.integers(0, 1 << 32),
    readers=st.lists(st.tuples(_readers, st.integers(-1, 30), st.integers(1, 12)), min_size=3, max_size=12),
)
def test_any_page_of_any_log_is_that_of_a_list(
    backend: Backend, plan: list[tuple[Kind, ...]], seed: int, readers: list[tuple[Reader, int, int]]
) -> None:
    async def test(stores: Stores) -> None:
        model, rng = LogModel(C, epoch=1), random.Random(seed)
        await stores.log.claim(C, 1, 0)
        for kinds in plan:
            clients = list(range(model.head, model.head + len(kinds)))
            item = append(*random_entries(C, kinds, model.head, rng, clients))
            assert await stores.log.append([item]) == [model.append(item)]
        for reader, at, limit in readers:
            for where in ("after", "before", "around"):
                query = PageQuery(C, reader, limit, **{where: at})
                assert await stores.reader.page(query) == model.page(query), query
            head = HeadQuery(C, reader, max(at, 0))
            assert await stores.reader.heads([head]) == [model.head_state(head)], head

    backend.run(test)


@settings(max_examples=20)
@given(plan=appends, seed=st.integers(0, 1 << 32), user=st.sampled_from((ANN, BOB)), limit=st.integers(1, 5))
def test_pulling_page_after_page_gives_each_seq_once(
    backend: Backend, plan: list[tuple[Kind, ...]], seed: int, user: UserId, limit: int
) -> None:
    async def test(stores: Stores) -> None:
        rng, head = random.Random(seed), 0
        await stores.log.claim(C, 1, 0)
        for kinds in plan:
            await stores.log.append(
                [append(*random_entries(C, kinds, head, rng, list(range(head, head + len(kinds)))))]
            )
            head += len(kinds)
        applied: list[int] = []
        more = True
        while more:
            page = await stores.reader.page(PageQuery(C, Reader(user, 1), limit, after=len(applied)))
            skipped = [seq for low, high in page.skip for seq in range(low, high + 1)]
            applied += sorted(_seqs(page) + skipped)
            more = page.more
        assert applied == list(range(1, head + 1))

    backend.run(test)
