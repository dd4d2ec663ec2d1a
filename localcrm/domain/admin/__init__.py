"""Subject: admin."""
