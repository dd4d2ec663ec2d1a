"""What each user likes: language, light or dark, columns of lists. Stays on this node; texts of the user's own making."""

from __future__ import annotations

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.store import Store

LONGEST = 50_000


def preferences(store: Store, user_id: str) -> dict[str, str]:
    """Everything a user has set."""
    with store.read() as connection:
        rows = connection.all("SELECT key, value FROM user_setting WHERE user_id = ?", (bytes.fromhex(user_id),))
    return dict(rows)


def save_preference(store: Store, user_id: str, key: str, value: str | None) -> None:
    """Set one preference; None forgets it."""
    if len(key) > 100 or len(value or "") > LONGEST:
        raise InvalidInput("preference_too_long", N_("This setting is too long to be kept."))
    with store.housekeeping() as connection:
        if value is None:
            connection.execute("DELETE FROM user_setting WHERE user_id = ? AND key = ?", (bytes.fromhex(user_id), key))
        else:
            connection.execute(
                "INSERT INTO user_setting(user_id, key, value) VALUES (?, ?, ?) ON CONFLICT(user_id, key) DO UPDATE SET value = excluded.value",
                (bytes.fromhex(user_id), key, value),
            )
