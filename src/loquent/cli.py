"""The command line: each command is a function of this file, imports what it needs when it runs, and returns an exit code."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from loquent import __version__
from loquent.config import PrepareConfig
from loquent.errors import InputError, LoquentError

Positional = tyro.conf.Positional
_PREPARE_DEFAULTS = PrepareConfig()


def prepare(
    video: Positional[Path],
    /,
    out: Path,
    config: Annotated[PrepareConfig, tyro.conf.arg(name="")] = _PREPARE_DEFAULTS,
) -> int:
    """Turn a video into a clip folder. Run it again to resume: finished steps are kept.

    Example: loquent prepare me.mp4 --out me_clip

    Args:
        video: a video of one person who faces a still camera and speaks, 20 seconds or longer.
        out: the clip folder to make, or to finish.
        config: sizes and times.
    """
    from loquent.prepare.report import Bars, print_clip
    from loquent.prepare.steps import prepare_clip

    with Bars() as bars:
        clip = prepare_clip(video, out, config, bars)
    print_clip(clip)
    return 0


COMMANDS: dict[str, Callable[..., int]] = {"prepare": prepare}
"""Every command by name; `loquent NAME --help` shows its docstring."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and turn every error into one paragraph on stderr.

    Returns:
        0 for success, 1 for a failure, 2 for input that cannot be used, 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = "--debug" in words or bool(os.environ.get("LOQUENT_DEBUG"))
    words = [word for word in words if word != "--debug"]
    if words in (["--version"], ["-V"]):
        print(f"loquent {__version__}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    command = COMMANDS.get(words[0])
    if command is None:
        print(f"There is no command {words[0]!r}. There is: {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        return tyro.cli(command, prog=f"loquent {words[0]}", args=words[1:])
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is half-written; run the same command again to go on.", file=sys.stderr)
        return 130
    except LoquentError as error:
        if is_debugging:
            raise
        print(f"loquent {words[0]}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except Exception as error:
        if is_debugging:
            raise
        print(
            f"loquent {words[0]}: unexpected {type(error).__name__}: {error}. This is a fault of Loquent: please report it "
            "with the output of the same command and --debug added.",
            file=sys.stderr,
        )
        return 1


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
