"""Subject: calls."""
