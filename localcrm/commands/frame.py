"""What all commands share: the options every one takes, opening the folder, who acts, and how answers and errors look.

With ``--json`` a command prints one JSON document on stdout and nothing else there. An error is one sentence with its
code on stderr (with ``--json`` a JSON object): exit 1 for a refused request, 2 for wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from localcrm.kernel.errors import AppError, SignInNeeded, StoreError
from localcrm.kernel.i18n import N_, gettext, language_from_environment, set_language

if TYPE_CHECKING:
    from localcrm.app import Application
    from localcrm.domain.policy import Actor
    from localcrm.store.store import Store

_Function = TypeVar("_Function", bound=Callable[..., Any])

REFUSED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
#: Widest column of a table printed for people.
MAX_CELL = 40


# --- one call of the program -------------------------------------------------------------------------------------------


@dataclass
class Session:
    """One call: what was said by the common options, and what was opened for it."""

    data: Path | None = None
    json: bool = False
    user: str | None = None
    password_stdin: bool = False
    passphrase_stdin: bool = False
    _application: Application | None = None

    @property
    def folder(self) -> Path:
        """The data folder: --data, LOCALCRM_DATA, or the system's place."""
        from localcrm.store.folder import default_folder

        return self.data or default_folder()

    @cached_property
    def passphrase(self) -> str | None:
        """The folder's passphrase as given; None for none."""
        return self._secrets[0]

    @property
    def application(self) -> Application:
        """The open data folder."""
        if self._application is None:
            from localcrm.app import open_folder

            try:
                self._application = open_folder(self.folder, passphrase=self.passphrase)
            except StoreError as error:
                if error.code != "passphrase_needed" or not _at_terminal():
                    raise
                self._application = open_folder(self.folder, passphrase=_ask(N_("Passphrase")))
            self._application.store.set_default_shapes()
        return self._application

    def know_own_fields(self) -> None:
        """Open the folder, where there is one that needs no asking, for the fields that its company added."""
        from localcrm.store.folder import DATABASE

        if not (self.folder / DATABASE).exists():
            return
        from localcrm.store.keys import is_protected

        if self.passphrase or not is_protected(self.folder):
            _ = self.application

    def secret(self, label: str, *, confirm: bool = False) -> str:
        """The next line of stdin with --passphrase-stdin, else what is typed on the terminal, twice with ``confirm``."""
        if self.passphrase_stdin:
            return _line()
        if not _at_terminal():
            raise StoreError("passphrase_needed", N_("Give what is asked for on stdin, one a line, with --passphrase-stdin."))
        return _ask(label, confirm=confirm)

    @property
    def store(self) -> Store:
        """The open data file."""
        return self.application.store

    @cached_property
    def actor(self) -> Actor:
        """The user named by --as, proven by the password; raises SignInNeeded."""
        if not self.user:
            raise SignInNeeded("sign_in_needed", N_("Say who you are: --as USER, with the password on stdin or in LOCALCRM_PASSWORD."))
        from localcrm.domain.people.services import authenticate

        store = self.store
        return authenticate(store, self.user, self.password())

    def actor_or_system(self) -> Actor:
        """The user named by --as, or whoever may read the folder."""
        from localcrm.domain.policy import SYSTEM

        return self.actor if self.user else SYSTEM

    def password(self) -> str:
        """The password given; asks on a terminal, raises SignInNeeded when there is none."""
        given = self._secrets[1]
        if given is None and _at_terminal():
            given = _ask(N_("Password"))
        if given is None:
            raise SignInNeeded("password_needed", N_("A password is needed: on stdin with --password-stdin, or in LOCALCRM_PASSWORD."))
        return given

    @cached_property
    def _secrets(self) -> tuple[str | None, str | None]:
        """Passphrase and password: from stdin, passphrase first, else from the environment."""
        passphrase = _line() if self.passphrase_stdin else os.environ.get("LOCALCRM_PASSPHRASE")
        password = _line() if self.password_stdin else os.environ.get("LOCALCRM_PASSWORD") or None
        return passphrase or None, password

    # answers -----------------------------------------------------------------------------------------------------

    def show(self, document: Any, *, text: Callable[[], Iterable[str]] | None = None) -> None:
        """Print an answer: the document with --json, else the lines ``text`` makes, else the document as "key: value"."""
        if self.json:
            click.echo(json.dumps(document, ensure_ascii=False))
            return
        for line in text() if text else plain_lines(document):
            click.echo(line)

    def close(self) -> None:
        """Close what was opened."""
        if self._application is not None:
            self._application.close()


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(text: str, *, confirm: bool = False) -> str:
    return str(click.prompt(gettext(text), hide_input=True, confirmation_prompt=confirm, err=True))


def plain_lines(document: Any) -> Iterator[str]:
    """A document for people: one line per value, nested ones indented."""
    if not isinstance(document, Mapping):
        yield json.dumps(document, ensure_ascii=False)
        return
    for key, value in document.items():
        if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            yield f"{key}:"
            for entry in value:
                yield "  " + "  ".join(f"{k}: {cell_text(v)}" for k, v in entry.items())
        else:
            yield f"{key}: {cell_text(value)}"


def table_lines(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A table for people, columns aligned, Chinese characters counted as two wide."""
    cells = [[_shorten(cell_text(value)) for value in row] for row in rows]
    widths = [max((_width(row[i]) for row in [list(headers), *cells]), default=0) for i in range(len(headers))]
    for row in [list(headers), ["─" * width for width in widths], *cells]:
        yield "  ".join(text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)).rstrip()


def cell_text(value: Any) -> str:
    """A value of a JSON document for people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return gettext(N_("Yes")) if value else gettext(N_("No"))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


# --- commands ------------------------------------------------------------------------------------------------------------


class Option(click.Option):
    """An option whose help is translated when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help, original = gettext(self.help or ""), self.help
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = original


class Command(click.Command):
    """A command whose help is translated when it is shown."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return gettext(self.help or "").partition("\n")[0][: max(limit, 100)]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(gettext(self.help or ""))


class Group(Command, click.Group):
    """Commands that are imported when they are asked for: ``places`` names the module and the object of each."""

    def __init__(self, *args: Any, places: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = dict(places or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._places:
            return None
        module, _colon, name = self._places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class Program(Group):
    """The whole command line: language, errors and exit codes are settled here, once."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        arguments = list(sys.argv[1:] if args is None else args)
        extra.pop("standalone_mode", None)
        set_language(language_from_environment())
        _speak_utf8()
        session = Session(json="--json" in arguments)
        with _errors(session):
            status = super().main(arguments, prog_name or "localcrm", standalone_mode=False, obj=session, **extra)
            sys.exit(status if isinstance(status, int) else 0)
        raise AssertionError


@contextmanager
def _errors(session: Session) -> Iterator[None]:
    """Turn errors into one sentence and an exit code; faults nobody expected go on with their trace."""
    try:
        try:
            yield
        finally:
            session.close()
    except click.UsageError as error:
        _fail(session, "usage", error.format_message(), WRONG_USAGE)
    except click.ClickException as error:
        _fail(session, "usage", error.format_message(), WRONG_USAGE)
    except (click.Abort, KeyboardInterrupt):
        _fail(session, "interrupted", gettext(N_("Interrupted.")), INTERRUPTED)
    except AppError as error:
        _fail(session, error.code, error.message, error.exit_code)
    except BrokenPipeError:
        # Whoever read the answer has seen enough; keep the interpreter from saying so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        text = gettext(N_("The system reports: {reason}")).format(reason=error.strerror or type(error).__name__)
        _fail(session, "system", text, REFUSED)


def _fail(session: Session, code: str, message: str, status: int) -> NoReturn:
    sentence = " ".join(message.split())
    click.echo(json.dumps({"code": code, "message": sentence}, ensure_ascii=False) if session.json else f"{sentence} ({code})", err=True)
    sys.exit(status)


def _speak_utf8() -> None:
    """Chinese must come out of any terminal and pipe; what a console cannot show becomes a sign, not an error."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure") and (stream.encoding or "").lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding="utf-8", errors="replace")


# --- options every command takes -------------------------------------------------------------------------------------------


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:  # an option may stand before the command too; the later one wins
            setattr(ctx.find_object(Session), name, value)

    return callback


def _common(*names: str, key: str, help: str, **settings: Any) -> Callable[[_Function], _Function]:
    return click.option(*names, key, cls=Option, expose_value=False, callback=_remember(key), help=help, **settings)


_COMMON = (
    _common("--data", key="data", type=click.Path(path_type=Path), metavar="DIR", help=N_("Data folder (or LOCALCRM_DATA).")),
    _common("--json", key="json", is_flag=True, help=N_("Print one JSON document.")),
    _common("--as", key="user", metavar="USER", help=N_("Act as this user (password on stdin or in LOCALCRM_PASSWORD).")),
    _common("--password-stdin", key="password_stdin", is_flag=True, help=N_("Read the password from stdin.")),
    _common(
        "--passphrase-stdin", key="passphrase_stdin", is_flag=True, help=N_("Read the folder's passphrase from stdin, before the password.")
    ),
)


def common_options(function: _Function) -> _Function:
    """The options that every command takes after its own."""
    for option in reversed(_COMMON):
        function = option(function)
    return function


def command(name: str, *, help: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of ours: it gets the Session first."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=Command, help=help)(click.pass_obj(common_options(function)))

    return decorate


def option(*names: str, help: str, **settings: Any) -> Callable[[_Function], _Function]:
    """An option with a translated help."""
    return click.option(*names, cls=Option, help=help, **settings)


argument = click.argument


def assignments(pairs: Iterable[str], *, what: str = "field=value") -> list[tuple[str, str]]:
    """Words of the form f=v, split at the first "="; raises UsageError."""
    result = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(gettext(N_("“{pair}” is not of the form {form}.")).format(pair=pair, form=what))
        result.append((key, value))
    return result
