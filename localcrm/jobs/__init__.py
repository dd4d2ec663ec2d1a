"""What the running program does by itself: backups, exchanges."""
