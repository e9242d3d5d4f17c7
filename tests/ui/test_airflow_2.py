"""The connection form of Airflow 2.11, which is built by other code from the hook's own methods."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator

PYTHON = Path(__file__).parent.parent.parent / ".venv-2.11" / "bin" / "python"
LABELS = {
    "Base URL": "host",
    "API token": "password",
    "Port": "port",
    "Workspace ID": "extra__prolific__workspace_id",
    "Project ID": "extra__prolific__project_id",
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    assert PYTHON.exists(), f"{PYTHON} is missing: make test-ui makes it"
    folder = tmp_path_factory.mktemp("airflow-2")
    airflow = RealAirflow(
        folder / "home", folder, python=PYTHON, components=["webserver"], AIRFLOW__CORE__TEST_CONNECTION="Enabled"
    )
    with airflow:
        airflow.command(
            *("users", "create", "--username", "admin", "--password", "admin", "--role", "Admin"),
            *("--firstname", "Ada", "--lastname", "Admin", "--email", "admin@example.com"),
        )
        yield airflow


@pytest.fixture
def form(page: Page, airflow: RealAirflow) -> Page:
    """The form for a new connection, of type Prolific."""
    page.goto(f"{airflow.url}/login/")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill("admin")
    page.locator("input[type=submit]").click()
    page.wait_for_url("**/home")
    page.goto(f"{airflow.url}/connection/add")
    page.locator(".select2-selection").click()
    page.locator(".select2-search__field").fill("Prolific")
    page.get_by_role("option", name="Prolific", exact=True).click()
    return page


def test_form_has_the_fields_of_prolific(form: Page) -> None:
    for label, field in LABELS.items():
        expect(form.get_by_text(label, exact=True)).to_be_visible()
        expect(form.locator(f"#{field}")).to_be_visible()
    expect(form.locator("#host")).to_have_attribute("placeholder", "https://api.prolific.com")
    expect(form.locator("#password")).to_have_attribute("type", "password")
    for field in ("login", "schema"):
        expect(form.locator(f"#{field}")).to_be_hidden()
    for label in ("Host", "Login", "Password", "Schema"):
        expect(form.locator("label:visible", has_text=label)).to_have_count(0)


def test_form_tests_and_saves_the_connection(
    form: Page, airflow: RealAirflow, prolific: Emulator, screenshot: Callable[..., None]
) -> None:
    port = urlsplit(prolific.url).port
    form.get_by_label("Connection Id").fill("prolific_default")
    form.get_by_label("Base URL").fill("http://127.0.0.1")
    form.get_by_label("API token").fill("no-such-token")
    form.get_by_label("Port").fill(str(port))
    form.get_by_label("Workspace ID").fill(prolific.workspace_id)
    answer = form.locator(".alert")
    form.get_by_role("button", name="Test").click()
    expect(answer).to_contain_text("the API token of this connection is wrong or was deleted (401 from GET ")

    form.get_by_label("API token").fill(prolific.token)
    form.get_by_role("button", name="Test").click()
    expect(answer).to_contain_text(f"Connected as researcher@example.com; workspace {prolific.workspace_id}: 8 ")
    screenshot(form, "connection-form-2.11", height=1325)

    form.get_by_role("button", name="Save").click()
    expect(form.get_by_text("Added Row")).to_be_visible()
    [(conn_type, host, saved_port, password, extra)] = airflow.query(
        "SELECT conn_type, host, port, password, extra FROM connection WHERE conn_id = 'prolific_default'"
    )
    assert (conn_type, host, saved_port, password) == ("prolific", "http://127.0.0.1", port, prolific.token)
    assert {key: value for key, value in json.loads(extra).items() if value} == {"workspace_id": prolific.workspace_id}
