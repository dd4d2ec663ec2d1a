"""Subject: catalog."""
