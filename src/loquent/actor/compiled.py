"""`numba.njit` that also works where its on-disk cache has no place to live."""

import inspect
from collections.abc import Callable
from typing import Any

import numba


def compiled(*, parallel: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a body at its first call, keeping the machine code on disk where a place for it can be written."""

    def compile_body(body: Callable[..., Any]) -> Callable[..., Any]:
        bare = inspect.unwrap(body)  # tests wrap every function to check shapes; Numba needs the bare one
        try:
            return numba.njit(cache=True, parallel=parallel)(bare)
        except RuntimeError:  # "no locator available": neither beside the source nor in the user's cache folder
            return numba.njit(parallel=parallel)(bare)

    return compile_body
