"""The command line: overview, help, errors as one paragraph with the right exit code."""

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from loquent import __version__, cli
from loquent.errors import DivergenceError
from loquent.media.writer import VideoWriter


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one command."""
    try:
        code = cli.main(words)
    except SystemExit as leave:
        code = int(leave.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def flat_video(tmp_path: Path) -> Path:
    """Two seconds of grey without a face and without sound."""
    path = tmp_path / "flat.mp4"
    with VideoWriter(path, height=96, width=128) as video:
        for _ in range(50):
            video.write(np.full((96, 128, 3), 90, np.uint8))
    return path


def test_version_and_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"loquent {__version__}\n", "")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in cli.COMMANDS:
        assert f"  {name} " in out
    assert run(capsys)[0] == 2


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = run(capsys, name, "--help")
    assert code == 0
    assert f"loquent {name}" in out
    assert "Example: loquent" in out
    if name != "prepare":  # its options are the fields of PrepareConfig, which knows nothing of the command line
        assert "{None}" not in out
        assert "default: None" not in out


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "loquent", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"loquent {__version__}\n"


def test_unknown_command_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "prepair")
    assert code == 2
    assert err == f"There is no command 'prepair'. There is: {', '.join(cli.COMMANDS)}.\n"


def test_wrong_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "prepare", "a.mp4", "--out", "b", "--sise", "3")
    assert code == 2
    assert "--sise" in err


PREPARE_ERRORS = {
    "missing": "loquent prepare: The video {dir}/a.mp4 does not exist. Give the path of one video file.\n",
    "folder": "loquent prepare: The video {dir}/a.mp4 is a folder, not a video file. Give the path of one video file.\n",
    "empty": "loquent prepare: {dir}/a.mp4 is empty (0 bytes). Copy or download it again.\n",
}


@pytest.mark.parametrize("case", list(PREPARE_ERRORS))
def test_prepare_of_what_is_no_video(capsys: pytest.CaptureFixture[str], tmp_path: Path, case: str) -> None:
    video = tmp_path / "a.mp4"
    if case == "folder":
        video.mkdir()
    elif case == "empty":
        video.write_bytes(b"")
    code, out, err = run(capsys, "prepare", str(video), "--out", str(tmp_path / "clip"))
    assert (code, out) == (2, "")
    assert err == PREPARE_ERRORS[case].format(dir=tmp_path)
    assert not (tmp_path / "clip").exists()


def test_text_as_video(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_text("this is no video\n" * 100)
    for words in (("prepare", str(video), "--out", str(tmp_path / "clip")), ("doctor", str(video))):
        code, _, err = run(capsys, *words)
        assert code == 2
        assert err.startswith(f"loquent {words[0]}: {video} ")
        assert err.count("\n") == 1
    assert not (tmp_path / "clip").exists()


def test_video_without_sound_and_face(capsys: pytest.CaptureFixture[str], flat_video: Path, tmp_path: Path) -> None:
    code, out, err = run(capsys, "prepare", str(flat_video), "--out", str(tmp_path / "clip"))
    assert (code, out) == (2, "")
    # On a busy machine lines of progress may come before it.
    assert err.splitlines()[-1] == (
        "loquent prepare: flat.mp4 cannot be used: sound none. A portrait learns how lips follow sound; this video has no "
        "sound track. Give the recording with its sound."
    )
    assert not (tmp_path / "clip").exists()


def test_doctor_says_no_and_writes_json(capsys: pytest.CaptureFixture[str], flat_video: Path, tmp_path: Path) -> None:
    code, out, _ = run(capsys, "doctor", str(flat_video), "--json", str(tmp_path / "f.json"))
    assert code == 1
    assert "no-go  sound" in out
    assert "no-go  face size" in out
    facts = json.loads((tmp_path / "f.json").read_text())
    assert facts["verdict"] == "no-go"
    assert facts["findings"][-1]["name"] == "expected quality"


def test_settings_out_of_range_name_their_option(capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--size", "7"), ("--start-s", "-1"), ("--end-s", "0"), ("--sound-offset-s", "9")):
        code, _, err = run(capsys, "prepare", "a.mp4", "--out", "b", option, value)
        assert code == 2
        assert option in err


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_settings_that_are_not_finite_name_their_option(capsys: pytest.CaptureFixture[str], value: str) -> None:
    prepare = ("prepare", "a.mp4", "--out", "b")
    options = ("--start-s", "--end-s", "--sound-offset-s", "--focal-px")
    for words in (
        *((*prepare, option) for option in options),
        *(("doctor", "a.mp4", option) for option in options[:2]),
    ):
        code, _, err = run(capsys, *words, value)
        assert code == 2
        assert f"{words[-1]} must be a finite number, but is {value}" in err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Nothing is half-written"),
        (DivergenceError("it blew up"), 1, "loquent doctor: it blew up"),
        (RuntimeError("odd"), 1, "unexpected RuntimeError: odd"),
        (OSError("odd"), 1, "unexpected OSError: odd"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "a.mp4"), 2, "a.mp4 cannot be used: Permission denied."),
        (MemoryError(), 1, "not enough memory (no more is to be had)"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), 1, "not enough memory (CUDA out of"),
    ],
)
def test_errors_become_one_paragraph(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    def fails() -> int:
        """Fails."""
        raise error

    monkeypatch.setitem(cli.COMMANDS, "doctor", fails)
    monkeypatch.delenv("LOQUENT_DEBUG", raising=False)
    found, _, err = run(capsys, "doctor")
    assert found == code
    assert words in err
    assert "Traceback" not in err
    if isinstance(error, Exception):
        with pytest.raises(type(error)):
            cli.main(["doctor", "--debug"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: np.empty(2**60, np.uint8),
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: cv2.resize(np.zeros((2, 2, 3), np.uint8), (2**24, 2**24)),
    ],
    ids=["numpy", "torch", "opencv"],
)
def test_full_memory_is_no_fault_of_loquent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]
) -> None:
    def asks() -> int:
        """Asks for more memory than there is."""
        ask()
        return 0

    monkeypatch.setitem(cli.COMMANDS, "doctor", asks)
    monkeypatch.delenv("LOQUENT_DEBUG", raising=False)
    code, _, err = run(capsys, "doctor")
    assert code == 1
    assert err.startswith("loquent doctor: not enough memory (")
    assert err.count("\n") == 1


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, loquent.cli; print([m for m in ('torch', 'cv2', 'mediapipe', 'av', 'numba') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", None])
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    for variable in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(variable, "mine")  # so that what the command sets is taken back too
        if variable != name:
            monkeypatch.delenv(variable)
    monkeypatch.setattr(sys, "argv", ["loquent", "--version"])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # main sets its own
    assert cli.main() == 0
    expected = {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": "mine", None: cli.SPIN_ROUNDS}[name]
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_openmp_is_not_loaded_before_its_waiting_is_set() -> None:
    program = "import loquent.cli; print('gomp' in open('/proc/self/maps').read())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
