"""AD-NeRF: its published size, the whole method written out by hand, and what training and rendering rely on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nerf_by_hand import NerfByHand, enlivened
from scipy import stats
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore
from loquent.errors import InputError
from loquent.evaluation.evaluate import evaluate
from loquent.fields import conditioned_nerf
from loquent.fields.ad_nerf import AdNerfConfig, AdNerfHead
from loquent.fields.conditioned_nerf import importance_depths, stratified_depths
from loquent.fields.head import HeadCondition
from loquent.fields.kinds import describe_field, freeze, make_head, placement
from loquent.fields.rad_nerf import RadNerfConfig, RadNerfHead
from loquent.ops.ray_march import Box
from loquent.portrait import Portrait
from loquent.rendering import render
from loquent.rendering.render import FieldSamples, RenderedRays, render_head, render_samples
from loquent.testing import make_tiny_clip
from loquent.training import train as training
from loquent.training.head import HeadTrainer
from loquent.training.presets import AD_NERF, PAPER, Preset
from loquent.training.presets import ad_nerf as ad_nerf_preset
from loquent.training.train import train

EVERYWHERE: Box = (-9.0, -9.0, -9.0, 9.0, 9.0, 9.0)
SMALL: dict[str, Any] = {"hidden": 12, "n_coarse": 9, "n_fine": 13, "condition_width": 6}


def lively_head(**sizes: Any) -> AdNerfHead:
    torch.manual_seed(3)
    head = AdNerfHead(AdNerfConfig(**{"n_codes": 5, **SMALL, **sizes}))
    return enlivened(head)


def some_samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    directions = torch.randn(n, 3, generator=generator)
    return torch.rand(n, 3, generator=generator) * 2 - 1, directions / directions.norm(dim=1, keepdim=True)


def some_rays(n: int) -> tuple[Tensor, Tensor]:
    """From about a camera's distance towards the head."""
    generator = torch.Generator().manual_seed(n)
    origins = torch.tensor([0.1, 3.0, -0.2]) + torch.rand(n, 3, generator=generator) * 0.2
    directions = (torch.rand(n, 3, generator=generator) - 0.5) * 0.6 - origins
    return origins, directions / directions.norm(dim=1, keepdim=True)


def some_condition(head: AdNerfHead, n_frames: int = 1) -> HeadCondition:
    generator = torch.Generator().manual_seed(9)
    width = head.config.condition_width
    audio = torch.randn(n_frames, width, generator=generator)
    return HeadCondition(audio, torch.rand(n_frames, 1, generator=generator), head.codes[:n_frames].detach())


def rendered(head: AdNerfHead, origins: Tensor, directions: Tensor, condition: HeadCondition, **options: Any) -> Any:
    """The way of training: places, then the fine network at them."""
    placed = head.place(origins, directions, condition, options.pop("box", EVERYWHERE), **options)

    def field(positions: Tensor, along: Tensor, ray_ids: Tensor) -> FieldSamples:
        shown = head(positions, along[ray_ids], condition)
        return FieldSamples(shown.density, shown.colour)

    return placed, render_samples(field, placed.samples, directions, chunk=64)


def test_its_size_is_the_published_one() -> None:
    head = AdNerfHead(AdNerfConfig())
    never_used = 2 * (256 * 256 + 256)  # the original's "feature" layer of both networks
    seen_by_attention = 32 * 16 * 3  # ours looks at all 64 channels of the sound, the original's at the first 32
    assert sum(p.numel() for p in head.parameters()) + never_used - seen_by_attention == 1_358_221
    assert head.codes.numel() == 0


def test_pixels_and_gradients_equal_those_worked_by_hand() -> None:
    head = lively_head()
    n = 7
    origins, directions = some_rays(n)
    condition, behind = some_condition(head), torch.rand(n, 3)
    placed, fine = rendered(head, origins, directions, condition)
    assert placed.samples.ray_starts.diff().tolist() == [9 + 13 - 1] * n
    ours = torch.stack(
        [seen.colour + (1 - seen.opacity)[:, None] * behind for seen in (placed, fine)]
    )  # [networks, rays, channels]
    assert 0.2 < float(fine.opacity.detach().mean()) < 0.98, "neither nothing nor a wall"

    hand = NerfByHand(head, head.config)
    audio = condition.audio[0].double()
    wanted = torch.stack(
        [
            torch.stack(hand.colours(origins[r].double(), directions[r].double(), audio, behind[r].double()))
            for r in range(n)
        ],
        dim=1,
    )
    torch.testing.assert_close(ours.double(), wanted, rtol=0, atol=5e-4)

    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    (ours * upstream).sum().backward()
    (wanted * upstream).sum().backward()
    for name, value in head.named_parameters():
        if name.startswith(("coarse.", "fine.")):
            theirs = hand.weights[name].grad
            assert value.grad is not None
            assert theirs is not None
            largest = float(theirs.abs().max())
            assert largest > 0, name
            torch.testing.assert_close(value.grad.double(), theirs, rtol=0, atol=5e-3 * largest, msg=name)


def test_places_follow_the_weights() -> None:
    generator = torch.Generator().manual_seed(4)
    edges = torch.rand(5, 12, generator=generator, dtype=torch.float64).cumsum(1)
    weights = torch.rand(5, 11, generator=generator, dtype=torch.float64) ** 6 + 1e-5
    weights[2] = 1e-5
    weights[2, 6] = 1.0
    even = importance_depths(edges, weights, 17)
    for row, (edge, weight) in enumerate(zip(edges.numpy(), weights.numpy(), strict=True)):
        cdf = np.concatenate([[0], np.cumsum(weight / weight.sum())])
        np.testing.assert_allclose(even[row], np.interp(np.linspace(0, 1, 17), cdf, edge), atol=1e-9)
    drawn = importance_depths(edges, weights, 4000, torch.Generator().manual_seed(0))
    for row, (edge, weight) in enumerate(zip(edges.numpy(), weights.numpy(), strict=True)):
        cdf = np.concatenate([[0], np.cumsum(weight / weight.sum())])
        assert stats.kstest(drawn[row].numpy(), lambda x, e=edge, c=cdf: np.interp(x, e, c)).pvalue > 1e-3
    one_bin = importance_depths(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.2]]), 3)
    torch.testing.assert_close(one_bin, torch.tensor([[1.0, 2.0, 3.0]]))


def test_stratified_depths_are_jittered_within_their_own_share() -> None:
    plain = stratified_depths(3, 5, torch.zeros(()))
    torch.testing.assert_close(plain, torch.tensor([[0, 0.25, 0.5, 0.75, 1.0]]).expand(3, -1))
    moved = stratified_depths(2000, 5, torch.zeros(()), torch.Generator().manual_seed(0))
    low, high = torch.tensor([0, 0.125, 0.375, 0.625, 0.875]), torch.tensor([0.125, 0.375, 0.625, 0.875, 1.0])
    assert bool(((moved >= low) & (moved <= high)).all())
    torch.testing.assert_close(moved.mean(0), (low + high) / 2, rtol=0, atol=0.01)


@torch.no_grad()
def test_what_renders_is_what_trains_and_only_a_few_rays_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    head = lively_head()
    origins, directions = some_rays(23)
    condition = some_condition(head)
    cells = torch.zeros(8, 8, 8, dtype=torch.bool)
    cells[2:6, 2:7, 3:6] = True
    box: Box = (-0.5, -0.5, -0.25, 0.5, 0.5, 0.5)  # of these cells, within the depth that is rendered
    _, trained = rendered(head, origins, directions, condition, box=box)
    frozen, place, seen = freeze(head, condition), placement(head, condition), []
    assert place is not None

    def counted(some: Tensor, along: Tensor, inside: Box) -> Any:
        seen.append(len(some))
        assert inside == box
        return place(some, along, inside)

    def picture() -> RenderedRays:
        return render_head(
            lambda *asked: FieldSamples(*frozen(*asked)), origins, directions, cells, place=counted, chunk=64
        )

    whole = picture()
    torch.testing.assert_close(whole.colour, trained.colour, rtol=0, atol=1e-3)
    torch.testing.assert_close(whole.opacity, trained.opacity, rtol=0, atol=1e-3)
    monkeypatch.setattr(render, "PLACED_RAYS", 5)
    monkeypatch.setattr(conditioned_nerf, "BLOCK", 7)
    in_parts = picture()
    torch.testing.assert_close(in_parts.colour, whole.colour)
    torch.testing.assert_close(in_parts.depth, whole.depth)
    assert seen == [23, 5, 5, 5, 5, 3]
    assert placement(RadNerfHead(RadNerfConfig(n_codes=1)), condition) is None, "other methods march"


@torch.no_grad()
def test_nothing_is_asked_outside_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture is that of a field which is empty there."""
    head = lively_head(n_coarse=40, n_fine=60)
    origins, directions = some_rays(40)
    box: Box = (-0.2, -0.3, -0.1, 0.15, 0.4, 0.3)
    condition = some_condition(head)
    placed, cut = rendered(head, origins, directions, condition, box=box)
    low, high = torch.tensor(box[:3]), torch.tensor(box[3:])

    def inside(positions: Tensor) -> Tensor:
        return ((positions >= low) & (positions <= high)).all(-1)

    assert bool(inside(placed.samples.positions).all())
    missing = placed.samples.ray_starts.diff() == 0
    assert 0 < int(missing.sum()) < 40
    assert float(cut.opacity[missing].abs().max()) == 0
    for network in (head.coarse, head.fine):
        asked = network.forward

        def emptied(positions: Tensor, *others: Tensor, asked: Any = asked) -> tuple[Tensor, Tensor]:
            density, colour = asked(positions, *others)
            return density * inside(positions), colour

        monkeypatch.setattr(network, "forward", emptied)
    _, whole = rendered(head, origins, directions, condition)
    torch.testing.assert_close(cut.colour, whole.colour, rtol=0, atol=1e-4)
    torch.testing.assert_close(cut.opacity, whole.opacity, rtol=0, atol=1e-4)


@torch.no_grad()
def test_several_frames_equal_frames_asked_alone() -> None:
    head = lively_head(code_width=3)
    origins, directions = some_rays(21)
    condition, frame = some_condition(head, 3), torch.arange(21) % 3
    together = head.place(origins, directions, condition, EVERYWHERE, frame)
    positions, along = some_samples(21)
    shown = head(positions, along, condition, frame)
    for k in range(3):
        alone = HeadCondition(*(value[k : k + 1] for value in (condition.audio, condition.eye, condition.code)))
        mine = frame == k
        single = head.place(origins[mine], directions[mine], alone, EVERYWHERE)
        torch.testing.assert_close(together.colour[mine], single.colour, rtol=0, atol=1e-5)
        of_mine = mine[together.samples.ray_ids]
        torch.testing.assert_close(together.samples.t[of_mine], single.samples.t, rtol=0, atol=1e-4)
        asked = head(positions[mine], along[mine], alone)
        torch.testing.assert_close(shown.colour[mine], asked.colour, rtol=0, atol=1e-5)
        torch.testing.assert_close(head.density(positions[mine], alone), asked.density, rtol=1e-4, atol=1e-4)


def test_every_parameter_learns_and_belongs_to_one_group() -> None:
    head = lively_head(code_width=2)
    origins, directions = some_rays(30)
    windows = torch.randn(1, 8, 29, 16, generator=torch.Generator().manual_seed(1))
    condition = HeadCondition(head.encode(windows), torch.rand(1, 1), head.codes[:1])
    placed, fine = rendered(head, origins, directions, condition, noise=torch.Generator().manual_seed(2))
    (placed.colour.square().mean() + fine.colour.square().mean()).backward()
    for name, value in head.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name
    groups = head.parameter_groups()
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(id(p) for p in head.parameters())
    assert {g["name"]: g["lr"] for g in groups} == {"grids": 5e-4, "networks": 5e-4, "audio_attention": 2.5e-3}


def test_kind_and_sizes_make_the_same_field_again() -> None:
    head = lively_head(condition="expression", expression_width_in=2)
    again = make_head(describe_field(head))
    assert isinstance(again, AdNerfHead)
    assert again.config == head.config
    again.load_state_dict(head.state_dict())
    with pytest.raises(InputError, match="n_coarse must be at least 3"):
        AdNerfConfig(n_coarse=2)
    with pytest.raises(InputError, match="code_width must be at least 0"):
        AdNerfConfig(code_width=-1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"))


def small(preset: Preset, steps: int) -> Preset:
    stage = replace(preset.head[0], steps=steps, rays=100, lr_net=5e-3)
    return replace(preset, head=(stage,), method={"kind": "ad_nerf", **SMALL, "hidden": 64}, torso=None, minutes=0.0)


def new_trainer(clip: Clip, preset: Preset) -> HeadTrainer:
    frames = tuple(clip.train_frames)
    torch.manual_seed(0)
    head = make_head({"condition": "expression", "expression_width_in": 2, "n_codes": 20, **preset.method})
    store = FrameStore.load(clip, frames)
    return HeadTrainer(clip, store, head, clip.track.expression[list(frames)], None, preset, torch.device("cpu"), 0)


@pytest.mark.parametrize("base", [AD_NERF, ad_nerf_preset(PAPER)], ids=["quick", "paper"])
def test_it_learns_and_keeps_no_account_of_cells(clip: Clip, base: Preset, tmp_path: Path) -> None:
    preset = small(base, 40)
    stage, trainer = preset.head[0], new_trainer(clip, preset)
    before = trainer.grid.occupied.clone()
    figures = [trainer.step(stage, k / 40) for k in range(40)]
    for term in ("colour", "coarse"):
        early, late = (np.mean([one[term] for one in part]) for part in (figures[:5], figures[-5:]))
        assert late < 0.75 * early, term
    assert all(figure["rays"] == 100 for figure in figures)
    assert torch.equal(trainer.grid.occupied, before)
    trainer.preview(tmp_path / "preview.png")
    assert (tmp_path / "preview.png").is_file()

    resumed = new_trainer(clip, preset)
    resumed.restore(trainer.tensors(), trainer.facts())
    assert resumed.step(stage, 1.0) == pytest.approx(trainer.step(stage, 1.0))


def test_it_trains_saves_loads_and_is_measured_like_the_others(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "N_CODES", 16)
    made = train(clip, tmp_path / "a.portrait", small(AD_NERF, 3), device="cpu")
    assert made.head.kind == "ad_nerf"
    with torch.no_grad():
        assert isinstance(made.head, AdNerfHead)
        made.head.fine.density_layer.bias.add_(60.0)  # surely something to see
    made.save(tmp_path / "b.portrait")
    loaded = Portrait.load(tmp_path / "b.portrait")
    condition = made.conditions(clip.speech_features(), clip.track.frame_ids[3:4])[0]
    pictures = [portrait.render(clip.track.world_from_camera[3], condition, clip.eye[3]) for portrait in (made, loaded)]
    assert torch.equal(*pictures)
    assert float((pictures[0] - made.plate(clip.camera)).abs().max()) > 0.1
    figures = evaluate(loaded, clip, settings=("head",))
    assert np.isfinite(figures.row("head").psnr_db)
    assert figures.n_head_parameters == sum(p.numel() for p in loaded.head.parameters())
