"""`numba.njit` that also works where its on-disk cache has no place to live."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a body at its first call, keeping the machine code on disk where a place for it can be written."""

    def compile_body(body: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(cache=True, **options)(body)  # type: ignore[no-any-return]
        except RuntimeError:  # "no locator available": neither beside the source nor in the user's cache folder
            return numba.njit(**options)(body)  # type: ignore[no-any-return]

    return compile_body
