"""Subject: channel partners."""
