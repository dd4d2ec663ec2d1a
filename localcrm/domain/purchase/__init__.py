"""Subject: purchase."""
