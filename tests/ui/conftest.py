"""A real browser, and what is needed to look at Airflow's pages with it."""

import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from debian_packages import need
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from airflow_provider_prolific.emulator import Emulator

ROOT = Path(__file__).parent.parent.parent
SCREENSHOTS = ROOT / "build" / "screenshots"
PATIENCE_MILLISECONDS = 60_000
FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that also then nothing is left running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as Debian packages it, without a screen and without calls to its maker."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    quiet = ["--disable-gpu", "--disable-quic", "--disable-sync", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=quiet)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def open_page(browser: Browser) -> Callable[[], Page]:
    """Open a page in a profile of its own: nobody is signed in, nothing is remembered."""

    def open_page() -> Page:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        return page

    return open_page


def take_screenshot(page: Page, name: str, height: int | None = None) -> None:
    """
    Write build/screenshots/NAME.png; the pictures in docs/images are copies of these.

    :param height: Of the window for this picture, where the page is longer than it.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    size = page.viewport_size
    assert size is not None
    if height:
        page.set_viewport_size({"width": size["width"], "height": height})
        page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)  # for the colours of code, which come a little later
    page.screenshot(path=path, animations="disabled", caret="hide")
    page.set_viewport_size(size)
    with Image.open(path) as picture:
        palette = {"method": Image.Quantize.MAXCOVERAGE, "kmeans": 1, "dither": Image.Dither.NONE}
        picture.convert("RGB").quantize(256, **palette).save(path, optimize=True)


@pytest.fixture(scope="session")
def screenshot() -> Callable[..., None]:
    """Take a picture of a page, see `take_screenshot`."""
    return take_screenshot


@pytest.fixture
def page(open_page: Callable[[], Page], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page for one test; where the test fails, what it saw is kept."""
    page = open_page()
    yield page
    if request.node.stash.get(FAILED, False):
        take_screenshot(page, f"failed-{request.node.path.stem}-{request.node.name}")
    page.context.close()


@pytest.fixture(scope="module")
def prolific(prolific_emulator_process: Emulator) -> Emulator:
    """The emulator as freshly started, for all tests of a file."""
    prolific_emulator_process.reset()
    return prolific_emulator_process
