"""The last layers of a head of one frame, folded for rendering: from the density net's last hidden layer to density and colour.

Nothing is nonlinear between the density net's last layer and the colour net's first: they merge. The colour net's share of
direction and appearance code is one row per ray, not per sample.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.fields.head import GEOMETRY, HARMONICS
from loquent.ops.directions import spherical_harmonics


class FoldedOutput:
    """A function of hidden values and rays; later changes of the matrices it was made of are not seen."""

    def __init__(
        self,
        density_out: Float[Tensor, "outputs hidden"],
        colour_in: Float[Tensor, "shade inputs"],
        colour_out: Float[Tensor, "3 shade"],
        code: Float[Tensor, "1 code_width"],
    ) -> None:
        """Last layer of the density net, both layers of the colour net, and the frame's appearance code."""
        widths = [HARMONICS, GEOMETRY, code.shape[1]]
        from_direction, from_geometry, from_code = torch.split(colour_in, widths, dim=1)
        self._density = density_out[0].clone()
        self._shade = from_geometry @ density_out[1:]
        self._from_direction = from_direction.clone()
        self._from_code = code @ from_code.t()
        self._colour = colour_out.clone()
        self._rays: tuple[Tensor, Tensor] | None = None

    def __call__(
        self,
        hidden: Float[Tensor, "samples hidden"],
        directions: Float[Tensor, "rays 3"],
        ray_ids: Int[Tensor, "samples"],
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        """Logarithm of the density, and colour before its sigmoid; directions are unit vectors, one per ray."""
        shade = self._along(directions).index_select(0, ray_ids).addmm_(hidden, self._shade.t()).relu_()
        return hidden @ self._density, shade @ self._colour.t()

    def _along(self, directions: Tensor) -> Float[Tensor, "rays shade"]:
        """The colour net's share of each ray's direction, kept while the same rays are asked again and again."""
        if self._rays is None or self._rays[0] is not directions:
            along = torch.addmm(self._from_code, spherical_harmonics(directions), self._from_direction.t())
            self._rays = (directions, along)
        return self._rays[1]
