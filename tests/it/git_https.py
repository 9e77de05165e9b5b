"""A server of repositories over https for a test: `/smart/NAME` by git's own http-backend, for
who has the password; `/dumb/NAME` as files. Prints its port."""

import base64
import http.server
import os
import ssl
import subprocess
import sys
import urllib.parse

root, certificate, key, backend = sys.argv[1:]
WANTED = "Basic " + base64.b64encode(b"ops:right").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        kind, _, rest = url.path.lstrip("/").partition("/")
        if kind == "dumb":
            path = os.path.join(root, rest)
            if ".." in rest or not os.path.isfile(path):
                return self.answer(404, [], b"")
            with open(path, "rb") as file:
                return self.answer(200, [], file.read())
        if self.headers.get("Authorization") != WANTED:
            return self.answer(401, [("WWW-Authenticate", 'Basic realm="ops"')], b"")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + rest,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "ops",
        }
        said = subprocess.run([backend], input=body, env=environment, stdout=subprocess.PIPE)
        head, _, body = said.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200")
        self.answer(int(status[:3]), [pair for pair in headers if pair[0] != "Status"], body)

    do_POST = do_GET

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
