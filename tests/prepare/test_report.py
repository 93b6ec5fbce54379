"""What `prepare` and `doctor` print: findings appear as they are, whatever they look like."""

from dataclasses import replace
from pathlib import Path

import pytest

from loquent.data.findings import Finding
from loquent.prepare.report import Bars, print_clip, print_findings
from loquent.testing import make_tiny_clip


def test_findings_that_look_like_markup_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([Finding("file", "a [red] one", "warn", "It is called [b].", "Call it [/b].")])
    printed = capsys.readouterr().out
    assert "a [red] one" in printed
    assert "It is called [b]. Call it [/b]." in printed


@pytest.mark.parametrize(
    ("offset_s", "confidence", "told"),
    [
        (0.22, 0.99, "it was 0.22 s late."),
        (-0.02, 0.9, "it was 0.02 s early."),
        (-0.002, 1.0, "sound and lips in step."),
        (0.0, 0.4, "sound left as it was."),
    ],
)
def test_what_was_done_about_a_late_sound_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], offset_s: float, confidence: float, told: str
) -> None:
    clip = make_tiny_clip(tmp_path)
    print_clip(replace(clip, info=replace(clip.info, sound_offset_s=offset_s, sound_offset_confidence=confidence)))
    assert told in capsys.readouterr().out


def test_steps_of_an_earlier_run_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        bars.plan([1.0, 1.0, 1.0])
        for number, skipped in enumerate((True, True, False), start=1):
            bars.start("Doing", number)
            bars.finish("do", number, skipped=skipped)
    clip = make_tiny_clip(tmp_path)
    print_clip(clip, bars.n_kept)
    assert "2 steps of an earlier run were kept." in capsys.readouterr().out
    print_clip(clip)
    assert "kept" not in capsys.readouterr().out
