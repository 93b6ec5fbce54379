# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="untyped-decorator"
"""Triangles to nearest-surface samples. Numba bodies, not annotated because Numba reads them itself.

Camera frame: x right, y down, z forward, in volume units. `screen` holds pixel coordinates (u, v) on the supersampled grid and
a depth. Rows are independent, so bands of them may run in threads.
"""

import numpy as np

from loquent.compilation import kernel


@kernel(exact=True)
def rasterise(top, bottom, screen, triangles, depth, ids, weights):
    """Fill rows `top` to `bottom` (not included) of `depth` [h,w], `ids` [h,w] (-1: nothing) and `weights` [h,w,2].

    Weights are those of a triangle's second and third corner; the first has the rest.
    """
    width = depth.shape[1]
    depth[top:bottom] = np.inf
    ids[top:bottom] = -1
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ay, by, cy = screen[a, 1], screen[b, 1], screen[c, 1]
        low, high = min(ay, by, cy), max(ay, by, cy)
        if high < top or low > bottom:
            continue
        ax, bx, cx = screen[a, 0], screen[b, 0], screen[c, 0]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-9:
            continue
        inverse = 1.0 / area
        left = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        right = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        for y in range(max(top, int(np.ceil(low - 0.5))), min(bottom - 1, int(np.floor(high - 0.5))) + 1):
            py = y + 0.5
            for x in range(left, right + 1):
                px = x + 0.5
                wb = ((px - ax) * (cy - ay) - (cx - ax) * (py - ay)) * inverse
                wc = ((bx - ax) * (py - ay) - (px - ax) * (by - ay)) * inverse
                if wb < 0.0 or wc < 0.0 or wb + wc > 1.0:
                    continue
                z = screen[a, 2] + wb * (screen[b, 2] - screen[a, 2]) + wc * (screen[c, 2] - screen[a, 2])
                if z < depth[y, x]:
                    depth[y, x] = z
                    ids[y, x] = t
                    weights[y, x, 0] = wb
                    weights[y, x, 1] = wc


@kernel(exact=True)
def vertex_normals(points, triangles, normals):
    """Unit normals of every vertex: the sum of its triangles' area vectors. Surfaces are wound so that they point outwards."""
    normals[:] = 0.0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for i in range(points.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-20
        normals[i] /= length
