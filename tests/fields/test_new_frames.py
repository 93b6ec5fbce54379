"""A trained field that keeps one appearance code says what the whole one said under that code."""

import torch

from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.head import HeadCondition
from loquent.fields.kinds import head_for_new_frames, torso_for_new_frames
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig


def test_for_new_frames_keeps_what_the_fields_say() -> None:
    torch.manual_seed(0)
    head = ErNerfHead(ErNerfConfig(condition="expression", n_codes=5, levels=2))
    torso = ErNerfTorso(ErNerfTorsoConfig(n_codes=6, levels=2))
    small_head = head_for_new_frames(head, head.codes[3].detach())
    small_torso = torso_for_new_frames(torso, torso.codes[4].detach())
    assert small_head.codes.shape == (1, 4)
    assert small_torso.codes.shape == (1, 8)
    positions = torch.rand(50, 3) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    audio, eye = torch.randn(1, 32), torch.tensor([[0.4]])
    wanted = head(positions, directions, HeadCondition(audio, eye, head.codes[3:4]))
    found = small_head(positions, directions, small_head.test_condition(audio, eye))
    assert torch.equal(found.density, wanted.density)
    assert torch.equal(found.colour, wanted.colour)
    pose, plane = torch.eye(4)[None].clone(), torch.rand(50, 2) * 2 - 1
    pose[:, 2, 3] = 3
    shown, small = torso(plane, pose, torso.codes[4:5]), small_torso(plane, pose, small_torso.test_code(1))
    assert torch.equal(small.alpha, shown.alpha)
    assert torch.equal(small.colour, shown.colour)
    assert not any(parameter.requires_grad for parameter in (*small_head.parameters(), *small_torso.parameters()))
