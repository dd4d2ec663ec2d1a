"""The look in one place: ``static/localcrm.css`` holds the tokens, this puts them and the scripts on a page."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcrm.ui.sessions import Session

STATIC = Path(__file__).parent.parent / "static"


def apply(session: Session, texts: Mapping[str, str]) -> None:
    """Style sheet, scripts and the user's choice of light or dark for the page of the moment."""
    words = json.dumps(dict(texts), ensure_ascii=False).replace("<", "\\u003c")
    ui.add_head_html(f'<link rel="stylesheet" href="{asset("localcrm.css")}">')
    ui.add_head_html(f"<script>window.localcrmTexts = {words};</script>")
    ui.add_head_html(f'<script src="{asset("localcrm.js")}"></script>')
    ui.add_head_html('<link rel="icon" href="/static/icon.svg" type="image/svg+xml">')
    ui.dark_mode(value=session.dark)
    ui.colors(primary="#1f6feb", positive="#1a7f4b", warning="#b25e00", negative="#c4314b", dark="#161b22", dark_page="#0f141a")


@cache
def asset(name: str) -> str:
    """Address of a static file that changes when the file does, so that browsers may keep it."""
    import hashlib

    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"
