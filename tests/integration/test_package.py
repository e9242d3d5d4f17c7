"""What users install: seen by Airflow, complete, and nothing beside it."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

from airflow_provider_prolific import __version__
from airflow_provider_prolific.emulator import Emulator

ROOT = Path(__file__).parent.parent.parent


def run(*command: str, check: bool = True) -> str:
    finished = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert finished.returncode == 0 or not check, finished.stdout + finished.stderr
    return finished.stdout


def rows(*command: str) -> list[dict[str, str]]:
    """Return the table that a command prints as its last line; Airflow 3.0 prints its log before it."""
    return json.loads(run(*command).splitlines()[-1])  # type: ignore[no-any-return]


def test_airflow_lists_the_provider(airflow_db: None) -> None:
    providers = rows("airflow", "providers", "list", "--output", "json")

    [provider] = [row for row in providers if row["package_name"] == "airflow-provider-prolific"]
    assert provider["version"] == __version__


def test_airflow_lists_the_connection_type(airflow_db: None) -> None:
    hooks = rows("airflow", "providers", "hooks", "--output", "json")

    [hook] = [row for row in hooks if row["connection_type"] == "prolific"]
    assert hook["class"] == "airflow_provider_prolific.hooks.prolific.ProlificHook"
    assert hook["conn_id_attribute_name"] == "prolific_conn_id"
    assert hook["hook_name"] == "Prolific"


def test_airflow_tests_the_connection(
    airflow_db: None, prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")

    assert "Connection success!" in run("airflow", "connections", "test", "prolific_default")
    prolific_emulator.revoke_token()
    assert "the API token of this connection is wrong or was deleted" in run(
        "airflow", "connections", "test", "prolific_default", check=False
    )


def test_hook_works_in_a_plain_script(prolific_emulator: Emulator, tmp_path: Path) -> None:
    script = "from airflow_provider_prolific.hooks.prolific import ProlificHook as H; print(H().get_user()['email'])"
    environment = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json(),
        "PATH": os.defpath,
    }
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)

    assert "researcher@example.com" in ran.stdout, ran.stderr


def test_runtime_needs_nothing_but_airflow_and_requests_with_its_urllib3() -> None:
    needed = [
        requirement for requirement in requires("airflow-provider-prolific") or [] if "extra ==" not in requirement
    ]

    assert sorted(requirement.split(">=")[0] for requirement in needed) == ["apache-airflow", "requests", "urllib3"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build.__main__", reason="the release tools are beside the newest Airflow only")
    folder = tmp_path_factory.mktemp("dist")
    run("build", "--outdir", str(folder))
    return folder


def test_wheel_holds_the_package_and_nothing_else(distributions: Path) -> None:
    [wheel] = distributions.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert "airflow_provider_prolific/py.typed" in names
    assert "airflow_provider_prolific/emulator/seed.toml" in names
    assert {f"airflow_provider_prolific/plugin/recruitment.{kind}" for kind in ("html", "css", "js")} <= set(names)
    assert {name.split("/")[0] for name in names} == {
        "airflow_provider_prolific",
        f"airflow_provider_prolific-{__version__}.dist-info",
    }
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "airflow_provider_prolific").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == tracked


def test_sdist_holds_the_source(distributions: Path) -> None:
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}

    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "airflow_provider_prolific/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests/", ".venv", "scripts/"))]


def test_distributions_pass_twine(distributions: Path) -> None:
    assert "FAILED" not in run("twine", "check", "--strict", *map(str, distributions.iterdir()))
