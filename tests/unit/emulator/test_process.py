"""The emulator as a process: command line, start and end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_prolific.emulator import Emulator, EmulatorClient, EmulatorError

COMMAND = [sys.executable, "-m", "airflow_provider_prolific.emulator"]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


def is_running(process_id):
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return state != "" and not state.startswith("Z")


def wait_until_ended(process_id):
    deadline = time.monotonic() + 10
    while is_running(process_id):
        assert time.monotonic() < deadline, "the emulator is still running"
        time.sleep(0.05)


@pytest.fixture
def served():
    """An emulator as a person starts it, and its first two lines."""
    command = [*COMMAND, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.greeting = [process.stdout.readline() for _ in range(8)]
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_without_a_word(served, number):
    url = re.search(r"http://127\.0\.0\.1:\d+", served.greeting[0])[0]
    session = requests.Session()  # keeps its connection open
    assert session.get(f"{url}/api/v1/users/me/", headers={"Authorization": "Token emulator-token"}).ok
    served.send_signal(number)
    output, errors = served.communicate(timeout=10)
    session.close()
    assert (served.returncode, output, errors) == (0, "", "")


def test_a_request_in_progress_does_not_hold_up_the_end():
    with Emulator() as emulator:
        emulator.add_fault("slow", seconds=60)
        connection = socket.create_connection(urlsplit(emulator.url).netloc.split(":"), timeout=10)
        with connection:
            connection.sendall(b"GET /api/v1/users/me/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not emulator.requests():
                time.sleep(0.01)
            started = time.monotonic()
            emulator.stop()
    assert time.monotonic() - started < 4
    assert emulator.process.returncode == 0


def test_it_prints_the_line_that_connects_airflow_to_it(served):
    name, _, value = served.greeting[1].partition("=")
    assert name == "export AIRFLOW_CONN_PROLIFIC_DEFAULT"
    shell = subprocess.run(["sh", "-c", f"printf %s {value}"], capture_output=True, text=True, check=True)
    url = re.search(r"http://127\.0\.0\.1:\d+", served.greeting[0])[0]
    assert shell.stdout == EmulatorClient(url).connection_json()


def test_it_prints_the_values_for_airflows_form(served):
    client = EmulatorClient(re.search(r"http://127\.0\.0\.1:\d+", served.greeting[0])[0])
    values = dict(re.split(r"\s{2,}", line.strip()) for line in served.greeting[3:])

    assert values == {
        "Connection Type": "Prolific",
        "Base URL": "http://127.0.0.1",
        "Port": str(urlsplit(client.url).port),
        "API token": client.token,
        "Workspace ID": f"{client.workspace_id} (under Extra Fields)",
    }


def test_it_listens_on_the_loopback_address_only(prolific_emulator):
    pytest.importorskip("uvicorn")
    from airflow_provider_prolific.emulator.__main__ import _listen

    with _listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    # A socket on all addresses would answer here too: all of 127.0.0.0/8 is this machine.
    port = urlsplit(prolific_emulator.url).port
    with pytest.raises(OSError, match=r"refused|unreachable|assign"):
        socket.create_connection(("127.0.0.2", port), timeout=2)


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--port", "70000"], ["--port", "x"], ["--token", " "]])
def test_bad_arguments_are_refused(arguments):
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_bad_seed_file_is_refused_by_what_is_wrong_in_it(tmp_path):
    path = tmp_path / "seed.toml"
    path.write_text('[[workspaces]]\nid = "w"\nname = "W"\ncolour = "red"\n')
    ended = run("--seed", str(path))
    assert ended.returncode == 2
    assert ended.stderr.startswith("Prolific emulator: bad seed: workspaces, entry 1 ('W'): colour is not known")
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_refused_in_one_line(prolific_emulator):
    ended = run("--port", str(urlsplit(prolific_emulator.url).port))
    assert ended.returncode == 1
    assert "in use" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_token_and_a_seed_of_ones_own_are_served(tmp_path):
    path = tmp_path / "seed.toml"
    path.write_text(
        '[[users]]\nid = "u"\nemail = "a@example.com"\ntokens = ["t"]\nworkspaces = ["w"]\n'
        '[[workspaces]]\nid = "w"\nname = "W"\n'
    )
    with Emulator(seed=path, token="mine") as emulator:
        assert (emulator.token, emulator.workspace_id) == ("mine", "w")
        emulator.reset()
        headers = {"Authorization": "Token mine"}
        assert requests.get(f"{emulator.url}/api/v1/users/me/", headers=headers, timeout=10).json()["id"] == "u"


def test_a_start_that_fails_says_why_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(EmulatorError, match=r"code 2: Prolific emulator: bad seed: cannot read .*gone\.toml"):
        Emulator(seed=tmp_path / "gone.toml")


def test_without_its_libraries_it_names_the_extra_to_install():
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from airflow_provider_prolific.emulator.__main__ import main; sys.exit(main(['--port', '0']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "airflow-provider-prolific[emulator]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_importing_the_package_loads_no_server():
    code = (
        "import sys, airflow_provider_prolific.emulator\n"
        "print({'fastapi', 'pydantic', 'uvicorn', 'airflow', 'requests'} & sys.modules.keys())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("set()\n", "")


def test_stopping_leaves_no_process_and_no_listener():
    with Emulator() as emulator:
        assert is_running(emulator.process.pid)
    assert not is_running(emulator.process.pid)
    with pytest.raises(EmulatorError, match="no answer"):
        emulator.state()
    emulator.stop()  # again: nothing to do


def test_a_forked_copy_does_not_stop_its_parents_emulator(prolific_emulator_process):
    child = os.fork()
    if child == 0:
        prolific_emulator_process.stop()
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(subprocess.TimeoutExpired):
        prolific_emulator_process.process.wait(timeout=0.5)


def test_it_ends_when_its_parent_is_killed():
    code = (
        "import time; from airflow_provider_prolific.emulator import Emulator\n"
        "print(Emulator().process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        emulator = int(parent.stdout.readline())
        assert is_running(emulator)
        parent.kill()
    wait_until_ended(emulator)


def test_end_that_nobody_asked_for_is_told_with_its_code():
    with Emulator() as emulator:
        os.kill(emulator.process.pid, signal.SIGKILL)
        emulator.process.wait()

        with pytest.raises(EmulatorError, match=r"the emulator ended with code -9: Prolific emulator: http://127"):
            emulator.state()
