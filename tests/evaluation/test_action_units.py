"""AUE from OpenFace's files, and the same on blendshapes."""

from pathlib import Path

import numpy as np
import pytest

from loquent.errors import InputError
from loquent.evaluation.action_units import ACTION_UNITS, action_unit_error, read_action_units
from loquent.evaluation.blendshapes import blendshape_error

NAMES = ["frame", " success", *(f" AU{unit:02d}_r" for unit in reversed(ACTION_UNITS)), " AU01_c"]


def write(path: Path, units: np.ndarray, names: list[str] = NAMES) -> Path:
    rows = [
        f"{k + 1}, 1, " + ", ".join(f"{value:.2f}" for value in row[::-1]) + ", 0.00" for k, row in enumerate(units)
    ]
    path.write_text("\n".join([",".join(names), *rows]) + "\n")
    return path


def test_error_is_the_sum_over_units_of_the_mean_squared_difference(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ours, truth = (random.uniform(0, 5, (7, 17)).round(2) for _ in range(2))
    got = action_unit_error(
        *(read_action_units(write(tmp_path / name, units)) for name, units in (("a", ours), ("b", truth)))
    )
    wanted = 0.0
    for unit in range(17):
        wanted += sum((ours[k, unit] - truth[k, unit]) ** 2 for k in range(7)) / 7
    assert got == pytest.approx(wanted)


def test_units_are_found_by_name_in_their_published_order(tmp_path: Path) -> None:
    units = np.tile(np.array(ACTION_UNITS, float) / 10, (2, 1))
    np.testing.assert_allclose(read_action_units(write(tmp_path / "a.csv", units)), units)


def test_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    units = np.ones((3, 17))
    with pytest.raises(InputError, match="no column AU45_r"):
        read_action_units(write(tmp_path / "a.csv", units, [name.replace("45_r", "45") for name in NAMES]))
    with pytest.raises(InputError, match="NaN or infinite action units, first in line 3"):
        read_action_units(write(tmp_path / "b.csv", units * [[1], [np.nan], [1]]))
    (tmp_path / "c.csv").write_text(",".join(NAMES) + "\n")
    with pytest.raises(InputError, match="no frame"):
        read_action_units(tmp_path / "c.csv")
    damaged = write(tmp_path / "d.csv", units)
    damaged.write_text(damaged.read_text().replace("1.00", "oops", 1))
    with pytest.raises(InputError, match="not a number"):
        read_action_units(damaged)
    with pytest.raises(InputError, match="cannot be read"):
        read_action_units(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="one has 3 and the other 2"):
        action_unit_error(units, units[:2])


def test_blendshapes_count_only_where_both_faces_are() -> None:
    ours, truth = np.zeros((8, 52)), np.full((8, 52), 0.5)
    ours[2], truth[5] = np.nan, np.nan
    assert blendshape_error(ours, truth) == pytest.approx(52 * 0.25)
    ours[:3] = np.nan
    assert blendshape_error(ours, truth) is None
