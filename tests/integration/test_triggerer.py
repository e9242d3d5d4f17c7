"""Waits on several servers in one triggerer: none is harmed by another's server, and connections are kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from listing_server import ListingServer

from airflow_provider_prolific.triggers.participant_groups import (
    ProlificParticipantGroupEventTrigger,
    ProlificParticipantGroupTrigger,
)
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS, BaseHook
from airflow_provider_prolific.waiting import polling
from airflow_provider_prolific.waiting import trigger as rules

#: What may pass on a busy machine between two things that follow each other at once.
BUSY_SECONDS = 25.0


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ListingServer]]:
    """Start a server, and set a connection to it."""
    with ExitStack() as stack:

        def start(conn_id: str = "prolific_default", **behaviour: Any) -> ListingServer:
            server = stack.enter_context(ListingServer(**behaviour))
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.connection_json())
            return server

        yield start
    assert not polling._loops


async def wait(seconds: float, target: int = 10, **arguments: Any) -> dict[str, Any]:
    """Run one trigger, whose deadline is so many seconds away, to its event."""
    arguments = {"deadline": time.time() + seconds, "targets": {"Filling": target}, "poke_interval": 0.5, **arguments}
    async for event in ProlificParticipantGroupTrigger(**arguments).run():
        return dict(event.payload)
    raise AssertionError("a trigger ended without an event")


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """Wait once beforehand: what the first look imports takes seconds on a busy machine."""
    with pytest.MonkeyPatch.context() as patch, ListingServer(count=50) as server:
        patch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", server.connection_json())
        assert asyncio.run(wait(60))["status"] == "success"


async def until(condition: Callable[[], Any], seconds: float = BUSY_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await asyncio.sleep(0.02)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def poll_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prolific-poll")]


@pytest.mark.parametrize("behaviour", [{"hanging": 1}, {"trickling": 1}], ids=str)
class TestFirstAnswerNeverEnds:
    """The first answer hangs or trickles, later ones are good."""

    def test_waits_end_with_their_deadlines(
        self, serve: Callable[..., ListingServer], behaviour: dict[str, int]
    ) -> None:
        server = serve(count=50, **behaviour)

        async def ends_after(seconds: float) -> float:
            begun = time.monotonic()
            event = await wait(seconds)
            assert event["status"] == "success"
            return time.monotonic() - begun

        async def main() -> list[float]:
            return await asyncio.gather(ends_after(2), ends_after(4))

        first, second = asyncio.run(main())

        assert first < 2 + BUSY_SECONDS
        assert second < 4 + BUSY_SECONDS
        assert 2 <= len(server.seen) <= 4

    def test_an_ask_is_given_up_and_a_wait_without_a_near_deadline_goes_on(
        self, serve: Callable[..., ListingServer], behaviour: dict[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polling, "ASK_SECONDS", 1.0)
        server = serve(count=50, **behaviour)
        begun = time.monotonic()

        event = asyncio.run(wait(3600))

        assert event["status"] == "success"
        assert 1 <= time.monotonic() - begun < 2 + 2 * BUSY_SECONDS
        assert len(server.seen) == 2

    @pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")
    def test_a_watch_asks_again(
        self, serve: Callable[..., ListingServer], behaviour: dict[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polling, "ASK_SECONDS", 1.0)
        serve(count=50, **behaviour)
        watching = ProlificParticipantGroupEventTrigger(participant_group="Filling", every=10, poke_interval=0.5)

        async def main() -> dict[str, Any]:
            events = watching.run()
            event = await asyncio.wait_for(anext(events), 3 * BUSY_SECONDS)
            await events.aclose()
            return dict(event.payload)

        assert asyncio.run(main())["milestone"] == 50


class TestHungServer:
    """Forty scopes on a server that never answers, and one wait on a healthy server."""

    SCOPES = 40

    async def beside_hung_waits(self, healthy: Callable[[], Any]) -> Any:
        """Return what a healthy one brings while the others are under way."""
        scopes = [{"project_id": f"p{number}"} for number in range(self.SCOPES)]
        hung = [asyncio.create_task(wait(60, prolific_conn_id="hung", filter=scope)) for scope in scopes]
        try:
            await asyncio.sleep(1.5)  # they ask
            return await asyncio.wait_for(healthy(), BUSY_SECONDS)
        finally:
            await cancel(*hung)

    def test_a_healthy_wait_ends_within_two_beats(self, serve: Callable[..., ListingServer]) -> None:
        hung = serve("hung", hanging=10**6)
        serve(count=50)

        event = asyncio.run(self.beside_hung_waits(lambda: wait(60)))

        assert event["status"] == "success"
        assert 1 <= len(hung.seen) <= polling.MAX_ASKS_PER_CONNECTION

    def test_other_users_of_the_loops_own_threads_are_not_held_up(self, serve: Callable[..., ListingServer]) -> None:
        serve("hung", hanging=10**6)

        async def another_provider() -> str:
            return await asyncio.get_running_loop().run_in_executor(None, lambda: "done")

        assert asyncio.run(self.beside_hung_waits(another_provider)) == "done"

    def test_a_wait_says_whether_its_question_was_asked(
        self, serve: Callable[..., ListingServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "LAST_LOOK_SECONDS", 1.0)
        serve("hung", hanging=10**6)

        async def main() -> list[dict[str, Any]]:
            scopes = [{"project_id": f"p{number}"} for number in range(self.SCOPES)]
            waits = [wait(2, prolific_conn_id="hung", filter=scope) for scope in scopes]
            return await asyncio.gather(*waits)

        messages = [event["message"] for event in asyncio.run(main())]

        not_asked = [message for message in messages if "Prolific was not asked within" in message]
        assert len(not_asked) >= self.SCOPES - polling.MAX_ASKS_PER_CONNECTION
        assert all("earlier questions on connection 'hung' are still waiting" in message for message in not_asked)
        assert all("did not answer" in message for message in messages if message not in not_asked)


class TestConnectionAway:
    def test_many_waits_outlive_a_secrets_backend_that_is_away(
        self, serve: Callable[..., ListingServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(count=5)
        read = BaseHook.get_connection
        is_away = threading.Event()

        def get_connection(hook_class: type, conn_id: str) -> Any:
            if is_away.is_set():
                raise RuntimeError("the secrets backend is away")
            return read(conn_id)

        monkeypatch.setattr(BaseHook, "get_connection", classmethod(get_connection))

        async def main() -> list[dict[str, Any]]:
            waits = [asyncio.create_task(wait(120)) for _ in range(200)]
            await until(lambda: server.seen)
            is_away.set()
            asked = len(server.seen)
            await asyncio.sleep(2)
            assert not any(task.done() for task in waits)
            assert len(server.seen) <= asked + 1
            is_away.clear()
            server.count = 50
            return await asyncio.wait_for(asyncio.gather(*waits), 2 * BUSY_SECONDS)

        assert {event["status"] for event in asyncio.run(main())} == {"success"}


class TestKeptConnections:
    @staticmethod
    def run(program: Callable[[asyncio.Task[Any]], Any], **arguments: Any) -> None:
        """Run a program while a wait is under way, which never ends by itself."""

        async def main() -> None:
            waiting = asyncio.create_task(wait(600, 10**6, **{"poke_interval": 0.1, **arguments}))
            try:
                await program(waiting)
                assert not waiting.done()
            finally:
                await cancel(waiting)

        asyncio.run(main())

    def test_one_connection_serves_many_beats(self, serve: Callable[..., ListingServer]) -> None:
        server = serve()

        async def program(waiting: asyncio.Task[Any]) -> None:
            await until(lambda: len(server.seen) >= 10)

        self.run(program)

        assert server.connections == 1

    def test_also_for_several_questions(self, serve: Callable[..., ListingServer]) -> None:
        server = serve()

        async def program(waiting: asyncio.Task[Any]) -> None:
            more = [
                asyncio.create_task(wait(600, 10**6, poke_interval=0.1, filter={"project_id": f"p{number}"}))
                for number in range(10)
            ]
            await until(lambda: len(server.seen) >= 25, 3 * BUSY_SECONDS)
            await cancel(*more)

        self.run(program)

        assert server.connections <= polling.MAX_ASKS_PER_CONNECTION

    def test_a_connection_that_the_server_closes_is_replaced(self, serve: Callable[..., ListingServer]) -> None:
        server = serve()
        server.closes_after_each = True

        async def program(waiting: asyncio.Task[Any]) -> None:
            await until(lambda: len(server.seen) >= 5)

        self.run(program)

        assert server.connections == len(server.seen)

    def test_where_the_airflow_connection_leads_elsewhere_the_next_beat_does_too(
        self, serve: Callable[..., ListingServer]
    ) -> None:
        before = serve()

        async def program(waiting: asyncio.Task[Any]) -> None:
            await until(lambda: len(before.seen) >= 2)
            after = serve()  # the same connection id
            await until(lambda: len(after.seen) >= 3)
            asked = len(before.seen)
            await until(lambda: len(after.seen) >= 6)
            assert len(before.seen) == asked
            await until(lambda: before.open_connections == 0)

        self.run(program)

    def test_a_rotated_token_works_at_the_next_beat(
        self, serve: Callable[..., ListingServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve()

        async def program(waiting: asyncio.Task[Any]) -> None:
            await until(lambda: len(server.seen) >= 2)
            asked = len(server.seen)
            monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", server.connection_json("another-token"))
            await until(lambda: len(server.seen) >= asked + 3)
            assert {seen.token for seen in server.seen[asked + 1 :]} == {"another-token"}

        self.run(program)

        assert server.connections == 1

    def test_after_a_while_a_new_one_is_made(
        self, serve: Callable[..., ListingServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polling, "KEEP_OPEN_SECONDS", 0.5)
        server = serve()

        async def program(waiting: asyncio.Task[Any]) -> None:
            await until(lambda: server.connections >= 3)
            assert server.open_connections <= 2

        self.run(program)

        assert server.connections < len(server.seen)

    def test_when_the_last_waiter_leaves_nothing_is_open_and_no_thread_is_left(
        self, serve: Callable[..., ListingServer]
    ) -> None:
        server = serve()
        others = {*poll_threads()}  # of a test before, whose server hung

        async def main() -> None:
            waits = [asyncio.create_task(wait(600, 10**6, poke_interval=0.1)) for _ in range(3)]
            await until(lambda: len(server.seen) >= 3)
            await cancel(*waits[:2])
            assert {*poll_threads()} - others
            assert server.open_connections >= 1
            await cancel(waits[2])
            await until(lambda: not {*poll_threads()} - others)
            await until(lambda: server.open_connections == 0)

        asyncio.run(main())
