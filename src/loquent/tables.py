"""Tables that users give, as editors, spreadsheets and other programs save them.

Spreadsheets put a byte order mark before UTF-8 or write UTF-16, part cells with semicolons or tabs, and numbers with commas
where people write 0,5.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from loquent.errors import InputError


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark, or in UTF-16 with one; line ends as they are.

    Raises:
        InputError: it is missing, may not be read, or is no such text.
    """
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise InputError(f"{path} cannot be read: {cause.strerror}. Check its name and its permissions.") from cause
    try:
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as cause:
        raise InputError(f"{path} cannot be read as text in UTF-8 ({cause}). Save it as UTF-8.") from cause


def table_rows(text: str, columns: Sequence[str]) -> dict[int, dict[str, str]]:
    """The cells of some columns of a table whose first line names them, free of blanks around them.

    Args:
        text: cells parted by tabs or semicolons if there is one in the first line, else by commas.
        columns: which are wanted; others, and their order, do not matter.

    Returns:
        Each row's cells by column, under the number of its line; rows with nothing in them are left out.

    Raises:
        ValueError: a column is missing, a row has not as many cells as the first line, or a quotation does not end.
    """
    lines = io.StringIO(text, newline="")
    header = lines.readline()
    lines.seek(0)
    delimiter = next((sign for sign in "\t;" if sign in header), ",")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: dict[int, dict[str, str]] = {}
    try:
        names = [name.strip() for name in next(reader, [])]
        missing = [name for name in columns if name not in names]
        if missing:
            raise ValueError(f"it has no column {missing[0]}")
        places = {name: names.index(name) for name in columns}
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise ValueError(f"line {reader.line_num} has {len(cells)} cells, the first line {len(names)}")
            rows[reader.line_num] = {name: cells[place].strip() for name, place in places.items()}
    except csv.Error as cause:
        raise ValueError(f"line {reader.line_num}: {cause}") from cause
    return rows


def number(cell: str) -> float:
    """The number in a cell, with a point or a comma before its fraction.

    Raises:
        ValueError: there is none.
    """
    return float(cell.replace(",", "."))
