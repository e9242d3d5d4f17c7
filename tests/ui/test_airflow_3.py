"""What a person sees in the newest Airflow's pages: the connection form, a wait, and its result."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect
from quick_examples import write_quick_examples
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.links import STUDY_PAGE

DAG_ID = "gate_on_group_size"
GROUP = "Screened adults"
EXTRA_FIELDS = {"Workspace ID": "#element_workspace_id", "Project ID": "#element_project_id"}


class ClosedProxy(ThreadingHTTPServer):
    """A proxy that lets nothing leave this machine, and keeps which addresses were asked for."""

    def __init__(self) -> None:
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                asked.append(self.path)
                self.send_error(503)

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def closed_proxy() -> Iterator[ClosedProxy]:
    with ClosedProxy() as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, closed_proxy: ClosedProxy) -> Iterator[RealAirflow]:
    """Airflow without any connection: they are made in the form."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    write_quick_examples(dags, DAG_ID)
    settings = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "HTTPS_PROXY": f"http://127.0.0.1:{closed_proxy.server_port}",
    }
    with RealAirflow(folder / "home", dags, **settings) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def saved_connection(airflow: RealAirflow, prolific: Emulator, open_page: Callable[[], Page]) -> None:
    """The default connection to the emulator, made in the form."""
    page = open_page()
    save(fill(open_form(page, airflow), "prolific_default", prolific, prolific.token))
    page.context.close()


def open_form(page: Page, airflow: RealAirflow) -> Locator:
    page.goto(f"{airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").click()
    page.keyboard.type("Prolific")
    page.get_by_role("option", name="Prolific", exact=True).click()
    return form


def fill(form: Locator, connection_id: str, prolific: Emulator, token: str) -> Locator:
    form.locator("input[name=connection_id]").fill(connection_id)
    form.get_by_label("Base URL").fill("http://127.0.0.1")
    form.get_by_label("API token").fill(token)
    form.get_by_label("Port").fill(str(urlsplit(prolific.url).port))
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator(EXTRA_FIELDS["Workspace ID"]).fill(prolific.workspace_id)
    return form


def save(form: Locator) -> None:
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()


def click_test_button(page: Page, connection_id: str) -> None:
    page.get_by_role("row", name=connection_id).get_by_role("button", name="Test Connection").click()


def test_form_has_the_fields_of_prolific(
    page: Page, airflow: RealAirflow, prolific: Emulator, screenshot: Callable[..., None]
) -> None:
    form = open_form(page, airflow)

    for label in ("Base URL", "API token", "Port"):
        expect(form.get_by_label(label)).to_be_visible()
    expect(form.get_by_label("Base URL")).to_have_attribute("placeholder", "https://api.prolific.com")
    expect(form.get_by_label("API token")).to_have_attribute("type", "password")
    expect(form.get_by_label("API token")).to_have_attribute("placeholder", "from Prolific: Settings, API tokens")
    expect(form.get_by_label("Port")).to_have_attribute("placeholder", "leave empty for Prolific, or 443")
    for name in ("login", "schema"):
        expect(form.locator(f"input[name={name}]")).to_have_count(0)
    for label in ("Host", "Login", "Password", "Schema"):
        expect(form.get_by_text(label, exact=True)).to_have_count(0)
    form.locator("input[name=connection_id]").fill("prolific_default")
    form.get_by_label("API token").fill(prolific.token)
    screenshot(page, "connection-form", height=860)

    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for label, field in EXTRA_FIELDS.items():
        expect(form.get_by_text(label, exact=True)).to_be_visible()
        expect(form.locator(field)).to_be_visible()


@pytest.mark.usefixtures("saved_connection")
def test_form_saves_the_connection(airflow: RealAirflow, prolific: Emulator) -> None:
    [(conn_type, host, port, login, password, extra)] = airflow.query(
        "SELECT conn_type, host, port, login, password, extra FROM connection WHERE conn_id = 'prolific_default'"
    )

    assert (conn_type, host, port) == ("prolific", "http://127.0.0.1", urlsplit(prolific.url).port)
    assert not login
    assert password == prolific.token
    assert {key: value for key, value in json.loads(extra).items() if value} == {"workspace_id": prolific.workspace_id}


@pytest.mark.usefixtures("saved_connection")
def test_connection_test_says_whose_token_it_is_and_how_many_groups_the_workspace_has(
    page: Page, airflow: RealAirflow, prolific: Emulator, screenshot: Callable[..., None]
) -> None:
    page.goto(f"{airflow.url}/connections")
    click_test_button(page, "prolific_default")

    expect(page.get_by_role("status")).to_contain_text(
        f"Connected as researcher@example.com; workspace {prolific.workspace_id}: 8 participant groups"
    )
    screenshot(page, "connection-test")


def test_connection_test_says_why_a_token_is_refused(page: Page, airflow: RealAirflow, prolific: Emulator) -> None:
    save(fill(open_form(page, airflow), "mistyped", prolific, "no-such-token"))
    click_test_button(page, "mistyped")

    answer = page.get_by_role("status").filter(has_text="Test Connection Failed")
    expect(answer).to_contain_text("the API token of this connection is wrong or was deleted (401 from GET ")
    expect(answer).not_to_contain_text("no-such-token")


def test_an_address_in_one_piece_needs_its_port_in_the_field_as_well(
    page: Page, airflow: RealAirflow, prolific: Emulator
) -> None:
    """Airflow 3.3.1 and 3.3.2 test nothing while Port is empty."""
    port = urlsplit(prolific.url).port
    for connection_id, value in (("another_port", "443"), ("same_port", str(port))):
        form = fill(open_form(page, airflow), connection_id, prolific, prolific.token)
        form.get_by_role("button", name="Standard Fields", exact=True).click()
        form.get_by_label("Base URL").fill(prolific.url)
        form.get_by_label("Port").fill(value)
        save(form)

    click_test_button(page, "another_port")
    answer = page.get_by_role("status").filter(has_text="Test Connection Failed")
    expect(answer).to_contain_text(
        f"this connection: Base URL has port {port}, but Port is 443: write {port} into Port, too"
    )
    click_test_button(page, "same_port")
    answer = page.get_by_role("status").filter(has_text="Test Connection Successful")
    expect(answer).to_contain_text("8 participant groups")


@pytest.mark.parametrize(("port", "asked"), [("443", ["api.prolific.com:443"]), ("", [])])
def test_without_base_url_prolific_is_asked_if_the_port_is_443(
    page: Page, airflow: RealAirflow, closed_proxy: ClosedProxy, prolific: Emulator, port: str, asked: list[str]
) -> None:
    """Airflow 3.3.1 and 3.3.2 test nothing while Port is empty."""
    closed_proxy.asked.clear()
    connection_id = f"at_prolific_{port or 'no_port'}"
    form = fill(open_form(page, airflow), connection_id, prolific, prolific.token)
    form.get_by_role("button", name="Standard Fields", exact=True).click()
    form.get_by_label("Base URL").fill("")
    form.get_by_label("Port").fill(port)
    save(form)
    with page.expect_request("**/connections/test") as request:
        click_test_button(page, connection_id)
    sent = json.loads(request.value.post_data or "{}")

    assert (sent["host"], sent["port"]) == ("", int(port or 0))
    answer = page.get_by_role("status").filter(has_text="Prolific cannot be reached: " if port else "Bad Request")
    expect(answer).to_be_visible()
    assert closed_proxy.asked == asked


def test_connection_test_says_that_a_workspace_is_unknown(page: Page, airflow: RealAirflow, prolific: Emulator) -> None:
    form = fill(open_form(page, airflow), "elsewhere", prolific, prolific.token)
    form.locator(EXTRA_FIELDS["Workspace ID"]).fill("64a0000000000000000000ff")
    save(form)
    click_test_button(page, "elsewhere")

    answer = page.get_by_role("status").filter(has_text="Test Connection Failed")
    expect(answer).to_contain_text("check Workspace ID 64a0000000000000000000ff: this does not exist, or the API token")


def test_connection_test_is_green_without_a_scope(page: Page, airflow: RealAirflow, prolific: Emulator) -> None:
    form = fill(open_form(page, airflow), "without_scope", prolific, prolific.token)
    form.locator(EXTRA_FIELDS["Workspace ID"]).fill("")
    save(form)
    click_test_button(page, "without_scope")

    answer = page.get_by_role("status").filter(has_text="Test Connection Successful")
    expect(answer).to_contain_text("no default scope, so each task must name one")


def test_page_of_providers_has_a_clean_description_and_links_that_lead_somewhere(
    page: Page, airflow: RealAirflow
) -> None:
    page.goto(f"{airflow.url}/providers")
    row = page.get_by_role("row").filter(has_text="airflow-provider-prolific")

    expect(row).to_contain_text(
        "Participant groups, studies, submissions and bonuses of Prolific https://www.prolific.com"
    )
    for name, address in (
        ("https://www.prolific.com", "https://www.prolific.com"),
        ("airflow-provider-prolific", "https://docs.prolific.com/api-reference"),
    ):
        expect(row.get_by_role("link", name=name)).to_have_attribute("href", address)


@pytest.mark.usefixtures("saved_connection")
def test_wait_shows_its_progress_and_study_while_deferred_and_its_groups_afterwards(
    page: Page, airflow: RealAirflow, prolific: Emulator, screenshot: Callable[..., None]
) -> None:
    group_id = prolific.group_id(GROUP)
    prolific.set_group(group_id, participant_count=4, growth_per_second=0, growth_limit=None)
    airflow.wait_for("the DAG", lambda: airflow.query("SELECT 1 FROM dag WHERE dag_id = ?", DAG_ID))
    page.goto(f"{airflow.url}/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=element_target_count]").fill("30")
    with page.expect_response(lambda response: response.url.endswith("/dagRuns")) as triggered:
        form.get_by_role("button", name="Trigger", exact=True).click()
    run_id = triggered.value.json()["dag_run_id"]
    task = f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}/tasks/enough_participants"

    page.goto(task)
    state = page.get_by_text("Deferred", exact=True)
    expect(page.get_by_text(f"'{GROUP}' has 4 of 30 (13%)")).to_have_count(2)  # the worker's look, and the trigger's
    for count, percent in ((11, 36), (16, 53), (23, 76)):
        prolific.set_group(group_id, participant_count=count)
        expect(page.get_by_text(f"'{GROUP}' has {count} of 30 ({percent}%)")).to_be_visible()
        expect(state).to_be_visible()
    expect(page.get_by_text(re.compile(r"has 23 of 30 \(76%\), \+7, about \d+ s to go"))).to_be_visible()
    screenshot(page, "progress-while-deferred")
    page.get_by_role("link", name="Details", exact=True).click()
    study = page.get_by_role("link", name="Open feeder study in Prolific")
    expect(study).to_have_attribute("href", f"{STUDY_PAGE}64d000000000000000000001")

    prolific.set_group(group_id, participant_count=31)
    assert airflow.wait_for_run(DAG_ID, run_id) == "success"
    page.goto(task)
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="XCom").click()
    page.get_by_role("button", name="Expand all extra JSON").click()
    value = page.get_by_role("row", name="return_value")
    for shown in (f'"id": "{group_id}"', f'"name": "{GROUP}"', '"participant_count": 31', '"target_count": 30'):
        expect(value).to_contain_text(shown)
    expect(value).to_contain_text('"reached": true')
    screenshot(page, "xcom")
