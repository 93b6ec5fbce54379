"""What a portrait's file holds: from its facts and tensors to a `Portrait`, and back.

`loquent.portrait_file` knows the file itself and what older ones looked like.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loquent.errors import PortraitError
from loquent.face.canonical_landmarks import LandmarkBasis
from loquent.fields.kinds import describe_field, make_head, make_torso
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import Camera
from loquent.motion import Motion
from loquent.nn.generator_kinds import make_landmark_generator
from loquent.nn.landmark_generator import LandmarkGenerator
from loquent.nn.lip_predictor import LipPredictor
from loquent.portrait import Portrait
from loquent.portrait_file import read_portrait_file, telling_damage, write_portrait_file
from loquent.rendering.cells import pack_bits, unpack_bits
from loquent.rendering.render import MarchSettings
from loquent.rendering.torso import TorsoOccupancy
from loquent.speech.kinds import speech_kind


def read_portrait(path: Path) -> Portrait:
    """The portrait that a file holds, on the CPU.

    Raises:
        PortraitError: the file is missing, damaged, of another kind, from a newer Loquent, or listens to speech features
            that are computed otherwise now.
    """
    facts, tensors = read_portrait_file(path)
    with telling_damage(path):
        _check_speech(path, facts["speech"])
        return _assemble(facts, tensors)


def write_portrait(path: Path, portrait: Portrait) -> None:
    """Write the portrait's file, whole or not at all."""
    facts = {
        "head": describe_field(portrait.head),
        "torso": describe_field(portrait.torso) if portrait.torso else None,
        "camera": asdict(portrait.camera),
        "march": asdict(portrait.march),
        "speech": asdict(speech_kind(portrait.speech_kind)),
        "eye_levels": list(portrait.eye_levels),
        "lips": portrait.lips is not None,
        "landmarks": portrait.landmarks.describe() if portrait.landmarks else None,
        "record": portrait.record,
        "licences": portrait.licences,
    }
    modules = {
        "head": portrait.head,
        "torso": portrait.torso,
        "torso_follow": portrait.torso_follow,
        "lips": portrait.lips,
        "landmarks": portrait.landmarks,
    }
    basis = portrait.landmark_basis.arrays() if portrait.landmark_basis else {}
    tensors = {
        **{
            f"{part}.{name}": value
            for part, module in modules.items()
            if module is not None
            for name, value in module.state_dict().items()
        },
        **{f"landmark_basis.{name}": torch.from_numpy(values) for name, values in basis.items()},
        "occupied": pack_bits(portrait.occupied.reshape(-1)),
        "torso_alpha": portrait.torso_occupancy.alpha,
        "background": portrait.background,
        "track.world_from_camera": portrait.track.world_from_camera,
        "track.eye": portrait.track.eye,
        "track.frame_ids": portrait.track_frame_ids,
        **({"rest": portrait.rest} if portrait.rest is not None else {}),
    }
    write_portrait_file(path, facts, tensors)


def _check_speech(path: Path, stored: dict[str, Any]) -> None:
    """See that the features the portrait learned from are those that are computed here."""
    kind = asdict(speech_kind(stored["name"]))
    stored = {"version": 1, **stored}  # files did not say before there was a second version
    if stored["version"] != kind["version"]:
        raise PortraitError(
            f"The portrait {path} listens to version {stored['version']} of the speech features {stored['name']}; this Loquent "
            f"computes version {kind['version']}. Prepare its clip again, which only measures what is new, and train it again."
        )
    if stored != json.loads(json.dumps(kind)):
        raise ValueError(f"it was trained on speech features {stored}, but {kind} are what is computed now")


def _assemble(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Portrait:
    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    head = make_head(facts["head"])
    head.load_state_dict(part("head."))
    torso = None
    if facts["torso"] is not None:
        torso = make_torso(facts["torso"])
        torso.load_state_dict(part("torso."))
    alpha = tensors["torso_alpha"]
    occupancy = TorsoOccupancy(alpha.shape[0])
    occupancy.load_state_dict({"alpha": alpha})
    follow = TorsoFollow()
    follow.load_state_dict(part("torso_follow."))
    cells = round((tensors["occupied"].numel() * 8) ** (1 / 3))
    march = facts["march"]
    kind = speech_kind(facts["speech"]["name"])
    return Portrait(
        head=head.requires_grad_(False).eval(),
        torso=torso.requires_grad_(False).eval() if torso else None,
        occupied=unpack_bits(tensors["occupied"]).reshape(cells, cells, cells),
        torso_occupancy=occupancy,
        torso_follow=follow,
        background=tensors["background"],
        camera=Camera(**facts["camera"]),
        track=Motion(tensors["track.world_from_camera"], tensors["track.eye"]),
        track_frame_ids=tensors["track.frame_ids"],
        speech_kind=kind.name,
        lips=LipPredictor(**part("lips.")) if facts["lips"] else None,
        landmark_basis=_landmark_basis(part("landmark_basis.")),
        landmarks=_landmark_generator(facts.get("landmarks"), part("landmarks.")),
        rest=tensors.get("rest"),
        eye_levels=tuple(facts.get("eye_levels", (0.0, 1.0))),
        march=MarchSettings(**{**march, "box": tuple(march["box"])}),
        record=facts["record"],
        licences=facts["licences"],
    )


def _landmark_basis(tensors: dict[str, Tensor]) -> LandmarkBasis | None:
    """The landmark basis of a portrait file; None where there is none."""
    return LandmarkBasis.from_arrays({name: values.numpy() for name, values in tensors.items()}) if tensors else None


def _landmark_generator(facts: dict[str, Any] | None, tensors: dict[str, Tensor]) -> LandmarkGenerator | None:
    """The generator of a portrait file, from what its `describe` said; None where there is none."""
    if facts is None:
        return None
    generator = make_landmark_generator(facts)
    generator.load_state_dict(tensors)
    return generator
