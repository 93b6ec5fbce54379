"""The ordered map over threads."""

import threading
import time
from collections.abc import Iterator

import pytest

from loquent.prepare.parallel import ordered_map


def test_order_is_kept_whatever_finishes_first() -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.02 if i % 4 == 0 else 0.0)
        return i * i

    assert list(ordered_map(slow_first, range(23), n_workers=4)) == [i * i for i in range(23)]


def test_source_is_read_only_a_little_ahead() -> None:
    read = 0

    def source() -> Iterator[int]:
        nonlocal read
        for i in range(1000):
            read += 1
            yield i

    results = ordered_map(lambda i: i, source(), n_workers=2)
    for _ in range(10):
        next(results)
    assert read <= 10 + 5
    results.close()  # type: ignore[attr-defined]


def test_error_comes_where_its_result_would_have() -> None:
    def fail_at_five(i: int) -> int:
        if i == 5:
            raise ValueError("five")
        return i

    results = ordered_map(fail_at_five, range(10), n_workers=3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)


def test_threads_end_with_the_map() -> None:
    before = threading.active_count()
    assert list(ordered_map(str, range(5), n_workers=3)) == ["0", "1", "2", "3", "4"]
    assert threading.active_count() == before
