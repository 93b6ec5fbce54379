"""The head's skin as a mesh with slits for mouth and eyes, and the rig that moves it.

The surface is a grid of rays from inside the skull (rows upwards, columns to the image's right). One row runs along the
meeting line of the lips and one along the closed lids; there the mesh is cut, so that lips part and lids open by moving
vertices. Strips behind every cut give lips and lids their thickness.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import PchipInterpolator

from loquent.actor.expression import Expression
from loquent.actor.identity import Identity
from loquent.actor.mesh import HEAD_LAYER, Part, grid_triangles, grid_uvs
from loquent.actor.noise import ramp
from loquent.actor.sculpt import AXIS_Z, CENTRE_Y, EYE_X, MOUTH_Y, cast, head_distance, level

MOUTH_HALF_WIDTH = 2.35
EYE_HALF_WIDTH = 1.45
JAW_PIVOT = np.array([0.0, -1.8, -7.0])
FULL_JAW_RAD = 0.21
DEPTH_STRETCH = 1.12
"""The sculpture is a little flat; faces are this much deeper."""
MOUTH_ROW, EYE_ROW, N_ROWS = 62, 134, 208


def slit_height(x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
    """Height of the closed lips' meeting line."""
    a = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0, 2)
    dip, wing = np.exp(-((a / 0.22) ** 2)), np.exp(-(((a - 0.5) / 0.25) ** 2))
    return np.asarray(MOUTH_Y - 0.10 * dip + 0.06 * wing - 0.05 * a)


def lid_lines(
    across: Float[np.ndarray, "*points"],
) -> tuple[Float[np.ndarray, "*points"], Float[np.ndarray, "*points"], Float[np.ndarray, "*points"]]:
    """Heights of the closed lids' meeting line, the open upper and the open lower lid; `across`: -1 at the nose, 1 outside."""
    t = np.clip(across, -1, 1)
    tilt, bow = 0.10 * t - 0.02, np.maximum(1 - t * t, 0)
    return tilt - 0.24 * bow, tilt + (0.53 - 0.07 * t) * bow**0.72, tilt - (0.34 + 0.05 * t) * bow**0.9


def _columns() -> Float[np.ndarray, "columns"]:
    """Azimuths in radians: dense over the face, coarse towards the ears and behind them."""
    density = PchipInterpolator([0.0, 0.33, 0.5, 1.0], [0.0, 0.42, 0.72, 2.15])
    half = density(np.linspace(0, 1, 101))
    return np.concatenate([-half[:0:-1], half])


def _polar(points: Float[np.ndarray, "columns 3"]) -> Float[np.ndarray, "columns"]:
    return np.arctan2(points[:, 1] - CENTRE_Y, np.hypot(points[:, 0], points[:, 2] - AXIS_Z))


def skin_grid(identity: Identity) -> Float[np.ndarray, "rows columns 3"]:
    """The resting skin, lips and lids closed."""
    distance, azimuth = head_distance(identity), _columns()
    eye_line = level(distance, azimuth, np.zeros_like(azimuth))
    mouth_line = level(distance, azimuth, np.full_like(azimuth, MOUTH_Y))
    for _ in range(2):
        lids, _, _ = lid_lines((np.abs(eye_line[:, 0]) - EYE_X) / EYE_HALF_WIDTH)
        eye_line = level(distance, azimuth, lids)
        mouth_line = level(distance, azimuth, slit_height(mouth_line[:, 0]))
    first, last = np.full_like(azimuth, -1.45), np.full_like(azimuth, 1.54)
    rows = PchipInterpolator([0, MOUTH_ROW, EYE_ROW, N_ROWS - 1], [first, _polar(mouth_line), _polar(eye_line), last])
    elevation = rows(np.arange(N_ROWS))
    turn = np.broadcast_to(azimuth, elevation.shape)
    directions = np.stack(
        [np.cos(elevation) * np.sin(turn), np.sin(elevation), np.cos(elevation) * np.cos(turn)], axis=-1
    ).reshape(-1, 3)
    start = np.array([0.0, CENTRE_Y, AXIS_Z])
    reach = cast(distance, np.broadcast_to(start, directions.shape), directions)
    points = (start + reach[:, None] * directions).reshape(*elevation.shape, 3)
    return np.asarray((points + _lip_relief(points, identity.lip_fullness)) * np.array([1.0, 1.0, DEPTH_STRETCH]))


def vermilion(
    x: Float[np.ndarray, "*points"], fullness: float
) -> tuple[Float[np.ndarray, "*points"], Float[np.ndarray, "*points"]]:
    """Heights (centimetres, zero past the corners) of the red of the upper lip, with its bow, and of the lower lip."""
    a = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0, 1)
    fade = np.maximum(1 - a**2.2, 0)
    bow = 1.0 + 0.16 * np.exp(-(((a - 0.20) / 0.13) ** 2)) - 0.10 * np.exp(-((a / 0.09) ** 2))
    return 0.66 * fullness * bow * fade**0.9, 0.86 * fullness * fade**0.75


def _lip_relief(points: Float[np.ndarray, "*grid 3"], fullness: float) -> Float[np.ndarray, "*grid 3"]:
    """The lips' bulge and the groove where they meet."""
    x, above = points[..., 0], points[..., 1] - slit_height(points[..., 0])
    upper, lower = vermilion(x, fullness)
    s = np.where(above > 0, above / np.maximum(upper, 0.15), -above / np.maximum(lower, 0.15))
    fade = np.maximum(1 - (np.abs(x) / (1.12 * MOUTH_HALF_WIDTH)) ** 2, 0)
    bulge = (
        np.where(above > 0, 0.34, 0.42)
        * np.sqrt(np.clip(s * 1.6 + 0.04, 0, 1))
        * np.exp(-(np.clip(s - 0.55, 0, None) ** 2) * 2.2)
    )
    relief = np.zeros_like(points)
    relief[..., 2] = bulge * fade * (np.abs(above) < 2.5) - 0.16 * np.exp(-((above / 0.12) ** 2)) * ramp(
        np.abs(x), 2.5, 2.2
    )
    return relief


class Rig:
    """The skin mesh with its cuts, and the motion of its vertices."""

    def __init__(self, identity: Identity) -> None:
        grid = skin_grid(identity)
        rows, columns = grid.shape[:2]
        self.grid = grid
        rest, uvs = grid.reshape(-1, 3), grid_uvs(rows, columns)
        row_of = np.repeat(np.arange(rows), columns)
        triangles = grid_triangles(rows, columns)
        cells = (rows - 1) * (columns - 1)
        cell_row = np.tile(np.repeat(np.arange(rows - 1), columns - 1), 2)
        assert len(triangles) == 2 * cells
        x_mouth, x_eye = grid[MOUTH_ROW, :, 0], grid[EYE_ROW, :, 0]
        cuts = [
            (MOUTH_ROW, np.abs(x_mouth) < MOUTH_HALF_WIDTH),
            (EYE_ROW, np.abs(x_eye + EYE_X) < EYE_HALF_WIDTH),
            (EYE_ROW, np.abs(x_eye - EYE_X) < EYE_HALF_WIDTH),
        ]
        copies: list[Int[np.ndarray, "copies"]] = []
        lowers: list[Int[np.ndarray, "copies"]] = []
        count = len(rest)
        rename = np.arange(len(rest), dtype=np.int32)
        for row, where in cuts:
            lower = row * columns + np.flatnonzero(where)
            upper = count + np.arange(len(lower))
            rename[lower] = upper
            lowers.append(lower)
            copies.append(upper)
            count += len(lower)
        above = np.isin(cell_row, [MOUTH_ROW, EYE_ROW])
        triangles[above] = np.where(
            np.isin(triangles[above] // columns, [MOUTH_ROW, EYE_ROW]), rename[triangles[above]], triangles[above]
        )
        source = np.concatenate([np.arange(len(rest)), *lowers])
        self.rest, uvs = rest[source], uvs[source]
        self.is_upper = np.concatenate([np.zeros(len(rest), bool), np.ones(len(source) - len(rest), bool)])
        self._rows = row_of[source]
        self.mouth_cut, self.eye_cuts = (lowers[0], copies[0]), ((lowers[1], copies[1]), (lowers[2], copies[2]))
        self._prepare_mouth()
        self._prepare_lids()
        self._prepare_strips(uvs, triangles)

    def _prepare_mouth(self) -> None:
        x, y, z = self.rest.T
        above = y - slit_height(x)
        upper_side = np.where(self._rows == MOUTH_ROW, self.is_upper, above > 0)
        a = np.abs(x) / MOUTH_HALF_WIDTH
        corner = np.clip(a, 0, 1) ** 3
        reach = 0.5 + 2.6 * np.clip(a, 0, 1.6)
        fade = np.clip(1 - np.abs(above) / reach, 0, 1)
        fade = fade * fade * (3 - 2 * fade)
        weight = np.where(upper_side, 0.5 * corner * fade, 1 - 0.5 * corner * fade)
        weight *= np.clip((z + 9.0) / 3.5, 0, 1)
        self._jaw_weight = weight
        inside = np.maximum(1 - a * a, 0) ** 0.8
        self._part_lower = np.where(upper_side, 0, inside * np.exp(-((above / 1.1) ** 2)))
        self._part_upper = np.where(upper_side, inside * np.exp(-((above / 0.9) ** 2)), 0)
        near = np.exp(-((above / 2.3) ** 2))
        self._spread = x / MOUTH_HALF_WIDTH * np.exp(-((np.abs(x) / 4.2) ** 3)) * near * (z > -4)
        self._forward = np.exp(-((x / 2.3) ** 2) - (above / 1.5) ** 2) * (z > -4)
        self._press = np.clip(above, -0.9, 0.7) * np.exp(-((above / 0.9) ** 4)) * (a < 1.3) * (z > -2)
        self._smile = np.exp(-(((np.abs(x) - 2.7) / 1.3) ** 2) - ((above - 0.2) / 1.7) ** 2) * (z > -4)
        self._brow = np.exp(-(((y - 2.6) / 1.5) ** 2) - ((np.abs(x) - 2.8) / 2.6) ** 2) * (z > -3) * (y > 1.15)

    def _prepare_lids(self) -> None:
        self._lids: list[dict[str, np.ndarray]] = []
        for side in (-1, 1):
            x, y, z = self.rest.T
            near = np.flatnonzero((np.abs(x - side * EYE_X) < 2.3) & (np.abs(y) < 1.45) & (z > -1.0))
            across = (x[near] * side - EYE_X) / EYE_HALF_WIDTH
            closed, upper, lower = lid_lines(across)
            is_upper = np.where(self._rows[near] == EYE_ROW, self.is_upper[near], self._rows[near] > EYE_ROW)
            self._lids.append(
                {
                    "index": near,
                    "closed": closed,
                    "target": np.where(is_upper, upper, lower),
                    "fold": np.where(is_upper, 1.30, -1.25),
                    "radius": np.hypot(y[near], z[near]),
                }
            )

    def _prepare_strips(self, uvs: Float[np.ndarray, "vertices 2"], triangles: Int[np.ndarray, "triangles 3"]) -> None:
        """Inner walls behind the cuts: lips turn inwards by fixed offsets, lid margins run straight to the eyeball."""
        count = len(self.rest)
        occlusion = [np.ones(count)]
        self._lip_strips: list[tuple[Int[np.ndarray, "edge"], Float[np.ndarray, "3"]]] = []
        self._lid_strips: list[tuple[Int[np.ndarray, "edge"], int, float]] = []
        all_triangles, all_uvs = [triangles], [uvs]
        rest = [self.rest]

        def add_strip(
            edge: Int[np.ndarray, "edge"], previous: Int[np.ndarray, "edge"], upwards: bool, dark: float
        ) -> np.ndarray:
            nonlocal count
            fresh = (count + np.arange(len(edge))).astype(np.int32)
            count += len(edge)
            a, b, c, d = previous[:-1], previous[1:], fresh[1:], fresh[:-1]
            order = ((a, d, c), (a, c, b)) if upwards else ((a, b, c), (a, c, d))
            all_triangles.append(np.concatenate([np.stack(o, -1) for o in order]).astype(np.int32))
            all_uvs.append(uvs[edge])
            rest.append(self.rest[edge])
            occlusion.append(np.full(len(edge), dark))
            return fresh

        for edge, sign in ((self.mouth_cut[0], -1.0), (self.mouth_cut[1], 1.0)):
            previous = edge
            for inward, rise, dark in ((0.12, 0.0, 0.8), (0.35, 0.08, 0.45), (0.6, 0.3, 0.2), (0.8, 0.8, 0.06)):
                self._lip_strips.append((edge, np.array([0.0, sign * rise, -inward])))
                previous = add_strip(edge, previous, sign > 0, dark)
        for eye, cut in enumerate(self.eye_cuts):
            for edge, is_upper in ((cut[0], False), (cut[1], True)):
                previous = edge
                for scale in (0.955, 0.885):
                    self._lid_strips.append((edge, eye, scale))
                    previous = add_strip(edge, previous, is_upper, 0.75)
        self.part = Part(
            np.concatenate(rest),
            np.concatenate(all_uvs),
            np.concatenate(all_triangles),
            "skin",
            HEAD_LAYER,
            np.concatenate(occlusion),
        )

    def with_occlusion(self, occlusion: Float[np.ndarray, "rows columns"]) -> Part:
        """The part, with the grid's vertices darkened."""
        value = self.part.occlusion.copy()
        value[: occlusion.size] *= occlusion.ravel()
        for lower, upper in (self.mouth_cut, *self.eye_cuts):
            value[upper] *= occlusion.ravel()[lower]
        return replace(self.part, occlusion=value)

    def pose(self, face: Expression) -> Float[np.ndarray, "vertices 3"]:
        """Every vertex of the skin in the sculpting frame."""
        p = self.rest.copy()
        apart = 0.30 * face.part
        p[:, 1] += (0.24 * face.part + 0.16 * face.jaw) * self._part_upper - (
            apart + 0.05 * face.jaw
        ) * self._part_lower
        p[:, 1] += 0.16 * face.tuck * self._part_lower
        p[:, 2] -= 0.42 * face.tuck * self._part_lower
        p[:, 1] += 0.38 * face.smile * self._smile - 0.38 * face.press * self._press
        p[:, 0] += (0.42 * face.spread + 0.30 * face.smile - 0.22 * face.jaw) * self._spread
        p[:, 2] += (0.55 * face.protrude - 0.16 * face.press - 0.10 * face.spread) * self._forward
        p[:, 2] -= 0.25 * face.smile * np.abs(self._spread)
        p[:, 1] += 0.34 * face.brow * self._brow
        p += self._jaw_weight[:, None] * self.jaw_shift(p, face.jaw)
        for lids, blink in zip(self._lids, (face.blink_left, face.blink_right), strict=True):
            index = lids["index"]
            edge = lids["closed"] + (1 - blink) * (lids["target"] - lids["closed"])
            y = self.rest[index, 1]
            share = (y - lids["closed"]) / (lids["fold"] - lids["closed"])
            moved = np.where(share < 1, edge + share * (lids["fold"] - edge), y)
            p[index, 2] += np.sqrt(np.maximum(lids["radius"] ** 2 - moved**2, 0)) - np.sqrt(
                np.maximum(lids["radius"] ** 2 - y**2, 0)
            )
            p[index, 1] += moved - y
        strips = [p[edge] + offset for edge, offset in self._lip_strips]
        for edge, eye, scale in self._lid_strips:
            centre = np.array([(-EYE_X, EYE_X)[eye], 0.0, 0.0])
            strips.append(centre + (p[edge] - centre) * scale)
        return np.concatenate([p, *strips])

    @staticmethod
    def jaw_shift(points: Float[np.ndarray, "points 3"], jaw: float) -> Float[np.ndarray, "points 3"]:
        """Displacement of points fixed to the lower jaw."""
        angle = FULL_JAW_RAD * jaw
        up, front = points[:, 1] - JAW_PIVOT[1], points[:, 2] - JAW_PIVOT[2]
        shift = np.zeros_like(points)
        shift[:, 1] = up * (np.cos(angle) - 1) - front * np.sin(angle)
        shift[:, 2] = up * np.sin(angle) + front * (np.cos(angle) - 1)
        return shift
