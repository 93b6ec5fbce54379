"""Picture files: RGB or RGBA arrays of uint8 in, out; written whole or not at all."""

import zlib
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from loquent.errors import InputError
from loquent.storage import write_bytes

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""Every PNG file begins with it; chunks follow: length, kind, content, check sum (PNG specification, 5)."""
_JPEG_SIGNATURE = b"\xff\xd8"


def read_image(path: Path) -> UInt8[np.ndarray, "height width channels"]:
    """Read a picture as RGB, or RGBA when the file has an alpha channel; grey pictures become RGB.

    JPEG files, such as phones write, are turned upright as their EXIF orientation says.

    Raises:
        InputError: the file is missing, cannot be read, is not a picture, or has other pixels than uint8 or uint16.
    """
    if not path.is_file():
        raise InputError(f"The picture {path} does not exist.")
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise InputError(f"The picture {path} cannot be read: {cause.strerror}.") from cause
    pixels = None
    if content and not _is_damaged_png(content):
        # Only decoding as colour turns pictures upright, and it drops alpha, which JPEG does not have.
        how = cv2.IMREAD_COLOR if content.startswith(_JPEG_SIGNATURE) else cv2.IMREAD_UNCHANGED
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    if pixels is None:
        raise InputError(f"{path} cannot be read as a picture; it may be cut off, or not a PNG or JPEG file.")
    if pixels.dtype == np.uint16:
        pixels = (pixels / 65535 * 255 + 0.5).astype(np.uint8)
    if pixels.dtype != np.uint8:  # HDR and EXR, some TIFF: which of its values is white is not said
        raise InputError(
            f"{path} holds pixels of type {pixels.dtype.name}; uint8 or uint16 are wanted. Save it as PNG or JPEG."
        )
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def write_image(path: Path, pixels: UInt8[np.ndarray, "height width channels"], *, durable: bool = True) -> None:
    """Write RGB or RGBA as PNG (lossless) or, for RGB and a ``.jpg`` name, as JPEG of quality 97 without colour subsampling.

    `durable` as in :func:`loquent.storage.write_bytes`.
    """
    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    ending = path.suffix.lower()
    if ending == ".jpg":
        options = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    else:
        options = [cv2.IMWRITE_PNG_COMPRESSION, 3]
    _, encoded = cv2.imencode(ending, ordered, options)
    write_bytes(path, encoded.tobytes(), durable=durable)


def cover(
    picture: UInt8[np.ndarray, "height width channels"], rows: int, columns: int
) -> UInt8[np.ndarray, "rows columns channels"]:
    """The largest part from the middle of a picture that has this shape, at this size in pixels."""
    height, width = picture.shape[:2]
    scale = max(rows / height, columns / width)
    part_rows, part_columns = max(1, round(rows / scale)), max(1, round(columns / scale))
    top, left = (height - part_rows) // 2, (width - part_columns) // 2
    part = picture[top : top + part_rows, left : left + part_columns]
    return cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def to_bytes(picture: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """Colours in [0, 1] as they are written to a file, rounded to the nearest."""
    return (picture * 255 + 0.5).clip(0, 255).astype(np.uint8)


def _is_damaged_png(content: bytes) -> bool:
    """Whether a PNG is cut off or fails its own check sums: asked before decoding, since libpng complains past Python."""
    if not content.startswith(PNG_SIGNATURE):
        return False
    start = len(PNG_SIGNATURE)
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        chunk = content[start + 4 : end - 4]
        if end > len(content) or zlib.crc32(chunk) != int.from_bytes(content[end - 4 : end], "big"):
            return True
        if chunk.startswith(b"IEND"):
            return False
        start = end
    return True
