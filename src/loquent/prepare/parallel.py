"""A streaming, ordered map over threads: OpenCV, MediaPipe and file writing release Python's lock while they work."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, n_workers: int | None = None
) -> Iterator[Result]:
    """Yield ``function(item)`` in the order of `items`, a few ahead of the reader, so memory stays flat.

    `items` is read in the caller's thread. An error in `function` is raised where its result would have come.
    """
    n_workers = n_workers or min(8, os.cpu_count() or 1)
    source = iter(items)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            for item in itertools.islice(source, 2 * n_workers):
                waiting.append(pool.submit(function, item))
            while waiting:
                result = waiting.popleft().result()
                for item in itertools.islice(source, 1):
                    waiting.append(pool.submit(function, item))
                yield result
        finally:
            for future in waiting:
                future.cancel()
