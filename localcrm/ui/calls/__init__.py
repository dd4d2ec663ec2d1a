"""Telephone calls on the screen: the card that comes up, and what can be done with a call."""
