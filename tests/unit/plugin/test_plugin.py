"""The plugin: it costs nothing where it is imported, harms nobody where it fails, and serves one strict document."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from airflow.plugins_manager import AirflowPlugin

from airflow_provider_prolific.plugin import ProlificPlugin

HAS_PAGES = hasattr(AirflowPlugin, "external_views")
with_pages = pytest.mark.skipif(not HAS_PAGES, reason="pages in the UI came with Airflow 3.1")

PROGRAM = """
import importlib, sys
for manager in ("airflow.sdk.plugins_manager", "airflow.plugins_manager"):  # a task's process, or any other
    try:
        importlib.import_module(manager)
        break
    except ImportError:
        pass
import airflow_provider_prolific
loaded = set(sys.modules)
import airflow_provider_prolific.plugin
print(*sorted(set(sys.modules) - loaded), file=sys.stderr)
"""


def test_airflow_finds_it_by_its_entry_point():
    [entry_point] = entry_points(group="airflow.plugins", name="prolific")

    assert entry_point.load() is ProlificPlugin


def test_importing_it_imports_nothing_else():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stderr.splitlines()[-1].split() == ["airflow_provider_prolific.plugin"]


@pytest.mark.skipif(HAS_PAGES, reason="this Airflow has pages")
def test_before_airflow_3_1_there_is_no_page():
    assert ProlificPlugin().external_views == ProlificPlugin().fastapi_apps == []


@with_pages
def test_it_adds_one_page_to_the_menu():
    [view] = ProlificPlugin().external_views

    assert view == {
        "name": "Recruitment",
        "href": "/prolific/recruitment",
        "destination": "nav",
        "category": "browse",
        "url_route": "recruitment",
    }


@with_pages
def test_airflow_may_take_an_entry_out_of_the_list_that_it_was_given():
    plugin = ProlificPlugin()
    plugin.external_views.clear()

    assert plugin.external_views == []


@with_pages
def test_the_page_is_below_the_path_of_the_base_url(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://lab.example/airflow/")

    assert ProlificPlugin().external_views[0]["href"] == "/airflow/prolific/recruitment"


@with_pages
def test_airflow_starts_without_the_page_if_that_fails(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "airflow_provider_prolific.plugin.app", None)
    plugin = ProlificPlugin()

    assert plugin.fastapi_apps == plugin.external_views == []


@pytest.fixture
def client():
    """A client of the page alone, for whom signing in is left out."""
    from airflow.api_fastapi.core_api import security
    from fastapi.testclient import TestClient

    [served] = ProlificPlugin().fastapi_apps
    served["app"].dependency_overrides[security.get_user] = lambda: None
    return TestClient(served["app"])


@with_pages
@pytest.mark.filterwarnings("ignore")  # of the test client
class TestDocument:
    def test_only_its_own_script_and_style_run(self, client):
        answer = client.get("/recruitment")
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        [nonce] = set(re.findall(r'nonce="([^"]+)"', answer.text))

        assert policy == {
            "default-src": "'none'",
            "script-src": f"'nonce-{nonce}'",
            "style-src": f"'nonce-{nonce}'",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'self'",
        }
        assert len(re.findall("<script|<style|<link|<img|<iframe", answer.text)) == 2
        assert "://" not in answer.text.replace("http://www.w3.org/2000/svg", "")

    def test_each_answer_has_another_nonce_and_is_not_kept(self, client):
        first, second = client.get("/recruitment"), client.get("/recruitment")

        assert first.headers["content-security-policy"] != second.headers["content-security-policy"]
        assert first.headers["cache-control"] == "no-store"

    def test_nothing_in_it_is_set_as_markup(self, client):
        text = client.get("/recruitment").text

        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "srcdoc"):
            assert way not in text

    def test_there_is_nothing_else(self, client):
        assert [client.get(path).status_code for path in ("/", "/docs", "/openapi.json")] == [404, 404, 404]


@with_pages
@pytest.mark.filterwarnings("ignore")
def test_whoever_is_not_signed_in_is_refused(airflow_db):
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with TestClient(create_app(apps="core")) as client:
        assert client.get("/prolific/recruitment").status_code == 401
