"""Importing this module makes every entity known, without rules and verbs: all that a description of the data needs."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec

from localcrm import domain

for package in pkgutil.iter_modules(domain.__path__, f"{domain.__name__}."):
    if package.ispkg and find_spec(f"{package.name}.entities"):  # a subject may live by the records of others
        import_module(f"{package.name}.entities")
