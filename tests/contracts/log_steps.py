"""Random steps for a log: claims, and appends that fit, or do not."""

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from core.base.ids import ConversationId
from core.base.records import Entry, Kind
from tests.contracts.people import ANN, BOB, C, D, entry

CLIENTS = 60  # client ids, so that some come twice
EMOJIS = ("👍", "🎉", "x")


@dataclass(frozen=True)
class Step:
    """A claim, or an append of `kinds`, off the head or the epoch by so much."""

    conversation: ConversationId
    claim: int | None
    kinds: tuple[Kind, ...]
    head_off: int
    epoch_off: int


_kinds = st.sampled_from(("text", "text", "text", "edit", "delete", "reaction", "reaction"))
_mostly_none = st.sampled_from((0,) * 12 + (-1, 1))

steps = st.builds(
    Step,
    conversation=st.sampled_from((C, C, D)),
    claim=st.one_of(st.none(), st.none(), st.none(), st.integers(1, 3)),
    kinds=st.lists(_kinds, min_size=1, max_size=4).map(tuple),
    head_off=_mostly_none,
    epoch_off=_mostly_none,
)
appends = st.lists(st.lists(_kinds, min_size=1, max_size=6).map(tuple), min_size=1, max_size=8)


def entries_of(step: Step, head: int, rng: random.Random) -> tuple[Entry, ...]:
    """The entries of an append."""
    return random_entries(step.conversation, step.kinds, head, rng, rng.sample(range(CLIENTS), len(step.kinds)))


def random_entries(
    conversation: ConversationId, kinds: tuple[Kind, ...], head: int, rng: random.Random, clients: list[int]
) -> tuple[Entry, ...]:
    """Entries on `head`, of two senders, about earlier ones or none, some of them hidden from the other."""
    made = []
    for seq, (kind, client) in enumerate(zip(kinds, clients, strict=True), start=head + 1):
        sender = rng.choice((ANN, BOB))
        body = b'{"text":"%d"}' % rng.randint(0, 9)
        if kind == "reaction":
            body = b'{"emoji":"%b","on":%b}' % (rng.choice(EMOJIS).encode(), rng.choice((b"true", b"false")))
        hidden_from = rng.choice(("", "", "", ANN if sender == BOB else BOB))
        made.append(
            entry(
                seq,
                conversation=conversation,
                sender=sender,
                client=client,
                kind=kind,
                body=body,
                ref=rng.randint(max(0, seq - 6), seq) if kind != "text" else 0,
                hidden_from=hidden_from,
            )
        )
    return tuple(made)
