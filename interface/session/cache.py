"""A store that forgets what was used longest ago, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Values by key, at most `capacity` bytes of them; safe to share between threads.

    A value larger than the whole capacity is handed out but not kept.
    """

    def __init__(self, capacity: int, size_of: Callable[[Value], int]) -> None:
        self.capacity = capacity
        self._size_of = size_of
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes held now."""
        with self._lock:
            return sum(map(self._size_of, self._values.values()))

    def get(self, key: Key) -> Value | None:
        """The value of `key`, which counts as used now, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def drop(self, chosen: Callable[[Key], bool]) -> None:
        """Forget the values whose keys are `chosen`."""
        with self._lock:
            for key in [key for key in self._values if chosen(key)]:
                del self._values[key]

    def put(self, key: Key, value: Value) -> Value:
        """Keep `value`, forget the oldest ones beyond the capacity, and hand `value` back."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            held = sum(map(self._size_of, self._values.values()))
            while held > self.capacity:
                _, dropped = self._values.popitem(last=False)
                held -= self._size_of(dropped)
        return value
