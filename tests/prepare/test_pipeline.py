"""Running, skipping, resuming and failing, with toy steps."""

import errno
import json
import os
from pathlib import Path

import pytest

from loquent.errors import InputError, MediaError, OutputError, PreparationError
from loquent.prepare.pipeline import SOURCE, Silent, Step, Workplace, run_pipeline


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


class Toy:
    """Three steps: read the source into a.txt, spread it over the folder b/, join that into end.txt."""

    def __init__(self, tmp_path: Path):
        self.source = tmp_path / "video.mp4"
        self.source.write_text("abc")
        self.folder = tmp_path / "clip"
        self.ran: list[str] = []
        self.repeat = 1
        self.version = 1

    def steps(self) -> list[Step]:
        return [
            Step("read", "Reading", self.read, (SOURCE,), ("a.txt",)),
            Step("spread", "Spreading", self.spread, ("a.txt",), ("b",), self.version, {"repeat": self.repeat}),
            Step("join", "Joining", self.join, ("b",), ("end.txt",)),
        ]

    def run(self) -> list[str]:
        self.ran = []
        run_pipeline(self.steps(), self.source, self.folder)
        return self.ran

    def read(self, work: Workplace) -> None:
        self.ran.append("read")
        work.output("a.txt").write_text(work.input(SOURCE).read_text().upper())

    def spread(self, work: Workplace) -> None:
        self.ran.append("spread")
        folder = work.output_folder("b")
        text = work.input("a.txt").read_text() * work.parameters["repeat"]
        for i, letter in enumerate(text):
            work.advance(i, len(text), frame=i)
            (folder / f"{i}.txt").write_text(letter)

    def join(self, work: Workplace) -> None:
        self.ran.append("join")
        files = sorted(work.input("b").iterdir())
        work.output("end.txt").write_text("".join(file.read_text() for file in files))

    @property
    def end(self) -> str:
        return (self.folder / "end.txt").read_text()


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".partial*")]


def test_runs_all_then_nothing(toy: Toy) -> None:
    assert toy.run() == ["read", "spread", "join"]
    assert toy.end == "ABC"
    assert toy.run() == []


def test_changed_parameter_reruns_only_what_follows(toy: Toy) -> None:
    toy.run()
    toy.repeat = 2
    assert toy.run() == ["spread", "join"]
    assert toy.end == "ABCABC"


def test_changed_version_with_the_same_result_stops_there(toy: Toy) -> None:
    toy.run()
    toy.version = 2
    # The last step's output is taken away before anything is rebuilt, so it runs again; its inputs did not change.
    assert toy.run() == ["spread", "join"]
    toy.version = 1
    toy.run()
    assert toy.run() == []


@pytest.mark.parametrize("damage", ["missing", "short", "extra"])
def test_damaged_output_is_rebuilt(toy: Toy, damage: str) -> None:
    toy.run()
    victim = toy.folder / "b" / "1.txt"
    if damage == "missing":
        victim.unlink()
    elif damage == "short":
        victim.write_text("")
    else:
        (toy.folder / "b" / "9.txt").write_text("?")
    assert toy.run() == ["spread", "join"]
    assert toy.end == "ABC"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "loquent.step"}'])
def test_damaged_stamp_is_rebuilt(toy: Toy, content: str) -> None:
    toy.run()
    (toy.folder / "steps" / "read.json").write_text(content)
    assert toy.run()[0] == "read"
    assert toy.end == "ABC"


def test_killed_in_the_middle_of_a_step_resumes_there(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.run()
    toy.repeat = 3

    def killed(self: Toy, work: Workplace) -> None:
        (work.output_folder("b") / "0.txt").write_text("half")
        os._exit(9)

    with monkeypatch.context() as patch:
        patch.setattr(Toy, "spread", killed)
        child = os.fork()
        if child == 0:
            run_pipeline(toy.steps(), toy.source, toy.folder)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not (toy.folder / "end.txt").exists(), "a folder under rebuilding must not look finished"
    assert leftovers(toy.folder) == [".partial-spread"]
    assert toy.run() == ["spread", "join"]
    assert toy.end == "ABCABCABC"
    assert leftovers(toy.folder) == []


@pytest.mark.parametrize("moment", range(1, 20))
def test_killed_between_any_two_changes_of_the_disk(toy: Toy, monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    toy.run()
    toy.repeat = 2
    count = 0

    def counted(original):  # type: ignore[no-untyped-def]
        def call(*arguments, **options):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count >= moment:
                raise Killed
            return original(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr("shutil.rmtree", counted(__import__("shutil").rmtree))
        try:
            run_pipeline(toy.steps(), toy.source, toy.folder)
        except Killed:
            if (toy.folder / "end.txt").exists():
                assert toy.end in ("ABC", "ABCABC")
    toy.run()
    assert toy.end == "ABCABC"
    assert leftovers(toy.folder) == []


def test_failure_names_step_frame_cause_and_cure(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Toy, work: Workplace) -> None:
        work.advance(16, 20, frame=17)
        raise ValueError("no such colour")

    with monkeypatch.context() as patch:
        patch.setattr(Toy, "spread", broken)
        with pytest.raises(PreparationError) as caught:
            toy.run()
    for part in ("video.mp4", "'spread'", "frame 17", "ValueError", "no such colour", "running the same command again"):
        assert part in str(caught.value)
    assert toy.run() == ["spread", "join"], "the step before was kept"


def test_step_that_forgets_an_output_is_named(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "spread", lambda self, work: None)
    with pytest.raises(PreparationError, match=r"'spread'.*did not write b"):
        toy.run()


def test_full_disk_is_an_output_error_and_resumes(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Toy, work: Workplace) -> None:
        (work.output_folder("b") / "0.txt").write_text("A")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Toy, "spread", full)
        with pytest.raises(OutputError, match=r"'spread'.*No space left on device.*finished steps are kept"):
            toy.run()
    assert leftovers(toy.folder) == []
    assert toy.run() == ["spread", "join"]


def test_unusable_video_leaves_no_folder(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Toy, work: Workplace) -> None:
        raise MediaError("video.mp4 shows no face.")

    monkeypatch.setattr(Toy, "spread", refuse)
    with pytest.raises(MediaError, match=r"^video.mp4 shows no face\.$"):
        toy.run()
    assert not toy.folder.exists()


def test_folder_of_someone_else_is_refused(toy: Toy) -> None:
    toy.folder.mkdir()
    (toy.folder / "thesis.txt").write_text("five years")
    with pytest.raises(InputError, match="was not made by `loquent prepare`"):
        toy.run()
    assert [path.name for path in toy.folder.iterdir()] == ["thesis.txt"]


def test_file_in_place_of_the_folder_is_refused(toy: Toy) -> None:
    toy.folder.write_text("precious")
    with pytest.raises(InputError, match="was not made by `loquent prepare`"):
        toy.run()
    assert toy.folder.read_text() == "precious"


def test_clip_of_another_video_is_refused(toy: Toy) -> None:
    toy.run()
    toy.source.write_text("xyz")
    with pytest.raises(InputError, match=r"was prepared from video\.mp4"):
        toy.run()
    assert toy.end == "ABC"


def test_missing_and_wrong_sources(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run_pipeline(toy.steps(), tmp_path / "nowhere.mp4", toy.folder)
    with pytest.raises(InputError, match="is a folder"):
        run_pipeline(toy.steps(), tmp_path, toy.folder)
    assert not toy.folder.exists()


def test_second_run_at_the_same_time_is_refused(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def meddle(self: Toy, work: Workplace) -> None:
        child = os.fork()
        if child == 0:
            try:
                run_pipeline(toy.steps(), toy.source, toy.folder)
            except InputError as error:
                os._exit(7 if "Another" in str(error) else 8)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        work.output_folder("b")

    monkeypatch.setattr(Toy, "spread", meddle)
    assert toy.run() == ["read", "join"]


def test_undeclared_files_cannot_be_touched(toy: Toy, tmp_path: Path) -> None:
    work = Workplace(toy.steps()[1], toy.source, toy.folder, tmp_path / "t", Silent())
    with pytest.raises(AssertionError, match="without declaring"):
        work.input(SOURCE)
    with pytest.raises(AssertionError, match="without declaring"):
        work.output("a.txt")


def test_stamps_hold_what_was_made(toy: Toy) -> None:
    toy.run()
    stamp = json.loads((toy.folder / "steps" / "spread.json").read_text())
    assert stamp["parameters"] == {"repeat": 1}
    assert stamp["outputs"]["b"]["bytes"] == {"0.txt": 1, "1.txt": 1, "2.txt": 1}
