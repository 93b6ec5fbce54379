"""What `prepare` and `doctor` print: findings appear as they are, whatever they look like."""

import pytest

from loquent.data.findings import Finding
from loquent.prepare.report import print_findings


def test_findings_that_look_like_markup_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([Finding("file", "a [red] one", "warn", "It is called [b].", "Call it [/b].")])
    printed = capsys.readouterr().out
    assert "a [red] one" in printed
    assert "It is called [b]. Call it [/b]." in printed
