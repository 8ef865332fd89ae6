"""How often an address may try: attempts counted in windows, in bounded memory."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from core.base.errors import Overloaded
from core.base.limits import ATTEMPT_KEYS_MAX


class Attempts:
    """At most `most` attempts of a key in `window_s` seconds, from its first one on; a `most` of 0 switches it off.

    Beyond ATTEMPT_KEYS_MAX keys the oldest windows are forgotten: who commands that many addresses needs no second try.
    """

    __slots__ = ("_most", "_what", "_window_s", "_windows")

    def __init__(self, what: str, most: int, window_s: float) -> None:
        self._what: Final = what
        self._most: Final = most
        self._window_s: Final = window_s
        # End and count; since all windows are as long, by rising end. A plain dict would look for its first key through
        # all that were removed before it.
        self._windows: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, key: Hashable, now_s: float) -> None:
        """Count an attempt. Raises: Overloaded, with the time until the window ends."""
        if self._most == 0:
            return
        self._forget_ended(now_s)
        end_s, count = self._windows.get(key, (now_s + self._window_s, 0))
        if count >= self._most:
            raise Overloaded(f"too many {self._what}", retry_after_s=end_s - now_s)
        self._windows[key] = (end_s, count + 1)

    def give_back(self, key: Hashable) -> None:
        """The attempt that was taken does not count."""
        if key in self._windows:
            end_s, count = self._windows[key]
            self._windows[key] = (end_s, max(0, count - 1))

    def forget(self, key: Hashable) -> None:
        """None of the key's attempts counts any longer."""
        self._windows.pop(key, None)

    def __len__(self) -> int:
        return len(self._windows)

    def _forget_ended(self, now_s: float) -> None:
        windows = self._windows
        while windows:
            oldest = next(iter(windows))
            if windows[oldest][0] > now_s and len(windows) < ATTEMPT_KEYS_MAX:
                return
            del windows[oldest]
