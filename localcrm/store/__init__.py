"""The data file: opening it, writing it, asking it; the only place that knows SQLite."""
