"""The look in one place: ``static/localcrm.css`` holds the tokens, this puts them and the scripts on a page."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nicegui import context, ui

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nicegui.client import Client

    from localcrm.ui.kit.look import Look
    from localcrm.ui.sessions import Session

STATIC = Path(__file__).parent.parent / "static"


def apply(session: Session, texts: Mapping[str, str]) -> None:
    """Style sheet, scripts and the user's choice of light or dark for the page of the moment."""
    ui.add_head_html(f'<link rel="stylesheet" href="{asset("localcrm.css")}">')
    ui.add_head_html(f"<script>window.localcrmTexts = {script_value(dict(texts))};</script>")
    ui.add_head_html(f"<script>window.localcrmKeys = {script_value(pressed_keys(session.look))};</script>")
    ui.add_head_html(f'<script src="{asset("localcrm.js")}"></script><script src="{asset("upload.js")}"></script>')
    ui.add_head_html(f'<script src="{asset("viewer.js")}"></script>')
    ui.add_head_html('<link rel="icon" href="/static/icon.svg" type="image/svg+xml">')
    _dark[context.client] = ui.dark_mode(value=session.dark)
    ui.query("body").classes(body_classes(session))
    ui.colors(primary="#1f6feb", positive="#1a7f4b", warning="#b25e00", negative="#c4314b", dark="#161b22", dark_page="#0f141a")


def script_value(value: Any) -> str:
    """A value as it may stand in a script of a page, whatever text is in it."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("<", "\\u003c")


#: What makes the page of a client dark.
_dark: WeakKeyDictionary[Client, ui.dark_mode] = WeakKeyDictionary()


def restyle(session: Session) -> None:
    """The page of the moment as the user likes it now, without loading it anew."""
    _dark[context.client].value = session.dark
    ui.query("body").classes(body_classes(session), remove="lc-roomy lc-large")
    ui.run_javascript(f"window.localcrmKeys = {json.dumps(pressed_keys(session.look))}")


def body_classes(session: Session) -> str:
    """Spacing and size of letters as the user likes them."""
    wanted = {"lc-roomy": session.setting("density") == "comfortable", "lc-large": session.setting("font") == "large"}
    return " ".join(name for name, on in wanted.items() if on)


def row_height(session: Session) -> int:
    """Height of a row of a list, in pixels."""
    return 34 + 8 * (session.setting("density") == "comfortable") + 4 * (session.setting("font") == "large")


def pressed_keys(look: Look) -> dict[str, str]:
    """Key that is pressed → standard key it stands for; "" for a standard key the user has put elsewhere."""
    return {**{standard: "" for standard, own in look.keys.items() if own != standard}, **{own: key for key, own in look.keys.items()}}


@cache
def asset(name: str) -> str:
    """Address of a static file that changes when the file does, so that browsers may keep it."""
    import hashlib

    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"
