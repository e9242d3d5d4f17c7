"""No error of the hook says the token, whatever the server answers."""

import json
from collections.abc import Callable

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.hooks.prolific import ProlificHook


@pytest.fixture
def errors(prolific: Emulator) -> Callable[[], str]:
    """Call the hook under whatever fault is set; return all that the error says, with its causes."""

    def call() -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any error at all is searched
            ProlificHook(max_retries=0).list_participant_groups()
        texts = []
        error: BaseException | None = caught.value
        while error is not None:
            texts += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
        return "\n".join(texts)

    return call


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("status", {"status": 401}),
        ("status", {"status": 500}),
        ("html", {"status": 502}),
        ("disconnect", {}),
        ("truncate", {}),
        ("empty", {}),
        ("ignored_scope", {}),
        ("body", {"json": {"results": None}}),
        ("body", {"text": "you sent TOKEN"}),
        ("body", {"status": 400, "text": "<p>you sent TOKEN</p>"}),
        ("body", {"status": 400, "json": {"error": {"title": "TOKEN", "detail": {"TOKEN": ["is TOKEN"]}}}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_error_and_none_of_its_causes_says_the_token(
    prolific: Emulator, errors: Callable[[], str], kind: str, fields: dict[str, object]
) -> None:
    echoing = json.loads(json.dumps(fields).replace("TOKEN", prolific.token))
    prolific.add_fault(kind, **echoing)

    assert prolific.token not in errors()
