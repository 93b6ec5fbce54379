"""The actor in front of the camera: parts are placed, drawn, lit, and cut into mattes."""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from loquent.actor import paint, parts, raster, shade
from loquent.actor.bands import over_rows
from loquent.actor.expression import Expression
from loquent.actor.head import MOUTH_ROW, Rig
from loquent.actor.identity import make_identity
from loquent.actor.mesh import Part
from loquent.actor.noise import ramp
from loquent.actor.script import Script, Stance
from loquent.geometry.cameras import Camera
from loquent.geometry.rotations import VOLUME_FROM_FRONTAL

UNITS_PER_CM = 0.0325
"""Volume units per centimetre of the sculpture."""
ORIGIN_CM = np.array([0.0, -1.5, -5.0])
"""Origin of the volume frame in the sculpture: between the ears, a little forward."""
NECK_CM = np.array([0.0, -11.5, -8.0])
"""The head turns about this point."""
HIPS_CM = np.array([0.0, -40.0, -8.0])
"""The torso sways about this point."""
FOCAL_AT_450_PX = 1200.0
DISTANCE = 3.05
"""From the camera to the volume's origin when the actor sits still, in volume units."""
SHADOW_SIZE = 448
SHADOW_REACH = 0.72
_ANSWERS = {
    "skin": shade.SKIN, "ear": shade.SKIN, "neck": shade.SKIN, "hair": shade.HAIR, "eye": shade.EYE, "teeth": shade.WET,
    "tongue": shade.WET, "gum": shade.WET, "knit": shade.CLOTH, "rib": shade.CLOTH,
}  # fmt: skip
_LIGHTS = np.array(
    [
        [-0.52, -0.62, -0.78], [1.80, 1.62, 1.40],  # key: a window, high on the image's left
        [0.85, -0.10, -0.55], [0.24, 0.28, 0.35],  # fill: the sky of the room on the right
        [0.70, -0.45, 0.60], [0.75, 0.72, 0.68],  # rim: from behind, on the right
        [0.33, 0.37, 0.42], [0.19, 0.15, 0.12],  # sky and ground
    ]
)  # fmt: skip
_LIGHTS[:6:2] /= np.linalg.norm(_LIGHTS[:6:2], axis=1, keepdims=True)

_BRIGHTEST = 4.0
_FLAT = (1.0 - np.exp(-1.5 * np.linspace(0.0, _BRIGHTEST, 8192))) ** (1 / 2.2)
_CURVE = _FLAT + 0.30 * _FLAT * (1 - _FLAT) * (2 * _FLAT - 1)
"""Film: linear light from 0 to _BRIGHTEST becomes a display value."""


@dataclass(frozen=True)
class ActorFrame:
    """One picture of the actor with its truth."""

    image: UInt8[np.ndarray, "height width 3"]
    """RGB."""
    matte: UInt8[np.ndarray, "height width 3"]
    """Shares of head (with hair and ears), neck + torso, background; the three sum to 255 in every pixel."""
    world_from_camera: Float[np.ndarray, "4 4"]
    """The camera in the head's own frame, volume units (SPEC 1.3)."""


def _turn(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """Rotation in camera axes (x right, y down, z forward): roll, then pitch, then yaw; radians."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)


def _to_camera_axes(cm: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
    """Sculpture centimetres to volume units along the camera's axes, origin at the volume's."""
    return np.asarray((cm - ORIGIN_CM) * np.array([UNITS_PER_CM, -UNITS_PER_CM, -UNITS_PER_CM]))


@dataclass(frozen=True)
class _Rigid:
    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]

    @classmethod
    def about(
        cls, pivot_cm: Float[np.ndarray, "3"], rotation: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]
    ) -> "_Rigid":
        pivot = _to_camera_axes(pivot_cm)
        return cls(rotation, pivot - rotation @ pivot + shift + np.array([0.0, 0.0, DISTANCE]))

    def place(self, cm: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        return np.asarray(_to_camera_axes(cm) @ self.rotation.T + self.shift)

    def world_from_camera(self) -> Float[np.ndarray, "4 4"]:
        camera_from_world = self.rotation @ VOLUME_FROM_FRONTAL.T
        matrix = np.eye(4)
        matrix[:3, :3] = camera_from_world.T
        matrix[:3, 3] = -camera_from_world.T @ self.shift
        return matrix


class Actor:
    """A person made from a seed, ready to be drawn at one size.

    Args:
        size: rows and columns of the pictures, at least 32.
        seed: who it is; see :func:`loquent.actor.identity.make_identity`.
        samples: samples per pixel along each side; mattes have ``samples**2`` steps.
    """

    def __init__(self, size: int, seed: int = 0, *, samples: int = 2) -> None:
        assert size >= 32, size
        assert samples >= 1, samples
        self.size, self.seed, self.identity = size, seed, make_identity(seed)
        self.camera = Camera.centred(size, size, FOCAL_AT_450_PX * size / 450)
        self._samples = samples
        self._rig = Rig(self.identity)
        skin = self._rig.grid
        hair, strands = parts.hair(skin, seed)
        upper, lower, tongue, back = parts.mouth_parts(float(skin[MOUTH_ROW, :, 2].max()) + 0.1)
        body, collar = parts.pullover()
        pieces: list[Part] = [
            self._rig.with_occlusion(parts.grid_occlusion(skin)), hair, parts.ear(-1), parts.ear(1),
            parts.eyeball(-1), parts.eyeball(1),
            parts.socket_floor(-1), parts.socket_floor(1), upper, back, lower, tongue, parts.neck(), body, collar,
        ]  # fmt: skip
        self._assemble(pieces, strands)
        self._textures(skin)
        fine = size * samples
        self._room = paint.room(fine, fine, self.identity, seed)
        self._buffers = (
            np.empty((fine, fine), np.float32),
            np.empty((fine, fine), np.int32),
            np.empty((fine, fine, 2), np.float32),
            np.empty((fine, fine, 3)),
        )

    def _assemble(self, pieces: list[Part], strands: Float[np.ndarray, "vertices 3"]) -> None:
        starts = np.cumsum([0] + [len(piece.points) for piece in pieces])
        self._span = [slice(a, b) for a, b in itertools.pairwise(starts)]
        self._rest = np.concatenate([piece.points for piece in pieces])
        self._uvs = np.concatenate([piece.uvs for piece in pieces])
        self._occlusion = np.concatenate([piece.occlusion for piece in pieces])
        self._triangles = np.concatenate(
            [piece.triangles + start for piece, start in zip(pieces, starts[:-1], strict=True)]
        ).astype(np.int32)
        names = list(_ANSWERS)
        self._materials = np.concatenate(
            [np.full(len(piece.triangles), names.index(piece.texture)) for piece in pieces]
        )
        self._layers = np.concatenate([np.full(len(piece.triangles), piece.layer, np.int8) for piece in pieces])
        self._answers = np.array(list(_ANSWERS.values()))
        self._strands = np.zeros_like(self._rest)
        self._strands[self._span[1]] = strands
        torso = slice(self._span[12].start, self._span[14].stop)
        self._torso = torso
        # The neck bends: its top follows the head, its foot the torso.
        self._follow = np.zeros(torso.stop - torso.start)
        n_neck = len(pieces[12].points)
        self._follow[:n_neck] = ramp(pieces[12].points[:, 1], -15.0, -8.5)

    def _textures(self, skin: Float[np.ndarray, "rows columns 3"]) -> None:
        made = {
            "skin": paint.skin_texture(skin, self.identity, self.seed),
            "hair": paint.hair_texture(skin, self.identity, self.seed),
            "eye": paint.eye_texture(self.identity, self.seed),
            **paint.plain_textures(self.identity, self.seed),
        }
        layout, offset = [], 0
        for name in _ANSWERS:
            layout.append((offset, *made[name].shape[:2]))
            offset += made[name].shape[0] * made[name].shape[1]
        self._layout = np.array(layout)
        self._texels = np.concatenate([made[name].reshape(-1, 5) for name in _ANSWERS]).astype(np.float32)

    def _pose(self, face: Expression, head: _Rigid, torso: _Rigid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cm = self._rest.copy()
        cm[self._span[0]] = self._rig.pose(face)
        for index in (10, 11):
            cm[self._span[index]] += self._rig.jaw_shift(self._rest[self._span[index]], face.jaw)
        cm[self._span[11], 1] += 0.8 * face.tongue
        cm[self._span[11], 2] += 0.5 * face.tongue
        uvs = self._uvs.copy()
        for index in (4, 5):
            uvs[self._span[index]] += np.array([-face.gaze_right, face.gaze_up]) / (2 * parts.EYE_TEXTURE_HALF)
        points = head.place(cm)
        follow = self._follow[:, None]
        points[self._torso] = follow * points[self._torso] + (1 - follow) * torso.place(cm[self._torso])
        return points, uvs, _to_camera_axes(self._strands + ORIGIN_CM) / UNITS_PER_CM @ head.rotation.T

    def _rigids(self, stance: Stance) -> tuple[_Rigid, _Rigid]:
        head = _Rigid.about(NECK_CM, _turn(stance.yaw, stance.pitch, stance.roll), np.array(stance.shift))
        torso = _Rigid.about(
            HIPS_CM, _turn(stance.torso_yaw, stance.torso_pitch, stance.torso_roll), np.array(stance.torso_shift)
        )
        return head, torso

    def world_from_camera(self, script: Script, i: int) -> Float[np.ndarray, "4 4"]:
        """The pose of frame `i` without drawing it."""
        return self._rigids(script.stance(i))[0].world_from_camera()

    def render(self, script: Script, i: int) -> ActorFrame:
        """Draw frame `i` of the script."""
        return self.draw(script.expression(i), script.stance(i))

    def draw(self, face: Expression, stance: Stance) -> ActorFrame:
        """Draw one face in one stance."""
        head, torso = self._rigids(stance)
        points, uvs, strands = self._pose(face, head, torso)
        depth, ids, weights, light = self._buffers
        focal, middle = self.camera.fx * self._samples, self.size * self._samples / 2
        screen = np.stack(
            [points[:, 0] / points[:, 2] * focal + middle, points[:, 1] / points[:, 2] * focal + middle, points[:, 2]],
            1,
        )
        over_rows(raster.rasterise, len(depth), screen, self._triangles, depth, ids, weights)
        normals = np.empty_like(points)
        raster.vertex_normals(points, self._triangles, normals)
        shadow_screen, shadow_depth = self._shadow(points)
        over_rows(
            shade.shade, len(ids),
            ids, weights, points, normals, strands, uvs, shadow_screen, self._occlusion, self._triangles, self._materials,
            self._answers, self._layout, self._texels, shadow_depth, _LIGHTS, self._room, light,
        )  # fmt: skip
        image, matte = (np.empty((self.size, self.size, 3), np.uint8) for _ in range(2))
        over_rows(shade.develop, self.size, light, ids, self._layers, _CURVE, _BRIGHTEST, self._samples, image, matte)
        return ActorFrame(image, matte, head.world_from_camera())

    def lips(self, face: Expression) -> tuple[float, float]:
        """Gap between the lips at their middle, and width between their corners, in distances between the outer eye corners."""
        skin, (lower, upper) = self._rig.pose(face), self._rig.mouth_cut
        eye = np.linalg.norm(skin[self._rig.eye_cuts[0][0][0]] - skin[self._rig.eye_cuts[1][0][-1]])
        middle = len(lower) // 2
        gap = np.linalg.norm(skin[upper[middle]] - skin[lower[middle]])
        return float(gap / eye), float(np.linalg.norm(skin[lower[0]] - skin[lower[-1]]) / eye)

    def _shadow(self, points: Float[np.ndarray, "vertices 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Every vertex as the key light sees it, and the light's depth picture."""
        to_light = _LIGHTS[0]
        right = np.cross(to_light, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(to_light, right), -to_light], axis=1)
        seen = (points - np.array([0.0, 0.05, DISTANCE])) @ axes
        seen[:, :2] = (seen[:, :2] / SHADOW_REACH + 1) * (SHADOW_SIZE / 2)
        depth = np.empty((SHADOW_SIZE, SHADOW_SIZE), np.float32)
        over_rows(
            raster.rasterise,
            SHADOW_SIZE,
            seen,
            self._triangles,
            depth,
            np.empty(depth.shape, np.int32),
            np.empty((*depth.shape, 2), np.float32),
        )
        return seen, depth
