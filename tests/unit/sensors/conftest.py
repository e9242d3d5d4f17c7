"""What the tests of sensors and triggers share: how their waits are run."""

from waits import defer, event_of, reschedule_context, run_in  # noqa: F401 - fixtures
