"""Files of the original programs: the windows cut from what was read are those in the file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.speech.precomputed import read_precomputed
from loquent.speech.windows import frame_windows


def windows_of(stream: np.ndarray, stride: int = 2) -> np.ndarray:
    """As the originals cut them: eight zero steps around, 16 steps every second step."""
    padded = np.concatenate([np.zeros((8, stream.shape[1])), stream, np.zeros((8, stream.shape[1]))])
    return np.stack([padded[k : k + 16] for k in range(0, len(padded) - 16, stride)]).astype(np.float32)


@pytest.mark.parametrize(("name", "width", "n_steps"), [("aud_ds.npy", 29, 41), ("aud_eo.npy", 44, 40)])
def test_windows_of_sixteen_are_cut_again_as_they_were(tmp_path: Path, name: str, width: int, n_steps: int) -> None:
    windows = windows_of(np.random.default_rng(0).normal(size=(n_steps, width)))
    np.save(tmp_path / name, windows)
    features = read_precomputed(tmp_path / name, n_frames=len(windows))
    cut = frame_windows(features, torch.arange(len(windows))).transpose(1, 2)
    np.testing.assert_array_equal(cut.numpy(), windows)


def test_hubert_has_two_steps_a_frame(tmp_path: Path) -> None:
    windows = np.random.default_rng(0).normal(size=(7, 2, 1024)).astype(np.float16)
    np.save(tmp_path / "aud_hu.npy", windows)
    features = read_precomputed(tmp_path / "aud_hu.npy")
    assert features.shape == (14, 1024)
    cut = frame_windows(features, torch.arange(7), length=2, n_before=0).transpose(1, 2)
    np.testing.assert_array_equal(cut.numpy(), windows.astype(np.float32))


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    stream = np.random.default_rng(0).normal(size=(60, 29))
    good = windows_of(stream)
    broken = good.copy()
    broken[3, 5, 1] = np.nan
    cases = (
        (windows_of(stream, stride=1), "not computed for 25 frames a second"),
        (good[..., :28], "holds 28 values a step, but its kind of features has 29"),
        (broken, "first in frame 3"),
        (good[:, :15], r"shape \[30, 15, 29\]"),
        (good[0], r"shape \[16, 29\]"),
    )
    for values, words in cases:
        np.save(tmp_path / "aud_ds.npy", values)
        with pytest.raises(InputError, match=words):
            read_precomputed(tmp_path / "aud_ds.npy")
    np.save(tmp_path / "aud_ds.npy", good)
    with pytest.raises(InputError, match="30 frames at 25 a second, but the sound has 37"):
        read_precomputed(tmp_path / "aud_ds.npy", n_frames=37)
    np.save(tmp_path / "other.npy", good)
    with pytest.raises(InputError, match="must be called"):
        read_precomputed(tmp_path / "other.npy")
    assert len(read_precomputed(tmp_path / "other.npy", "deepspeech")) == 66
    np.save(tmp_path / "aud_ds.npy", np.array([{"code": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_precomputed(tmp_path / "aud_ds.npy")
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_precomputed(tmp_path / "missing" / "aud_ds.npy")
