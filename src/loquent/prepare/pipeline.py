"""Steps with declared inputs and outputs, stamped by content: a run does only what is missing and survives being killed.

Every step writes into a private workplace; when it is done, its outputs are renamed into the clip folder and a stamp
``steps/<name>.json`` is written last. A step is skipped when its stamp names the same code version, parameters and input
contents, and its outputs are still there in full; so the pictures of a step need not reach the disk one by one: those that a
power cut took have another size than the stamp says, and the step runs again. ``clip.json``, the output of the last step, is
removed before anything is rebuilt, so a folder that opens as a clip is never a mixture of two runs.
"""

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from loquent.errors import InputError, LoquentError, MediaError, OutputError, PreparationError
from loquent.storage import file_digest, locked, write_json

SOURCE = "@source"
"""Stands for the video among a step's inputs."""
STAMPS = "steps"
FORMAT = "loquent.step"
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@runtime_checkable
class Observer(Protocol):
    """Is told how a run goes; the command line draws bars from it."""

    def plan(self, efforts: Sequence[float]) -> None:
        """The run begins; its steps will take times in this proportion."""

    def start(self, title: str, number: int) -> None:
        """Step `number`, counted from 1, begins; `title` says what it does."""

    def advance(self, done: int, total: int) -> None:
        """The step has done `done` of `total` pieces of work, mostly frames; 0 = how many there are is not known."""

    def finish(self, step: str, number: int, *, skipped: bool) -> None:
        """The step called `step` is done; `skipped` if an earlier run had done it."""


class Silent:
    """An observer that does nothing."""

    def plan(self, efforts: Sequence[float]) -> None:
        pass

    def start(self, title: str, number: int) -> None:
        pass

    def advance(self, done: int, total: int) -> None:
        pass

    def finish(self, step: str, number: int, *, skipped: bool) -> None:
        pass


@dataclass(frozen=True)
class Step:
    """One stage of the preparation."""

    name: str
    """Short name, used for the stamp and in messages."""
    title: str
    """What is being done, for the progress bar."""
    run: Callable[["Workplace"], None]
    """Reads its inputs, writes its outputs, both through the workplace."""
    inputs: tuple[str, ...]
    """Files or folders it reads, relative to the clip folder; SOURCE is the video."""
    outputs: tuple[str, ...]
    """Files or folders it writes."""
    version: int = 1
    """Raised when the code changes what it writes."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Settings that change the result; JSON values."""
    effort: float = 1.0
    """Usual share of the whole time, in any unit; only for the time left."""


class Workplace:
    """What a running step may touch: its declared inputs, temporary places for its outputs, its progress."""

    def __init__(self, step: Step, source: Path, folder: Path, temporary: Path, observer: Observer):
        self._step, self._folder, self._temporary, self._observer = step, folder, temporary, observer
        self._source = source
        self.parameters = step.parameters
        self.frame: int | None = None
        """The frame being worked on, named when the step fails."""

    def input(self, name: str) -> Path:
        """Where a declared input lies."""
        assert name in self._step.inputs, f"step {self._step.name!r} reads {name!r} without declaring it"
        return self._source if name == SOURCE else self._folder / name

    def output(self, name: str) -> Path:
        """Where to write a declared output; its parent exists."""
        assert name in self._step.outputs, f"step {self._step.name!r} writes {name!r} without declaring it"
        path = self._temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def output_folder(self, name: str) -> Path:
        """A declared output that is a folder, made and empty."""
        path = self.output(name)
        path.mkdir(exist_ok=True)
        return path

    def advance(self, done: int, total: int, *, frame: int | None = None) -> None:
        """Report progress, and the frame that is next, for the message should it fail."""
        self.frame = frame
        self._observer.advance(done, total)


def run_pipeline(steps: Sequence[Step], source: Path, folder: Path, observer: Observer | None = None) -> None:
    """Bring `folder` up to date with `source` by running the steps whose stamps do not match.

    Raises:
        InputError: the source does not exist, or the folder holds something else.
        MediaError: the video cannot be used; a folder made by this run is removed again.
        PreparationError: a step failed; the message names step, frame, cause and cure.
        OutputError: the disk is full or cannot be written.
    """
    check_source(source)
    _check_order(steps)
    observer = observer or Silent()
    is_new = not folder.exists()
    source_digest = file_digest(source)
    with _refuse_foreign(folder, source, source_digest):
        try:
            _run_steps(steps, source, source_digest, folder, observer)
        except MediaError:
            # The video itself cannot be used: resuming is pointless, so nothing of it stays.
            if is_new:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def check_source(source: Path) -> None:
    """Refuse what is no file.

    Raises:
        InputError: it does not exist, or is a folder.
    """
    if not source.is_file():
        what = "is a folder, not a video file" if source.is_dir() else "does not exist"
        raise InputError(f"The video {source} {what}. Give the path of one video file.")


def _run_steps(steps: Sequence[Step], source: Path, source_digest: str, folder: Path, observer: Observer) -> None:
    for left_over in (*folder.glob(".partial-*"), *(folder / STAMPS).glob(".partial-*")):
        _remove(left_over)  # of a run that was killed
    digests = {SOURCE: source_digest}
    observer.plan([step.effort for step in steps])
    for number, step in enumerate(steps, start=1):
        observer.start(step.title, number)
        key = _key(step, digests)
        outputs = _valid_outputs(folder, step, key)
        skipped = outputs is not None
        if outputs is None:
            for name in (_stamp_name(step), *steps[-1].outputs):
                _remove(folder / name)
            _run_one(step, source, folder, observer)
            outputs = {name: _describe(folder / name) for name in step.outputs}
            stamp = {"format": FORMAT, "step": step.name, "key": key, "version": step.version}
            write_json(folder / _stamp_name(step), {**stamp, "parameters": dict(step.parameters), "outputs": outputs})
        digests |= {name: described["digest"] for name, described in outputs.items()}
        observer.finish(step.name, number, skipped=skipped)


def _run_one(step: Step, source: Path, folder: Path, observer: Observer) -> None:
    temporary = folder / f".partial-{step.name}"
    _remove(temporary)
    work = Workplace(step, source, folder, temporary, observer)
    try:
        temporary.mkdir(parents=True)
        step.run(work)
        for name in step.outputs:
            if not (temporary / name).exists():
                raise PreparationError(f"it did not write {name}, which it promises. Please report this.")
        for name in step.outputs:
            _remove(folder / name)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).rename(folder / name)
    except Exception as cause:
        named = _named(step, work, source, folder, cause)
        if named is cause:
            raise
        raise named from cause
    finally:
        _remove(temporary)


def _named(step: Step, work: Workplace, source: Path, folder: Path, cause: Exception) -> LoquentError:
    """The same failure with the step, the frame and the cure in its message; what is wrong with the video speaks for itself."""
    if isinstance(cause, MediaError):
        return cause
    where = f"Preparing {source.name} stopped at the step {step.name!r}"
    if work.frame is not None:
        where += f", frame {work.frame}"
    if isinstance(cause, LoquentError):
        return type(cause)(f"{where}: {cause}")
    if isinstance(cause, OSError) and cause.errno in _DISK_FAULTS:
        return OutputError(
            f"{where}: cannot write into {folder}: {cause.strerror}. Free some space or choose another place with --out, "
            "then run the same command again: finished steps are kept."
        )
    return PreparationError(
        f"{where}: {type(cause).__name__}: {cause}. Finished steps are kept, so running the same command again resumes "
        "there; if it stops again, please report this message."
    )


def _check_order(steps: Sequence[Step]) -> None:
    available = {SOURCE}
    for step in steps:
        missing = set(step.inputs) - available
        assert not missing, f"step {step.name!r} reads {missing}, which no earlier step writes"
        assert not available & set(step.outputs), f"step {step.name!r} writes what another step wrote"
        available |= set(step.outputs)


def _key(step: Step, digests: Mapping[str, str]) -> str:
    """Digest of everything that decides the step's result."""
    inputs = {name: digests[name] for name in step.inputs}
    identity = [step.name, step.version, dict(step.parameters), inputs, list(step.outputs)]
    return hashlib.sha256(json.dumps(identity, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _valid_outputs(folder: Path, step: Step, key: str) -> dict[str, Any] | None:
    """The stamp's outputs if the stamp is this key's and every output still has its size, else nothing."""
    try:
        stamp = json.loads((folder / _stamp_name(step)).read_text())
        if stamp["format"] != FORMAT or stamp["key"] != key:
            return None
        outputs: dict[str, Any] = stamp["outputs"]
        whole = all(_sizes(folder / name) == outputs[name]["bytes"] for name in step.outputs)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return outputs if whole else None


def _sizes(path: Path) -> int | dict[str, int]:
    """Size in bytes of a file, or of every file in a folder."""
    if path.is_dir():
        return {file.name: file.stat().st_size for file in sorted(path.iterdir())}
    return path.stat().st_size


def _describe(path: Path) -> dict[str, Any]:
    """Size and content digest of an output; a folder's digest covers names and contents."""
    if not path.is_dir():
        return {"bytes": path.stat().st_size, "digest": file_digest(path)}
    listing = "".join(f"{file.name} {file_digest(file)}\n" for file in sorted(path.iterdir()))
    return {"bytes": _sizes(path), "digest": hashlib.sha256(listing.encode()).hexdigest()}


def _stamp_name(step: Step) -> str:
    return f"{STAMPS}/{step.name}.json"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _holds_something(folder: Path) -> bool:
    """Whether there is a file in it that no run killed at its very start has left."""
    return any(path.is_file() and not path.name.startswith(".partial-") for path in folder.rglob("*"))


@contextlib.contextmanager
def _refuse_foreign(folder: Path, source: Path, source_digest: str) -> Iterator[None]:
    """Hold the folder for this run, once it is certain that it is new or was begun for the same video."""
    marker = folder / STAMPS / "source.json"
    if not marker.is_file() and (folder.is_file() or _holds_something(folder)):
        raise InputError(
            f"{folder} exists and was not made by `loquent prepare`, so it is left alone. Choose another --out."
        )
    if marker.is_file():
        try:
            recorded = json.loads(marker.read_text())
            name, digest = recorded["name"], recorded["sha256"]
        except (ValueError, KeyError, TypeError):
            name, digest = "an unknown video (its steps/source.json is damaged)", ""
        if digest != source_digest:
            raise InputError(
                f"{folder} was prepared from {name}, not from this {source.name}. Choose another --out, or remove the folder."
            )
    else:
        write_json(marker, {"name": source.name, "sha256": source_digest})
    with locked(folder / STAMPS / ".lock", f"`loquent prepare` is working in {folder}"):
        yield


__all__ = ["SOURCE", "Observer", "Silent", "Step", "Workplace", "check_source", "run_pipeline"]
