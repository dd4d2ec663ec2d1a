"""Subject: netting."""
