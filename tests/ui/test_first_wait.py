"""``docs/first-wait.md``, followed to the letter in a real browser, with the pictures that it shows."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

TRY = Path(__file__).parent.parent.parent / "scripts" / "try_out.py"
IS_READY = "Ctrl-C stops everything."


@pytest.fixture(scope="module")
def said() -> Iterator[str]:
    """What ``make try`` prints; it runs until the tests of this file have ended."""
    program = subprocess.Popen([sys.executable, "-u", str(TRY)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    lines = []
    for line in program.stdout:
        lines.append(line)
        if IS_READY in line:
            break
    yield "".join(lines)
    program.terminate()
    program.communicate(timeout=60)


def find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, text
    return found[1]


def test_first_wait(page: Page, said: str, screenshot: Callable[..., None]) -> None:
    page.goto(find(r"Airflow is at (\S+)", said))

    # 1. The connection
    page.get_by_role("button", name="Admin").click()
    page.get_by_role("menuitem", name="Connections").click()
    page.get_by_role("row", name="prolific_default").get_by_role("button", name="Test Connection").click()
    expect(page.get_by_role("status")).to_contain_text("Connected")
    screenshot(page, "first-wait-connection", height=420)

    # 2. The run
    page.get_by_role("link", name="Dags").click()
    page.get_by_role("link", name="gate_on_group_size").click()
    expect(page.get_by_role("button", name="Trigger Dag")).to_have_count(1)  # the list has one for each DAG
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_role("checkbox", name="Unpause gate_on_group_size on trigger")).to_be_checked()
    expect(form.locator("input[name=element_target_count]")).to_have_value("30")
    screenshot(page, "first-wait-trigger", height=690)
    form.get_by_role("button", name="Trigger", exact=True).click()

    # 3. The wait
    page.get_by_role("row", name="enough_participants").get_by_role("link", name="enough_participants").click()
    expect(page.get_by_text(re.compile(r"'Screened adults' has \d+ of 30 \(\d+%\), \+\d+")).nth(1)).to_be_visible()
    screenshot(page, "first-wait-log", height=600)

    # 4. The page "Recruitment"
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Recruitment").click()
    recruitment = page.frame_locator("iframe")
    rows = recruitment.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text(re.compile(r"older_men.*No growth for", re.DOTALL))
    expect(rows.filter(has_text="wave_1")).to_contain_text("of 400")
    expect(rows.filter(has_text="younger_men")).to_contain_text("of 150")
    page.mouse.move(1200, 790)
    screenshot(page, "first-wait-recruitment", height=520)


def test_the_line_that_resets_it(said: str) -> None:
    url = find(r"curl --request POST (\S+)", said)

    urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()
