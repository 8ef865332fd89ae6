"""Coarse deadlines for very many things: buckets of one second.

Adding is O(1) and nothing is ever cancelled: when an item comes due, its owner looks whether the deadline still holds and adds it anew if
it has moved. So a frame that arrives costs an attribute store, not a heap operation.
"""

import math
from typing import Generic, TypeVar

T = TypeVar("T")


class TimerWheel(Generic[T]):
    """Items by the second at which they are to be looked at; never early, late by a second at most."""

    __slots__ = ("_buckets", "_next")

    def __init__(self, now_s: float) -> None:
        self._buckets: dict[int, list[T]] = {}
        self._next = math.floor(now_s)

    def add(self, deadline_s: float, item: T) -> None:
        """Have `item` come out of `take_due` in the second after `deadline_s` (monotonic)."""
        second = max(math.ceil(deadline_s), self._next)
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = [item]
        else:
            bucket.append(item)

    def take_due(self, now_s: float) -> list[T]:
        """Empty and return what is due at `now_s`, oldest second first."""
        last = math.floor(now_s)
        if last < self._next:
            return []
        due: list[T] = []
        if last - self._next < len(self._buckets):
            seconds = [second for second in range(self._next, last + 1) if second in self._buckets]
        else:  # the clock leapt: look at the buckets that exist, not at each second of the leap
            seconds = sorted(second for second in self._buckets if second <= last)
        for second in seconds:
            due.extend(self._buckets.pop(second))
        self._next = last + 1
        return due

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))
