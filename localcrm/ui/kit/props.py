"""Texts as values of properties, which NiceGUI reads out of one line: ``props(f"dense aria-label={quoted(name)}")``."""

from __future__ import annotations

import json


def quoted(text: object) -> str:
    """A text as one value, whatever stands in it: between bare quotes it could end the value and begin a property of its own, such as ``onclick``."""
    return json.dumps(str(text), ensure_ascii=False)
