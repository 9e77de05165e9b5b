"""python -m shop PORT DATABASE: serves on 127.0.0.1 until it is told to end."""

import http.server
import sys

from shop import __version__, store
from sitekit import answer


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        match self.path:
            case "/":
                answer(self, 200, "Welcome to the shop.\n")
            case "/healthz":
                store.connect(DATABASE).execute("SELECT count(*) FROM orders")
                answer(self, 200, "ok\n")
            case "/version":
                answer(self, 200, f"{__version__}\n")
            case "/orders":
                rows = store.connect(DATABASE).execute("SELECT * FROM orders ORDER BY id")
                answer(self, 200, "".join(f"{' '.join(map(str, row))}\n" for row in rows))
            case _:
                answer(self, 404, "There is nothing here.\n")

    def do_POST(self):
        if self.path != "/orders":
            return answer(self, 404, "There is nothing here.\n")
        what = self.rfile.read(min(int(self.headers["Content-Length"]), 1000)).decode()
        row = store.connect(DATABASE).execute("INSERT INTO orders (what) VALUES (?)", [what])
        answer(self, 201, f"{row.lastrowid}\n")

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    DATABASE = sys.argv[2]
    HAS = store.schema(store.connect(DATABASE))
    if HAS != store.WANTS:
        sys.exit(f"the database has schema {HAS}, and {__version__} wants {store.WANTS}")
    address = ("127.0.0.1", int(sys.argv[1]))
    with http.server.ThreadingHTTPServer(address, Shop) as server:
        server.serve_forever()
