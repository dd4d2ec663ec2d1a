"""Subject: sales."""
