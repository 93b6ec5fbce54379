"""How the torso follows the head, at first order: a linear map from head pose to a shift, turn and scale of the picture plane.

Shoulders move with the head, by several pixels. ER-NeRF's torso learns that motion inside a small network, which fits the
training frames but carries badly to poses in between; a regression on the six numbers of the pose predicts it to about a
pixel on held-out frames. The torso field is then asked in coordinates in which the shoulders nearly stand still.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MAX_DEVIATION = 3.0
"""Poses count as at most this many standard deviations from the training mean: the line is not followed too far."""


class TorsoFollow(nn.Module):
    """A similarity of the picture plane per head pose; the identity until it is fitted (`loquent.training.torso_follow`)."""

    reference: Tensor
    """Mean camera-from-head rotation [3, 3] that turns are measured from."""
    mean: Tensor
    """Mean pose features [6]."""
    scale: Tensor
    """Standard deviations of the pose features [6]."""
    weight: Tensor
    """[6, 4]: per standardised feature, change of scale, turn, row and column."""
    bias: Tensor
    """[4]: the same at the mean pose."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("reference", torch.eye(3))
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("scale", torch.ones(6))
        self.register_buffer("weight", torch.zeros(6, 4))
        self.register_buffer("bias", torch.zeros(4))

    def pose_features(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames 6"]:
        """Small-angle turn of the head against the reference, and place of its centre in the camera frame."""
        camera_from_head = world_from_camera[:, :3, :3].transpose(1, 2)
        turn = camera_from_head @ self.reference.T
        angles = torch.stack(
            [turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], dim=1
        )
        place = -(camera_from_head @ world_from_camera[:, :3, 3:])[..., 0]
        return torch.cat([angles / 2, place], dim=1)

    def similarity(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames 4"]:
        """Change of scale, turn, and shift of rows and columns that bring each frame's torso to rest."""
        features = ((self.pose_features(world_from_camera) - self.mean) / self.scale).clamp(
            -MAX_DEVIATION, MAX_DEVIATION
        )
        return features @ self.weight + self.bias

    def forward(
        self,
        plane: Float[Tensor, "pixels 2"],
        world_from_camera: Float[Tensor, "frames 4 4"],
        frame_of_pixel: Int[Tensor, "pixels"] | None = None,
    ) -> Float[Tensor, "pixels 2"]:
        """Picture-plane coordinates (row, column) of each frame to those of the torso at rest."""
        per_frame = self.similarity(world_from_camera)
        a, b, down, across = (per_frame[frame_of_pixel] if frame_of_pixel is not None else per_frame).unbind(-1)
        row, column = plane.unbind(-1)
        return torch.stack([row + a * row - b * column + down, column + b * row + a * column + across], dim=-1)
