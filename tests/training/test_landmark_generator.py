"""From sound to landmarks: finds a linear mouth, stays within the person's range, hears only what it may."""

import json

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.nn.generator_kinds import make_landmark_generator
from loquent.nn.landmark_generator import CAUSAL, KNEE, LandmarkMotions, softly_limited
from loquent.training.landmark_generator import fit_landmark_generator, principal_motions

N_FRAMES, N_POINTS, WIDTH, FPS = 400, 10, 5, 25.0


def speaking_face(delay_steps: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, frame ids, and landmarks of which some open with one feature `delay_steps` after the frame."""
    random = np.random.default_rng(seed)
    features = random.standard_normal((2 * N_FRAMES + 40, WIDTH)).astype(np.float32)
    frame_ids = np.arange(N_FRAMES) + 10
    rest, opening = random.uniform(-0.5, 0.5, (N_POINTS, 3)), np.zeros((N_POINTS, 3))
    opening[6:, 1] = [0.02, 0.05, 0.05, 0.02]
    heard = features[2 * frame_ids + delay_steps, 2]
    landmarks = rest + heard[:, None, None] * opening + 0.002 * random.standard_normal((N_FRAMES, N_POINTS, 3))
    return torch.from_numpy(features), torch.from_numpy(frame_ids), torch.from_numpy(landmarks).float()


def test_a_linear_mouth_is_recovered_on_frames_that_were_not_seen() -> None:
    features, ids, landmarks = speaking_face()
    fit = fit_landmark_generator(features, ids[:300], landmarks[:300], FPS)
    asked = fit.generator.generate(features, ids[300:])
    mean_error = (landmarks[300:] - landmarks[:300].mean(dim=0)).norm(dim=-1)[:, 6:].mean()
    assert (asked - landmarks[300:]).norm(dim=-1)[:, 6:].mean() < 0.3 * mean_error
    assert fit.correlation[0] > 0.9
    held_out = np.corrcoef(fit.out_of_fold[:, 7, 1], landmarks[:300, 7, 1])[0, 1]
    assert held_out > 0.9


def test_beyond_the_ends_of_a_sound_its_first_and_last_steps_are_heard() -> None:
    features, ids, landmarks = speaking_face()
    sound, places = (
        features[20 : 20 + 2 * N_FRAMES],
        ids - 10,
    )  # which begins with the first frame and ends with the last
    longer = torch.cat([sound[:1].expand(24, -1), sound, sound[-1:].expand(24, -1)])
    short = fit_landmark_generator(sound, places, landmarks, FPS).generator
    long = fit_landmark_generator(longer, places + 12, landmarks, FPS).generator
    torch.testing.assert_close(short.predictor.examples, long.predictor.examples, rtol=0, atol=0)
    asked = torch.tensor([0, 1, N_FRAMES - 2, N_FRAMES - 1])
    torch.testing.assert_close(short.generate(sound, asked), short.generate(longer, asked + 12))


def test_a_causal_generator_hears_nothing_that_comes_later() -> None:
    features, ids, landmarks = speaking_face(delay_steps=-2)
    generator = fit_landmark_generator(features, ids, landmarks, FPS, listening=CAUSAL).generator
    both_sides = fit_landmark_generator(features, ids, landmarks, FPS).generator
    before = generator.generate(features, ids[:50])
    later = features.clone()
    later[2 * int(ids[49]) + 1 :] += 3.0
    torch.testing.assert_close(generator.generate(later, ids[:50]), before, rtol=0, atol=0)
    assert not torch.allclose(both_sides.generate(later, ids[:50]), both_sides.generate(features, ids[:50]))
    assert np.corrcoef(before[:, 7, 1], landmarks[:50, 7, 1])[0, 1] > 0.9


def test_an_unheard_voice_stays_within_the_range_of_the_person() -> None:
    features, ids, landmarks = speaking_face()
    generator = fit_landmark_generator(features, ids, landmarks, FPS).generator
    wild = generator.generate(50 * features, ids)
    motion = landmarks - landmarks.mean(dim=0)
    reach = (wild - landmarks.mean(dim=0)).abs().amax(dim=0)
    assert (reach[6:, 1] <= 1.1 * motion.abs().amax(dim=0)[6:, 1]).all()
    assert (reach[6:, 1] >= 0.5 * motion.abs().amax(dim=0)[6:, 1]).all(), "held, not silenced"


def test_the_limit_is_the_identity_inside_and_smooth_and_never_passed() -> None:
    low, high = torch.tensor([-1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 6.0], dtype=torch.float64)
    shares = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    values = (low + high) / 2 + shares[:, None] * (high - low) / 2
    got = softly_limited(values, low, high)
    inside = shares.abs() <= KNEE
    torch.testing.assert_close(got[inside], values[inside])
    assert (got > low).all()
    assert (got < high).all()
    slope = got.diff(dim=0) / values.diff(dim=0)
    assert (slope >= 0).all()
    assert slope.diff(dim=0).abs().max() < 0.01, "a bend, not a corner"
    still = softly_limited(torch.tensor([[5.0, -5.0]]), torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(still, torch.tensor([[0.0, 0.5]]))


def test_motions_are_orthonormal_and_give_back_what_they_span() -> None:
    _, ids, landmarks = speaking_face()
    motions = principal_motions(landmarks, ids, FPS, 30)
    torch.testing.assert_close(motions.directions @ motions.directions.T, torch.eye(30), rtol=0, atol=1e-5)
    wide = LandmarkMotions(motions.mean, motions.directions, torch.full((30,), -9.0), torch.full((30,), 9.0))
    torch.testing.assert_close(wide(wide.coefficients(landmarks)), landmarks, rtol=0, atol=1e-5)


def test_posture_is_not_learned() -> None:
    features, ids, landmarks = speaking_face()
    drift = torch.linspace(-0.2, 0.2, N_FRAMES)[:, None, None]
    moved = fit_landmark_generator(features, ids, landmarks + drift, FPS).generator.generate(features, ids)
    still = fit_landmark_generator(features, ids, landmarks, FPS).generator.generate(features, ids)
    assert (moved - still).abs().max() < 0.02


def test_a_generator_comes_back_from_its_description_and_tensors() -> None:
    features, ids, landmarks = speaking_face()
    generator = fit_landmark_generator(features, ids, landmarks, FPS, listening=CAUSAL, parts=(2, 3)).generator
    again = make_landmark_generator(json.loads(json.dumps(generator.describe())))
    again.load_state_dict(generator.state_dict())
    torch.testing.assert_close(again.generate(features, ids), generator.generate(features, ids), rtol=0, atol=0)


@pytest.mark.parametrize("n_frames", [2, 5])
def test_very_short_clips_give_finite_landmarks(n_frames: int) -> None:
    features, ids, landmarks = speaking_face()
    fit = fit_landmark_generator(features, ids[:n_frames], landmarks[:n_frames], FPS)
    assert torch.isfinite(fit.generator.generate(features, ids)).all()


def test_landmarks_that_cannot_be_learned_are_refused() -> None:
    features, ids, landmarks = speaking_face()
    with pytest.raises(InputError, match="two training frames"):
        fit_landmark_generator(features, ids[:1], landmarks[:1], FPS)
    landmarks[3, 2] = torch.nan
    with pytest.raises(InputError, match="Leave frames without a face out"):
        fit_landmark_generator(features, ids, landmarks, FPS)


def test_a_kind_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="'guess'"):
        make_landmark_generator({"kind": "guess"})
