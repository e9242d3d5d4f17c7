"""The page "Recruitment" in the newest Airflow, which is reached under a path and has two API workers."""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator

DAG_FILE = Path(__file__).parent / "dags" / "recruiting.py"
STUDY = "64d000000000000000000002"
SCRIPT = "<script>document.title='owned'</script>"
#: Count at the start, and growth per second: none reaches its target within ten minutes, however slow the machine is,
#: and each that grows does so more often than the page calls a stall.
GROUPS = {
    "Screened adults": (20, 0.6),
    "Wave 1 completed": (40, 0.9),
    "Quota: women 18-39": (10, 0.3),
    "Quota: men 40+": (12, 0.2),
    "Nobody joins": (31, 0),
    SCRIPT: (5, 0.2),
}
USERS = ("admin", "viewer")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, prolific: Emulator) -> Iterator[RealAirflow]:
    groups = {}
    for name, (count, _) in GROUPS.items():
        groups[name] = prolific.create_group(name) if name in ("Nobody joins", SCRIPT) else prolific.group_id(name)
        prolific.set_group(groups[name], participant_count=count, growth_per_second=0, growth_limit=None)
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(DAG_FILE, dags)
    home = folder / "home"
    home.mkdir()
    passwords = home / "simple_auth_manager_passwords.json.generated"
    passwords.write_text(json.dumps({user: user for user in USERS}))
    airflow = RealAirflow(
        home,
        dags,
        AIRFLOW_CONN_PROLIFIC_DEFAULT=prolific.connection_json(),
        AIRFLOW__API__WORKERS="2",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="False",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=",".join(f"{user}:{user}" for user in USERS),
    )
    airflow.url += "/lab"
    airflow.environment["AIRFLOW__API__BASE_URL"] = f"{airflow.url}/"
    airflow.environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{airflow.url}/execution/"
    with airflow:
        airflow.trigger("recruiting", "first")
        airflow.wait_for(
            "the waits", lambda: [*airflow.task_states("recruiting", "first").values()] == ["deferred"] * 6
        )
        for name, group_id in groups.items():
            prolific.set_group(group_id, growth_per_second=GROUPS[name][1])
        prolific.set_study(STUDY, arrivals_per_second=0.5, seconds_taken=1, total_available_places=1000)
        yield airflow


def open_recruitment(page: Page, airflow: RealAirflow, user: str) -> FrameLocator:
    """Sign in and open the page from the menu."""
    page.goto(f"{airflow.url}/auth/login")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(user)
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Recruitment").click()
    return page.frame_locator("iframe")


def test_it_shows_what_waits_and_first_what_stands_still(
    page: Page, airflow: RealAirflow, screenshot: Callable[..., None]
) -> None:
    recruitment = open_recruitment(page, airflow, "admin")

    expect(recruitment.get_by_role("status")).to_have_text("6 tasks wait, 2 need attention")
    rows = recruitment.locator("tbody tr")
    expect(rows).to_have_count(7)
    expect(rows.filter(has_text="No growth for")).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("No growth for")
    expect(rows.nth(1)).to_contain_text("No growth for")
    screened = rows.filter(has_text="Screened adults")
    expect(screened).to_contain_text(re.compile(r"\d+ of 400\s*\d+%\s*in \d+ min.*ago\s*in 14 days", re.DOTALL))
    expect(screened.get_by_role("img")).to_have_accessible_name(re.compile(r"Screened adults: \d+ at .*, target 400"))
    expect(rows.filter(has_text="[Quota: men 40+]")).to_contain_text("of 150")
    page.mouse.move(1200, 790)
    screenshot(page, "recruitment", height=700)

    recruitment.get_by_role("link", name="screened").click()
    page.wait_for_url(f"{airflow.url}/dags/recruiting/runs/first/tasks/screened")
    expect(page.get_by_text("Looks every 2 s until")).to_be_visible()


def test_it_is_dark_where_airflow_is_dark(page: Page, airflow: RealAirflow, screenshot: Callable[..., None]) -> None:
    page.add_init_script("localStorage.setItem('theme', 'dark')")
    recruitment = open_recruitment(page, airflow, "admin")

    expect(recruitment.get_by_role("link", name="screened")).to_be_visible()
    ground = recruitment.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert ground == "rgb(17, 17, 17)"
    screenshot(page, "recruitment-dark")


def test_it_fits_into_a_narrow_window(page: Page, airflow: RealAirflow, screenshot: Callable[..., None]) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    recruitment = open_recruitment(page, airflow, "admin")

    expect(recruitment.get_by_role("link", name="screened")).to_be_visible()
    assert recruitment.locator("html").evaluate("html => html.scrollWidth <= html.clientWidth")
    screenshot(page, "recruitment-narrow")


def test_a_name_that_strangers_gave_is_text(page: Page, airflow: RealAirflow) -> None:
    airflow.trigger("hostile_name", "first")
    recruitment = open_recruitment(page, airflow, "admin")

    row = recruitment.locator("tbody tr").filter(has_text=f"wait [{SCRIPT}]")
    expect(row).to_contain_text("of 150")
    assert "owned" not in page.title()


def test_a_viewer_sees_it_too(page: Page, airflow: RealAirflow) -> None:
    recruitment = open_recruitment(page, airflow, "viewer")

    expect(recruitment.locator("tbody tr").filter(has_text="Screened adults")).to_be_visible()


def test_whoever_is_not_signed_in_sees_nothing(airflow: RealAirflow) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{airflow.url}/prolific/recruitment")
