"""How Numba compiles functions: the CPU bodies of the operations, and the actor's drawing."""

import inspect
from collections.abc import Callable
from typing import Any, overload

import numba

Body = Callable[..., Any]
# Everything "fast" means except nnan and ninf: the kernels rely on comparisons that hold for values that are not numbers.
_FLOATING_POINT = {"nsz", "arcp", "contract", "afn", "reassoc"}


@overload
def kernel(function: Body, /) -> Body: ...


@overload
def kernel(*, parallel: bool = ..., inline: bool = ..., exact: bool = ...) -> Callable[[Body], Body]: ...


def kernel(
    function: Body | None = None, /, *, parallel: bool = False, inline: bool = False, exact: bool = False
) -> Body | Callable[[Body], Body]:
    """Compile a function when it is first called, without the interpreter lock, keeping the result on disk if possible.

    Use as ``@kernel`` or ``@kernel(parallel=True)``. `inline` is for small functions called inside loops; `exact` keeps
    every rounding as written, where results decide which branch is taken.
    """
    if function is None:
        return lambda bare: _compiled(bare, parallel, inline, exact)
    return _compiled(function, parallel, inline, exact)


def _compiled(function: Body, parallel: bool, inline: bool, exact: bool) -> Body:
    floating_point = False if exact else _FLOATING_POINT
    options: dict[str, Any] = {"parallel": parallel, "fastmath": floating_point, "boundscheck": False, "nogil": True}
    if inline:
        options["inline"] = "always"
    bare = inspect.unwrap(function)  # tests wrap every function to check shapes; Numba needs the bare one
    try:
        compiled: Body = numba.njit(cache=True, **options)(bare)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written: compile in every process
        compiled = numba.njit(**options)(bare)
    return compiled


def n_kernel_threads() -> int:
    """Threads that parallel kernels run on."""
    return int(numba.get_num_threads())


__all__ = ["kernel", "n_kernel_threads"]
