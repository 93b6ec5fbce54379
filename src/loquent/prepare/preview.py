"""The contact sheet: twelve frames with everything that was measured drawn on them, and the signals over time below.

Per frame, left: landmarks (lips and eyes brighter), the head's axes (red up, green towards the camera, blue to the picture's
right) and the outlines of head and body; right: the torso layer over the plate, as it stands behind the head.
"""

import json
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from loquent.face import indices
from loquent.face.lips import lip_opening
from loquent.geometry.cameras import Camera, project
from loquent.geometry.rotations import head_angles_deg
from loquent.media.audio import read_waveform
from loquent.media.compositing import laid_over
from loquent.media.images import read_image, to_bytes, write_image
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.prepare.pipeline import Step, Workplace
from loquent.prepare.track import TRACK, TRACK_FIGURES, read_track_tensors

_COLUMNS, _ROWS = 3, 4
_CELL_PX = 300
_PLOT_PX = 110
_HEAD, _BODY = (255, 80, 60), (60, 220, 90)
_PAPER = 252
_AXES = (((0.35, 0.0, 0.0), (255, 60, 60)), ((0.0, 0.35, 0.0), (60, 220, 60)), ((0.0, 0.0, 0.35), (70, 110, 255)))

_Picture = UInt8[np.ndarray, "height width 3"]


def preview_step() -> Step:
    """Write preview.jpg."""
    inputs = ("frames", "mattes", "torso", "background.png", "sound.wav", TRACK, TRACK_FIGURES)
    return Step("preview", "Drawing the contact sheet", _draw, inputs, ("preview.jpg",), version=2)


def _draw(work: Workplace) -> None:
    track = read_track_tensors(work.input(TRACK))
    focal_px = json.loads(work.input(TRACK_FIGURES).read_text())["focal_px"]
    plate = read_image(work.input("background.png"))
    camera = Camera.centred(plate.shape[0], plate.shape[1], focal_px)
    frame_ids = track["frame_ids"].tolist()
    cells = []
    for done, i in enumerate(np.linspace(0, len(frame_ids) - 1, _COLUMNS * _ROWS).round().astype(int).tolist()):
        work.advance(done, _COLUMNS * _ROWS, frame=frame_ids[i])
        name = f"{frame_ids[i]:06d}"
        picture = read_image(work.input("frames") / f"{name}.jpg")
        matte = read_image(work.input("mattes") / f"{name}.png")
        layer = read_image(work.input("torso") / f"{name}.png")
        behind = to_bytes(laid_over(layer[..., :3], plate, layer[..., 3:]))
        left = _annotated(picture, matte, track["landmarks_px"][i], track["world_from_camera"][i], camera)
        cells.append(_cell(left, behind, f"{frame_ids[i] / FPS:.1f} s"))
    rows = [np.concatenate(cells[k : k + _COLUMNS], axis=1) for k in range(0, len(cells), _COLUMNS)]
    sheet = np.concatenate(rows, axis=0)
    plots = _plots(track, read_waveform(work.input("sound.wav")), sheet.shape[1])
    write_image(work.output("preview.jpg"), np.concatenate([sheet, *plots], axis=0))


def _annotated(
    picture: _Picture,
    matte: _Picture,
    landmarks_px: Float[np.ndarray, "478 3"],
    world_from_camera: Float[np.ndarray, "4 4"],
    camera: Camera,
) -> _Picture:
    """The frame with landmarks, axes and matte outlines."""
    drawn = np.ascontiguousarray(picture)
    for channel, colour in ((0, _HEAD), (1, _BODY)):
        outlines, _ = cv2.findContours(
            (matte[..., channel] >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, outlines, -1, colour, 1, cv2.LINE_AA)
    bright = {*indices.OUTER_LIPS, *indices.INNER_LIPS, *indices.RIGHT_EYE_RING, *indices.LEFT_EYE_RING}
    for number, (u, v) in enumerate(landmarks_px[: indices.N_MESH, :2]):
        colour = (255, 230, 0) if number in bright else (200, 200, 255)
        cv2.circle(drawn, (round(float(u) * 16), round(float(v) * 16)), 12, colour, -1, cv2.LINE_AA, shift=4)
    ends = torch.tensor([(0.0, 0.0, 0.0), *(end for end, _ in _AXES)])
    origin, *tips = (
        (project(ends, torch.from_numpy(world_from_camera), camera).numpy() * 16).round().astype(int).tolist()
    )
    for tip, (_, colour) in zip(tips, _AXES, strict=True):
        cv2.line(drawn, origin, tip, colour, max(2, picture.shape[0] // 150), cv2.LINE_AA, shift=4)
    return drawn


def _cell(left: _Picture, right: _Picture, label: str) -> UInt8[np.ndarray, "cell_height cell_width 3"]:
    """Two pictures side by side with the time written on the first."""
    pair = [cv2.resize(side, (_CELL_PX, _CELL_PX), interpolation=cv2.INTER_AREA) for side in (left, right)]
    cell = np.concatenate(pair, axis=1)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, label, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, thickness, cv2.LINE_AA)
    cell[:, -2:] = _PAPER
    cell[-2:] = _PAPER
    return cell


@dataclass(frozen=True)
class _Curve:
    """A signal over time with its name and colour."""

    name: str
    time_s: Float[np.ndarray, "points"]
    values: Float[np.ndarray, "points"]
    colour: tuple[int, int, int]


def _plots(
    track: dict[str, np.ndarray], waveform: Float[np.ndarray, "samples"], width: int
) -> list[UInt8[np.ndarray, "plot_height width 3"]]:
    """Mouth against loudness, eyes, and head angles, each on its own strip."""
    time_s = track["frame_ids"] / FPS
    end_s = len(waveform) / SAMPLE_RATE_HZ
    blocks = waveform[: len(waveform) // 320 * 320].reshape(-1, 320).astype(np.float64)
    loudness = np.sqrt(np.square(blocks).mean(axis=1)) ** 0.5
    opening = lip_opening(track["landmarks_px"])
    blink = track["blink"].mean(axis=1)
    angles = head_angles_deg(track["world_from_camera"])
    spread = max(15.0, float(np.abs(angles).max()))
    strips = [
        ((0.0, 1.0), [
            _Curve("loudness", np.arange(len(loudness)) / 50, loudness / max(float(loudness.max()), 1e-6), (150, 150, 150)),
            _Curve("lip opening", time_s, opening / max(float(opening.max()), 1e-6), (200, 60, 40)),
        ]),
        ((0.0, 1.0), [_Curve("eyes closed", time_s, blink, (40, 110, 200))]),
        ((-spread, spread), [
            _Curve(f"{name} (+-{spread:.0f} deg)", time_s, angles[:, k], colour)
            for k, (name, colour) in enumerate((("yaw", (40, 150, 60)), ("pitch", (200, 60, 40)), ("roll", (40, 110, 200))))
        ]),
    ]  # fmt: skip
    return [_strip(curves, bounds, end_s, width) for bounds, curves in strips]


def _strip(
    curves: list[_Curve], bounds: tuple[float, float], end_s: float, width: int
) -> UInt8[np.ndarray, "plot_height width 3"]:
    """One strip of curves over the whole clip."""
    strip = np.full((_PLOT_PX, width, 3), _PAPER, np.uint8)
    top, bottom = 20, _PLOT_PX - 4
    for second in range(0, int(end_s) + 1, max(1, round(end_s / 20))):
        column = round(second / end_s * (width - 1))
        cv2.line(strip, (column, top), (column, bottom), (228, 228, 228), 1)
        cv2.putText(
            strip, f"{second}", (column + 2, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (150, 150, 150), 1, cv2.LINE_AA
        )
    left = 6
    for curve in curves:
        columns = curve.time_s / end_s * (width - 1)
        rows = bottom - (curve.values - bounds[0]) / (bounds[1] - bounds[0]) * (bottom - top)
        points = np.stack([columns, rows], axis=1)
        # A gap in the timeline (frames left out) is a gap in the line.
        for part in np.split(points, np.flatnonzero(np.diff(curve.time_s) > 0.1) + 1):
            cv2.polylines(strip, [np.round(part * 16).astype(np.int32)], False, curve.colour, 1, cv2.LINE_AA, shift=4)
        cv2.putText(strip, curve.name, (left, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, curve.colour, 1, cv2.LINE_AA)
        left += 12 + 8 * len(curve.name)
    return strip
