"""Subject: stock."""
