"""Subject: options."""
