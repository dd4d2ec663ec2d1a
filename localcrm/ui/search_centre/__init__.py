"""The search centre: what its script asks for, and up to when what it finds is known."""
