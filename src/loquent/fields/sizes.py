"""What every field's sizes must be, heads' and torsos' alike."""

import dataclasses
from typing import Any

from loquent.errors import InputError


def check_counts(sizes: Any) -> None:
    """Check that every whole number of a field's sizes is at least 1, or what the metadata `least` of its dataclass field says.

    Raises:
        InputError: one is not.
    """
    for field in dataclasses.fields(sizes):
        value, least = getattr(sizes, field.name), field.metadata.get("least", 1)
        if field.type is int and value < least:
            raise InputError(f"{field.name} must be at least {least}; got {value}.")
