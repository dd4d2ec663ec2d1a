"""Screens: the only room that knows the UI framework.

A screen is a module in ``screens``: a builder ``(session, parameters)`` that fills ``frame.page_frame``, and one entry in the
``registry``, from which navigation, route, palette and test come. It reads through services in a worker thread, changes
data through ``operations.run_verb`` only, and hears of changes through ``session.program.subscribe``. Lists, forms, pickers and
words come from ``kit``; data for lists comes over HTTP (``endpoints``); ``guard`` stands before everything.
"""
