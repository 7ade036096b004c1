"""A report as one HTML file that needs no server and no network."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from importlib import resources

from pipeline.report.content import Report


def render(report: Report) -> str:
    """Return the whole page: markup, style, script and data in one text."""
    assets = resources.files("pipeline.report") / "assets"
    page = (assets / "page.html").read_text(encoding="utf-8")
    # "</script" would end the script element early, and "<!--<script" would make it swallow the rest of the page.
    data = json.dumps(dataclasses.asdict(report), separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "title": html.escape(report.title),
        "style": (assets / "style.css").read_text(encoding="utf-8"),
        "script": (assets / "report.js").read_text(encoding="utf-8"),
        "data": data,
    }
    # One pass: text that was put in is never searched for place holders.
    return re.sub(r"\{\{(\w+)\}\}", lambda holder: parts[holder.group(1)], page)
