"""What `compare` writes: the papers' tables with our figures beside the published ones, as Markdown, and a plot."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loquent.comparison.published import TABLE_2, TABLES, WHAT_DIFFERS, Published, PublishedSync
from loquent.storage import atomic_path

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


def plot(records: Sequence[Mapping[str, Any]], path: Path) -> None:
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
