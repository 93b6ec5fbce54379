"""How Numba compiles the bodies of this folder."""

import inspect
from collections.abc import Callable
from typing import Any

import numba

# Everything "fast" means except nnan and ninf: the kernels rely on comparisons that hold for values that are not numbers.
_FLOATING_POINT = {"nsz", "arcp", "contract", "afn", "reassoc"}


def kernel(
    function: Callable[..., Any] | None = None,
    *,
    parallel: bool = False,
    inline: bool = False,
    exact: bool = False,
) -> Any:
    """Compile a function when it is first called, without the interpreter lock, keeping the result on disk if possible.

    Use as ``@kernel`` or ``@kernel(parallel=True)``. `inline` is for small functions called inside loops; `exact` keeps
    every rounding as written, where results decide which branch is taken.
    """
    if function is None:
        return lambda bare: kernel(bare, parallel=parallel, inline=inline, exact=exact)
    floating_point = False if exact else _FLOATING_POINT
    options: dict[str, Any] = {"parallel": parallel, "fastmath": floating_point, "boundscheck": False, "nogil": True}
    if inline:
        options["inline"] = "always"
    bare = inspect.unwrap(function)  # tests wrap every function to check shapes; Numba needs the bare one
    try:
        return numba.njit(cache=True, **options)(bare)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written: compile in every process
        return numba.njit(**options)(bare)
