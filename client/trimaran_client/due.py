"""`DueSet`: which key is due when. The outbox, the marks and the pulls wait in one each."""

import heapq
from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class DueSet(Generic[K]):
    """Keys with the second at which each is due; keys of the same second come out in the order they were put in."""

    def __init__(self) -> None:
        self._due: dict[K, tuple[float, int]] = {}
        # Entries that `_due` no longer knows are left here until they come up: cheaper than searching for them.
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def put(self, key: K, due_s: float) -> None:
        """Puts the key in, or moves it to another time."""
        self._count += 1
        self._due[key] = (due_s, self._count)
        if len(self._heap) > 64 + 4 * len(self._due):
            self._heap = [(due, count, known) for known, (due, count) in self._due.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (due_s, self._count, key))

    def discard(self, key: K) -> None:
        """Takes the key out, if it is in."""
        self._due.pop(key, None)

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()

    def next_s(self) -> float:
        """When the earliest key is due; infinity when there is none."""
        while self._heap:
            due_s, count, key = self._heap[0]
            if self._due.get(key) == (due_s, count):
                return due_s
            heapq.heappop(self._heap)
        return inf

    def pop(self, now_s: float) -> K | None:
        """Takes out the earliest key that is due, or None."""
        if self.next_s() > now_s:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        return key
