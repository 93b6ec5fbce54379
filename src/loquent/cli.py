"""The command line: from words to a command of `loquent.commands`, and from its errors to one paragraph and an exit code."""

import errno
import inspect
import os
import sys
import threading
from collections.abc import Callable, Sequence

import tyro

from loquent import __version__
from loquent.commands import files, measuring, road
from loquent.errors import InputError, LoquentError

SPIN_ROUNDS = "2000"
"""How often an idle OpenMP thread looks for work before it sleeps; see docs/architecture.md, Performance."""
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory", "Insufficient memory")
"""What PyTorch on a GPU, PyTorch, the system and OpenCV say when there is none left; each has an error type of its own."""
COMMANDS: dict[str, Callable[..., int]] = {
    "doctor": road.doctor,
    "prepare": road.prepare,
    "train": road.train,
    "render": road.render,
    "evaluate": measuring.evaluate,
    "score": measuring.score,
    "compare": measuring.compare,
    "figures": measuring.figures,
    "study": measuring.study,
    "bench": measuring.bench,
    "inspect": files.inspect_,
    "import": files.import_,
    "convert": files.convert,
    "demo": road.demo,
}
"""Every command by name; `loquent NAME --help` shows its docstring."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and turn every error into one paragraph on stderr.

    Returns:
        0 for success, 1 for a failure, 2 for input that cannot be used, 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = "--debug" in words or bool(os.environ.get("LOQUENT_DEBUG"))
    if arguments is None:  # the whole process is ours
        _share_cores()
        if not is_debugging:
            threading.excepthook = _report_thread
    words = [word for word in words if word != "--debug"]
    if words in (["--version"], ["-V"]):
        print(f"loquent {__version__}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] not in COMMANDS:
        print(f"There is no command {words[0]!r}. There is: {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        return run(words)
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is half-written; the same command goes on from what was saved.", file=sys.stderr)
        return 130
    except LoquentError as error:
        if is_debugging:
            raise
        print(f"loquent {words[0]}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except Exception as error:
        if is_debugging:
            raise
        message, code = _explained(error)
        print(f"loquent {words[0]}: {message}", file=sys.stderr)
        return code


def run(words: Sequence[str]) -> int:
    """Run one command, its name first; errors and interruptions are the caller's."""
    return tyro.cli(COMMANDS[words[0]], prog=f"loquent {words[0]}", args=words[1:])


def _share_cores() -> None:
    """Make waiting threads sleep soon, unless the user has a say in it already; call before torch loads its OpenMP.

    At every barrier GNU's OpenMP lets a waiting thread turn in circles, up to 300 000 times, before it sleeps. On idle cores
    that wins a tenth at most; beside another job both burn each other's time and run about eight times slower.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_ROUNDS)


def _explained(error: Exception) -> tuple[str, int]:
    """One paragraph and the exit code for an error that no part of Loquent foresaw."""
    if _is_full_disk(error):
        return f"the disk is full ({error}). Free some space, then run the same command again.", 1
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        cause = " ".join(str(error).split()) or "no more is to be had"
        return f"not enough memory ({cause}). Close other programs or ask for smaller pictures, then run it again.", 1
    if isinstance(error, OSError) and error.filename is not None:
        cure = "Check that it is there and that you may read or write it, or name another place"
        return f"{error.filename} cannot be used: {error.strerror}. {cure}; --debug shows what it was wanted for.", 2
    return (
        f"unexpected {type(error).__name__}: {error}. This is a fault of Loquent: please report it with the output of the "
        "same command and --debug added.",
        1,
    )


def _is_full_disk(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _report_thread(failure: threading.ExceptHookArgs) -> None:
    """A full disk that a thread (TensorBoard's) met is raised again where a command waits for it, and reported there."""
    if not _is_full_disk(failure.exc_value):
        threading.__excepthook__(failure)


def _overview() -> str:
    """The list of commands with the first line of each one's docstring."""
    lines = [
        f"Loquent {__version__}: a portrait that talks, from a video of one person.",
        "",
        "usage: loquent COMMAND ...        loquent COMMAND --help        loquent --version",
        "",
    ]
    for name, command in COMMANDS.items():
        lines.append(f"  {name:<10} {(inspect.getdoc(command) or '').splitlines()[0]}")
    lines += ["", "--debug (or LOQUENT_DEBUG=1) shows the full trace of an error."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
