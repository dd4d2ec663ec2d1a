"""Parts of the screen of suppliers."""
