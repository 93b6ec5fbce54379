"""What a portrait's file holds: from its facts and tensors to a `Portrait`, and back.

`loquent.portrait_file` knows the file itself and what older ones looked like.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loquent.errors import PortraitError
from loquent.face.canonical_landmarks import LandmarkBasis
from loquent.fields.head import HeadField
from loquent.fields.kinds import describe_field, make_head, make_torso
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import Camera
from loquent.motion import Motion
from loquent.nn.generator_kinds import make_landmark_generator
from loquent.nn.landmark_generator import LandmarkGenerator
from loquent.nn.lip_predictor import WINDOW_STEPS, LipPredictor
from loquent.portrait import Portrait
from loquent.portrait_file import read_portrait_file, telling_damage, write_portrait_file
from loquent.rendering.cells import pack_bits, unpack_bits
from loquent.rendering.render import MarchSettings
from loquent.rendering.torso import TorsoOccupancy
from loquent.speech.kinds import PARTS, SpeechKind, speech_kind
from loquent.storage import check_tensors

MOST_ROWS = 8192
"""Rows and columns that a portrait's pictures may have."""
MOST_SAMPLES, LEAST_STEP = 4096, 1e-4
"""Samples on a ray, and the distance between them in volume units, within which a picture can be waited for."""
LEAST_FOCAL_PX = 1e-3
"""Focal length of a camera that still sees something."""


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
    kind = speech_kind(facts["speech"]["name"])
    portrait = Portrait(
        head=head.requires_grad_(False).eval(),
        torso=torso.requires_grad_(False).eval() if torso else None,
        occupied=unpack_bits(tensors["occupied"]).reshape(cells, cells, cells),
        torso_occupancy=occupancy,
        torso_follow=follow,
        background=tensors["background"],
        camera=_camera(facts["camera"]),
        track=Motion(tensors["track.world_from_camera"], tensors["track.eye"]),
        track_frame_ids=tensors["track.frame_ids"],
        speech_kind=kind.name,
        lips=_lips(facts["lips"], part("lips."), head, kind),
        landmark_basis=_landmark_basis(part("landmark_basis.")),
        landmarks=_landmark_generator(facts.get("landmarks"), part("landmarks.")),
        rest=tensors.get("rest"),
        eye_levels=_eye_levels(facts.get("eye_levels", (0.0, 1.0))),
        march=_march(facts["march"]),
        record=facts["record"],
        licences=facts["licences"],
    )
    _check_fit(portrait, kind)
    return portrait


def _lips(is_there: bool, tensors: dict[str, Tensor], head: HeadField, kind: SpeechKind) -> LipPredictor | None:
    """The predictor of a portrait file, seen to hear such speech features and to move such a head."""
    if is_there != (head.inputs == "expression"):
        raise ValueError(f"its head is moved by {head.inputs}, which does not go with lips={is_there}")
    if not is_there:
        return None
    n_inputs, n_coefficients = WINDOW_STEPS * kind.width, asdict(head.config)["expression_width_in"]
    sizes = {"mean": (n_inputs,), "weight": (n_coefficients, n_inputs), "bias": (n_coefficients,)}
    check_tensors(tensors, {name: (torch.float32, size) for name, size in sizes.items()})
    parts = PARTS.get(kind.name)
    found = LipPredictor(**tensors, parts=parts)
    lips = LipPredictor.empty(n_inputs, n_coefficients, len(found.examples), parts)
    lips.load_state_dict(found.state_dict())
    return lips


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


def _camera(facts: dict[str, Any]) -> Camera:
    """The camera of a portrait file, whose pictures can be held and show something."""
    for name in ("height", "width"):
        _check_count(name, facts[name], MOST_ROWS)
    for name in ("fx", "fy"):
        _check_number(name, facts[name], LEAST_FOCAL_PX)
    for name in ("cx", "cy"):
        _check_number(name, facts[name], -float(MOST_ROWS))
    return Camera(**facts)


def _march(facts: dict[str, Any]) -> MarchSettings:
    """How rays are sampled, seen to come to an end."""
    _check_count("max_samples", facts["max_samples"], MOST_SAMPLES)
    _check_number("step", facts["step"], LEAST_STEP)
    _check_number("min_near", facts["min_near"], 0.0)
    box = tuple(facts["box"])
    if len(box) != 6 or not all(-math.inf < low < high < math.inf for low, high in zip(box[:3], box[3:], strict=True)):
        raise ValueError(f"box must be three lower and three upper bounds, but is {box}")
    if facts.get("rounds", "even") not in ("even", "original"):
        raise ValueError(f"rounds must be even or original, but is {facts['rounds']!r}")
    return MarchSettings(**{**facts, "box": box})


def _eye_levels(levels: Sequence[float]) -> tuple[float, float]:
    """The eye condition of open and of closed eyes."""
    eyes_open, eyes_closed = levels
    if not (math.isfinite(eyes_open) and math.isfinite(eyes_closed) and eyes_open != eyes_closed):
        raise ValueError(f"eye_levels must be two different numbers, but are {eyes_open} and {eyes_closed}")
    return eyes_open, eyes_closed


def _check_count(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, but is {value!r}")


def _check_number(name: str, value: Any, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name} must be a finite number of at least {least:g}, but is {value}")


def _check_fit(portrait: Portrait, kind: SpeechKind) -> None:
    """Hold the parts against what the head knows of lips and eyes, and against the speech features."""
    head, sizes = portrait.head, asdict(portrait.head.config)
    pairs: list[tuple[str, object, object]] = [
        ("track.eye's width", portrait.track.eye.shape[1], head.config.eye_width)
    ]
    if head.inputs == "audio":
        pairs.append(("the speech features' width", kind.width, sizes["audio_width_in"]))
    moved = (sizes["n_landmarks"], 3) if head.inputs == "landmarks" else (sizes["expression_width_in"],)
    if portrait.rest is not None:
        pairs.append(("rest's shape", tuple(portrait.rest.shape), moved))
    if portrait.landmark_basis is not None:
        pairs.append(("landmark_basis.centre's shape", portrait.landmark_basis.centre.shape, moved))
    if portrait.landmarks is not None:
        pairs.append(("landmarks.motions.mean's shape", tuple(portrait.landmarks.motions.mean.shape), moved))
        pairs.append(("the landmarks' speech width", portrait.landmarks.describe()["speech_width"], kind.width))
    if portrait.torso is not None and portrait.torso.is_told_of_lips:
        told = asdict(portrait.torso.config)["condition_width"]
        pairs.append(("the torso's condition_width", told, sizes.get("condition_width")))
    for name, found, wanted in pairs:
        if found != wanted:
            raise ValueError(f"{name} must be {wanted} to fit the rest of the file, but is {found}")
