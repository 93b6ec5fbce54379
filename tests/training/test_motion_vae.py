"""The motion auto-encoder: its flow can be undone, its divergence is the true one, it learns, and repeats itself exactly."""

import json

import numpy as np
import pytest
import torch

from loquent.nn.generator_kinds import make_landmark_generator
from loquent.nn.motion_vae import STRIDE, FlowPrior, MotionVae, MotionVaeConfig
from loquent.training.motion_vae import MotionVaeTraining, _on_timeline, fit_motion_vae

FPS, WIDTH, N_POINTS = 25.0, 4, 6
SMALL = MotionVaeConfig(WIDTH, N_POINTS, n_motions=3, n_condition=8, n_latent=4, n_hidden=8, flow_hidden=8)


def shaken(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With random weights everywhere: couplings start as the identity."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in module.parameters():
            values.copy_(0.3 * torch.randn(values.shape, generator=random))
    return module.eval()


def speaking_face(n_frames: int = 240) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(3)
    features = np.repeat(random.standard_normal((n_frames, WIDTH)), 2, axis=0).astype(np.float32)
    opening = np.zeros((N_POINTS, 3))
    opening[3:, 1] = 0.1
    landmarks = features[::2, 1, None, None] * opening + 0.01 * random.standard_normal((n_frames, N_POINTS, 3))
    return torch.from_numpy(features), torch.arange(n_frames), torch.from_numpy(landmarks).float()


def test_the_flow_can_be_undone_and_preserves_volume() -> None:
    flow = shaken(FlowPrior(SMALL)).double()
    assert isinstance(flow, FlowPrior)
    latent, condition = torch.randn(2, 4, 5).double(), torch.randn(2, 8, 5).double()
    white = flow.to_noise(latent, condition)
    assert (white - latent).abs().max() > 0.1
    torch.testing.assert_close(flow.from_noise(white, condition), latent)

    def of_one(values: torch.Tensor) -> torch.Tensor:
        return flow.to_noise(values.view(1, 4, 5), condition[:1]).flatten()

    jacobian = torch.autograd.functional.jacobian(of_one, latent[0].flatten())
    assert abs(np.linalg.slogdet(jacobian.numpy())[1]) < 1e-9


def test_the_divergence_is_that_of_the_two_densities() -> None:
    vae = shaken(MotionVae(SMALL)).double()
    assert isinstance(vae, MotionVae)
    speech, motion = torch.randn(1, WIDTH, 8).double(), torch.randn(1, 3, 8).double()
    noise = torch.randn(1, 4, 2).double()
    sparse = vae.sparser_condition(vae.listen(speech))
    mean, log_deviation = vae.posterior(vae.encoder(vae.sparser_motion(motion), sparse)).chunk(2, dim=1)
    posterior = torch.distributions.Normal(mean, log_deviation.exp())
    latent = mean + log_deviation.exp() * noise
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(vae.prior.to_noise(latent, sparse))
    truth = (posterior.log_prob(latent) - prior).mean(dim=1)
    torch.testing.assert_close(vae(speech, motion, noise).divergence, truth)


def test_it_learns_what_the_sound_says_and_repeats_itself() -> None:
    features, ids, landmarks = speaking_face()
    training = MotionVaeTraining(steps=150, learning_rate=5e-3, frames=32)
    state = torch.random.get_rng_state()
    vae, again = (
        fit_motion_vae(features, ids[:200], landmarks[:200], FPS, sizes=SMALL, training=training, seed=4)
        for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    asked = vae.generate(features, ids[200:])
    torch.testing.assert_close(again.generate(features, ids[200:]), asked, rtol=0, atol=0)
    assert np.corrcoef(asked[:, 4, 1], landmarks[200:, 4, 1])[0, 1] > 0.8
    other = fit_motion_vae(features, ids[:200], landmarks[:200], FPS, sizes=SMALL, training=training, seed=5)
    assert not torch.equal(other.generate(features, ids[200:]), asked)


def test_dropped_frames_keep_time_and_do_not_count() -> None:
    ids = torch.tensor([3, 4, 7, 8, 9, 12])
    curve = torch.tensor([[0.0], [1.0], [4.0], [5.0], [6.0], [9.0]])
    motion, is_known = _on_timeline(curve, ids)
    assert motion.shape[1] == 12
    assert motion.shape[1] % STRIDE == 0
    torch.testing.assert_close(motion[0], torch.tensor([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]))
    assert (is_known.nonzero()[:, 0] + 3).tolist() == ids.tolist()


def test_a_frame_does_not_depend_on_which_others_were_asked_for() -> None:
    vae = shaken(MotionVae(MotionVaeConfig(WIDTH, N_POINTS, n_motions=3, temperature=0.7)))
    assert isinstance(vae, MotionVae)
    vae.motions.directions.copy_(torch.eye(18)[:3])
    vae.motions.low.fill_(-9)
    vae.motions.high.fill_(9)
    features = torch.randn(90, WIDTH)
    ids = torch.arange(45)
    whole = vae.generate(features, ids)
    assert whole.std() > 1e-3
    torch.testing.assert_close(vae.generate(features, ids[[40, 3]]), whole[[40, 3]], rtol=0, atol=0)
    assert vae.generate(features, ids[:0]).shape == (0, N_POINTS, 3)
    assert torch.isfinite(vae.generate(features, torch.tensor([80]))).all(), "the sound may end before the frames"


def test_noise_moves_only_at_a_temperature_and_comes_back_from_a_file() -> None:
    features, ids, landmarks = speaking_face(64)
    training = MotionVaeTraining(steps=20)
    calm = fit_motion_vae(features, ids, landmarks, FPS, sizes=SMALL, training=training)
    facts = json.loads(json.dumps(calm.describe()))
    kept = make_landmark_generator(facts)
    warm = make_landmark_generator({**facts, "temperature": 1.0})
    elsewhere = make_landmark_generator({**facts, "noise_seed": 9})
    for generator in (kept, warm, elsewhere):
        generator.load_state_dict(calm.state_dict())
    truth = calm.generate(features, ids)
    torch.testing.assert_close(kept.generate(features, ids), truth, rtol=0, atol=0)
    torch.testing.assert_close(elsewhere.generate(features, ids), truth, rtol=0, atol=0)
    assert not torch.allclose(warm.generate(features, ids), truth)


@pytest.mark.parametrize("n_frames", [2, 7])
def test_few_frames_give_finite_landmarks(n_frames: int) -> None:
    features, ids, landmarks = speaking_face(40)
    vae = fit_motion_vae(
        features, ids[:n_frames], landmarks[:n_frames], FPS, sizes=SMALL, training=MotionVaeTraining(steps=3)
    )
    assert torch.isfinite(vae.generate(features, ids)).all()


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="even number of channels"):
        MotionVae(MotionVaeConfig(WIDTH, N_POINTS, n_latent=3))
