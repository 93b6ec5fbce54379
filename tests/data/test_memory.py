"""What does not fit into memory is refused before it is loaded."""

from pathlib import Path

import pytest

from loquent.data import memory
from loquent.data.frame_store import FrameStore
from loquent.data.memory import check_memory, free_bytes
from loquent.errors import InputError
from loquent.testing import make_tiny_clip

KB = 1024


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 3 GB free, outside any container; its files may be changed."""
    for name, file in (("_FACTS", "meminfo"), ("_LIMIT", "max"), ("_USE", "stat")):
        monkeypatch.setattr(memory, name, tmp_path / file)
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemFree: 1000 kB\nMemAvailable:    3000000 kB\n")
    return tmp_path


def test_free_is_what_the_kernel_counts_or_less_in_a_container(machine: Path) -> None:
    assert free_bytes() == 3_000_000 * KB
    (machine / "max").write_text("max\n")
    assert free_bytes() == 3_000_000 * KB, "a container without a limit"
    (machine / "max").write_text("2000000000\n")
    (machine / "stat").write_text("anon 500000000\nfile 1400000000\n")
    assert free_bytes() == 1_500_000_000
    (machine / "stat").write_text("anon 2500000000\n")
    assert free_bytes() == 0


def test_where_nobody_tells_nothing_is_refused(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert free_bytes() is None
    check_memory(10**15, "The frames")


def test_too_much_is_refused_with_both_figures(machine: Path) -> None:
    check_memory(3_000_000 * KB, "The frames")
    with pytest.raises(InputError, match=r"The frames take 3\.5 GB of memory, but 3\.1 GB are free\. Close .* --size"):
        check_memory(3_500_000_000, "The frames")


def test_training_frames_that_do_not_fit_are_not_read(machine: Path) -> None:
    clip = make_tiny_clip(machine / "clip")
    frames = tuple(clip.train_frames)
    held = FrameStore.load(clip, frames)
    n_bytes = sum(part.nbytes for part in (held.target, held.behind, held.head, held.labels))
    (machine / "max").write_text(f"{n_bytes - 1}\n")
    with pytest.raises(InputError, match=r"The .* training frames take"):
        FrameStore.load(clip, frames)
    (machine / "max").write_text(f"{n_bytes}\n")
    FrameStore.load(clip, frames)
