"""What all services of a site share: how they answer."""

import importlib.resources

__version__ = importlib.resources.files(__name__).joinpath("VERSION").read_text().strip()


def answer(handler, status, text):
    """Sends a plain text, and says which version of this library has sent it."""
    body = text.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "text/plain; charset=utf-8")
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("X-Sitekit", __version__)
    handler.end_headers()
    handler.wfile.write(body)
