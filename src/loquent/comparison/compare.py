"""The papers' comparisons on one clip: every system trains on the same frames for as long, and is measured on the same others.

This is the papers' head reconstruction setting (ER-NeRF, Tables 1, 4 and 5): the rendered head over the real torso and
background, lips moved by the clip's own sound; and, under another sound, their lip synchronisation setting (Table 2). R2-Talker
and what it is compared with are measured alike. A system is finished when its figures are on disk, so a comparison that was
interrupted goes on with the next system, or in the middle of one.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loquent import __version__
from loquent.comparison.report import markdown, plot
from loquent.comparison.systems import BY_DEFAULT, SYSTEMS
from loquent.data.clip import Clip
from loquent.devices import device_name, find_device
from loquent.errors import InputError
from loquent.evaluation.evaluate import evaluate
from loquent.evaluation.other_voice import measure_other_voice, read_speech
from loquent.portrait import Portrait
from loquent.progress import Progress
from loquent.storage import file_digest, write_bytes, write_json
from loquent.training.presets import Preset
from loquent.training.train import train


def compare(
    clip: Clip,
    folder: Path,
    preset: Preset,
    systems: Sequence[str] = BY_DEFAULT,
    *,
    held_out: int | None = None,
    drive: Path | None = None,
    phones: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """Train and measure `systems` on `clip`, one after another, and write ``compare.md``, ``.json`` and ``.png``.

    Args:
        clip: the opened clip folder.
        folder: gets a portrait and a JSON of figures for each system, and the report. Portraits that another comparison of
            this clip with the same settings left there are used, and their figures if this version made them on this device.
        preset: how each is trained, but for what is the system's own; the torso is left out.
        systems: names in `SYSTEMS`.
        held_out: measure each on no more held-out frames than this, the same for all (`loquent.evaluation.evaluate`).
        drive: a sound, or a film of somebody speaking, that drives every system too (`loquent.evaluation.other_voice`).
        phones: when which phone is spoken in it; nothing = as heard.
        seed: of all random numbers.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.

    Returns:
        One record a system: settings, steps and all figures.

    Raises:
        InputError: an unknown system or device, phones that do not fit, or `folder` holds an unfinished run with other
            settings.
        MediaError: `drive` cannot be read.
        ClipError: a file of the clip is damaged.
        DivergenceError: a training did not converge.
    """
    unknown = sorted(set(systems) - set(SYSTEMS))
    if unknown or not systems:
        raise InputError(f"There is no system {', '.join(unknown) or 'named'}. There is: {', '.join(SYSTEMS)}.")
    if held_out is not None and held_out < 1:
        raise InputError(f"--held-out must be a number of frames, or 0 for all of them, but is {held_out}.")
    if drive is None and phones is not None:
        raise InputError("--phones belongs to --drive SOUND: without it nothing but the clip's own sound is heard.")
    if drive is not None:
        read_speech(drive, phones)  # what is wrong with them must not come up after hours of training
    if folder.exists() and not folder.is_dir():
        raise InputError(f"A comparison is written into a folder, but {folder} is a file. Name another place.")
    records = []
    for place, name in enumerate(systems, start=1):
        print(f"{place} of {len(systems)}: {SYSTEMS[name].title}", flush=True)
        chosen = replace(SYSTEMS[name].preset(preset), torso=None)
        record = _measured(clip, folder, name, chosen, held_out, seed, device)
        if drive is not None:
            record = {**record, "driven": _driven(clip, folder, name, drive, phones, device)}
        records.append(record)
    write_json(folder / "compare.json", records)
    write_bytes(folder / "compare.md", markdown(records, clip.info.name).encode())
    plot(records, folder / "compare.png")
    return records


def with_steps(preset: Preset, steps: int) -> Preset:
    """The preset with `steps` head steps in all instead of a time budget, its stages in their proportion."""
    total = sum(stage.steps for stage in preset.head)
    first, *later = preset.head
    later = [replace(stage, steps=max(1, round(stage.steps * steps / total))) for stage in later]
    first = replace(first, steps=max(1, steps - sum(stage.steps for stage in later)))
    return replace(preset, head=(first, *later), minutes=0.0)


def _measured(
    clip: Clip, folder: Path, name: str, preset: Preset, held_out: int | None, seed: int, device: str
) -> dict[str, Any]:
    """The record of one system, from disk if it was trained with the same settings, and measured here on as many frames."""
    settings = {
        "clip_sha256": file_digest(clip.folder / "clip.json"),
        "track_sha256": file_digest(clip.folder / "track.safetensors"),
        "preset": json.loads(json.dumps(asdict(preset))),
        "seed": seed,
        "device": find_device(device).type,  # as many minutes are fewer steps on another one
    }
    path, out = folder / f"{name}.json", folder / f"{name}.portrait"
    n_frames = min(held_out or clip.n_frames, len(clip.held_out_frames))
    known = _read(path, {"name", "title", "settings", "measured", "head_steps", "figures"}) if out.is_file() else None
    if known is None or known["settings"] != settings:
        train(clip, out, preset, seed=seed, device=device)
    elif known["measured"] == _here(device) and known["figures"]["n_held_out"] == n_frames:
        return known
    portrait = Portrait.load(out, device)
    with Progress("Evaluating", unit="frame") as bar:
        figures = evaluate(
            portrait,
            clip,
            settings=("head",),
            most_frames=held_out,
            progress=lambda done, total: bar.set(done, total=total),
        )
    record = {
        "name": name,
        "title": SYSTEMS[name].title,
        "settings": settings,
        "measured": _here(device),
        "head_steps": portrait.record["head_steps"],
        "figures": figures.to_json(),
    }
    write_json(path, record)
    return record


def _driven(clip: Clip, folder: Path, name: str, drive: Path, phones: Path | None, device: str) -> dict[str, Any]:
    """The figures of one trained system under another sound, from disk if this portrait was measured under it here."""
    out, path = folder / f"{name}.portrait", folder / f"{name}.driven.json"
    settings = {
        "portrait_sha256": file_digest(out),
        "sound_sha256": file_digest(drive),
        "phones_sha256": None if phones is None else file_digest(phones),
        "measured": _here(device),
    }
    known = _read(path, {"settings", "figures"})
    if known is not None and known["settings"] == settings:
        return dict(known["figures"])
    with Progress("Driving", unit="frame") as bar:
        figures = measure_other_voice(
            Portrait.load(out, device), clip, drive, phones, progress=lambda done, total: bar.set(done, total=total)
        ).to_json()
    write_json(path, {"settings": settings, "figures": figures})
    return figures


def _here(device: str) -> dict[str, str]:
    """Where figures are made, and by which version."""
    return {"device": device_name(find_device(device)), "loquent": __version__}


def _read(path: Path, wanted: set[str]) -> dict[str, Any] | None:
    """A record with the `wanted` entries, or nothing if the file is missing or holds something else."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and wanted <= record.keys() else None
