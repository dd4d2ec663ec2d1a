"""Pages without the framework: signing in and the first run need no socket, no script, and nobody signed in."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

from localcrm.kernel.i18n import LANGUAGES, current_language, gettext as _
from localcrm.ui.kit.theme import asset


def page(title: str, body: str, *, status: int = 200, address: str = "") -> HTMLResponse:
    """A page with one card in the middle; ``body`` is markup whose values went through ``escape``."""
    language = current_language()
    others = " · ".join(
        f'<a href="{escape(address)}{"&" if "?" in address else "?"}lang={code}">{escape(name)}</a>'
        for code, name in LANGUAGES.items()
        if code != language and address
    )
    html = f"""<!doctype html><html lang="{"zh-CN" if language == "zh_CN" else "en"}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)} · localcrm</title>
<link rel="stylesheet" href="{asset("localcrm.css")}"><link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<script src="{asset("plain.js")}" defer></script></head>
<body class="lc-plain"><main class="lc-plain-card"><div class="lc-plain-brand"><i class="lc-logo"></i>localcrm</div>
<h1>{escape(title)}</h1>{body}</main><footer class="lc-plain-foot">{others}</footer></body></html>"""
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def field(name: str, label: str, *, value: str = "", kind: str = "text", hint: str = "", error: str = "", extra: str = "") -> str:
    """A labelled input; ``extra`` are further attributes, written by us."""
    below = f'<p class="lc-error">{escape(error)}</p>' if error else f'<p class="lc-hint">{escape(hint)}</p>' if hint else ""
    bad = ' aria-invalid="true"' if error else ""
    return f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="{kind}" value="{escape(value)}"{bad} {extra}>{below}'


def problem(text: str) -> str:
    """A sentence in red above the form."""
    return f'<p class="lc-problem" role="alert">{escape(text)}</p>' if text else ""


def button(label: str) -> str:
    """The one button of a form."""
    return f'<button class="lc-primary" type="submit">{escape(label)}</button>'


def strength_words() -> str:
    """Attributes with the words for how strong a password is."""
    words = [_("too weak"), _("weak"), _("fair"), _("good"), _("strong")]
    return f'data-strength="{escape("|".join(words))}"'
