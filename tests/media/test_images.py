"""Pictures are written and read back as they were; a damaged one is refused without a word of the decoder's own."""

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from loquent.errors import InputError
from loquent.media.images import read_image, to_bytes, write_image


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
def test_png_is_lossless(tmp_path: Path, channels: int) -> None:
    pixels = noise(13, 7, channels)
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(read_image(tmp_path / "a.png"), pixels)


def test_jpeg_keeps_colours_in_their_order(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), (200, 100, 20), np.uint8)
    write_image(tmp_path / "a.jpg", pixels)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - pixels).max() <= 2


def test_capital_letters_in_an_ending_change_nothing(tmp_path: Path) -> None:
    for ending in (".png", ".jpg"):
        write_image(tmp_path / f"a{ending}", noise(16, 16, 3))
        write_image(tmp_path / f"b{ending.upper()}", noise(16, 16, 3))
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending.upper()}").read_bytes()


@pytest.mark.parametrize("ending", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_picture_cut_off_is_refused_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, share: float
) -> None:
    path = tmp_path / f"a{ending}"
    write_image(path, noise(40, 50, 3))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_a_png_with_one_changed_byte_is_refused_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    write_image(path, noise(40, 50, 3))
    whole = path.read_bytes()
    for place in range(8, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match="cannot be read as a picture"):
            read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "kind"), [(".tiff", np.float32), (".tiff", np.float64), (".tiff", np.int16), (".hdr", np.float32)]
)
def test_a_picture_without_a_white_is_refused(tmp_path: Path, ending: str, kind: type) -> None:
    path = tmp_path / f"a{ending}"
    assert cv2.imwrite(str(path), np.full((6, 5, 3), 2, kind))
    with pytest.raises(InputError, match=rf"a\{ending} holds pixels of type \w+; uint8 or"):
        read_image(path)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    levels = np.array([0, 257, 32768, 65535], np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), np.repeat(levels[None, :, None], 3, axis=2))
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_picture_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    write_image(tmp_path / "a.png", noise(4, 4, 3))
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"a\.png cannot be read: Permission denied"):
        read_image(tmp_path / "a.png")


def test_colours_are_rounded_to_the_nearest() -> None:
    picture = np.array([[[0.0, 1.0, 100.4 / 255], [100.6 / 255, 1.0001, -0.0001]]], np.float32)
    assert to_bytes(picture).tolist() == [[[0, 255, 100], [101, 255, 0]]]
