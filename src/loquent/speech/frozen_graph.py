"""The constants of a frozen TensorFlow graph (a ``.pb`` file), read without TensorFlow.

Such a file is a protocol buffer: fields of (number, wire type, value). Only what leads to float constants is looked at:
GraphDef.node -> NodeDef.name, .op, .attr["value"] -> AttrValue.tensor -> TensorProto.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from loquent.errors import InputError

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FLOAT = 1
"""TensorFlow's number of the type float32."""


def read_constants(path: Path) -> dict[str, Float32[np.ndarray, "..."]]:
    """The float32 constants by the name of their node.

    Raises:
        InputError: the file is no frozen graph, or is cut off.
    """
    found = {}
    try:
        for number, node in _fields(memoryview(path.read_bytes())):
            if number != 1 or not isinstance(node, memoryview):
                continue
            name, constant = _constant(node)
            if constant is not None:
                found[name] = constant
    except (IndexError, ValueError, UnicodeDecodeError) as cause:
        raise InputError(f"{path} is no frozen TensorFlow graph, or is cut off ({cause}). Fetch it again.") from cause
    if not found:
        raise InputError(f"{path} holds no constants, so it is no frozen TensorFlow graph. Fetch it again.")
    return found


def _constant(node: memoryview) -> tuple[str, Float32[np.ndarray, "..."] | None]:
    name, operation, tensor = "", "", None
    for number, value in _fields(node):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = bytes(value).decode()
        elif number == 2:
            operation = bytes(value).decode()
        elif number == 5:
            entry = dict(_fields(value))
            key, attribute = entry.get(1), entry.get(2)
            if isinstance(key, memoryview) and bytes(key) == b"value" and isinstance(attribute, memoryview):
                tensor = dict(_fields(attribute)).get(8)
    if operation != "Const" or not isinstance(tensor, memoryview):
        return name, None
    return name, _tensor(tensor)


def _tensor(message: memoryview) -> Float32[np.ndarray, "..."] | None:
    shape: list[int] = []
    kind, content = 0, b""
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, memoryview):
            sizes = (dict(_fields(part)).get(1, 0) for field, part in _fields(value) if isinstance(part, memoryview))
            shape = [size for size in sizes if isinstance(size, int)]
        elif number in (4, 5) and isinstance(value, memoryview):  # raw bytes, or packed numbers
            content = bytes(value)
    if kind != _FLOAT or not content:
        return None
    values = np.frombuffer(content, "<f4")
    return np.full(shape, values[0]) if values.size == 1 else values.reshape(shape).copy()


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind} at byte {place}")
        if place + size > len(message):
            raise ValueError(f"a field of {size} bytes at byte {place} of {len(message)}")
        yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place
