"""AD-NeRF's torso: the whole method written out by hand, its place before the head, and the road through training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nerf_by_hand import NerfByHand, enlivened, waves
from scipy.spatial.transform import Rotation
from torch import Tensor

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.fields import ad_nerf_torso, conditioned_nerf
from loquent.fields.ad_nerf_torso import AdNerfTorso, AdNerfTorsoConfig
from loquent.fields.kinds import describe_field, make_torso
from loquent.geometry.cameras import Camera, pixel_plane, pixel_rays
from loquent.portrait import Portrait
from loquent.rendering.layers import torso_over
from loquent.rendering.torso import TorsoOccupancy
from loquent.testing import make_random_portrait, make_tiny_clip
from loquent.training import train as training
from loquent.training.presets import AD_NERF, PAPER, Preset, ad_nerf
from loquent.training.torso import TorsoTrainer
from loquent.training.train import train

SMALL: dict[str, Any] = {"hidden": 12, "n_coarse": 9, "n_fine": 13, "condition_width": 5}
CAMERA = Camera(height=30, width=40, fx=55.0, fy=50.0, cx=21.0, cy=14.0)


def some_poses(n: int) -> Tensor:
    """Frontal cameras some 60 cm away, turned and moved a little."""
    frontal = torch.tensor([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 2.4], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    generator = torch.Generator().manual_seed(n)
    poses = frontal.repeat(n, 1, 1)
    for pose in poses:
        turn = Rotation.from_rotvec(0.2 * torch.randn(3, generator=generator).numpy()).as_matrix()
        pose[:3] = torch.from_numpy(turn).float() @ pose[:3]
        pose[:3, 3] += 0.1 * torch.randn(3, generator=generator)
    return poses


def lively_torso(first_pose: Tensor, **sizes: Any) -> AdNerfTorso:
    torch.manual_seed(3)
    torso = AdNerfTorso(AdNerfTorsoConfig(**{"n_codes": 5, **SMALL, **sizes}))
    torso.set_reference_view(CAMERA, first_pose)
    return enlivened(torso)


def test_its_size() -> None:
    """From SPEC 6.2's layers, without the one that is never used."""
    told = 63 + 64 + 21 + 21
    trunk = (told * 256 + 256) + 6 * (256 * 256 + 256) + ((told + 256) * 256 + 256)
    rest = (256 + 1) + ((256 + 27) * 128 + 128) + 2 * (128 * 128 + 128) + (128 * 3 + 3)
    torso = AdNerfTorso(AdNerfTorsoConfig())
    assert sum(p.numel() for p in torso.parameters()) == 2 * (trunk + rest)
    assert torso.codes.numel() == 0


def test_pixels_and_gradients_equal_those_worked_by_hand() -> None:
    """Seen with the first frame's camera, told the pose of each frame and its lips, over whatever is behind."""
    poses = some_poses(3)
    torso, lips = lively_torso(poses[0]), torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    rows, columns, frame = torch.tensor([0, 29, 11, 7]), torch.tensor([0, 39, 20, 31]), torch.tensor([0, 1, 1, 0])
    behind = torch.rand(4, 3, generator=torch.Generator().manual_seed(2))
    plane = pixel_plane(rows, columns, CAMERA)
    shown = torso(plane, poses[1:], torso.codes[:2], frame, condition=lips)
    assert shown.coarse is not None
    ours = torch.stack([torso_over(look.alpha, look.colour, behind) for look in (shown.coarse, shown)])
    assert 0.2 < float(shown.alpha.detach().mean()) < 0.98, "neither nothing nor a wall"

    hand = NerfByHand(torso, torso.config)
    origins, directions = pixel_rays(poses[:1].double(), CAMERA, rows, columns)
    told = []
    for pose, moved in zip(poses[1:].double(), lips.double(), strict=True):
        angles = torch.from_numpy(Rotation.from_matrix(pose[:3, :3].numpy()).as_euler("XYZ"))
        told.append(torch.cat([moved, waves(torch.cat([angles, pose[:3, 3] / 4]), 3)]))
    wanted = torch.stack(
        [
            torch.stack(hand.colours(origins[i], directions[i], told[int(frame[i])], behind[i].double()))
            for i in range(4)
        ],
        dim=1,
    )
    torch.testing.assert_close(ours.double(), wanted, rtol=0, atol=1e-3)

    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    (ours * upstream).sum().backward()
    (wanted * upstream).sum().backward()
    for name, value in torso.named_parameters():
        if name != "codes":
            theirs = hand.weights[name].grad
            assert value.grad is not None
            assert theirs is not None
            largest = float(theirs.abs().max())
            assert largest > 0, name
            torch.testing.assert_close(value.grad.double(), theirs, rtol=0, atol=1e-2 * largest, msg=name)


@torch.no_grad()
def test_frames_together_alone_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    poses = some_poses(3)
    torso, lips = lively_torso(poses[0], code_width=2), torch.randn(3, 5)
    plane, frame = torch.rand(23, 2) * 2 - 1, torch.arange(23) % 3
    together = torso(plane, poses, torso.codes[:3], frame, condition=lips)
    monkeypatch.setattr(ad_nerf_torso, "PIXELS", 4)
    monkeypatch.setattr(conditioned_nerf, "BLOCK", 7)
    for k in range(3):
        mine = frame == k
        alone = torso(plane[mine], poses[k : k + 1], torso.codes[k : k + 1], condition=lips[k : k + 1])
        torch.testing.assert_close(together.alpha[mine], alone.alpha, rtol=0, atol=1e-4)
        torch.testing.assert_close(together.colour[mine], alone.colour, rtol=0, atol=1e-3)
    assert torso(plane[:0], poses[:1], torso.codes[:1], condition=lips[:1]).colour.shape == (0, 3)


def test_kind_and_sizes_make_the_same_field_again() -> None:
    torso = lively_torso(some_poses(1)[0])
    again = make_torso(describe_field(torso))
    assert isinstance(again, AdNerfTorso)
    again.load_state_dict(torso.state_dict())
    assert torch.equal(again.view, torso.view)
    assert torch.equal(again.first_pose, torso.first_pose)
    with pytest.raises(InputError, match="n_coarse must be at least 3"):
        AdNerfTorsoConfig(n_coarse=2)
    groups = torso.parameter_groups(1.0, 2.0)
    assert [id(p) for p in groups[0]["params"]] == [id(p) for p in torso.parameters()]
    assert groups[0]["lr"] == 2.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"))


@torch.no_grad()
def test_it_hides_the_head_and_is_asked_only_where_training_showed_a_torso(clip: Clip) -> None:
    portrait = make_random_portrait(clip)
    pose, condition, eye = clip.track.world_from_camera[0], torch.randn(32), clip.eye[0]
    torso = AdNerfTorso(AdNerfTorsoConfig(n_codes=1, **{**SMALL, "condition_width": 32}))
    torso.set_reference_view(clip.camera, pose)
    for network in (torso.coarse, torso.fine):
        network.density_layer.bias.fill_(1e4)
    occupancy = TorsoOccupancy(16)
    occupancy.clear()
    lower = torch.arange(clip.camera.height // 2 + 4, clip.camera.height)
    occupancy.mark(pixel_plane(*torch.cartesian_prod(lower, torch.arange(clip.camera.width)).unbind(1), clip.camera))
    shown = replace(portrait, torso=torso, torso_occupancy=occupancy).render(pose, condition, eye)
    bare = replace(portrait, torso=None).render(pose, condition, eye)
    below = slice(clip.camera.height // 2 + 4, None)
    head = (bare - portrait.plate(clip.camera)).abs().amax(-1) > 0.02
    assert bool(head[below].any()), "some of the head is where the torso is"
    assert torch.equal(shown[: clip.camera.height // 4], bare[: clip.camera.height // 4])
    other_head = make_random_portrait(clip, seed=4)
    other = replace(other_head, torso=torso, torso_occupancy=occupancy).render(pose, condition, eye)
    torch.testing.assert_close(other[below], shown[below])


def small(preset: Preset, steps: int) -> Preset:
    assert preset.torso is not None
    head = replace(preset.head[0], steps=2, rays=50)
    torso = replace(preset.torso, steps=steps, pixels=96, lr_net=5e-3)
    head_method = {"kind": "ad_nerf", "hidden": 12, "n_coarse": 4, "n_fine": 4, "condition_width": 5}
    method = {"kind": "ad_nerf", **SMALL, "hidden": 48}
    return replace(preset, head=(head,), torso=torso, method=head_method, torso_method=method, minutes=0.0)


@pytest.mark.parametrize("base", [AD_NERF, ad_nerf(PAPER)], ids=["quick", "paper"])
def test_it_learns_the_picture_before_the_true_head(clip: Clip, base: Preset) -> None:
    preset = small(base, 60)
    assert preset.torso is not None
    frames = tuple(clip.train_frames)
    torch.manual_seed(0)
    torso = make_torso({"n_codes": 20, **preset.torso_method})
    lips = torch.zeros(len(frames), 5)
    trainer = TorsoTrainer(clip, frames, torso, preset.torso, preset, torch.device("cpu"), 0, condition=lips)
    assert torch.equal(trainer.field.first_pose, clip.track.world_from_camera[0])
    matte = clip.matte(frames[2]).astype(float) / 255
    plate, frame = clip.background.astype(float), clip.frame(frames[2]).astype(float)
    only_head = matte[..., :1] * frame + (1 - matte[..., :1]) * plate
    assert np.abs(trainer.behind[2].reshape(only_head.shape) - only_head).max() <= 0.51
    assert np.array_equal(trainer.alpha[2], clip.matte(frames[2])[..., 1].reshape(-1))
    before = trainer.grid.alpha.clone()
    assert float(before[:60].max()) == 0, "no frame shows a torso in the upper half"
    assert float(before[-16:].min()) == 1
    figures = [trainer.step(preset.torso, k / 60) for k in range(60)]
    early, late = (np.mean([one["loss"] for one in part]) for part in (figures[:8], figures[-8:]))
    assert late < 0.6 * early
    pixels = torch.from_numpy(trainer.torso_pixels)
    plane = pixel_plane(pixels // clip.camera.width, pixels % clip.camera.width, clip.camera)
    with torch.no_grad():
        shown = trainer.field(plane, trainer.world_from_camera[:1], trainer.field.codes[:1], condition=lips[:1])
    assert float(shown.alpha.mean()) > 0.5
    assert float(shown.coarse.alpha.mean()) > 0.5
    assert torch.equal(trainer.grid.alpha, before), "the mattes said once where there is nothing"


def test_it_trains_saves_and_loads(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "N_CODES", 16)
    made = train(clip, tmp_path / "a.portrait", small(AD_NERF, 3), device="cpu")
    loaded = Portrait.load(tmp_path / "a.portrait")
    assert isinstance(loaded.torso, AdNerfTorso)
    condition = made.conditions(clip.speech_features(), clip.track.frame_ids[3:4])[0]
    pose, eye = clip.track.world_from_camera[3], made.eye_condition(clip.eye[3])
    pictures = [portrait.render(pose, condition, eye) for portrait in (made, loaded)]
    assert torch.equal(*pictures)
    torch.testing.assert_close(loaded.torso.first_pose, clip.track.world_from_camera[0])
