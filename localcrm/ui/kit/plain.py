"""Pages without the framework: signing in and the first run need no socket, no script, and nobody signed in."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse

from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import LANGUAGES, N_, current_language, gettext as _
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


def file(name: str, label: str) -> str:
    """A labelled place to choose a file."""
    return f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="file" required>'


def area(name: str, label: str, *, value: str = "", rows: int = 5, hint: str = "", extra: str = "") -> str:
    """A labelled place for a long code; its signs stand in columns."""
    below = f'<p class="lc-hint">{escape(hint)}</p>' if hint else ""
    return (
        f'<label for="{name}">{escape(label)}</label><textarea id="{name}" name="{name}" rows="{rows}" class="lc-code-input" '
        f'autocomplete="off" spellcheck="false" {extra}>{escape(value)}</textarea>{below}'
    )


def new_password(*, wrong: AppError | None = None) -> str:
    """The two fields in which a new password is chosen; ``wrong`` stands beside the one it is about."""
    named = getattr(wrong, "field", None)

    def said(name: str) -> str:
        return wrong.message if wrong and named == name else ""

    return field(
        "password",
        _("New password"),
        kind="password",
        error=said("password"),
        hint=_("At least 8 characters."),
        extra=f'required minlength="8" autocomplete="new-password" {strength_words()}',
    ) + field(
        "again", _("New password again"), kind="password", error=said("again"), extra='required minlength="8" autocomplete="new-password"'
    )


def check_same(values: Mapping[str, str]) -> None:
    """Raises InvalidInput(passwords_differ) unless a new password was typed twice alike."""
    if values.get("password") != values.get("again"):
        raise InvalidInput("passwords_differ", N_("The two passwords differ."), field="again")


def good_news(text: str) -> str:
    """A sentence in green above the form."""
    return f'<p class="lc-good-news" role="status">{escape(text)}</p>' if text else ""


def code_block(identity: str, code: str) -> str:
    """A code to read out, with buttons that copy it and keep it as a file."""
    return (
        f'<pre class="lc-code-block" id="{identity}">{escape(code)}</pre><p class="lc-plain-tools">'
        f'<button type="button" data-copy="{identity}" data-done="{escape(_("Copied"))}">{escape(_("Copy"))}</button></p>'
    )


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
