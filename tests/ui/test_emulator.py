"""The emulator and the web: a page of another origin, in a real browser, changes nothing."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page

from airflow_provider_prolific.emulator import Emulator

#: What a page can send to another origin without asking it first, each to a path that changes what the emulator does.
ATTACKS = """
async ([url, token]) => {
    const revoke = `${url}/_emulator/tokens/revoke`, reset = `${url}/_emulator/reset`;
    await fetch(revoke, {
        method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: JSON.stringify({token})
    });
    await new Promise(ended => {
        const frame = document.createElement("iframe"), form = document.createElement("form");
        frame.name = form.target = "elsewhere";
        form.method = "POST";
        form.enctype = "text/plain";
        form.action = reset;  // which needs no body
        document.body.append(frame, form);
        form.submit();
        frame.onload = ended;
    });
    await new Promise(ended => {
        const image = new Image();
        image.onload = image.onerror = ended;
        image.src = revoke;
        document.body.append(image);
    });
}
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>Elsewhere</title>")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Another origin: another port, and another name of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_page_of_another_origin_changes_nothing(page: Page, elsewhere: str, prolific: Emulator) -> None:
    group_id = prolific.create_group("Made since the start")
    tokens = prolific.state()["tokens"]
    control = f"{prolific.url}/_emulator/"
    sent, refused = set(), set()
    page.on("request", lambda request: sent.add((request.method, request.url)))
    page.on("response", lambda answer: refused.add(answer.request.url) if answer.status == 403 else None)
    page.goto(elsewhere)

    page.evaluate(ATTACKS, [prolific.url, prolific.token])

    revoke, reset = f"{control}tokens/revoke", f"{control}reset"
    assert {request for request in sent if request[1].startswith(control)} == {
        ("POST", revoke),
        ("POST", reset),
        ("GET", revoke),
    }
    assert refused == {revoke, reset}
    assert prolific.state()["tokens"] == tokens
    assert prolific.group(group_id)["name"] == "Made since the start"
