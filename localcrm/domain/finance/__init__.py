"""Subject: finance."""
