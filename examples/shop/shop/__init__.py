"""A shop that sells nothing and always answers."""

import importlib.resources

__version__ = importlib.resources.files(__name__).joinpath("VERSION").read_text().strip()
