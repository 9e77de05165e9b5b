# A web machine: a service in Python that serves the release to which `current` points. Its
# releases are made by `bin/fetch`. Run as root on the node.
mkdir -p /srv/web/bin /srv/web/releases/1.0
echo 1.0 >/srv/web/releases/1.0/version
ln -sfn releases/1.0 /srv/web/current
cat >/srv/web/bin/fetch <<'END'
#!/bin/sh
set -eu
test ! -e /srv/web/broken || { echo 'no such release' >&2; exit 1; }
mkdir -p "/srv/web/releases/$1"
echo "$1" >"/srv/web/releases/$1/version"
END
chmod +x /srv/web/bin/fetch
cat >/srv/web/serve.py <<'END'
import http.server
release = open("/srv/web/current/version").read().encode()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(release)))
        self.end_headers()
        self.wfile.write(release)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
END
cat >/etc/systemd/system/web.service <<'END'
[Service]
ExecStart=/usr/bin/python3 /srv/web/serve.py
TimeoutStopSec=2
END
mkdir -p /etc/systemd/system/lab.target.wants
ln -sf ../web.service /etc/systemd/system/lab.target.wants/web.service
systemctl daemon-reload
systemctl start web
