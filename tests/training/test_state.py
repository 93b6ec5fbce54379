"""Budgets, averages and checkpoints: the parts that let a run stop and go on."""

from pathlib import Path

import pytest
import torch
from torch import nn

from loquent.errors import InputError
from loquent.training.averaging import AveragedWeights
from loquent.training.budget import Budget, exponential
from loquent.training.checkpoints import Checkpoint, optimiser_tensors, pack, restore_optimiser, unpack


def test_a_budget_of_steps_ends_after_them() -> None:
    budget = Budget(steps=4)
    budget.start()
    seen = []
    while budget.progress < 1:
        budget.step_done()
        seen.append(budget.progress)
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_a_budget_of_time_counts_only_time_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 103.0, 200.0, 204.0])
    monkeypatch.setattr("loquent.training.budget.time.monotonic", lambda: next(clock))
    budget = Budget(steps=0, seconds=10.0)
    budget.start()
    budget.step_done()  # compiles, perhaps: not counted
    assert budget.progress == 0.0
    budget.step_done()
    assert budget.progress == pytest.approx(0.3)
    budget.start()  # resumed after a pause of 97 seconds
    budget.step_done()
    budget.step_done()
    assert budget.spent_s == pytest.approx(7.0)
    assert budget.done_steps == 4


def test_exponential_reaches_both_ends() -> None:
    assert exponential(1.0, 0.1, 0.0) == 1.0
    assert exponential(1.0, 0.1, 1.0) == pytest.approx(0.1)
    assert exponential(1.0, 0.01, 0.5) == pytest.approx(0.1)


def test_averaged_weights_follow_the_formula() -> None:
    module = nn.Linear(1, 1, bias=False)
    averaged = AveragedWeights(module, decay=0.9)
    expected = module.weight.item()
    for n in range(1, 30):
        with torch.no_grad():
            module.weight.fill_(float(n))
        averaged.update(module)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
    assert float(averaged.tensors["weight"]) == pytest.approx(expected, rel=1e-5)


def test_no_averaging_keeps_the_raw_weights() -> None:
    module = nn.Linear(2, 2)
    averaged = AveragedWeights(module, decay=0.0)
    with torch.no_grad():
        module.weight.add_(1)
    averaged.update(module)
    assert torch.equal(averaged.tensors["weight"], module.weight)


def test_a_restored_average_stays_on_its_device() -> None:
    """A checkpoint's tensors lie on the CPU; here the meta device stands for CUDA."""
    module = nn.Linear(2, 2, device="meta")
    averaged = AveragedWeights(module, decay=0.9)
    averaged.restore(nn.Linear(2, 2).state_dict(), 5)
    assert averaged.count == 5
    assert {tensor.device.type for tensor in averaged.tensors.values()} == {"meta"}
    averaged.update(module)


def test_a_restored_average_shares_nothing_with_what_it_came_from() -> None:
    module = nn.Linear(2, 2)
    averaged = AveragedWeights(module, decay=0.9)
    saved = {name: torch.full_like(value, 3.0) for name, value in module.state_dict().items()}
    averaged.restore(saved, 100)
    assert float(averaged.tensors["bias"].mean()) == 3.0
    averaged.update(module)
    assert float(saved["bias"].mean()) == 3.0


def test_a_checkpoint_survives_a_round_trip(tmp_path: Path) -> None:
    tensors = pack("a", {"x": torch.rand(3, 2)}) | pack("b", {"x": torch.arange(4), "y.z": torch.tensor(1.5)})
    Checkpoint(tensors, {"stage": 1, "trainer": {"n": 2}}).save(tmp_path / "c.safetensors")
    back = Checkpoint.load(tmp_path / "c.safetensors")
    assert back is not None
    assert back.facts == {"stage": 1, "trainer": {"n": 2}}
    assert torch.equal(unpack("a", back.tensors)["x"], tensors["a.x"])
    assert set(unpack("b", back.tensors)) == {"x", "y.z"}


def test_no_checkpoint_is_none_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    assert Checkpoint.load(path) is None
    Checkpoint({"x": torch.rand(1000)}, {}).save(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="is damaged"):
        Checkpoint.load(path)


def test_a_restored_optimiser_takes_the_same_next_step(tmp_path: Path) -> None:
    def fresh() -> tuple[nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        module = nn.Linear(3, 2)
        return module, torch.optim.AdamW(module.parameters(), lr=0.1, fused=True)

    def step(module: nn.Linear, optimiser: torch.optim.Optimizer, n: int) -> None:
        optimiser.zero_grad()
        module(torch.full((1, 3), float(n))).square().sum().backward()
        optimiser.step()

    module, optimiser = fresh()
    for n in range(3):
        step(module, optimiser, n)
    Checkpoint(optimiser_tensors(optimiser), {}).save(tmp_path / "o")
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    step(module, optimiser, 3)

    other, restored = fresh()
    other.load_state_dict(weights)
    saved = Checkpoint.load(tmp_path / "o")
    assert saved is not None
    restore_optimiser(restored, saved.tensors)
    step(other, restored, 3)
    assert torch.equal(other.weight, module.weight)


def test_a_restored_optimiser_shares_nothing_with_what_it_came_from() -> None:
    """A run may go back to the same state several times."""
    module = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, fused=True)
    module(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    saved = {name: value.clone() for name, value in optimiser_tensors(optimiser).items()}
    restore_optimiser(optimiser, saved)
    kept = {name: value.clone() for name, value in saved.items()}
    optimiser.step()
    assert all(torch.equal(value, kept[name]) for name, value in saved.items())
    assert not all(torch.equal(value, kept[name]) for name, value in optimiser_tensors(optimiser).items())
