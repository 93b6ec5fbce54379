"""Files that are whole or not there, and what killed processes leave."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loquent.errors import InputError, OutputError
from loquent.storage import atomic_path, file_digest, locked, remove_abandoned, write_bytes, write_json


def fail_while_writing(target: Path, error: Exception) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.txt"
    write_bytes(target, b"first")
    with pytest.raises(RuntimeError, match="stop"):
        fail_while_writing(target, RuntimeError("stop"))
    assert target.read_bytes() == b"first"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_disk_that_takes_no_more_is_named(tmp_path: Path, number: int) -> None:
    with pytest.raises(OutputError, match=os.strerror(number)):
        fail_while_writing(tmp_path / "a.txt", OSError(number, os.strerror(number)))
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="Cannot write"):
        write_bytes(tmp_path / "file" / "a.txt", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="Cannot write"):
        write_bytes(tmp_path / "folder", b"x")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EISDIR])
def test_what_cannot_be_read_is_not_said_to_be_unwritable(tmp_path: Path, number: int) -> None:
    source = tmp_path / "source.png"
    for name in (str(source), None):
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            fail_while_writing(tmp_path / "a.txt", OSError(number, os.strerror(number), name))
        assert not isinstance(caught.value, OutputError)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_inside_is_named(tmp_path: Path) -> None:
    def fill(target: Path) -> None:
        with atomic_path(target) as temporary:
            (temporary / "a").mkdir(parents=True)
            (temporary / "a").write_text("x")

    def copy_into(target: Path) -> None:
        with atomic_path(target) as temporary:
            raise OSError(errno.EACCES, "Permission denied", "source.wav", None, str(temporary / "sound.wav"))

    with pytest.raises(OutputError, match=f"Cannot write {tmp_path / 'folder'}: Is a directory"):
        fill(tmp_path / "folder")
    with pytest.raises(OutputError, match=f"Cannot write {tmp_path / 'folder'}: Permission"):
        copy_into(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_no_json_without_meaning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_only_what_the_dead_left_of_this_file_is_removed(tmp_path: Path) -> None:
    target, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    killed = """
import os, sys
from pathlib import Path
from loquent.storage import atomic_path
opened = atomic_path(Path(sys.argv[1]))
place = opened.__enter__()
if place.suffix:
    place.write_text("half")
else:
    (place / "frames").mkdir(parents=True)
    (place / "frames" / "1.jpg").write_text("half")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", killed, str(target)], check=False)
    subprocess.run([sys.executable, "-c", killed, str(other)], check=False)
    with atomic_path(target) as mine:
        mine.write_text("at work")
        remove_abandoned(target)
        assert mine.is_file()
        left = [path.name for path in tmp_path.iterdir() if path != mine]
        assert len(left) == 1
        assert left[0].endswith("-b.mp4")
    assert target.read_text() == "at work"
    remove_abandoned(tmp_path / "no_folder" / "a.mp4")
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "clip")], check=False)
    assert len(list(tmp_path.glob(".partial-*-clip/frames/1.jpg"))) == 1
    remove_abandoned(tmp_path / "clip")
    assert not list(tmp_path.glob(".partial-*-clip"))


def test_digest_is_sha256_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_only_durable_files_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr("loquent.storage.os.fsync", waited.append)
    write_bytes(tmp_path / "one of many", b"abc", durable=False)
    assert not waited
    write_bytes(tmp_path / "the only one", b"abc")
    assert len(waited) == 1
    assert (tmp_path / "one of many").read_bytes() == (tmp_path / "the only one").read_bytes() == b"abc"


def test_a_lock_keeps_others_out_until_it_is_let_go(tmp_path: Path) -> None:
    lock = tmp_path / "run" / ".lock"
    with locked(lock, "run"), pytest.raises(InputError, match=r"Another run\. Wait for it"), locked(lock, "run"):
        pass
    with pytest.raises(RuntimeError), locked(lock, "run"):
        raise RuntimeError
    with locked(lock, "run"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"), locked(tmp_path / "file" / ".lock", "run"):
        pass
