"""The page as the API server serves it: one document, which reads all that it shows from Airflow's REST API."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

#: Where the page is, below Airflow's own address.
PREFIX, PATH = "/prolific", "/recruitment"
#: Only this document's scripts and styles, and only requests to this Airflow, which alone may show it in a frame.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
FOLDER = Path(__file__).parent


def make_app() -> dict[str, Any]:
    """Return the application that serves the page to whoever is signed in."""
    from airflow.api_fastapi.core_api.security import requires_authenticated
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    app = FastAPI(title="Prolific", openapi_url=None)

    @app.get(PATH, response_model=None, dependencies=[Depends(requires_authenticated())])
    def recruitment() -> HTMLResponse:
        nonce = secrets.token_urlsafe()
        headers = {
            "Content-Security-Policy": POLICY.format(nonce=nonce),
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(page(nonce), headers=headers)

    return {"app": app, "url_prefix": PREFIX, "name": "Prolific"}


def make_view() -> dict[str, Any]:
    """Return the entry in Airflow's menu."""
    root = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return {
        "name": "Recruitment",
        "href": f"{root}{PREFIX}{PATH}",
        "destination": "nav",
        "category": "browse",
        "url_route": "recruitment",
    }


def page(nonce: str) -> str:
    """Return the document. It contains no data of Airflow or Prolific, only the script that asks for them."""
    document = (FOLDER / "recruitment.html").read_text(encoding="utf-8")
    for kind in ("css", "js"):
        document = document.replace(f"/* {kind} */", (FOLDER / f"recruitment.{kind}").read_text(encoding="utf-8"))
    return document.replace("{nonce}", nonce)
