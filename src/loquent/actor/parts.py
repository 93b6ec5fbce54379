"""Everything of the actor but the skin of the head: eyes, teeth, tongue, ears, hair, neck and pullover, at rest."""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from loquent.actor.head import DEPTH_STRETCH, slit_height
from loquent.actor.mesh import HEAD_LAYER, TORSO_LAYER, Part, grid_part
from loquent.actor.noise import noise, ramp
from loquent.actor.sculpt import CENTRE_Y, EYE_RADIUS, EYE_X, MOUTH_Y

EYE_TEXTURE_HALF = 1.6
"""Half the side of the eye's texture, in centimetres."""
HAIR_SWEEP = 0.55
"""Sideways turn of the strands (radians of azimuth per radian of elevation)."""


def eyeball(side: int) -> Part:
    """The front of one eyeball (side -1: image left), slightly wider than a sphere so that it fills the corners."""
    r, turn = np.meshgrid(np.linspace(0, 1.45, 26), np.linspace(0, 2 * np.pi, 40), indexing="ij")
    x, y, z = np.sin(r) * np.cos(turn), np.sin(r) * np.sin(turn), np.cos(r)
    points = np.stack([side * EYE_X + 1.36 * x, 1.26 * y, DEPTH_STRETCH * EYE_RADIUS * z - 0.02], axis=-1)
    part = grid_part(points[:, ::-1], "eye", HEAD_LAYER)
    flat = part.points - np.array([side * EYE_X, 0.0, 0.0])
    uvs = 0.5 + flat[:, :2] * np.array([1.0, -1.0]) / (2 * EYE_TEXTURE_HALF)
    # Under the upper lid and in the corners less light arrives.
    dim = 1 - 0.65 * ramp(flat[:, 1], -0.05, 0.65) - 0.35 * ramp(np.abs(flat[:, 0]), 0.8, 1.4)
    return Part(part.points, uvs, part.triangles, "eye", HEAD_LAYER, np.clip(dim, 0.15, 1.0))


def socket_floor(side: int) -> Part:
    """A flesh-coloured plate behind an eyeball, seen in the corner of the eye."""
    x, y = np.meshgrid(np.linspace(-1.9, 1.9, 4) + side * EYE_X, np.linspace(-1.0, 1.0, 4))
    part = grid_part(np.stack([x, y, np.full_like(x, -0.25)], -1), "gum", HEAD_LAYER)
    return Part(part.points, part.uvs, part.triangles, "gum", HEAD_LAYER, np.full(16, 0.55))


def mouth_parts(lip_front: float) -> tuple[Part, Part, Part, Part]:
    """Upper teeth, lower teeth, tongue and the dark back of the mouth; `lip_front` is the lips' depth where they meet."""

    def arch(top: float, bottom: float, inset: float) -> Part:
        v, u = np.meshgrid(np.linspace(0, 1, 8), np.linspace(-1, 1, 49), indexing="ij")
        x = 2.25 * np.sin(u * 1.35) / np.sin(1.35)
        z = lip_front - inset - 1.9 * (1 - np.cos(u * 1.35)) - 0.12 * (1 - np.abs(np.cos(u * 6.5 * np.pi / 1.0))) ** 2
        part = grid_part(
            np.stack([x, bottom + (top - bottom) * v, z - 0.15 * (2 * v - 1) ** 2], -1), "teeth", HEAD_LAYER
        )
        dim = 0.75 - 0.5 * ramp(np.abs(u.ravel()), 0.25, 1.0)
        return Part(part.points, part.uvs, part.triangles, "teeth", HEAD_LAYER, dim)

    upper = arch(MOUTH_Y + 1.0, MOUTH_Y - 0.28, 0.72)
    lower = arch(MOUTH_Y - 1.05, MOUTH_Y - 0.42, 0.98)
    lower = Part(lower.points, lower.uvs, lower.triangles[:, ::-1].copy(), "teeth", HEAD_LAYER, lower.occlusion * 0.75)
    v, u = np.meshgrid(np.linspace(-1, 1, 16), np.linspace(-1.5, 1.5, 24), indexing="ij")
    x = 1.55 * np.sin(u)
    lift = 0.55 * np.cos(u) - 0.12 * np.exp(-((u / 0.2) ** 2))
    y, z = MOUTH_Y - 1.15 + lift * np.sqrt(np.clip(1.05 - v**2, 0, 1)), lip_front - 2.6 - 1.35 * v
    tongue = grid_part(np.stack([x, y, z], -1), "tongue", HEAD_LAYER)
    dim = 0.65 - 0.5 * ramp(v.ravel(), -0.7, 0.9)
    tongue = Part(tongue.points, tongue.uvs, tongue.triangles, "tongue", HEAD_LAYER, dim)
    x, y = np.meshgrid(np.linspace(-3.0, 3.0, 4), np.linspace(MOUTH_Y - 2.9, MOUTH_Y + 1.8, 4))
    back = grid_part(np.stack([x, y, np.full_like(x, lip_front - 3.9)], -1), "gum", HEAD_LAYER)
    return upper, lower, tongue, Part(back.points, back.uvs, back.triangles, "gum", HEAD_LAYER, np.full(16, 0.03))


def ear(side: int) -> Part:
    """One ear: an egg-shaped dish with a rolled rim, turned a little to the front."""
    r, turn = np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 2 * np.pi, 48), indexing="ij")
    a, b = r * np.cos(turn), r * np.sin(turn)
    width = 1.65 * (1.0 + 0.18 * b) * (1 - 0.10 * (b < 0) * b * b)
    rim = np.exp(-(((r - 0.86) / 0.13) ** 2)) * ramp(b, -0.95, -0.2)
    fold = np.exp(-(((r - 0.52) / 0.14) ** 2)) * ramp(a * -0.6 + b * 0.5, -0.35, 0.4)
    relief = 0.42 * rim + 0.30 * fold - 0.45 * np.exp(-(((a - 0.12) / 0.33) ** 2 + ((b + 0.1) / 0.36) ** 2))
    relief -= 0.9 * ramp(r, 0.93, 1.0)
    flare = 0.62
    across, out = -a * width, 0.55 + relief
    x = 7.1 + across * np.sin(flare) + out * np.cos(flare)
    z = -7.6 - across * np.cos(flare) + out * np.sin(flare)
    y = -1.5 + 2.9 * b
    x = x - 0.35 * ramp(-b, 0.2, 1.0)
    points = np.stack([side * x, y, z], axis=-1)
    part = grid_part(points if side > 0 else points[:, ::-1], "ear", HEAD_LAYER)
    dim = (
        np.clip(0.8 + 0.35 * relief, 0.3, 1).ravel()
        if side > 0
        else np.clip(0.8 + 0.35 * relief[:, ::-1], 0.3, 1).ravel()
    )
    return Part(part.points, part.uvs, part.triangles, "ear", HEAD_LAYER, dim)


def strand_coordinate(points: Float[np.ndarray, "*grid 3"]) -> Float[np.ndarray, "*grid"]:
    """A number that is constant along a strand of hair: strands leave the crown and sweep to one side."""
    azimuth = np.arctan2(points[..., 0], points[..., 2] + 5.5)
    elevation = np.arctan2(points[..., 1] - CENTRE_Y, np.hypot(points[..., 0], points[..., 2] + 5.5))
    return np.asarray(azimuth + HAIR_SWEEP * elevation)


def hair(skin: Float[np.ndarray, "rows columns 3"], seed: int) -> tuple[Part, Float[np.ndarray, "vertices 3"]]:
    """Short hair combed from the crown, as a shell over the skull; also each vertex's strand direction (unit)."""
    x, y, z = np.abs(skin[..., 0]), skin[..., 1], skin[..., 2]
    strand = strand_coordinate(skin)
    lock = noise(np.stack([strand * 9, y * 0.12], -1), seed + 5, octaves=2)
    fine = noise(np.stack([strand * 34, y * 0.2], -1), seed + 6)
    front = y - (6.9 - 0.05 * x * x + 0.35 * np.sin(skin[..., 0] * 0.5 + 0.4)) + 0.22 * lock + 0.30 * fine
    side = np.minimum(-3.9 - z + 0.10 * (y - 2), y + 2.2 + 3.5 * ramp(z, -8.0, -9.5)) + 0.25 * fine
    inside = 0.7 * np.logaddexp(front / 0.7, side / 0.7) - 0.3
    height = 0.40 + 1.15 * ramp(y, 1.5, 8.5)
    thick = height * ramp(inside, -0.1, 2.9) * (1 + 0.20 * lock + 0.10 * fine) - 0.10 * (1 - ramp(inside, -0.1, 0.5))
    outward = skin - np.array([0.0, 2.0, -6.0])
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    points = skin + thick[..., None] * outward
    part = grid_part(points, "hair", HEAD_LAYER, keep=inside > -0.3)
    down = -np.gradient(points, axis=0)
    down /= np.linalg.norm(down, axis=-1, keepdims=True) + 1e-9
    right = np.gradient(points, axis=1)
    right /= np.linalg.norm(right, axis=-1, keepdims=True) + 1e-9
    flow = down + HAIR_SWEEP * 0.8 * right
    flow /= np.linalg.norm(flow, axis=-1, keepdims=True)
    dim = np.clip(0.72 + 0.25 * lock + 0.1 * fine, 0.35, 1) * (0.55 + 0.45 * ramp(y, -4, 5))
    return Part(part.points, part.uvs, part.triangles, "hair", HEAD_LAYER, dim.ravel()), flow.reshape(-1, 3)


def _tube(
    heights: Float[np.ndarray, "rows"],
    half_width: PchipInterpolator,
    half_depth: PchipInterpolator,
    depth: PchipInterpolator,
    roundness: float,
) -> Float[np.ndarray, "rows columns 3"]:
    turn = np.linspace(-2.1, 2.1, 96)[None, :]
    sine, cosine = np.sin(turn), np.cos(turn)
    x = half_width(heights)[:, None] * np.sign(sine) * np.abs(sine) ** roundness
    z = depth(heights)[:, None] + half_depth(heights)[:, None] * np.sign(cosine) * np.abs(cosine) ** roundness
    return np.stack([x, np.broadcast_to(heights[:, None], x.shape), z], -1)


def neck() -> Part:
    """Neck and the top of the chest, up into the head."""
    heights = np.linspace(-18.8, -5.5, 60)
    points = _tube(
        heights,
        PchipInterpolator([-18.8, -16, -14, -11.5, -8, -5], [13, 8.6, 6.7, 5.75, 5.5, 5.4]),
        PchipInterpolator([-18.8, -16, -14, -11.5, -8, -5], [7.0, 6.1, 5.6, 5.2, 5.1, 4.6]),
        PchipInterpolator([-18.8, -14, -11, -8, -5], [-6.6, -6.6, -6.6, -7.0, -7.4]),
        0.92,
    )
    x, y = points[..., 0], points[..., 1]
    tendon = np.exp(-(((np.abs(x) - (1.3 + 0.36 * (y + 15))) / 0.75) ** 2)) * ramp(y, -15.5, -13.5)
    points[..., 2] += 0.28 * tendon + 0.30 * np.exp(-((x / 0.8) ** 2) - ((y + 12.6) / 1.0) ** 2)
    points[..., 2] -= 0.35 * np.exp(-((x / 1.0) ** 2) - ((y + 14.4) / 0.9) ** 2)
    part = grid_part(points, "neck", TORSO_LAYER)
    dim = 1 - 0.62 * ramp(part.points[:, 1], -12.6, -9.0)
    return Part(part.points, part.uvs, part.triangles, "neck", TORSO_LAYER, dim)


def pullover() -> tuple[Part, Part]:
    """A knitted pullover: the body with its shoulders, and the rolled neckline."""
    heights = np.concatenate([np.linspace(-34, -20, 24), np.linspace(-19.4, -13.0, 40)])
    width = PchipInterpolator([-34, -24, -20.3, -17.8, -15.8, -14.4, -13.0], [21.5, 20.8, 19.4, 17.2, 13.0, 8.8, 6.7])
    deep = PchipInterpolator([-34, -24, -17.8, -15.3, -13.0], [11.0, 9.6, 7.4, 6.5, 5.9])
    body = grid_part(
        _tube(heights, width, deep, PchipInterpolator([-34, -13], [-6.8, -6.5]), 0.88), "knit", TORSO_LAYER
    )
    dim = 1 - 0.35 * ramp(body.points[:, 1], -15.3, -12.8)
    body = Part(body.points, body.uvs, body.triangles, "knit", TORSO_LAYER, dim)
    v, u = np.meshgrid(np.linspace(-2.2, 2.6, 20), np.linspace(-2.3, 2.3, 100), indexing="ij")
    across, high = 0.62 * np.cos(v), 0.95 * np.sin(v)
    x, z = (6.7 + across) * np.sin(u), -6.6 + (6.25 + across) * np.cos(u)
    y = -13.35 + high - 0.75 * np.cos(u) * (np.cos(u) > 0)
    collar = grid_part(np.stack([x, y, z], -1), "rib", TORSO_LAYER)
    return body, collar


def grid_occlusion(skin: Float[np.ndarray, "rows columns 3"]) -> Float[np.ndarray, "rows columns"]:
    """Openness of the skin to the surroundings: mean height of the neighbourhood below the tangent plane, at two sizes."""
    normal = np.cross(np.gradient(skin, axis=1), np.gradient(skin, axis=0))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    openness = np.ones(skin.shape[:2])
    for step in (5, 11, 20):
        closed, count = np.zeros(skin.shape[:2]), 0
        for angle in np.arange(8) * np.pi / 4:
            shift = (round(step * np.sin(angle)), round(step * np.cos(angle)))
            rows = np.clip(np.arange(skin.shape[0]) + shift[0], 0, skin.shape[0] - 1)
            columns = np.clip(np.arange(skin.shape[1]) + shift[1], 0, skin.shape[1] - 1)
            offset = skin[np.ix_(rows, columns)] - skin
            closed += np.clip((offset * normal).sum(-1) / (np.linalg.norm(offset, axis=-1) + 1e-6), 0, 1)
            count += 1
        openness *= 1 - 0.75 * closed / count
    x, y = skin[..., 0], skin[..., 1]
    under_jaw = ramp(y, -9.5, -12.0) * ramp(skin[..., 2], 1.5, -1.5)
    slit = (np.abs(y - slit_height(x)) < 0.15) & (np.abs(x) < 2.4)
    return np.asarray(openness * (1 - 0.6 * under_jaw) * (1 - 0.1 * slit))
