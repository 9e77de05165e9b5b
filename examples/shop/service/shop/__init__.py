"""A shop that takes orders and delivers nothing."""

import importlib.resources

__version__ = importlib.resources.files(__name__).joinpath("VERSION").read_text().strip()
