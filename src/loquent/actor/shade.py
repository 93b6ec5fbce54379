# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="untyped-decorator"
"""Light on the samples that the rasteriser found, and their development into pixels. Numba bodies, like raster.py.

Surfaces answer light in five ways: skin (blood lets red light wander under it), hair (highlights run across the strands,
after Kajiya and Kay 1989), eye (a wet, sharp highlight), cloth, and wet flesh or teeth.
"""

import math

import numpy as np

from loquent.compilation import kernel

SKIN, HAIR, EYE, CLOTH, WET = 0, 1, 2, 3, 4
SHADOW_BIAS = 0.005
"""Depth in volume units that a surface may lie behind the light's picture and still be lit."""


@kernel(exact=True)
def _texel(texels, offset, rows, columns, u, v, out):
    """Bilinear look-up at u, v in [0, 1] (clamped) in the texture that starts at `offset`."""
    x = min(max(u * columns - 0.5, 0.0), columns - 1.001)
    y = min(max(v * rows - 0.5, 0.0), rows - 1.001)
    x0, y0 = int(x), int(y)
    fx, fy = x - x0, y - y0
    first = offset + y0 * columns + x0
    for k in range(5):
        upper = texels[first, k] * (1 - fx) + texels[first + 1, k] * fx
        lower = texels[first + columns, k] * (1 - fx) + texels[first + columns + 1, k] * fx
        out[k] = upper * (1 - fy) + lower * fy


@kernel(exact=True)
def _lit(shadow_depth, x, y, z, bias):
    """Share of the key light that reaches a point: depth comparisons under a tent three texels wide each way."""
    rows, columns = shadow_depth.shape
    left, top = math.floor(x - 0.5), math.floor(y - 0.5)
    seen, total = 0.0, 0.0
    for r in range(top - 2, top + 4):
        for c in range(left - 2, left + 4):
            weight = max(0.0, 3.0 - abs(r + 0.5 - y)) * max(0.0, 3.0 - abs(c + 0.5 - x))
            total += weight
            if r < 0 or c < 0 or r >= rows or c >= columns or z - bias < shadow_depth[r, c]:
                seen += weight
    return seen / total


@kernel(exact=True)
def _diffuse(answer, cosine, wrap, strand_cosine):
    if answer == HAIR:
        across = math.sqrt(max(0.0, 1.0 - strand_cosine * strand_cosine))
        return 0.5 * across * max(0.0, min(1.0, cosine + 0.6)) + 0.3 * max(0.0, cosine)
    return max(0.0, (cosine + wrap) / (1.0 + wrap))


@kernel(exact=True)
def _shine(answer, cosine, half_cosine, strand_half_cosine, facing):
    if answer == HAIR:
        across = max(1e-6, 1.0 - strand_half_cosine * strand_half_cosine)
        return (0.050 * across**30 + 0.025 * across**7) * max(0.0, min(1.0, cosine + 0.3))
    if answer == EYE:
        return 3.0 * half_cosine**500 + 0.25 * half_cosine**40
    if answer == WET:
        return 0.7 * half_cosine**70 + 0.08 * half_cosine**10
    if answer == CLOTH:
        return 0.02 * (1.0 - facing) ** 2
    fresnel = 0.35 + 2.2 * (1.0 - facing) ** 4
    return (0.11 * half_cosine**34 + 0.05 * half_cosine**9) * fresnel * max(0.0, min(1.0, 4.0 * cosine))


@kernel(exact=True)
def shade(
    top, bottom,
    ids, weights, points, normals, strands, uvs, shadow_screen, occlusion, triangles, materials, answers, layout, texels,
    shadow_depth, lights, room, out,
):  # fmt: skip
    """Linear light leaving the samples of rows `top` to `bottom` towards the camera, into `out` [h,w,3].

    `room` [h,w,3] shows where nothing is hit.
    `lights` rows: key direction, key colour, fill direction, fill colour, rim direction, rim colour, sky colour, ground colour.
    `texels` columns: reflectance r g b, gloss, cavity (darkening of small hollows).
    """
    width = ids.shape[1]
    for y in range(top, bottom):
        texel, n, p, s, shadow = np.empty(5), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
        for x in range(width):
            t = ids[y, x]
            if t < 0:
                for k in range(3):
                    out[y, x, k] = room[y, x, k]
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wb, wc = weights[y, x, 0], weights[y, x, 1]
            wa = 1.0 - wb - wc
            for k in range(3):
                n[k] = wa * normals[a, k] + wb * normals[b, k] + wc * normals[c, k]
                p[k] = wa * points[a, k] + wb * points[b, k] + wc * points[c, k]
                s[k] = wa * strands[a, k] + wb * strands[b, k] + wc * strands[c, k]
                shadow[k] = wa * shadow_screen[a, k] + wb * shadow_screen[b, k] + wc * shadow_screen[c, k]
            n_scale = 1.0 / (math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) + 1e-20)
            p_scale = -1.0 / math.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
            for k in range(3):
                n[k] *= n_scale
                p[k] *= p_scale  # from here on the direction to the camera
            facing = max(0.0, n[0] * p[0] + n[1] * p[1] + n[2] * p[2])
            u = wa * uvs[a, 0] + wb * uvs[b, 0] + wc * uvs[c, 0]
            v = wa * uvs[a, 1] + wb * uvs[b, 1] + wc * uvs[c, 1]
            material = materials[t]
            answer = answers[material]
            _texel(texels, layout[material, 0], layout[material, 1], layout[material, 2], u, v, texel)
            sky = (wa * occlusion[a] + wb * occlusion[b] + wc * occlusion[c]) * texel[4]
            key_cosine = n[0] * lights[0, 0] + n[1] * lights[0, 1] + n[2] * lights[0, 2]
            key_share = 0.0
            if key_cosine > -0.35:  # a grazed surface needs more slack, or it shades itself in stripes
                bias = SHADOW_BIAS * (1.0 + 2.0 * (1.0 - max(0.0, key_cosine)))
                key_share = _lit(shadow_depth, shadow[0], shadow[1], shadow[2], bias)
            up = 0.5 - 0.5 * n[1]
            for k in range(3):
                out[y, x, k] = texel[k] * sky * (lights[6, k] * up + lights[7, k] * (1.0 - up))
            for light in range(3):
                lx, ly, lz = lights[2 * light, 0], lights[2 * light, 1], lights[2 * light, 2]
                hx, hy, hz = lx + p[0], ly + p[1], lz + p[2]
                h_scale = 1.0 / (math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-20)
                cosine = n[0] * lx + n[1] * ly + n[2] * lz
                half_cosine = max(0.0, n[0] * hx + n[1] * hy + n[2] * hz) * h_scale
                along, along_half = s[0] * lx + s[1] * ly + s[2] * lz, (s[0] * hx + s[1] * hy + s[2] * hz) * h_scale
                reach = key_share if light == 0 else 1.0
                shine = _shine(answer, cosine, half_cosine, along_half, facing) * texel[3] * sky * reach
                for k in range(3):
                    wrap = 0.12
                    if answer in (SKIN, WET):  # red light wanders furthest: its terminator is the widest
                        wrap = 0.34 if k == 0 else (0.15 if k == 1 else 0.09)
                    arrives = math.sqrt(reach) if k == 0 and answer == SKIN else reach
                    matt = _diffuse(answer, cosine, wrap, along) * arrives * (0.35 + 0.65 * sky)
                    out[y, x, k] += lights[2 * light + 1, k] * (texel[k] * matt + shine)


@kernel(exact=True)
def develop(top, bottom, light, ids, layers, curve, brightest, samples, image, matte):
    """Average every pixel's samples: light through `curve` (a table over [0, brightest]) to 8 bits, layers to shares of 255.

    `matte` [h,w,3] holds head, torso, background and sums to 255 in every pixel.
    """
    width = image.shape[1]
    last, count = curve.shape[0] - 1, samples * samples
    for r in range(top, bottom):
        total = np.empty(3)
        for c in range(width):
            total[:] = 0.0
            head, torso = 0, 0
            for y in range(r * samples, (r + 1) * samples):
                for x in range(c * samples, (c + 1) * samples):
                    for k in range(3):
                        total[k] += curve[int(min(light[y, x, k] / brightest, 1.0) * last + 0.5)]
                    if ids[y, x] >= 0:
                        if layers[ids[y, x]] == 0:
                            head += 1
                        else:
                            torso += 1
            for k in range(3):
                image[r, c, k] = int(total[k] / count * 255.0 + 0.5)
            matte[r, c, 0] = int(head * 255.0 / count + 0.5)
            matte[r, c, 1] = min(int(torso * 255.0 / count + 0.5), 255 - matte[r, c, 0])
            matte[r, c, 2] = 255 - matte[r, c, 0] - matte[r, c, 1]
