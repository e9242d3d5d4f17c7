"""Names, ids and answers that nobody sane would send: they must do no harm on their way through Airflow."""

import json
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError
from airflow_provider_prolific.hooks import prolific as hook_module
from airflow_provider_prolific.hooks.prolific import ProlificHook

HOSTILE_NAMES = [
    'it\'s "quoted"',
    "two\nlines [ERROR] forged line",
    "carriage\r\nreturn",
    "ünïcödé 参加者 🧪",
    "x" * 10_000,
    "../../users/me/?active=false#fragment",
    "{{ 1 / 0 }}",
    "{% raw %}",
    "\x1b[31mred\x1b[0m",
    "nul\x00byte",
    "right\u202eleft",
    "%s %d {0} {name}",
]

DAG_FILE = """
from datetime import datetime
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.models.dag import DAG
    from airflow.decorators import task
from airflow_provider_prolific.operators.participant_groups import ProlificListParticipantGroupsOperator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

@task(show_return_value_in_logs=False)  # Airflow itself would log it as it is
def name_of(groups):
    return groups[0]["name"]

with DAG("hostile", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    wait = ProlificParticipantGroupSensor(
        task_id="wait", participant_group="GROUP_ID", target_count=2, deferrable=True, poke_interval=1
    )
    name_of(wait.output)
    wait >> ProlificListParticipantGroupsOperator(task_id="list")
"""


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_hostile_name_passes_through_a_wait_untouched(
    prolific: Emulator,
    run_dag: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    group_id = prolific.create_group(name, participant_count=1)
    prolific.set_group(group_id, growth_per_second=1)

    run = run_dag(DAG_FILE.replace("GROUP_ID", group_id))

    logged = "".join(capfd.readouterr()) + caplog.text
    assert run.state == "success"
    assert run.xcom("name_of") == name
    assert name in [group["name"] for group in run.xcom("list")]
    progress = re.findall(r".*has \d+ of 2 .*", logged)
    assert progress
    assert not any("\x1b[31mred" in line or "\x00" in line or "\u202e" in line for line in progress)
    assert not re.search(r"^lines \[ERROR\] forged", logged, re.MULTILINE)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers each request by writing whatever it likes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(65536)
                    answer(client)
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def connect(monkeypatch: pytest.MonkeyPatch, url: str) -> ProlificHook:
    connection = {"conn_type": "prolific", "host": url, "password": "t", "extra": {"workspace_id": "w"}}
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", json.dumps(connection))
    return ProlificHook(max_retries=0)


def test_endless_body_is_cut_off_with_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = 0

    def answer(client: socket.socket) -> None:
        nonlocal sent
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(200):
            sent += client.send(b"[" + b" " * (1024 * 1024 - 1))

    with server(answer) as url:
        hook = connect(monkeypatch, url)
        tracemalloc.start()
        with pytest.raises(ProlificResponseError, match="more than 64 MiB"):
            hook.list_participant_groups()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 3 * hook_module.MAX_BODY_BYTES
    assert sent < 100 * 1024 * 1024


def test_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_module, "BODY_TIMEOUT_SECONDS", 1)

    def answer(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            client.sendall(b"1\r\n \r\n")
            time.sleep(0.1)

    with server(answer) as url, pytest.raises(ProlificError, match="still answering after 1 seconds"):
        connect(monkeypatch, url).list_participant_groups()


@pytest.mark.parametrize(
    "body",
    [
        b'{"results": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"results": [{"id": "a", "name": "\\ud800", "participant_count": 1}]}',
        b'{"results": [{"id": "a", "name": "\\uDFFF", "participant_count": 1}]}',
        b'{"results": [{"id": "a", "name": "a", "participant_count": 1, "description": NaN}]}',
        b'{"results": [{"id": "a", "name": "a", "participant_count": 1' + b"0" * 5000 + b"}]}",
        b'{"results": [{"id": "a", "name": "a", "participant_count": 1' + b"0" * 30 + b"}]}",
        b"\xff\xfe",
        b"",
    ],
    ids=["nested", "half a character", "its other half", "NaN", "5,000 digits", "31 digits", "no text", "nothing"],
)
def test_body_that_cannot_be_right_is_refused(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    def answer(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with server(answer) as url, pytest.raises(ProlificResponseError):
        connect(monkeypatch, url).list_participant_groups()


def test_redirect_does_not_carry_the_token_away(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []

    def elsewhere(client: socket.socket) -> None:
        received.append(b"called")

    with server(elsewhere) as other:

        def answer(client: socket.socket) -> None:
            client.sendall(f"HTTP/1.1 302 Found\r\nLocation: {other}/\r\nContent-Length: 0\r\n\r\n".encode())

        with server(answer) as url, pytest.raises(ProlificError, match="redirects are not followed"):
            connect(monkeypatch, url).list_participant_groups()

    assert received == []


def test_proxy_of_the_environment_does_not_see_a_local_request(
    prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[bytes] = []

    def proxy(client: socket.socket) -> None:
        received.append(b"called")

    with server(proxy) as proxy_url:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy_url)
        monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ProlificHook().list_participant_groups()

    assert received == []


def test_netrc_does_not_replace_the_token(
    prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())

    assert ProlificHook().get_user()["email"] == "researcher@example.com"


def test_hundred_thousand_groups(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = prolific_emulator.create_groups(100_000)
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())

    groups = ProlificHook().list_participant_groups()

    assert {group["id"] for group in groups} >= set(ids)
