"""QR codes as pictures in the page: for a telephone's camera, where typing would be long."""

from __future__ import annotations


def qr_address(text: str) -> str:
    """A picture's address that holds the whole picture (SVG)."""
    import segno

    return str(segno.make(text, error="m", micro=False).svg_data_uri(scale=4, border=3, light="#fff"))
