"""What each user likes. Options and columns of lists follow him to every node; drafts and sizes of windows stay where they are."""

from __future__ import annotations

from localcrm.domain.options.company import usable
from localcrm.domain.options.personal import choose, defaults, own_choices
from localcrm.domain.options.table import FREE, LONGEST, Level, option, options, roams
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.store import Store


def preferences(store: Store, user_id: str) -> dict[str, str]:
    """Everything that holds for a user: his own choices, else the defaults; options always have a value."""
    with store.read() as connection:
        here: dict[str, str] = dict(connection.all("SELECT key, value FROM user_setting WHERE user_id = ?", (bytes.fromhex(user_id),)))
        chosen = own_choices(connection, user_id)
        general = {key: default.value for key, default in defaults(connection, user_id).items()}
    return {**general, **_usable(here), **_usable(chosen)}


def save_preference(store: Store, user_id: str, key: str, value: str | None) -> None:
    """Set one preference; None forgets it. Raises InvalidInput for what does not fit its option."""
    if len(key) > 100 or len(value or "") > LONGEST:
        raise InvalidInput("preference_too_long", N_("This setting is too long to be kept."))
    if roams(key):
        if value is not None and not key.startswith(FREE):
            value = option(key).clean(value)
        with store.unit_of_work(user_id) as uow:
            choose(uow, user_id, key, value)
        value = None  # what an earlier version kept on this node alone is overtaken
    with store.housekeeping() as connection:
        if value is None:
            connection.execute("DELETE FROM user_setting WHERE user_id = ? AND key = ?", (bytes.fromhex(user_id), key))
        else:
            connection.execute(
                "INSERT INTO user_setting(user_id, key, value) VALUES (?, ?, ?) ON CONFLICT(user_id, key) DO UPDATE SET value = excluded.value",
                (bytes.fromhex(user_id), key, value),
            )


def _usable(values: dict[str, str]) -> dict[str, str]:
    """Without what this program cannot do anything with."""
    declared = {one.key: one for one in options(Level.PERSONAL)}
    return {key: value for key, value in values.items() if key not in declared or usable(declared[key], value) is not None}
