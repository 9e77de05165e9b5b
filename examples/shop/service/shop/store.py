"""The orders, in SQLite: python -m shop.store wants | migrate DATABASE [SCHEMA]."""

import sqlite3
import sys

from shop import __version__

# What this version works with. One source is two releases here, so that an upgrade can be tried.
WANTS = 1 if tuple(map(int, __version__.split(".")[:2])) < (1, 1) else 2

# From each schema to the next one, and back. Both keep all rows.
UP = {
    1: "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL)",
    2: "ALTER TABLE orders ADD COLUMN state TEXT NOT NULL DEFAULT 'open'",
}
DOWN = {2: "ALTER TABLE orders DROP COLUMN state"}


def connect(path):
    return sqlite3.connect(path, timeout=10, isolation_level=None)


def schema(database):
    return database.execute("PRAGMA user_version").fetchone()[0]


def migrate(path, to=WANTS):
    """Takes all steps or none: the schema's number is in the same transaction."""
    database = connect(path)
    database.execute("BEGIN IMMEDIATE")
    here = schema(database)
    if here > to:
        steps = [DOWN[number] for number in range(here, to, -1)]
    else:
        steps = [UP[number] for number in range(here + 1, to + 1)]
    for step in steps:
        database.execute(step)
    database.execute(f"PRAGMA user_version = {int(to)}")
    database.execute("COMMIT")
    database.close()
    print(f"schema {here} -> {to}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["wants"]:
            print(WANTS)
        case ["migrate", path]:
            migrate(path)
        case ["migrate", path, to]:
            migrate(path, int(to))
        case _:
            sys.exit(__doc__)
