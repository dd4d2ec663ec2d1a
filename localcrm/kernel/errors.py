"""One tree of errors, so that a clerk always reads one clear sentence and a script always gets one stable code.

AppError                     anything we refuse or cannot do
├── InvalidInput             a value, file or message is malformed          (HTTP 422)
├── Refused                  well formed, but a business rule says no       (HTTP 409)
│   └── StaleRecord          somebody saved the record first; carries the difference
├── NotFound                 no such record, entity, verb or file           (HTTP 404)
├── Forbidden                the actor may not do this                      (HTTP 403)
│   ├── SignInNeeded         nobody is signed in                            (HTTP 401)
│   └── SessionLocked        the screen is locked until the password is given (HTTP 423)
├── StoreError               the data file cannot be opened or written      (HTTP 503)
└── ExchangeError            an exchange file or a peer cannot be trusted   (HTTP 400)

The class says which kind of trouble it is; the code says exactly which one. Texts are English msgids, translated
when the error is shown, with ``{placeholders}`` filled from the keyword arguments.
"""

from __future__ import annotations

from typing import Any, ClassVar

from localcrm.kernel.i18n import N_, gettext


class AppError(Exception):
    """Base of every error of ours: a stable ``code``, a translatable ``text`` and the values for its placeholders."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, code: str, text: str, /, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.text = text
        self.params = params

    @property
    def message(self) -> str:
        """The sentence in the language of the moment."""
        translated = gettext(self.text)
        return translated.format(**self.params) if self.params else translated

    @property
    def detail(self) -> str:
        """What the system said, for whoever looks after the program; "" where there is no more to say."""
        return str(self.params.get("detail", ""))

    def __str__(self) -> str:
        return self.message


class InvalidInput(AppError):
    """A value, file or message is malformed; ``field`` in the params names the field when there is one."""

    http_status = 422

    @property
    def field(self) -> str | None:
        """Key of the offending field, if the fault is in one field."""
        return self.params.get("field")


class Refused(AppError):
    """The request is well formed, but a business rule says no."""

    http_status = 409


class StaleRecord(Refused):
    """Somebody saved the record after it was loaded; ``differences`` is [(field, yours, theirs)]."""

    def __init__(self, *, title: str, differences: list[tuple[str, Any, Any]]) -> None:
        super().__init__(
            "stale_record",
            N_("“{title}” was changed by somebody else after you opened it. Nothing of theirs was overwritten; compare and save again."),
            title=title,
        )
        self.differences = differences


class NotFound(AppError):
    """No such record, entity, verb or file."""

    http_status = 404


class Forbidden(AppError):
    """The actor may not do this."""

    http_status = 403


class SignInNeeded(Forbidden):
    """Nobody is signed in, or the session has ended."""

    http_status = 401

    def __init__(self, code: str = "sign_in_needed", text: str = N_("Please sign in."), **params: Any) -> None:
        super().__init__(code, text, **params)


class SessionLocked(Forbidden):
    """The screen is locked until the same user gives the password again."""

    http_status = 423

    def __init__(self) -> None:
        super().__init__("session_locked", N_("The screen is locked. Enter your password to go on."))


class StoreError(AppError):
    """The data file cannot be opened, read or written."""

    http_status = 503


class ExchangeError(AppError):
    """An exchange file or a peer cannot be trusted or understood; nothing of it was applied."""

    http_status = 400
