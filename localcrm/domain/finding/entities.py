"""Finding keeps no records of its own: what a user looked for is a setting of his (``store.erase.SEARCHES``)."""
