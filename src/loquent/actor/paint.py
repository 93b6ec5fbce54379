"""Textures of the actor and the room behind. Every texture: reflectance r g b, gloss, and the darkening of small hollows."""

import cv2
import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from loquent.actor.head import MOUTH_HALF_WIDTH, lid_lines, slit_height, vermilion
from loquent.actor.identity import Identity
from loquent.actor.noise import noise, ramp
from loquent.actor.parts import EYE_TEXTURE_HALF, strand_coordinate
from loquent.actor.sculpt import EYE_X

Texture = Float[np.ndarray, "texels_v texels_u 5"]


def _at_texels(
    grid: Float[np.ndarray, "rows columns 3"], rows: int, columns: int
) -> Float[np.ndarray, "texels_v texels_u 3"]:
    """A grid's positions at the texels of its texture."""
    v = (np.arange(rows) + 0.5) / rows * (grid.shape[0] - 1)
    u = (np.arange(columns) + 0.5) / columns * (grid.shape[1] - 1)
    places = np.meshgrid(v, u, indexing="ij")
    return np.stack([map_coordinates(grid[..., k], places, order=1) for k in range(3)], -1)


def _blend(colour: np.ndarray, share: np.ndarray, other: object) -> np.ndarray:
    return np.asarray(colour + share[..., None] * (np.asarray(other) - colour))


def skin_texture(skin: Float[np.ndarray, "rows columns 3"], who: Identity, seed: int) -> Texture:
    """Skin of the head with blood, brows, lashes, lips, nostrils and pores."""
    p = _at_texels(skin, 560, 520)
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    a, front = np.abs(x), ramp(z, -6.0, -1.0)
    tone = np.array(who.skin)
    broad, fine = noise(p / 2.2, seed + 1, octaves=3), noise(p / 0.22, seed + 2, octaves=2)
    colour = tone * (1 + 0.055 * broad + 0.045 * fine)[..., None]
    red = tone * np.array([1.06, 0.72, 0.68])
    flush = 0.55 * np.exp(-(((a - 4.0) / 1.7) ** 2) - ((y + 2.9) / 1.6) ** 2)
    flush += 0.55 * np.exp(-((a / 1.5) ** 2) - ((y + 3.8) / 1.1) ** 2) * (z > 1.0)
    flush += 0.30 * np.exp(-((a / 1.6) ** 2) - ((y + 10) / 1.0) ** 2) + 0.25 * np.exp(
        -(((a - EYE_X) / 1.9) ** 2) - ((y + 0.3) / 1.1) ** 2
    )
    colour = _blend(colour, np.clip(flush * (1 + 0.4 * broad), 0, 1) * front, red)
    colour = _blend(colour, 0.28 * np.exp(-(((a - EYE_X) / 1.5) ** 2) - ((y + 1.15) / 0.45) ** 2) * front, tone * 0.62)
    freckle = ramp(noise(p / 0.32, seed + 3), 0.62, 0.85) * np.exp(-(((a - 2.6) / 2.6) ** 2) - ((y + 2.4) / 1.6) ** 2)
    colour = _blend(colour, 0.35 * freckle * front, tone * np.array([0.72, 0.55, 0.45]))
    gloss = 0.85 + 0.9 * np.exp(-((a / 2.2) ** 2)) * ramp(y, -5, -2) + 0.25 * fine
    cavity = 1 + 0.10 * np.minimum(fine, 0)
    colour, gloss = _paint_lips(colour, gloss, p, who, seed)
    colour, cavity = _paint_brows(colour, cavity, p, who, seed)
    t = (a - EYE_X) / 1.45
    closed, _, _ = lid_lines(t)
    rim = np.clip(1.04 - t * t, 0, 1) ** 0.3 * (np.abs(t) < 1.03) * (z > -1.5)
    lash = rim * (
        ramp(y - closed, 0.26, 0.08) * ramp(y - closed, -0.05, -0.01)
        + 0.45 * ramp(closed - y, 0.10, 0.0) * (y < closed)
    )
    colour = _blend(colour, np.clip(0.92 * lash, 0, 1), np.array(who.hair) * 0.35)
    crease = np.exp(-(((y - closed - 0.95) / 0.10) ** 2)) * rim
    cavity *= 1 - 0.28 * crease
    tip = -3.45 * who.nose_length
    nostril = np.exp(-((((a - 0.62) / 0.34) ** 2 + ((y - tip + 0.98) / 0.26) ** 2) ** 2)) * (z > 0.8)
    colour = _blend(colour, 0.92 * nostril, tone * np.array([0.10, 0.05, 0.04]))
    return np.concatenate([colour, np.clip(gloss * (1 - 0.8 * nostril), 0, 4)[..., None], cavity[..., None]], -1)


def _paint_lips(
    colour: np.ndarray, gloss: np.ndarray, p: np.ndarray, who: Identity, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    x, above = p[..., 0], p[..., 1] - slit_height(p[..., 0])
    upper, lower = vermilion(x, who.lip_fullness)
    edge = 0.05 + 0.03 * noise(p / 0.3, seed + 4)
    inside = np.where(above > 0, upper - above, lower + above) + edge - 0.05
    share = ramp(inside, -0.07, 0.10) * (np.abs(x) < MOUTH_HALF_WIDTH * 1.02) * (p[..., 2] > -2)
    red = np.array(who.skin) * np.array([0.74, 0.36, 0.40])
    lines = noise(np.stack([x / 0.10, above / 0.9], -1), seed + 5)
    shade = 1 + 0.10 * lines - 0.22 * ramp(np.abs(above), 0.18, 0.0) - 0.10 * (above > 0)
    colour = _blend(colour, 0.92 * share, red * shade[..., None])
    shadow = np.exp(-(((np.abs(x) - MOUTH_HALF_WIDTH) / 0.22) ** 2) - (above / 0.16) ** 2)
    colour = _blend(colour, 0.3 * shadow * (p[..., 2] > -2), red * 0.35)
    return colour, gloss + share * (1.1 + 0.5 * lines)


def _paint_brows(
    colour: np.ndarray, cavity: np.ndarray, p: np.ndarray, who: Identity, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    a, y = np.abs(p[..., 0]), p[..., 1]
    t = np.clip((a - 1.15) / 4.2, 0, 1)
    middle = 1.85 + 0.95 * t - 1.05 * t**2.6
    half = (0.46 - 0.26 * t) * ramp(a, 0.85, 1.5) * ramp(a, 5.5, 4.8)
    hairs = noise(np.stack([(a * 0.8 - y * 0.9) / 0.10, (a + y) / 0.9], -1), seed + 7)
    soft = ramp((np.abs(y - middle) - half) / 0.20, 1.0, -1.0) * (half > 0.02) * (p[..., 2] > -4)
    share = np.clip(soft * (0.88 + 0.35 * hairs), 0, 0.95)
    return _blend(colour, share, np.array(who.hair) * 0.6), cavity


def eye_texture(who: Identity, seed: int) -> Texture:
    """White, iris, pupil, flat on the plane behind the cornea; the middle of the texture is the pupil when looking ahead."""
    size = 160
    x, y = np.meshgrid(*[np.linspace(-EYE_TEXTURE_HALF, EYE_TEXTURE_HALF, size)] * 2)
    r, turn = np.hypot(x, y), np.arctan2(y, x)
    veins = ramp(noise(np.stack([x * 2.5, y * 5], -1), seed + 8, octaves=3), 0.3, 1.0) * ramp(np.abs(x), 0.6, 1.4)
    colour = _blend(np.broadcast_to([0.56, 0.52, 0.49], (size, size, 3)).copy(), 0.5 * veins, [0.55, 0.28, 0.24])
    colour = _blend(colour, ramp(np.abs(x), 0.9, 1.5), [0.50, 0.30, 0.26])
    rays = noise(np.stack([np.cos(turn) * 9, np.sin(turn) * 9, r * 1.5], -1), seed + 9, octaves=2)
    iris = np.array(who.iris) * (1.25 + 0.55 * rays + 0.9 * ramp(r, 0.40, 0.24))[..., None]
    iris *= (1 - 0.75 * ramp(r, 0.50, 0.64))[..., None]
    colour = _blend(colour, ramp(r, 0.66, 0.61), iris)
    colour = _blend(colour, ramp(r, 0.27, 0.23), [0.004, 0.004, 0.005])
    gloss = np.ones((size, size, 1))
    return np.concatenate([np.clip(colour, 0, 1), gloss, gloss], -1)


def hair_texture(skin: Float[np.ndarray, "rows columns 3"], who: Identity, seed: int) -> Texture:
    """Strands in the colour of the hair, over the hair shell's grid."""
    p = _at_texels(skin, 560, 640)
    strand, along = strand_coordinate(p), p[..., 1] - 0.5 * p[..., 2]
    fine = noise(np.stack([strand * 95, along * 0.35], -1), seed + 10, octaves=2)
    lock = noise(np.stack([strand * 17, along * 0.15], -1), seed + 11, octaves=2)
    shade = np.clip(1 + 0.42 * fine + 0.30 * lock, 0.15, 2.2)
    colour = np.array(who.hair) * shade[..., None] * (1 + 0.1 * lock[..., None] * np.array([1.0, 0.3, -0.3]))
    gloss, cavity = 1 + 0.6 * fine, np.clip(0.95 + 0.25 * fine + 0.15 * lock, 0.4, 1.1)
    return np.concatenate([colour, np.clip(gloss, 0, 3)[..., None], cavity[..., None]], -1)


def plain_textures(who: Identity, seed: int) -> dict[str, Texture]:
    """Textures that follow no sculpture: teeth, tongue, gum, ear, neck, knit, rib."""

    def layers(colour: np.ndarray, gloss: object, cavity: object) -> Texture:
        shape = colour.shape[:2]
        return np.concatenate(
            [colour, *(np.broadcast_to(np.asarray(g), shape)[..., None] for g in (gloss, cavity))], -1
        )

    def square(size: int) -> tuple[np.ndarray, np.ndarray]:
        u, v = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
        return u, v

    u, v = square(192)
    tone, speck = np.array(who.skin), noise(np.stack([u * 60, v * 60], -1), seed + 12, octaves=2)
    broad = noise(np.stack([u * 7, v * 7], -1), seed + 13, octaves=3)
    gap = np.exp(-((np.abs(np.sin((u * 2 - 1) * 6.5 * np.pi)) / 0.16) ** 2))
    teeth = np.broadcast_to([0.70, 0.66, 0.57], (192, 192, 3)) * (1 - 0.22 * gap)[..., None]
    teeth = _blend(teeth, ramp(v + 0.05 * np.cos((u * 2 - 1) * 13 * np.pi), 0.78, 0.86), np.array([0.40, 0.13, 0.12]))
    groove = np.exp(-(((u - 0.5) / 0.03) ** 2))
    tongue = np.array([0.46, 0.16, 0.15]) * (1 + 0.12 * speck - 0.25 * groove)[..., None]
    skin = tone * (1 + 0.05 * broad + 0.04 * speck)[..., None]
    stitch = np.abs(np.sin(u * 80 * np.pi)) * np.abs(np.sin(v * 64 * np.pi))
    wool = np.array(who.clothes) * (0.90 + 0.16 * stitch + 0.10 * broad + 0.10 * speck)[..., None]
    ribs = np.abs(np.sin(u * 62 * np.pi))
    rib = np.array(who.clothes) * (0.62 + 0.5 * ribs + 0.06 * speck)[..., None]
    return {
        "teeth": layers(teeth, 0.9, 1 - 0.15 * gap),
        "tongue": layers(tongue, 1.0, 1.0),
        "gum": layers(np.broadcast_to([0.30, 0.075, 0.065], (192, 192, 3)), 0.3, 1.0),
        "ear": layers(skin * np.array([1.05, 0.80, 0.76]), 0.7, 1.0),
        "neck": layers(skin * np.array([0.97, 0.93, 0.92]), 0.6, 1 + 0.06 * np.minimum(speck, 0)),
        "knit": layers(wool, 1.0, 0.92 + 0.08 * stitch),
        "rib": layers(rib, 1.0, 0.6 + 0.4 * ribs),
    }


def room(height: int, width: int, who: Identity, seed: int) -> Float[np.ndarray, "height width 3"]:
    """The still background, linear light: a wall lit from the left, a window, shelves with things, a plant, out of focus."""
    rng = np.random.default_rng([seed, 23])
    side = 256
    u, v = np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2)
    wall = np.array(who.wall)
    picture = wall * (0.95 - 0.45 * u + 0.12 * (1 - v))[..., None]
    pane = ramp(u, 0.235, 0.225) * ramp(v, 0.05, 0.06) * ramp(v, 0.70, 0.69)
    bars = np.maximum(np.exp(-(((u - 0.10) / 0.012) ** 2)), np.exp(-(((v - 0.36) / 0.012) ** 2)))
    sky = np.stack([0.60 + 0.35 * v, 0.74 + 0.16 * v, 0.92 - 0.1 * v], -1)
    leaves = ramp(noise(np.stack([u * 16, v * 16], -1), seed + 14, octaves=3), -0.5, 0.9) * ramp(v, 0.10, 0.45)
    sky = _blend(sky, leaves, np.array([0.20, 0.30, 0.10]))
    picture = _blend(picture, pane, sky)
    picture = _blend(picture, pane * bars, wall * 1.1)
    for shelf in (0.30, 0.62, 0.94):
        place = 0.765
        while place < 1.0:
            thick, tall = rng.uniform(0.018, 0.04), rng.uniform(0.12, 0.20)
            book = ((u > place) & (u < place + thick - 0.003) & (v > shelf - tall) & (v < shelf)).astype(float)
            hue = np.array([rng.uniform(0.08, 0.42), rng.uniform(0.07, 0.28), rng.uniform(0.05, 0.22)]) * rng.uniform(
                0.5, 1.0
            )
            picture = _blend(picture, book * rng.choice([0.95, 0.95, 0.0]), hue)
            place += thick
        board = ((u > 0.75) & (v >= shelf) & (v < shelf + 0.022)).astype(float)
        picture = _blend(picture, board, np.array([0.16, 0.085, 0.04]))
    picture = cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), 3.2)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)).clip(0, 1)
