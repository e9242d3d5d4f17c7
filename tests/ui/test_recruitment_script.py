"""The page "Recruitment" by itself, in front of an Airflow that is played: what it asks, understands and shows."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from airflow_provider_prolific.plugin import app
from airflow_provider_prolific.waiting.progress import Journal, Progress
from airflow_provider_prolific.waiting.studies import StudyWait, SubmissionWait
from airflow_provider_prolific.waiting.targets import Gate

HOME = "http://airflow.test/some/path/"
DASH = "\u2013"
SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>"


class PlayedAirflow:
    """Airflow's REST API, as far as the page asks it."""

    def __init__(self, page: Page) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.logs: dict[str, list[tuple[float, str]]] = {}  # of each task, seconds ago and line
        self.status = 200
        self.log_status: dict[str, int] = {}
        self.fails_on_tokens = False
        self.asked: list[str] = []
        page.route(f"{HOME}prolific/recruitment", self._serve)
        page.route(f"{HOME}api/**", self._answer)

    def wait(self, task_id: str, *lines: tuple[float, str], **fields: Any) -> None:
        """Add a task that waits, with what it has logged so many seconds ago."""
        task = {"id": f"id of {task_id}", "dag_id": "recruiting", "dag_run_id": "run 1", "task_id": task_id}
        self.tasks.append(task | {"map_index": -1, "try_number": 1, "rendered_map_index": None} | fields)
        self.logs[task_id] = list(lines)

    def _serve(self, route: Route) -> None:
        headers = {"Content-Security-Policy": app.POLICY.format(nonce="n"), "Content-Type": "text/html"}
        route.fulfill(body=app.page("n"), headers=headers)

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        self.asked.append(route.request.url.removeprefix(f"{HOME}api/v2/"))
        query = parse_qs(url.query)
        if url.path.endswith("/taskInstances"):
            start, size = int(query["offset"][0]), int(query["limit"][0])
            found = {"task_instances": self.tasks[start : start + size], "total_entries": len(self.tasks)}
            route.fulfill(status=self.status, json=found)
        else:
            task_id = unquote(url.path.split("/")[-3])
            now = datetime.now(UTC)
            lines = self.logs[task_id][int(query.get("token", ["0"])[0]) :]
            content = [
                {"timestamp": (now - timedelta(seconds=ago)).isoformat(), "event": line, "level": "info"}
                for ago, line in lines
            ]
            log = {"content": content, "continuation_token": str(len(self.logs[task_id]))}
            status = 500 if self.fails_on_tokens and "token" in query else self.log_status.get(task_id, 200)
            route.fulfill(status=status, json=log)


@pytest.fixture
def airflow(page: Page) -> PlayedAirflow:
    return PlayedAirflow(page)


@pytest.fixture
def show(page: Page, airflow: PlayedAirflow) -> Iterator[Callable[[], Page]]:
    """Open the page; nothing may be said on its console that the test does not know of."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

    def show() -> Page:
        page.goto(f"{HOME}prolific/recruitment")
        expect(page.locator("#updated:not(:empty), #problem:visible")).to_have_count(1)
        return page

    yield show
    assert [problem for problem in problems if "Failed to load resource" not in problem] == []


def rows(page: Page) -> list[str]:
    return [re.sub(r"\s+", " ", row.inner_text()) for row in page.locator("tbody tr").all()]


# -- the lines of the log ---------------------------------------------------------------------------------------------

NAMES = [
    "Screened adults",
    "it's",
    "both \"double\" and 'single'",
    "'; 'forged' has 1 of 2 (50%)",
    "a\\b, +3; c",
    "new\nline\u202e",
    "naïve … 参加者",
    "x" * 300,
    SCRIPT,
]


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_what_a_wait_for_groups_writes(show: Callable[[], Page], name: str) -> None:
    gate, progress = Gate({"g1": 300, "g2": 50, "g3": 9}), Progress()
    lines = []
    for now, count in ((0, 120), (60, 150)):
        group = {"id": "g1", "name": name, "participant_count": count, "target_count": 300}
        same = {"id": "g2", "name": name, "participant_count": 20, "target_count": 50}
        missing = {"id": None, "name": name, "participant_count": None, "target_count": 9}
        lines.append(progress.line([*map(gate.measure, (group, same, missing))], now))

    page = show()
    first, second = (page.evaluate("line => parseProgress(line)", line) for line in lines)
    assert [(part["count"], part["target"]) for part in first] == [(120, 300), (20, 50), (None, 9)]
    assert [(part["count"], part["target"]) for part in second] == [(150, 300), (20, 50), (None, 9)]
    assert {part["kind"] for part in second} == {"group"}
    shown = repr(name)[1:-1].replace("\\'", "'").replace("\\\\", "\\")
    assert {part["name"] for part in second} == {shown if len(name) < 100 else "x" * 98 + "…"}


def test_it_reads_what_waits_for_studies_write(show: Callable[[], Page]) -> None:
    study = {"id": "s1", "name": "Screener", "internal_name": None, "status": "ACTIVE"}
    places = {"total_available_places": 30, "places_taken": 12}
    submissions = {"submission_count": 7, "target_count": 30}
    lines = [
        StudyWait("s1").measure(study | places).text,
        StudyWait("s1").measure(study | {"total_available_places": None, "places_taken": None}).text,
        SubmissionWait("s1").measure(study | submissions).text + ", +2, about 3 h to go",
    ]

    page = show()
    read = [page.evaluate("line => parseProgress(line)[0]", line) for line in lines]
    assert [(part["count"], part["target"]) for part in read] == [(12, 30), (None, None), (7, 30)]
    assert {(part["kind"], part["name"], part["state"]) for part in read} == {("study", "Screener", "ACTIVE")}


def test_other_lines_are_none_of_progress(show: Callable[[], Page]) -> None:
    page = show()
    for line in (
        "",
        "Reached: 'Screened adults' has 300 of 300 (100%)",
        "no growth for 2 days, since 2026-03-02 10:00 UTC: 'Screened adults' has 120 of 300 (40%)",
        "'Screened adults' has many of 300 (40%)",
        "'Screened adults' has 120 of 300 (40%); and something else",
    ):
        assert page.evaluate("line => parseProgress(line)", line) is None


@pytest.mark.parametrize(("interval", "seconds"), [(0.5, 0.5), (60, 60), (7200, 7200), (259_200, 259_200)])
def test_it_reads_how_often_a_wait_looks_and_until_when(
    show: Callable[[], Page], interval: float, seconds: float
) -> None:
    class Log:
        def info(self, message: str, *arguments: object) -> None:
            self.line = message % arguments

    log = Log()
    Journal(log).begins(interval, 1_772_445_600, backs_off=True)
    program = "line => { const w = new Wait(); w.readLine(line, 0); return [w.interval, w.deadline] }"

    assert show().evaluate(program, log.line) == [seconds, 1_772_445_600_000]


# -- what is shown ----------------------------------------------------------------------------------------------------


def progress(name: str, target: int, *points: tuple[float, int]) -> list[tuple[float, str]]:
    return [(ago, f"'{name}' has {count} of {target} ({100 * count // target}%)") for ago, count in points]


def test_it_says_when_nothing_waits(show: Callable[[], Page]) -> None:
    page = show()

    expect(page.get_by_role("heading", name="No task waits for participants")).to_be_visible()
    expect(page.get_by_role("table")).to_be_hidden()


def test_a_row_says_how_far_a_wait_is_and_when_it_will_be_full(
    show: Callable[[], Page], airflow: PlayedAirflow
) -> None:
    end = datetime.now(UTC) + timedelta(days=3)
    airflow.wait(
        "screened",
        (6000, f"Looks every 60 s until {end:%Y-%m-%d %H:%M:%S} UTC"),
        *progress("Screened adults", 400, (6000, 100), (3000, 150), (30, 200)),
    )

    [row] = rows(show())
    assert re.search(r"screened recruiting Screened adults participant group 200 of 400 50%", row)
    assert re.search(r"in (1|2) h .* 30 s ago in 3 days", row)


def test_what_is_not_known_is_a_dash_in_every_column(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("new")

    cells = show().locator("tbody td").all_inner_texts()
    assert [re.sub(r"\s+", " ", cell) for cell in cells] == ["new recruiting", DASH, DASH, "", DASH, DASH, DASH]


def test_what_needs_attention_comes_first(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("reached", *progress("r", 10, (900, 5), (60, 12)))
    airflow.wait("soon", *progress("s", 100, (3000, 10), (1000, 50), (10, 95)))
    airflow.wait("late", *progress("l", 1000, (3000, 10), (1000, 50), (10, 95)))
    airflow.wait("stalled", *progress("t", 100, (3000, 10), (2000, 20), (10, 20)))
    airflow.wait("stalled_longer", *progress("u", 100, (9000, 20), (10, 20)))
    airflow.wait("failing", *progress("f", 100, (90, 10)), (50, "This look failed, the wait goes on: Prolific is away"))

    page = show()
    assert [row.split()[0] for row in rows(page)] == ["stalled_longer", "stalled", "failing", "late", "soon", "reached"]
    expect(page.get_by_role("status")).to_have_text("6 tasks wait, 3 need attention")
    expect(page.get_by_role("row", name="stalled_longer")).to_contain_text("No growth for 3 h")
    expect(page.get_by_role("row", name="failing")).to_contain_text("Prolific is away")


def test_each_target_of_a_task_and_each_mapped_task_has_a_row(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("two", (9, "'a' has 1 of 10 (10%); 'b' does not exist yet (target 20)"))
    airflow.wait("cell", (9, "'c' has 2 of 10 (20%)"), map_index=3, rendered_map_index="men 40+")

    page = show()
    assert len(rows(page)) == 3
    expect(page.get_by_role("row", name="b ")).to_contain_text("none of 20")
    expect(page.get_by_role("row", name="[men 40+]").get_by_role("link")).to_have_attribute(
        "href", "/some/path/dags/recruiting/runs/run%201/tasks/cell/mapped/3"
    )


def test_a_wait_that_would_be_full_after_its_time_out_says_so(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    end = datetime.now(UTC) + timedelta(minutes=5)
    airflow.wait(
        "screened",
        (6000, f"Looks every 60 s until {end:%Y-%m-%d %H:%M:%S} UTC"),
        *progress("Screened adults", 400, (6000, 100), (3000, 150), (30, 200)),
    )

    assert "after the time-out" in rows(show())[0]


def test_strangers_texts_are_shown_as_texts(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    line = f"{SCRIPT!r} has 1 of 10 (10%)"
    failure = f"This look failed, the wait goes on: {SCRIPT}"
    named = {"dag_id": SCRIPT, "dag_run_id": SCRIPT, "rendered_map_index": SCRIPT, "map_index": 1}
    airflow.wait(SCRIPT.replace("/", "-"), (9, line), (5, failure), **named)
    page = show()

    assert rows(page)[0].count("<script>") >= 3
    assert page.title() == "Recruitment"
    assert page.locator("main img, main script").count() == 0


def test_the_chart_is_told_in_words(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("screened", *progress("Screened adults", 400, (90, 100), (30, 200)))

    image = show().get_by_role("img")
    expect(image).to_have_accessible_name(re.compile(r"Screened adults: 100 at .*, 200 at .*, target 400"))


def test_what_comes_later_is_shown_by_itself_and_the_keyboard_stays_where_it_is(
    show: Callable[[], Page], airflow: PlayedAirflow
) -> None:
    airflow.wait("grows", *progress("g", 100, (3000, 10), (5, 20)))
    airflow.wait("other", *progress("o", 1000, (3000, 10), (5, 20)))
    page = show()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="grows")).to_be_focused()

    airflow.logs["grows"].append((0, "'g' has 21 of 9000 (0%)"))
    expect(page.get_by_role("row", name="grows")).to_contain_text("21 of 9,000")
    assert [row.split()[0] for row in rows(page)] == ["grows", "other"]
    expect(page.get_by_role("link", name="grows")).to_be_focused()


def test_only_what_is_new_in_a_log_is_asked_for(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("grows", *progress("g", 100, (3000, 10), (5, 20)))
    page = show()
    airflow.logs["grows"].append((0, "'g' has 21 of 100 (21%)"))
    expect(page.get_by_role("row", name="grows")).to_contain_text("21 of 100")

    assert "token=2" in airflow.asked[-1]


def test_a_log_is_read_as_a_whole_where_airflow_cannot_go_on_in_it(
    show: Callable[[], Page], airflow: PlayedAirflow
) -> None:
    airflow.fails_on_tokens = True
    for name in ("grows", "other"):
        airflow.wait(name, *progress("g", 100, (3000, 10), (5, 20)))
    page = show()
    airflow.logs["grows"].append((0, "'g' has 21 of 100 (21%)"))

    expect(page.get_by_role("row", name="grows")).to_contain_text("21 of 100")
    assert [asked for asked in airflow.asked[-2:] if "token" in asked] == []


# -- whom it asks -----------------------------------------------------------------------------------------------------


def test_of_many_tasks_25_are_read_at_a_time(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    for number in range(60):
        airflow.wait(f"task_{number}", (9, "'a' has 1 of 10 (10%)"))
    page = show()
    expect(page.locator("tbody tr")).to_have_count(25)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    assert len(airflow.asked) == 26

    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("26 to 50 of 60")).to_be_visible()
    expect(page.get_by_role("link", name="task_49")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()


def test_it_asks_airflow_for_tasks_that_wait_and_for_their_logs_only(
    show: Callable[[], Page], airflow: PlayedAirflow
) -> None:
    airflow.wait("a/b", map_index=2, try_number=3)
    show()

    listing, log = airflow.asked[:2]
    query = parse_qs(urlsplit(listing).query)
    assert urlsplit(listing).path == "dags/~/dagRuns/~/taskInstances"
    assert query["state"] == ["deferred", "up_for_reschedule", "running"]
    assert query["operator"] == ["ProlificParticipantGroupSensor", "ProlificStudySensor", "ProlificSubmissionSensor"]
    assert urlsplit(log).path == "dags/recruiting/dagRuns/run%201/taskInstances/a%2Fb/logs/3"
    assert parse_qs(urlsplit(log).query)["map_index"] == ["2"]


def test_a_task_whose_log_may_not_be_read_does_not_appear(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("secret", *progress("Secret group", 10, (9, 1)))
    airflow.wait("open", *progress("g", 10, (9, 1)))
    airflow.log_status["secret"] = 403
    page = show()

    assert [row.split()[0] for row in rows(page)] == ["open"]
    assert "secret" not in page.locator("body").inner_text().lower()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "you are signed out"), (403, "you may not see tasks"), (500, "Airflow answered 500")],
)
def test_it_says_why_it_shows_nothing(
    show: Callable[[], Page], airflow: PlayedAirflow, status: int, words: str
) -> None:
    airflow.status = status

    expect(show().get_by_role("alert")).to_contain_text(words)


def test_what_it_has_shown_stays_while_airflow_is_away(show: Callable[[], Page], airflow: PlayedAirflow) -> None:
    airflow.wait("screened", *progress("g", 100, (90, 10)))
    page = show()
    airflow.status = 503
    expect(page.get_by_role("alert")).to_contain_text("Airflow answered 503")
    expect(page.get_by_role("row", name="screened")).to_be_visible()

    airflow.status = 200
    expect(page.get_by_role("alert")).to_be_hidden()


# -- how it looks -----------------------------------------------------------------------------------------------------


def test_it_follows_a_dark_system(page: Page, show: Callable[[], Page]) -> None:
    page.emulate_media(color_scheme="dark")
    show()

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"


@pytest.mark.parametrize("width", [1280, 736, 375])
def test_nothing_is_cut_off_in_a_narrow_window(
    page: Page, show: Callable[[], Page], airflow: PlayedAirflow, width: int
) -> None:
    airflow.wait("t" * 60, *progress("g" * 90, 1_000_000, (90, 100_000), (5, 999_999)), dag_id="d" * 80)
    page.set_viewport_size({"width": width, "height": 700})
    show()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_role("cell", name="of 1,000,000")).to_be_visible()
