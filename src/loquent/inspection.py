"""What a portrait file is and how it was made, for people and for programs."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loquent.media.rates import FPS
from loquent.portrait import Portrait
from loquent.portrait_file import read_portrait_file
from loquent.speech.kinds import speech_kind


def describe(portrait: Portrait, path: Path) -> dict[str, Any]:
    """The facts about a portrait read from `path`, as JSON values; `version` is that of the file, maybe an older one."""
    written, _ = read_portrait_file(path)
    kind = speech_kind(portrait.speech_kind)
    fields = [field for field in (portrait.head, portrait.torso) if field is not None]
    return {
        "file": path.name,
        "version": written["version"],
        "size_mib": round(path.stat().st_size / 2**20, 2),
        "picture": f"{portrait.camera.width} x {portrait.camera.height}",
        "focal_px": round(portrait.camera.fx, 1),
        "parameters": sum(p.numel() for part in fields for p in part.parameters()),
        "head": f"{portrait.head.kind}, driven by {portrait.head.inputs}",
        "torso": portrait.torso.kind if portrait.torso else "none",
        "occupied_share": round(float(portrait.occupied.float().mean()), 4),
        "speech": f"{kind.name}, {kind.rate_hz} Hz, {kind.width} values, looks {kind.look_ahead_s} s ahead",
        "track_s": round(len(portrait.track) / FPS, 2),
        "record": portrait.record,
        "licences": portrait.licences,
    }


def print_description(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print the facts as a table, or as one JSON object."""
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in facts.items():
        rows = {f"{name}: {key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
        for key, inner in rows.items():
            # Names of files may look like rich's markup.
            table.add_row(Text(key.replace("_", " ")), Text(_shown(inner)))
    Console().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items() if not isinstance(inner, dict | list))
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
