"""The papers' comparisons on one clip: every system trains on the same frames for as long, and is measured on the same others.

This is the papers' head reconstruction setting (ER-NeRF, Tables 1, 4 and 5): the rendered head over the real torso and
background, lips moved by the clip's own sound; and, under another sound, their lip synchronisation setting (Table 2). R2-Talker
and what it is compared with are measured alike. A system is finished when its figures are on disk, so a comparison that was
interrupted goes on with the next system, or in the middle of one.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation.evaluate import evaluate
from loquent.evaluation.other_voice import measure_other_voice, read_speech
from loquent.portrait import Portrait
from loquent.progress import Progress
from loquent.storage import atomic_path, file_digest, write_bytes, write_json
from loquent.training import presets
from loquent.training.presets import Preset
from loquent.training.train import train


@dataclass(frozen=True)
class Published:
    """A row of ER-NeRF's tables: means over its four videos of about 6500 frames."""

    psnr_db: float
    """PSNR of the whole picture."""
    lpips: float
    """LPIPS."""
    lmd_px: float
    """Landmark distance; of another detector than ours."""


@dataclass(frozen=True)
class PublishedSync:
    """A row of ER-NeRF's Table 2: a model of Obama driven by the sound of two demo films, testset A and testset B."""

    sync: tuple[float, float]
    """SyncNet's confidence."""
    lmd_px: tuple[float, float]
    """Landmark distance to the demo films' own faces."""


@dataclass(frozen=True)
class System:
    """A head that can be compared."""

    title: str
    """What the tables call it."""
    preset: Callable[[Preset], Preset]
    """From how all are trained to how it is: its field, what moves its lips, and what else it cannot do without."""


def _field(kind: str, **sizes: Any) -> Callable[[Preset], Preset]:
    """The same training with another field, of this kind and these sizes (`loquent.fields.kinds.make_head`)."""
    return lambda preset: replace(preset, method={"kind": kind, **sizes})


SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        "er_nerf": System("ER-NeRF: hashed planes, channel attention", _field("er_nerf")),
        "rad_nerf": System("RAD-NeRF", _field("rad_nerf")),
        "mlp_concat": System("MLP, concatenated", _field("er_nerf_concat", backbone="mlp")),
        "planes_concat": System("planes, concatenated", _field("er_nerf_concat", backbone="dense_triplane")),
        "planes_attention": System("planes, attention", _field("er_nerf_backbone", backbone="dense_triplane")),
        "grid_concat": System("3-D grid, concatenated", _field("er_nerf_concat", backbone="grid3d")),
        "grid_attention": System("3-D grid, attention", _field("er_nerf_backbone", backbone="grid3d")),
        "hash_concat": System("hashed planes, concatenated", _field("er_nerf_concat")),
        "feature_attention": System("hashed planes, feature attention", _field("er_nerf_feature_attention")),
        "r2_talker": System("R2-Talker", presets.r2_talker),
        "r2_talker_at_once": System("R2-Talker, not progressive", presets.r2_talker_at_once),
        "geneface": System("GeneFace + instant-NGP", presets.geneface),
        "ad_nerf": System("AD-NeRF", presets.ad_nerf),
    }
)
"""Every system by the name its files get."""

SLOW = ("ad_nerf",)
"""Systems that take minutes a picture on a CPU: compared only where they are named."""

TABLES: Mapping[str, Mapping[str, Published | None]] = MappingProxyType(
    {
        "Table 1: systems": {
            "ad_nerf": Published(30.75, 0.1034, 3.345),
            "rad_nerf": Published(33.13, 0.0519, 2.812),
            "er_nerf": Published(33.10, 0.0291, 2.740),
        },
        "Table 4: representation and attention": {
            "mlp_concat": Published(30.75, 0.103, 3.345),
            "planes_concat": Published(32.11, 0.033, 2.960),
            "planes_attention": Published(33.14, 0.030, 2.825),
            "grid_concat": Published(33.05, 0.031, 2.919),
            "grid_attention": Published(33.12, 0.030, 2.810),
            "hash_concat": Published(33.25, 0.029, 2.881),
            "er_nerf": Published(33.10, 0.029, 2.740),
        },
        "Table 5: kind of attention": {
            "feature_attention": Published(33.14, 0.030, 2.781),
            "er_nerf": Published(33.10, 0.029, 2.740),
        },
        "R2-Talker: landmarks as the condition": {
            "geneface": None,
            "r2_talker_at_once": None,
            "r2_talker": None,
        },
    }
)
"""The tables of ER-NeRF's paper, and R2-Talker's: which systems each has, and what was published of them, if we know it."""

TABLE_2: Mapping[str, PublishedSync] = MappingProxyType(
    {
        "ad_nerf": PublishedSync((5.195, 4.316), (6.192, 8.006)),
        "rad_nerf": PublishedSync((6.186, 6.680), (6.357, 8.332)),
        "er_nerf": PublishedSync((6.242, 6.830), (6.254, 8.150)),
    }
)
"""What was published of the systems that the paper drives by another sound; its ground truth has Sync 6.701 and 7.309."""

DRIVEN_COLUMNS = (
    "system",
    "Sync",
    "Sync distance",
    "LMD to the speaker (% of eye distance)",
    "lips shut on p b m (chance)",
    "lips meet on p b m (chance)",
    "open vowels",
    "close vowels",
    "open above close",
    "order of visemes",
    "correlation with usual lips",
    "silence (% of wide)",
    "outside the range (%)",
    "published Sync A, B",
    "published LMD A, B",
)
DRIVEN_MEANING = (
    "Openings are in the person's own range: 0 is the 5th percentile of the real lips, 1 the 95th. A closure counts within "
    "one frame of its phone, *shut* in the lowest quarter of that range, *meet* in the lowest quarter of the film's own "
    "openings; chance is the same closures shifted in time. Usual lips: the course that a table of openings gives these "
    "phones. The row *person* is the clip's real frames and own sound, the best to expect. Published: other sounds and "
    "other frames; LMD in pixels by another detector."
)

COLUMNS = (
    "system",
    "PSNR (dB)",
    "in the head matte",
    "mouth",
    "SSIM",
    "LPIPS",
    "LMD (px)",
    "lip correlation",
    "head steps",
    "parameters",
    "ms/frame",
    "published PSNR",
    "published LPIPS",
    "published LMD",
)
WHAT_DIFFERS = (
    "The published figures are means over four videos of about 6500 frames each, every system trained for hours on a GPU with "
    "DeepSpeech features and LPIPS in the loss, landmarks by another detector. Compare the order of rows, not the numbers."
)


def compare(
    clip: Clip,
    folder: Path,
    preset: Preset,
    systems: Sequence[str] = tuple(name for name in SYSTEMS if name not in SLOW),
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
        folder: gets a portrait and a JSON of figures for each system, and the report. What another comparison with the same
            settings left there is used.
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
        InputError: an unknown system, phones that do not fit, or `folder` holds an unfinished run with other settings.
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
    _plot(records, folder / "compare.png")
    return records


def markdown(records: Sequence[Mapping[str, Any]], clip_name: str) -> str:
    """The paper's tables with our figures beside the published ones; tables that nothing was measured for are left out."""
    measured = {record["name"]: record for record in records}
    figures, settings = records[0]["figures"], records[0]["settings"]
    names = dict.fromkeys(record["settings"]["preset"]["name"] for record in records)
    parts = [
        f"# The papers' tables on {clip_name}\n",
        f"Head over the real torso and background, {figures['n_held_out']} held-out frames, lips moved by the sound. "
        f"Preset {', '.join(f'`{name}`' for name in names)}, {_budget(settings['preset'])} for each system, on "
        f"{figures['device']} ({figures['n_threads']} threads), seed {settings['seed']}, one run each: differences "
        "under 0.5 dB are not evidence.\n",
        *(f"{note}\n" for note in figures["notes"]),
        WHAT_DIFFERS + "\n",
    ]
    for title, rows in TABLES.items():
        if not measured.keys() & rows.keys():
            continue
        parts.append(f"## {title}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for name, published in rows.items():
            if name in measured:
                parts.append(_row(measured[name], published))
        parts.append("")
    if "driven" in records[0]:
        parts += _table_2(records)
    return "\n".join(parts)


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
    """The record of one system, from disk if it was trained with the same settings and measured on as many frames."""
    settings = {
        "clip_sha256": file_digest(clip.folder / "clip.json"),
        "preset": json.loads(json.dumps(asdict(preset))),
        "seed": seed,
    }
    path, out = folder / f"{name}.json", folder / f"{name}.portrait"
    known = _read(path, {"name", "title", "settings", "head_steps", "figures"}) if out.is_file() else None
    if known is None or known["settings"] != settings:
        train(clip, out, preset, seed=seed, device=device)
    elif known["figures"]["n_held_out"] == min(held_out or clip.n_frames, len(clip.held_out_frames)):
        return known
    portrait = Portrait.load(out)
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
        "head_steps": portrait.record["head_steps"],
        "figures": figures.to_json(),
    }
    write_json(path, record)
    return record


def _driven(clip: Clip, folder: Path, name: str, drive: Path, phones: Path | None, device: str) -> dict[str, Any]:
    """The figures of one trained system under another sound, from disk if this portrait was measured under it before."""
    out, path = folder / f"{name}.portrait", folder / f"{name}.driven.json"
    settings = {
        "portrait_sha256": file_digest(out),
        "sound_sha256": file_digest(drive),
        "phones_sha256": None if phones is None else file_digest(phones),
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


def _read(path: Path, wanted: set[str]) -> dict[str, Any] | None:
    """A record with the `wanted` entries, or nothing if the file is missing or holds something else."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and wanted <= record.keys() else None


def _budget(preset: Mapping[str, Any]) -> str:
    if preset["minutes"] > 0:
        return f"{preset['minutes']:g} minutes"
    return f"{sum(stage['steps'] for stage in preset['head'])} steps"


def _head_row(record: Mapping[str, Any]) -> Mapping[str, Any]:
    row: Mapping[str, Any] = next(row for row in record["figures"]["rows"] if row["name"] == "head")
    return row


def _row(record: Mapping[str, Any], published: Published | None) -> str:
    row, figures = _head_row(record), record["figures"]
    lips = row["lips"] or {}
    cells = [
        record["title"],
        _shown(row["psnr_db"], ".2f"),
        _shown(row["head_psnr_db"], ".2f"),
        _shown(row["mouth_psnr_db"], ".2f"),
        _shown(row["ssim"], ".4f"),
        _shown(row["lpips_alex"], ".4f"),
        _shown(row["lmd_px"], ".2f"),
        _shown(lips.get("correlation"), ".2f"),
        f"{record['head_steps']:,}",
        f"{figures['n_head_parameters']:,}",
        _shown(row["ms_per_frame"], ".0f"),
        *(("–",) * 3 if published is None else _published(published)),
    ]
    return f"| {' | '.join(cells)} |"


def _published(row: Published) -> tuple[str, str, str]:
    return f"{row.psnr_db:.2f}", f"{row.lpips:.3f}", f"{row.lmd_px:.3f}"


def _table_2(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every system under the other sound; the person's row and the speaker's are the same for all."""
    first = records[0]["driven"]
    parts = [
        f"## Table 2: lips under another voice\n\n{first['sound']}, {first['seconds']:.1f} s, phones: {first['phones']}. "
        f"{DRIVEN_MEANING}\n",
        *(f"{note}\n" for note in first["notes"]),
        *(f"Not measured: {metric}; {reason}.\n" for metric, reason in first["missing"].items()),
        f"| {' | '.join(DRIVEN_COLUMNS)} |\n|{'---|' * len(DRIVEN_COLUMNS)}",
    ]
    parts += [_driven_row(row["name"], row, None) for row in first["rows"] if row["name"] != "head"]
    for record in records:
        row = next(row for row in record["driven"]["rows"] if row["name"] == "head")
        parts.append(_driven_row(record["title"], row, TABLE_2.get(record["name"])))
    return [*parts, ""]


def _driven_row(title: str, row: Mapping[str, Any], published: PublishedSync | None) -> str:
    visemes = row["visemes"]
    cells = [
        title,
        _shown(row["sync_confidence"], ".2f"),
        _shown(row["sync_distance"], ".2f"),
        _shown(row["lmd_share"], ".2%"),
        *(f"{_of(visemes[recall], 'share')} ({_of(visemes[recall], 'chance')})" for recall in ("shut", "met")),
        *(_shown(visemes[name], ".2f") for name in ("open_vowels", "close_vowels", "vowel_order", "viseme_order")),
        _shown((row["usual"] or {}).get("correlation"), ".2f"),
        _shown(row["silence_opening"], ".0%"),
        _shown(row["outside"], ".1%"),
        "–" if published is None else "{:.3f}, {:.3f}".format(*published.sync),
        "–" if published is None else "{:.3f}, {:.3f}".format(*published.lmd_px),
    ]
    return f"| {' | '.join(cells)} |"


def _of(recall: Mapping[str, Any] | None, name: str) -> str:
    return _shown(None if recall is None else recall[name], ".2f")


def _shown(value: float | None, style: str) -> str:
    return "–" if value is None or not math.isfinite(value) else format(value, style)


def _plot(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A line for each system, in the order they were measured: its picture, its mouth and its lips."""
    from matplotlib.figure import Figure

    panels = {
        "psnr_db": "PSNR (dB), more is better",
        "mouth_psnr_db": "mouth (dB), more is better",
        "lmd_px": "LMD (px), less is better",
    }
    figure = Figure(figsize=(11, 1.2 + 0.35 * len(records)), layout="constrained")
    places = range(len(records))
    for axes, (name, title) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        values = [_head_row(record)[name] for record in records]
        axes.plot([math.nan if value is None else value for value in values], places, "o")
        axes.set_title(title)
        axes.set_yticks(places, [record["title"] for record in records])
        axes.grid(alpha=0.3)
        axes.margins(x=0.1)
    axes.invert_yaxis()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
