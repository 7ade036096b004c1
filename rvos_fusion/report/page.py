"""A report as files: one page that needs no server and no network, and a folder of masks and pictures beside it.

The page holds markup, style, scripts and the index. A page opened from disk may not fetch other files, but it may add
scripts and pictures: so a video's part is a script, and its frames are plain image files.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from rvos.errors import StoreError
from rvos.files.atomic import write_atomically, write_text
from rvos.files.leftovers import name_part
from rvos_fusion.report.content import Report, VideoView

SCRIPTS = (
    "masks.js",
    "palette.js",
    "elements.js",
    "data.js",
    "state.js",
    "votes.js",
    "listbox.js",
    "list.js",
    "slices.js",
    "alone.js",
    "take_along.js",
    "unfilled.js",
    "stage.js",
    "views.js",
    "charts.js",
    "panels.js",
    "overview.js",
    "groups.js",
    "corrections.js",
    "main.js",
)
"""In the order in which they need each other."""


def name_files(page: Path) -> Path:
    """Return the folder of a page's files: it stands beside the page and has to be moved with it."""
    return page.with_name(f"{page.stem}_files")


def render(report: Report, *, files: str) -> str:
    """Return the page: markup, style, scripts and index in one text; `files` is its folder, relative to the page."""
    assets = resources.files("rvos_fusion.report") / "assets"
    scripts = "\n".join((assets / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "title": html.escape(report.title),
        "style": (assets / "style.css").read_text(encoding="utf-8"),
        "script": scripts,
        "data": write_json(dataclasses.asdict(report) | {"files": files}),
    }
    page = (assets / "page.html").read_text(encoding="utf-8")
    # One pass: text that was put in is never searched for place holders.
    return re.sub(r"\{\{(\w+)\}\}", lambda holder: parts[holder.group(1)], page)


def write_page(path: Path, report: Report) -> None:
    """Write the page, whose videos' parts `write_video` writes; StoreError where it cannot be written."""
    # A title from a command line may hold bytes that are no UTF-8.
    write_atomically(path, render(report, files=name_files(path).name).encode("utf-8", "replace"))


def write_video(files: Path, index: int, view: VideoView, pictures: tuple[bytes, ...]) -> VideoView:
    """Write the part of the page's `index`-th video and its pictures; return the part as it was written.

    Names are numbers, whatever a video is called. Raises a StoreError where a file cannot be written.
    """
    names = tuple(f"pictures/{index}/{place}.jpg" for place in range(len(pictures)))
    for name, content in zip(names, pictures, strict=True):
        _write_quickly(files / name, content)
    # One picture for all frames where the data set has none.
    view = dataclasses.replace(view, pictures=names if len(names) == len(view.frames) else names * len(view.frames))
    script = f"rvosReport.receive({index},{write_json(dataclasses.asdict(view))});\n"
    write_text(files / "videos" / f"{index}.js", script)
    return view


def _write_quickly(path: Path, content: bytes) -> None:
    """Write a picture so that its name never shows a part of it, without waiting for the disk: there are thousands."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(name_part(path.name))
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error}); free disk space") from None


def clear_files(files: Path, n_videos: int) -> None:
    """Remove the parts of an earlier, longer report; nothing that is not ours by name."""
    for path in files.glob("videos/*.js"):
        if path.stem.isdecimal() and int(path.stem) >= n_videos:
            path.unlink()
    for path in files.glob("pictures/*/*.jpg"):
        if path.parent.name.isdecimal() and path.stem.isdecimal() and int(path.parent.name) >= n_videos:
            path.unlink()


def write_json(value: Any) -> str:
    """Return JSON that may stand inside a script element."""
    # "</script" would end the script element early, and "<!--<script" would make it swallow the rest of the page.
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
