"""SyncNet's protocol against loops; its network against the published shape; its faces where the meshes are."""

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.evaluation.syncnet import SyncNet, face_crops, score_from_features, sync_score


@pytest.fixture(scope="module")
def network() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet()


def test_the_network_fills_the_published_file(network: SyncNet) -> None:
    # 54,573,114 bytes: four each for the numbers, and under 0.1 % for names.
    n_numbers = sum(values.numel() for values in network.state_dict().values())
    assert 0 < 54_573_114 - 4 * n_numbers < 54_573_114 / 1000


def test_scores_are_those_of_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(40, 1024, generator=generator)
    heard = torch.roll(seen, 4, 0) + 0.3 * torch.randn(40, 1024, generator=generator)
    means = []
    for offset in range(-15, 16):
        distances = []
        for k in range(40):
            sound = heard[k + offset] if 0 <= k + offset < 40 else torch.zeros(1024)
            distances.append(float((seen[k] - sound + 1e-6).square().sum().sqrt()))
        means.append(np.mean(distances))
    got = score_from_features(seen, heard)
    assert got.distance == pytest.approx(min(means), rel=1e-5)
    assert got.confidence == pytest.approx(np.median(means) - min(means), rel=1e-4)
    assert got.offset_frames == -(np.argmin(means) - 15)


def test_a_film_is_scored_in_batches_as_look_by_look(network: SyncNet) -> None:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (27, 40, 50, 3), dtype=np.uint8)
    points = np.tile(random.uniform(10, 30, (1, 478, 3)), (27, 1, 1))
    points[3] = np.nan
    waveform = random.normal(0, 0.1, 27 * 640 + 100).astype(np.float32)
    got = sync_score(network, pictures, points, waveform)
    crops = torch.from_numpy(np.stack(list(face_crops(pictures, points)))[..., ::-1].astype(np.float32)).permute(
        3, 0, 1, 2
    )
    from loquent.speech.mfcc import mfcc

    steps = torch.from_numpy(mfcc(np.round(waveform.astype(np.float64) * 32767), 13).T.astype(np.float32))
    with torch.no_grad():
        seen = torch.cat([network.of_lips(crops[None, :, k : k + 5]) for k in range(22)])
        heard = torch.cat([network.of_sound(steps[None, None, :, 4 * k : 4 * k + 20]) for k in range(22)])
    wanted = score_from_features(seen, heard)
    assert got is not None
    assert got.distance == pytest.approx(wanted.distance, rel=1e-4)
    assert got.confidence == pytest.approx(wanted.confidence, rel=1e-2, abs=1e-5)


def test_too_little_to_say_is_none(network: SyncNet) -> None:
    pictures, points = np.zeros((30, 8, 8, 3), np.uint8), np.full((30, 478, 3), np.nan)
    assert sync_score(network, pictures, points, np.zeros(30 * 640, np.float32)) is None
    points[:] = 4
    assert sync_score(network, pictures, points, np.zeros(20 * 640, np.float32)) is None


def test_the_face_is_cut_out_with_room_below_it() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[80:120, 80:120] = 255  # the face
    points = np.tile(np.float32([80, 80, 0]), (20, 478, 1))
    points[:, 1::2, :2] = 120
    crop = next(face_crops([picture] * 20, points))
    white = crop[..., 0] > 127
    # 1.4 half sizes on each side of the middle, 1 above, 1.8 below: 56 x 56 pixels become 224 x 224.
    assert abs(white.any(axis=1).sum() - 224 * 40 / 56) <= 1
    assert abs(np.flatnonzero(white.any(axis=0))[0] - 224 * 8 / 56) <= 1
    assert white[0].any()


def test_a_face_at_the_edge_is_padded_and_missing_pictures_are_named() -> None:
    points = np.tile(np.float32([0, 0, 0]), (3, 478, 1))
    points[:, 1::2, :2] = 30
    crops = list(face_crops([np.zeros((60, 60, 3), np.uint8)] * 3, points))
    assert (crops[1][:, 0] == 110).all()
    with pytest.raises(InputError, match="3 face meshes, but only 2 pictures"):
        list(face_crops([np.zeros((60, 60, 3), np.uint8)] * 2, points))
