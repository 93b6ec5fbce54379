"""Pictures are written and read back as they were; a damaged one is refused without a word of the decoder's own."""

import errno
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from loquent.errors import InputError
from loquent.media.images import cover, read_image, to_bytes, write_image


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


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The file with an EXIF block that holds nothing else: tag 0x112, one short number."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    block = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda upright: upright),
        (2, np.fliplr),
        (3, lambda upright: np.rot90(upright, 2)),
        (4, np.flipud),
        (5, lambda upright: upright.swapaxes(0, 1)),
        (6, np.rot90),
        (7, lambda upright: np.rot90(upright, 2).swapaxes(0, 1)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
def test_a_photo_is_read_upright(tmp_path: Path, orientation: int, stored: Callable[[np.ndarray], np.ndarray]) -> None:
    """The numbers are those of the TIFF specification: 6, a phone held upright, wants a quarter turn clockwise."""
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[8:, :16], upright[:8, 16:] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    path = tmp_path / "a.jpg"
    write_image(path, np.ascontiguousarray(stored(upright)))
    path.write_bytes(with_orientation(path.read_bytes(), orientation))
    shown = read_image(path)
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).max() <= 4


def test_grey_jpeg_becomes_rgb(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.jpg"), np.full((8, 8), 90, np.uint8))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - (90, 90, 90)).max() <= 1


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


@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (100, 100)])
@pytest.mark.parametrize(("rows", "columns"), [(40, 40), (64, 48), (200, 300)])
def test_what_covers_keeps_its_shape_and_its_middle(height: int, width: int, rows: int, columns: int) -> None:
    """Colours tell where a pixel was: as far from the middle as before, times one scale for both directions."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(height)[:, None]
    picture[..., 1] = np.arange(width)[None]
    shown = cover(picture, rows, columns).astype(float)
    assert shown.shape == (rows, columns, 3)
    scale = max(rows / height, columns / width)
    down, right = np.mgrid[:rows, :columns]
    assert np.abs(shown[..., 0] - ((down + 0.5 - rows / 2) / scale + height / 2 - 0.5)).max() < 1.6
    assert np.abs(shown[..., 1] - ((right + 0.5 - columns / 2) / scale + width / 2 - 0.5)).max() < 1.6


def test_enlarged_pictures_are_smooth() -> None:
    edge = np.zeros((4, 4, 3), np.uint8)
    edge[:, 2:] = 255
    assert len(np.unique(cover(edge, 64, 64)[0, :, 0])) > 8


def test_colours_are_rounded_to_the_nearest() -> None:
    picture = np.array([[[0.0, 1.0, 100.4 / 255], [100.6 / 255, 1.0001, -0.0001]]], np.float32)
    assert to_bytes(picture).tolist() == [[[0, 255, 100], [101, 255, 0]]]
