"""Screens: the only room that knows the UI framework."""
