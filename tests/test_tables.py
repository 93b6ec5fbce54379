"""Tables are read as spreadsheets and other programs save them."""

from pathlib import Path

import pytest

from loquent.errors import InputError
from loquent.tables import number, read_text, table_rows

ROWS = {2: {"a": "0.5", "b": "é"}, 3: {"a": "-2", "b": ""}}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("a,b\n0.5,é\n-2,\n", "utf-8"),
        ("a,b\r\n0.5,é\r\n-2,\r\n", "utf-8-sig"),
        ("a;b\r\n0.5;é\r\n-2;\r\n", "utf-8-sig"),
        ("b\tother\ta\r\né\tx\t0.5\r\n\t\t-2\r\n\t\t\r\n\r\n", "utf-16"),
        (' a , b \n 0.5 , "é"\n -2 , \n', "utf-8"),
        ("a,b\r0.5,é\r-2,\r", "utf-8"),
    ],
    ids=["plain", "marked", "semicolons", "tabs", "blanks", "returns"],
)
def test_however_it_was_saved_a_table_says_the_same(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert table_rows(read_text(tmp_path / "a.csv"), ("a", "b")) == ROWS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no column a"),
        ("a;c\n1;2\n", "no column b"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 cells, the first line 2"),
        ("a,b\n0,5,1,5\n", "line 2 has 4 cells"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        table_rows(text, ("a", "b"))


def test_numbers_have_a_point_or_a_comma() -> None:
    assert [number(cell) for cell in ("-0.25", "-0,25", "2,5E-3", "7")] == [-0.25, -0.25, 0.0025, 7]
    for cell in ("", "x", "1.234,5"):
        with pytest.raises(ValueError, match="could not convert"):
            number(cell)


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.csv cannot be read as text in UTF-8"):
        read_text(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"b\.csv cannot be read: No such file"):
        read_text(tmp_path / "b.csv")
