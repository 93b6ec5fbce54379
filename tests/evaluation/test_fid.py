"""The Fréchet distance against matrix roots, and the Inception network against its published shape."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from loquent.evaluation.fid import frechet_distance
from loquent.evaluation.inception import Inception


@pytest.mark.parametrize(("n_ours", "n_truth"), [(40, 31), (6, 50)])
def test_distance_is_that_of_matrix_roots(n_ours: int, n_truth: int) -> None:
    random = np.random.default_rng(0)
    ours, truth = random.normal(1, 2, (n_ours, 9)), random.normal(0, 1, (n_truth, 9)) @ random.normal(0, 1, (9, 9))
    covariances = np.cov(ours, rowvar=False), np.cov(truth, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    wanted = np.square(ours.mean(0) - truth.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(ours, truth) == pytest.approx(wanted, rel=1e-6)


def test_a_shift_alone_costs_its_square_and_the_same_set_nothing() -> None:
    features = np.random.default_rng(0).normal(0, 1, (12, 30))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(features + 0.5, features) == pytest.approx(30 * 0.25)


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    return Inception()


def test_inception_has_the_published_size(network: Inception) -> None:
    # torchvision states 27,161,264 with both classifiers: 3,326,696 in the side one, 2,049,000 in the last.
    assert sum(values.numel() for values in network.parameters()) == 27_161_264 - 3_326_696 - 2_049_000


def test_features_are_finite_and_of_any_picture_size(network: Inception) -> None:
    pictures = [
        np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 61, 3), (299, 299, 3))
    ]
    for picture in pictures:
        features = network.features(picture)
        assert features.shape == (2048,)
        assert np.isfinite(features).all()
        assert features.std() > 0


def test_means_leave_out_the_padding_but_the_last_block_takes_the_maximum(network: Inception) -> None:
    ones = torch.ones(1, 288, 4, 4)
    seen: list[torch.Tensor] = []
    hook = network.Mixed_5d.branch_pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.Mixed_5d(ones)
    hook.remove()
    assert torch.equal(seen[0], ones)  # with padding, corners would be 4 / 9
    spike = torch.zeros(1, 2048, 3, 3)
    spike[..., 0, 0] = 9
    for block, wanted in ((network.Mixed_7b, 9 / 6), (network.Mixed_7c, 9)):
        hook = block.branch_pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        block(spike[:, : 1280 if block is network.Mixed_7b else 2048])
        hook.remove()
        assert float(seen[-1][0, 0, 0, 1]) == pytest.approx(wanted)
