"""The documents are true: their code runs as it stands there, their links lead somewhere, their commands exist."""

import builtins
import dis
import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from airflow.exceptions import AirflowOptionalProviderFeatureException

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEWEST_AIRFLOW = (ROOT / "constraints" / "versions.txt").read_text().splitlines()[-1].split()[1]
RUN_BY_TESTS = [*(ROOT / "example_dags").glob("*.py"), *(ROOT / "tests").rglob("*.py")]


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{document.relative_to(ROOT)}-{number}")
        for document in DOCUMENTS
        for number, (found, text) in enumerate(BLOCK.findall(document.read_text()), 1)
        if found == language
    ]


def lines(text: str) -> set[str]:
    code = (line for line in text.splitlines() if line.strip() and not line.startswith(("from ", "import ")))
    return {line.strip().removesuffix(",") for line in code}


@pytest.mark.parametrize("block", blocks("python"))
def test_python_is_made_of_lines_that_tests_run(block: str) -> None:
    run = set().union(*(lines(path.read_text()) for path in RUN_BY_TESTS))

    assert lines(block) - run == set()


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs_in_an_empty_file(block: str, request: pytest.FixtureRequest) -> None:
    code = compile(block, request.node.name, "exec", dont_inherit=True)
    names: dict[str, Any] = {"__name__": "a_file"}
    try:
        exec(code, names)
    except (ImportError, AirflowOptionalProviderFeatureException) as error:
        if version("apache-airflow") == NEWEST_AIRFLOW:
            raise
        pytest.skip(f"the documents import as on the newest Airflow: {error}")

    assert names_from_outside(code) - names.keys() - vars(builtins).keys() == set()


def names_from_outside(code: CodeType) -> set[str]:
    """Return the global names that code and the functions in it use."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return own.union(*map(names_from_outside, inner))


@pytest.mark.parametrize("block", blocks("json"))
def test_json_is_json(block: str) -> None:
    json.loads(block)


@pytest.mark.parametrize("block", blocks("bash"))
def test_shell_commands_exist(block: str) -> None:
    targets = re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in block.splitlines():
        command = line.split()
        match command:
            case ["make", target]:
                assert target in targets or target == "test-2.11"
            case ["export", *_]:
                assert_is_a_connection(line)
            case ["python", "-m", module, *_]:
                assert (ROOT / module.replace(".", "/") / "__main__.py").exists()
            case ["pip", "install", "."]:
                pass  # what every test environment has done
            case _:
                pytest.fail(f"no test knows this command: {line}")


def assert_is_a_connection(line: str) -> None:
    from airflow.models.connection import Connection

    script = f'{line}\nprintf %s "$AIRFLOW_CONN_PROLIFIC_DEFAULT"'
    text = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    connection = Connection.from_json(text) if text.startswith("{") else Connection(uri=text)
    assert connection.conn_type == "prolific"
    assert connection.password == "YOUR-TOKEN"
    assert connection.extra_dejson == {"workspace_id": "YOUR-WORKSPACE"}
    assert connection.host in ("", None, "http://127.0.0.1")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", document.read_text())]
    local = [target for target in targets if target and "://" not in target]

    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = re.findall(
        r"`((?:tests|scripts|example_dags|docs|constraints|airflow_provider_prolific)/[\w./-]*)`", document.read_text()
    )

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE)) | {"test-2.11"}

    assert set(re.findall(r"`make ([\w.-]+)`", document.read_text())) <= known


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()

    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"({path.name})" not in index] == ["index.md"]


def test_every_operator_and_sensor_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "airflow_provider_prolific").rglob("*.py"))
    classes = set(re.findall(r"^class (Prolific\w+(?:Operator|Sensor|EventTrigger))\b", sources, re.MULTILINE))

    assert len(classes) > 10
    assert classes - set(re.findall(r"`(\w+)`", index)) == set()


def test_every_example_dag_is_named_in_a_document() -> None:
    text = "".join(document.read_text() for document in DOCUMENTS)

    assert [path.name for path in (ROOT / "example_dags").glob("*.py") if f"example_dags/{path.name}" not in text] == []


@pytest.mark.parametrize("layer", ["hooks", "waiting", "triggers", "sensors", "operators"])
def test_the_grid_names_every_module(layer: str) -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    [row] = (line for line in table if line.startswith(f"| `{layer}/`: "))
    modules = (ROOT / "airflow_provider_prolific" / layer).glob("[!_]*.py")

    assert set(re.findall(r"`(\w+\.py)`", row)) == {path.name for path in modules}
