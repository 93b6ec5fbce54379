"""Does it fit? What training wants to hold, against the memory that is free."""

from pathlib import Path

from loquent.errors import InputError

_FACTS = Path("/proc/meminfo")
_LIMIT, _USE = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.stat")
_GB = 1e9


def check_memory(n_bytes: int, what: str) -> None:
    """See that `what`, of `n_bytes`, can be held; otherwise the kernel would end the program without a word.

    Raises:
        InputError: less than that is free.
    """
    free = free_bytes()
    if free is not None and n_bytes > free:
        raise InputError(
            f"{what} take {n_bytes / _GB:.1f} GB of memory, but {free / _GB:.1f} GB are free. Close other programs, or "
            "prepare the video again with a smaller --size or a shorter part of it (--end-s)."
        )


def free_bytes() -> int | None:
    """Memory that this process may still take, by the kernel's count and its container's limit; None where neither is told."""
    found = [1024 * count for name, count in _numbers(_FACTS).items() if name == "MemAvailable:"]
    limit = _LIMIT.read_text().strip() if _LIMIT.is_file() else ""
    if limit.isdigit():  # files that the kernel keeps in memory give way, so only what programs hold counts
        found.append(max(int(limit) - _numbers(_USE).get("anon", 0), 0))
    return min(found, default=None)


def _numbers(path: Path) -> dict[str, int]:
    """The second word of every line by the first; nothing where the file is not there."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
