"""python -m shop PORT: serves on 127.0.0.1 until it is told to end."""

import http.server
import sys

from shop import __version__

PAGES = {
    "/": "Welcome to the shop.\n",
    "/healthz": "ok\n",
    "/version": f"{__version__}\n",
}


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path)
        body = (page or "There is nothing here.\n").encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    address = ("127.0.0.1", int(sys.argv[1]))
    with http.server.ThreadingHTTPServer(address, Shop) as server:
        server.serve_forever()
