"""The terms of the head's and the torso's loss, each a named function of one step's result (SPEC 4.2)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def squared_error(pixels: Float[Tensor, "rays 3"], target: Float[Tensor, "rays 3"]) -> Float[Tensor, "rays"]:
    """Mean over the channels of the squared difference, per ray (paper eq. 11)."""
    return (pixels - target).square().mean(dim=1)


def uncertain_error(
    pixels: Float[Tensor, "rays 3"],
    target: Float[Tensor, "rays 3"],
    uncertainty: Float[Tensor, "rays"],
    in_face: Bool[Tensor, "rays"],
    progress: float,
) -> Float[Tensor, ""]:
    """The authors' error that shifts emphasis to uncertain rays as training goes on (SPEC 4.2; not in the paper)."""
    error = squared_error(pixels, target)
    emphasis = torch.softmax(uncertainty.detach(), dim=0) * uncertainty.numel()
    weight = 0.2 + 0.8 * ((1 - progress) + progress * emphasis).clamp(0, 10)
    distance = (pixels - target).norm(dim=1).detach()
    likelihood = distance / (2 * (1 + uncertainty).square()) + 0.5 * (1 + uncertainty).log().square()
    outside = 1e-3 * progress * uncertainty
    return (weight * error + torch.where(in_face, progress * likelihood, outside)).mean()


def opacity_entropy(opacity: Float[Tensor, "rays"]) -> Float[Tensor, ""]:
    """Mean binary entropy, in bits, of the rays' opacity (SPEC 4.2)."""
    p = opacity.clamp(1e-5, 1 - 1e-5)
    return (-p * p.log2() - (1 - p) * (1 - p).log2()).mean()


def ambient_attention(
    audio_attention: Float[Tensor, "rays"],
    eye_attention: Float[Tensor, "rays"],
    in_face: Bool[Tensor, "rays"],
    max_samples: int,
) -> Float[Tensor, ""]:
    """Audio attention outside the face, and eye attention where audio attends inside it (SPEC 4.2).

    Both attentions are plain sums over a ray's samples (SPEC 2.7), of which there are at most `max_samples`.
    """
    outside = torch.where(in_face, 0.0, audio_attention).mean()
    inside = torch.where(in_face, eye_attention / max_samples * audio_attention.detach(), 0.0).mean()
    return outside + inside


def structural_dissimilarity(
    patches: Float[Tensor, "patches side side 3"], target: Float[Tensor, "patches side side 3"]
) -> Float[Tensor, ""]:
    """Mean of 1 - SSIM over 7x7 Gaussian windows of two scales (Wang et al. 2004): needs no downloaded network."""
    a, b = patches.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2)
    total = _dissimilarity(a, b)
    return (total + _dissimilarity(functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2))) / 2


def _dissimilarity(a: Float[Tensor, "n 3 h w"], b: Float[Tensor, "n 3 h w"]) -> Float[Tensor, ""]:
    offsets = torch.arange(7, dtype=a.dtype, device=a.device) - 3
    profile = torch.exp(-offsets.square() / (2 * 1.5**2))
    profile = profile / profile.sum()
    window = (profile[:, None] * profile).expand(3, 1, 7, 7)

    def blur(x: Tensor) -> Tensor:
        return functional.conv2d(x, window, groups=3)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + SSIM_C1) * (variance_a + variance_b + SSIM_C2)
    )
    return (1 - similarity).mean()
