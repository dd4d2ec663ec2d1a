"""Where a data folder lies and what its database is called: known without opening anything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DATABASE = "localcrm.db"


def default_folder() -> Path:
    """Where data live when nobody says otherwise: LOCALCRM_DATA, else the system's place for a user's data."""
    told = os.environ.get("LOCALCRM_DATA")
    if told:
        return Path(told)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "localcrm"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "localcrm"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "localcrm"
