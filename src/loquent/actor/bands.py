"""Drawing a picture as bands of rows, one thread per core."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def over_rows(body: Callable[..., None], n_rows: int, *arguments: Any) -> None:
    """Call ``body(first_row, last_row, *arguments)`` on bands that cover `n_rows` rows, one thread per core.

    Plain threads wait without spinning and need no parallel compilation, which takes several times longer. Bodies write
    only rows of their own band, so the result does not depend on the number of cores.
    """
    n_threads = max(1, min(len(os.sched_getaffinity(0)), n_rows // 32))
    n_bands = 1 if n_threads == 1 else 3 * n_threads  # more bands than threads: some rows are dearer than others
    edges = [n_rows * band // n_bands for band in range(n_bands + 1)]
    if n_bands == 1:
        body(0, n_rows, *arguments)
        return
    with ThreadPoolExecutor(n_threads) as threads:
        jobs = [threads.submit(body, first, last, *arguments) for first, last in itertools.pairwise(edges)]
        for job in jobs:
            job.result()
