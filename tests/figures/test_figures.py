"""The figures: what is traced against a loop over single samples, poses against their angles, files that can be looked at."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent import cli
from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation.held_out import conditions
from loquent.fields.er_nerf_ablations import AblationConfig, ConcatHead
from loquent.figures import draw
from loquent.figures.draw import FIGURES, draw_figures
from loquent.figures.key_frames import close_up
from loquent.figures.panels import over_grey, scale
from loquent.figures.poses import turn_head
from loquent.figures.subject import choose_moments, names_of
from loquent.figures.surfaces import shaded
from loquent.figures.trace import Traced, trace_attention, trace_surface
from loquent.geometry.cameras import project
from loquent.geometry.rotations import head_angles_deg
from loquent.media.images import read_image
from loquent.portrait import Portrait
from loquent.testing import make_random_portrait, make_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Eight training frames, three held out."""
    folder = tmp_path_factory.mktemp("tiny")
    made = make_tiny_clip(folder, size=24)
    return dataclasses.replace(made, info=dataclasses.replace(made.info, n_train=8))


@pytest.fixture(scope="module")
def portrait(clip: Clip) -> Portrait:
    return make_random_portrait(clip)


@pytest.fixture(scope="module")
def concatenating(clip: Clip) -> Portrait:
    """Its head uses sound and eyes without attention."""
    portrait = make_random_portrait(clip)
    sizes = dataclasses.asdict(portrait.head.config)
    head = ConcatHead(AblationConfig(**sizes))
    return dataclasses.replace(portrait, head=head.requires_grad_(False).eval(), torso=None)


@pytest.mark.parametrize("row_column", [(11, 12), (9, 14), (13, 10), (0, 0)])
def test_a_traced_pixel_is_the_sum_over_its_samples(
    clip: Clip, portrait: Portrait, row_column: tuple[int, int]
) -> None:
    row, column = row_column
    pose, condition = clip.track.world_from_camera[3], conditions(portrait, clip)[1]
    eye = portrait.eye_condition(torch.tensor([0.4, 0.7]))
    attention = trace_attention(portrait, pose, condition, eye)
    surface = trace_surface(portrait, pose, condition, eye)
    for seen, finer, names in ((attention, 1, ("sound", "eye")), (surface, 2, ("x", "y", "z"))):
        wanted = loop_along_ray(portrait, pose, condition, eye, row, column, finer, names)
        # Places in float32 are a millionth off, which moves the opacity of these random fields by up to 4e-4.
        assert seen.opacity[row, column] == pytest.approx(wanted["opacity"], abs=1e-3)
        for name in names:
            assert seen.averaged[name][row, column] == pytest.approx(wanted[name], abs=2e-3), name
    if row_column != (0, 0):
        assert attention.opacity[row, column] > 0.01, "this ray says nothing"


def loop_along_ray(
    portrait: Portrait,
    pose: torch.Tensor,
    condition: torch.Tensor,
    eye: torch.Tensor,
    row: int,
    column: int,
    finer: int,
    names: tuple[str, ...],
) -> dict[str, float]:
    """One sample after another, from the camera through the box, in plain numbers."""
    camera, box = portrait.camera, portrait.march.box
    along = np.array([(column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy, 1.0])
    matrix = pose.double().numpy()
    direction = matrix[:3, :3] @ (along / np.linalg.norm(along))
    origin = matrix[:3, 3]
    enters = [sorted(((box[i] - origin[i]) / direction[i], (box[i + 3] - origin[i]) / direction[i])) for i in range(3)]
    near, far = max(max(pair[0] for pair in enters), portrait.march.min_near), min(pair[1] for pair in enters)
    cells = portrait.occupied.shape[0]
    step, most = portrait.march.step / finer, portrait.march.max_samples * finer
    light, sums, n_taken, k = 1.0, dict.fromkeys(names, 0.0), 0, 0
    at = portrait.head.test_condition(condition[None], eye[None])
    while near + k * step < far and n_taken < most and light > 1e-4:
        place = origin + (near + k * step) * direction
        k += 1
        x, y, z = (min(max(int((value + 1) / 2 * cells), 0), cells - 1) for value in place)
        if not portrait.occupied[x, y, z]:
            continue
        n_taken += 1
        position = torch.from_numpy(place[None]).float()
        said = portrait.head(position, torch.from_numpy(direction[None]).float(), at)
        opacity = 1 - math.exp(-float(said.density) * step)
        values = {"sound": float(said.audio_attention), "eye": float(said.eye_attention)}
        values |= dict(zip("xyz", place, strict=True))
        for name in names:
            sums[name] += light * opacity * values[name]
        light *= 1 - opacity
    total = 1 - light
    return {"opacity": total, **{name: value / total if total > 1e-9 else 0.0 for name, value in sums.items()}}


def test_a_slanted_plane_is_lit_evenly_and_what_is_no_head_stays_white() -> None:
    rows, columns = np.mgrid[:40, :50] / 100.0
    depth = 0.5 * columns  # goes back to the right, seen by a camera in front (y = 3)
    opacity = np.ones((40, 50), np.float32)
    opacity[:, 40:] = 0
    seen = Traced(opacity, {"x": -rows, "y": -depth, "z": columns})
    picture = shaded(seen, np.array([0.0, 3.0, 0.0]), smooth_px=1.0)
    assert (picture[:, 40:] == 1).all()
    inside = picture[8:-8, 8:28, 0]
    assert inside.std() < 1e-6
    mirrored = dataclasses.replace(seen, averaged={**seen.averaged, "y": depth})
    other = shaded(mirrored, np.array([0.0, 3.0, 0.0]), smooth_px=1.0)[8:-8, 8:28, 0]
    assert abs(other.mean() - inside.mean()) > 0.1, "the light comes from one side"


def test_a_head_is_turned_where_it_is(clip: Clip) -> None:
    pose = clip.track.world_from_camera[2]
    for angles in ((30.0, 0.0, 0.0), (0.0, -25.0, 0.0), (0.0, 0.0, 20.0), (10.0, -20.0, 30.0)):
        turned = turn_head(pose, np.array(angles))
        np.testing.assert_allclose(head_angles_deg(turned[None].double().numpy())[0], angles, atol=1e-3)
        centre = torch.zeros(1, 3)
        torch.testing.assert_close(
            project(centre, turned, clip.camera), project(centre, pose, clip.camera), atol=1e-3, rtol=0
        )
        assert float(turned[:3, 3].norm()) == pytest.approx(float(pose[:3, 3].norm()), rel=1e-5)


def test_moments_are_the_extremes_of_the_real_frames(tmp_path: Path) -> None:
    made = make_tiny_clip(tmp_path, size=16, n_frames=20)
    track = made.track
    lips = track.landmarks_px.clone()
    opening = [0, 0, 0, 0, 0, 0, 0, 0, 5, 7, 1, 2, 4, 3, 9, 6, 2, 8, 3, 3]
    lips[:, 13, :2], lips[:, 14, 0] = 0, 0
    lips[:, 14, 1] = torch.tensor(opening).float()
    lips[:, 33, :2], lips[:, 263, :2] = torch.tensor([0.0, 0]), torch.tensor([10.0, 0])
    blink = torch.zeros(20, 2)
    blink[17] = 0.9
    info = dataclasses.replace(made.info, n_train=8)
    clip = dataclasses.replace(made, info=info, track=dataclasses.replace(track, landmarks_px=lips, blink=blink))
    moments = choose_moments(clip, 4)
    assert (moments.lips_closed, moments.lips_open, moments.eyes_closed) == (2, 6, 9)
    # Stretches (5, 7, 1), (2, 4, 3), (9, 6, 2), (8, 3, 3): widest, closest, widest, closest.
    assert moments.spread == (1, 3, 6, 10)
    assert len(choose_moments(clip, 99).spread) == 12


def test_colours_cover_as_far_as_values_and_opacity_say() -> None:
    import matplotlib

    grey = np.full((1, 3, 3), 200, np.uint8)
    colours = scale(0.0, 2.0, matplotlib.colormaps["inferno"])
    shown = over_grey(grey, np.array([[0.0, 2.0, 2.0]]), colours, np.array([[1.0, 1.0, 0.0]]))
    base = 200 / 255 * 0.75
    np.testing.assert_allclose(shown[0, 0], base, atol=1e-6)
    np.testing.assert_allclose(shown[0, 1], matplotlib.colormaps["inferno"](1.0)[:3], atol=1e-6)
    np.testing.assert_allclose(shown[0, 2], base, atol=1e-6)


def test_a_close_up_is_centred_on_the_mouth_and_of_one_shape() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[30:34, 20:30] = 255
    for mouth in ((30, 34, 20, 30), (26, 38, 20, 30)):
        cut = close_up(picture, np.array(mouth))
        assert cut.shape[0] / cut.shape[1] == pytest.approx(0.62, abs=0.06)
        rows, columns = np.nonzero(cut[..., 0] > 128)
        assert rows.mean() == pytest.approx((cut.shape[0] - 1) / 2, abs=0.6)
        assert columns.mean() == pytest.approx((cut.shape[1] - 1) / 2, abs=0.6)
    assert close_up(picture, np.array((0, 4, 0, 10))).size > 0, "at the border, too"


def test_every_figure_is_drawn(clip: Clip, portrait: Portrait, concatenating: Portrait, tmp_path: Path) -> None:
    alone, notes = draw_figures({"me": portrait}, clip, tmp_path / "alone")
    assert alone == [tmp_path / "alone" / f"{name}.png" for name in FIGURES]
    assert notes == []
    both, notes = draw_figures({"me": portrait, "$x_1$ [b]": concatenating}, clip, tmp_path / "both")
    assert [path.name for path in both] == [path.name for path in alone]
    assert notes == [
        "$x_1$ [b]: its head (er_nerf_concat) has no attention to the sound; left out.",
        "$x_1$ [b]: its head (er_nerf_concat) has no attention to the eyes; left out.",
    ]
    for one, two in zip(alone, both, strict=True):
        small, large = read_image(one), read_image(two)
        assert small.std() > 5
        if one.name == "attention.png":
            assert large.shape == small.shape, "a head without attention has no row"
        else:
            assert large.shape[0] > small.shape[0]
            assert large.shape[1] == small.shape[1]


def test_a_figure_that_nobody_has_is_left_out(clip: Clip, concatenating: Portrait, tmp_path: Path) -> None:
    written, notes = draw_figures({"me": concatenating}, clip, tmp_path, ("attention",))
    assert written == []
    assert len(notes) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_head_that_cannot_hear_silence_has_no_such_surface(
    clip: Clip, portrait: Portrait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loquent.errors import DependencyError
    from loquent.figures import surfaces

    def not_here(*_: object) -> None:
        raise DependencyError("its network is missing.")

    monkeypatch.setattr(surfaces, "extract", not_here)
    written, notes = draw_figures({"me": portrait}, clip, tmp_path, ("surfaces",))
    assert len(written) == 1
    assert len(notes) == 1
    assert "its network is missing" in notes[0]


def test_what_cannot_be_drawn_is_refused(clip: Clip, portrait: Portrait, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no figure smiles"):
        draw_figures({"me": portrait}, clip, tmp_path, ("smiles",))
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file"):
        draw_figures({"me": portrait}, clip, tmp_path / "taken")
    larger = dataclasses.replace(portrait, camera=portrait.camera.resized(40, 40))
    with pytest.raises(InputError, match="40x40"):
        draw_figures({"me": portrait, "larger": larger}, clip, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_portraits_are_called_by_their_files(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "me.portrait", tmp_path / "b" / "me.portrait", tmp_path / "you.portrait"]
    assert names_of(files) == ["a/me", "b/me", "you"]
    with pytest.raises(InputError, match="twice"):
        names_of([files[0], files[0]])


def test_the_command_offers_every_figure(
    clip: Clip, portrait: Portrait, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait.save(tmp_path / "me.portrait")
    asked = {}

    def note(
        people: dict[str, Portrait], clip: Clip, out: Path, names: tuple[str, ...]
    ) -> tuple[list[Path], list[str]]:
        asked.update(people=list(people), names=names)
        return [out / "a.png"], ["me: has no ears."]

    monkeypatch.setattr(draw, "draw_figures", note)
    words = ["figures", str(tmp_path / "me.portrait"), str(clip.folder), "--out", str(tmp_path)]
    assert cli.main(words) == 0
    assert asked == {"people": ["me"], "names": tuple(FIGURES)}
    assert capsys.readouterr().out == f"Wrote {tmp_path}/a.png.\nme: has no ears.\n"
    assert cli.main([*words, "--only", *FIGURES]) == 0, "the command knows every figure by name"
