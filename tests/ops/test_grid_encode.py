"""Grid and tri-plane encodings: the rules, both bodies against loops written out, and every gradient."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.ops.cpu import grid_encode as cpu_grid
from loquent.ops.cpu import triplane_encode as cpu_triplane
from loquent.ops.grid_encode import GridLayout, grid_encode, triplane_encode
from loquent.ops.reference import grid_encode as reference
from loquent.testing import assert_grads_match, assert_values_match

LAYOUTS = {
    "hash 2-D": GridLayout(2, 5, 2, 7, 61, 8),
    "hash 3-D": GridLayout(3, 4, 3, 4, 33, 9),
    "tiled 2-D": GridLayout(2, 5, 2, 7, 61, 8, "tiled"),
    "tiled 3-D skipping a dimension": GridLayout(3, 5, 2, 4, 40, 9, "tiled"),
    "one level": GridLayout(2, 1, 4, 9, 9, 5),
}
PLANE = GridLayout(2, 6, 1, 8, 100, 10)


def some_points(n: int, dims: int, bound: float = 1.0, seed: int = 3) -> Tensor:
    """Points in and a little outside the box, among them its exact corners and values that are not numbers."""
    points = (torch.rand(n, dims, generator=torch.Generator().manual_seed(seed)) * 2.3 - 1.15) * bound
    special = [1.0, -1.0, 0.0, math.nan, math.inf, -math.inf, 1.00001, -1.00001]
    for row, value in enumerate(special[: n // 4]):
        points[row, row % dims] = value * bound
    return points


def some_table(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


def encoded_by_loops(points: np.ndarray, table: np.ndarray, layout: GridLayout, bound: float) -> np.ndarray:
    """The rules of SPEC 2.1 and 8.2, one point, level, corner and dimension at a time."""
    out = np.zeros((len(points), layout.levels * layout.features))
    bound = float(np.float32(bound))
    for n, point in enumerate(points.astype(np.float64)):
        unit = (point + bound) / (2 * bound)
        if not all(0 <= u <= 1 for u in unit):
            continue
        first = 0
        for level in range(layout.levels):
            growth = 2 ** (math.log2(layout.finest / layout.base) / max(layout.levels - 1, 1))
            real = layout.base * growth**level
            lines = math.ceil(real) + 1
            size = math.ceil(min(2**layout.log2_entries, lines**layout.dims) / 8) * 8
            for step in range(2**layout.dims):
                weight, index, stride, hashed = 1.0, 0, 1, 0
                for d in range(layout.dims):
                    position = unit[d] * (real - 1) + 0.5
                    bit = step >> d & 1
                    corner = math.floor(position) + bit
                    weight *= position % 1 if bit else 1 - position % 1
                    if stride <= size:
                        index += corner * stride
                        stride *= lines
                    hashed ^= corner * (1, 2654435761, 805459861)[d] % 2**32
                if layout.kind == "hash" and stride > size:
                    index = hashed
                row = table[first + index % size]
                out[n, level * layout.features : (level + 1) * layout.features] += weight * row
            first += size
        assert first == len(table)
    return out


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("bound", [1.0, 1.7])
def test_both_bodies_follow_the_written_rules(layout: GridLayout, bound: float) -> None:
    points, table = some_points(63, layout.dims, bound), some_table(layout.n_entries, layout.features)
    truth = torch.from_numpy(encoded_by_loops(points.numpy(), table.numpy(), layout, bound)).float()
    assert (truth == 0).all(dim=1).any(), "no point outside was tried"
    assert_values_match(reference.grid_encode(points, table, layout, bound), truth, atol=5e-4)
    assert_values_match(cpu_grid.grid_encode(points, table, layout, bound), truth, atol=5e-4)


def test_triplane_is_three_grids_in_order() -> None:
    points, tables = some_points(63, 3), some_table(3, PLANE.n_entries, 1)
    pairs = ((0, 1), (1, 2), (0, 2))
    parts = [
        encoded_by_loops(points[:, list(pair)].numpy(), tables[plane].numpy(), PLANE, 1.0)
        for plane, pair in enumerate(pairs)
    ]
    truth = torch.from_numpy(np.concatenate(parts, axis=1)).float()
    assert_values_match(reference.triplane_encode(points, tables, PLANE, 1.0), truth, atol=5e-4)
    assert_values_match(cpu_triplane.triplane_encode(points, tables, PLANE, 1.0), truth, atol=5e-4)


@pytest.mark.parametrize("n", [0, 1, 63, 1037])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_grid_gradients_agree(layout: GridLayout, n: int) -> None:
    arguments = {
        "points": some_points(n, layout.dims).requires_grad_(),
        "table": some_table(layout.n_entries, layout.features).requires_grad_(),
        "layout": layout,
        "bound": 1.0,
    }
    assert_grads_match(cpu_grid.grid_encode, reference.grid_encode, arguments, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 63, 1037, 2500])
def test_triplane_gradients_agree(n: int) -> None:
    arguments = {
        "points": some_points(n, 3, 1.3).requires_grad_(),
        "tables": some_table(3, PLANE.n_entries, 1).requires_grad_(),
        "layout": PLANE,
        "bound": 1.3,
    }
    assert_grads_match(cpu_triplane.triplane_encode, reference.triplane_encode, arguments, atol=1e-4)


@pytest.mark.parametrize("layout", [GridLayout(2, 2, 2, 3, 9, 5), GridLayout(3, 2, 1, 3, 7, 5, "tiled")])
def test_reference_gradients_are_derivatives(layout: GridLayout) -> None:
    points = torch.rand(9, layout.dims, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2.3 - 1.15
    inputs = (points.requires_grad_(), some_table(layout.n_entries, layout.features).double().requires_grad_())
    assert torch.autograd.gradcheck(lambda p, t: reference.grid_encode(p, t, layout, 1.0), inputs, eps=1e-7, atol=1e-5)


def test_table_gradient_alone_and_point_gradient_alone() -> None:
    points, tables = some_points(40, 3), some_table(3, PLANE.n_entries, 1)
    only_tables = tables.clone().requires_grad_()
    cpu_triplane.triplane_encode(points, only_tables, PLANE, 1.0).sum().backward()
    assert only_tables.grad is not None
    # every point inside a plane shares out exactly one unit per level
    inside = sum(
        int(((p >= -1) & (p <= 1)).all(dim=1).sum()) for p in (points[:, [0, 1]], points[:, 1:], points[:, ::2])
    )
    assert only_tables.grad.sum().item() == pytest.approx(inside * PLANE.levels, rel=1e-4)
    only_points = points.clone().requires_grad_()
    cpu_triplane.triplane_encode(only_points, tables, PLANE, 1.0).sum().backward()
    assert only_points.grad is not None
    assert only_points.grad.isfinite().all()


def test_layout_counts_of_the_published_models() -> None:
    assert GridLayout(2, 12, 1, 64, 512, 14).resolutions == (64, 78, 94, 113, 137, 165, 199, 241, 291, 351, 424, 512)
    assert GridLayout(2, 12, 1, 64, 512, 14).n_entries == 163_584
    assert GridLayout(2, 16, 2, 16, 2048, 16, "tiled").n_entries * 2 == 1_111_040
    rad = (16, 23, 31, 43, 59, 81, 112, 154, 213, 295, 407, 562, 777, 1073, 1483, 2048)
    assert GridLayout(3, 16, 2, 16, 2048, 16, "tiled").resolutions == rad
    r2 = (32, 43, 56, 74, 98, 128, 169, 223, 295, 389, 512, 676, 892, 1177, 1553, 2048)
    assert GridLayout(3, 16, 4, 32, 2048, 16, "tiled").resolutions == r2


def test_large_tiled_levels_ignore_the_third_coordinate() -> None:
    layout = GridLayout(3, 16, 2, 16, 2048, 16, "tiled")
    ignoring = [strides[2] == 0 for strides in layout.strides]
    assert ignoring == [False] * 9 + [True] * 7  # SPEC 8.2: 7 of 16 levels of RAD-NeRF
    assert sum(strides[2] == 0 for strides in GridLayout(3, 16, 4, 32, 2048, 16, "tiled").strides) == 8


@pytest.mark.parametrize(
    ("corner", "entry"), [((0, 0), 0), ((1, 1), 14768), ((100, 37), 5873), ((511, 511), 10672), ((512, 3), 12051)]
)
def test_hashed_entries_are_the_published_ones(corner: tuple[int, int], entry: int) -> None:
    layout = GridLayout(2, 1, 1, 600, 600, 14)
    assert entry_read_at(layout, corner) == entry


def test_hashed_entry_in_three_dimensions() -> None:
    assert entry_read_at(GridLayout(3, 1, 1, 600, 600, 16), (3, 5, 7)) == 1381


def entry_read_at(layout: GridLayout, corner: tuple[int, ...]) -> int:
    """The entry both bodies read for a point just on a corner, found from the table's gradient."""
    unit = (torch.tensor([corner], dtype=torch.float64) - 0.5).clamp(min=0) / layout.scales[0]
    found = []
    for body in (reference.grid_encode, cpu_grid.grid_encode):
        table = torch.zeros(layout.n_entries, 1, requires_grad=True)
        body((unit * 2 - 1).float(), table, layout, 1.0).sum().backward()
        assert table.grad is not None
        if min(corner) > 0:
            found.append(int(table.grad.argmax()))
        else:  # corner 0 cannot be hit exactly (positions start at 0.5): it is one of equal weights
            found.append(int(table.grad[0] > 0) - 1)
    assert found[0] == found[1]
    return found[0]


def test_same_result_every_time() -> None:
    points, tables = some_points(3001, 3).nan_to_num(0.0), some_table(3, PLANE.n_entries, 1)

    def gradients() -> Tensor:
        leaf = tables.clone().requires_grad_()
        cpu_triplane.triplane_encode(points, leaf, PLANE, 1.0).square().sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    assert torch.equal(gradients(), gradients())


def test_double_precision_runs_the_reference() -> None:
    points, tables = some_points(11, 3).double(), some_table(3, PLANE.n_entries, 1).double()
    assert triplane_encode(points, tables, PLANE).dtype == torch.float64


def test_wrong_arguments_are_named() -> None:
    layout = LAYOUTS["hash 2-D"]
    table = some_table(layout.n_entries, 2)
    with pytest.raises(InputError, match=r"shape \[samples, 2\].*got \[5, 3\]"):
        grid_encode(torch.zeros(5, 3), table, layout)
    with pytest.raises(InputError, match=r"torch.float64.*torch.float32"):
        grid_encode(torch.zeros(5, 2, dtype=torch.float64), table, layout)
    with pytest.raises(InputError, match="bound=0"):
        grid_encode(torch.zeros(5, 2), table, layout, 0.0)
    with pytest.raises(InputError, match="features=2"):
        triplane_encode(torch.zeros(5, 3), some_table(3, layout.n_entries, 1), layout)
    with pytest.raises(InputError, match="base=9, finest=4"):
        GridLayout(2, 3, 1, 9, 4, 10)
    with pytest.raises(InputError, match="dims=4"):
        GridLayout(4, 3, 1, 4, 9, 10)
