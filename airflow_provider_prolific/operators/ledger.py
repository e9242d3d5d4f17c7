"""The ledger of bonuses: what has been paid, and what nobody may pay a second time. Kept in Airflow Variables.

For a study and a payment key there are three, all JSON that people can read (``docs/bonuses.md``):

``prolific_bonuses_<study>``
    The newest entry. As long as it is open, nobody pays bonuses of this study: it is the lock.
``prolific_bonuses_<study>_key_<payment key>``
    The closed entries of this key. An entry is closed when it stands here, so nothing ever frees the lock by writing
    over it: a closing that comes late could hit an entry that has been opened meanwhile.
``prolific_bonuses_<study>_claim``
    Whose turn it is, while a task prepares a payment.

**Why two tasks never pay at the same time.** A Variable can be read and written, not compared and set. So a task

1. writes a claim of its own, and lets `CLAIM_SECONDS` pass;
2. looks that no entry is open, and only now reads what the submissions have been paid;
3. looks that the claim is still its own, and writes its entry. Only if no more than `WRITE_SECONDS` have passed since
   the beginning of that look when the entry can be read back, it pays.

Of two tasks A and B let B be the one that wrote its claim later. A has looked at the claim before that (or it has found
B's, and gives up). So A's entry can be read within `WRITE_SECONDS` after B's claim was written (or A does not pay), and
that is before B looks for an open entry. B finds it open and gives up, or finds it closed, and then what A has paid can
be seen in what B reads. Clocks of different machines are not compared. A task that wrote its entry too late does not
pay, but may have replaced another's entry: its own stays open, so that nobody pays until a person has looked.

**What Airflow does not tell.** A Variable that cannot be read looks like one that does not exist. So the ledger looks
several times, and each time at the claim, which does exist; and an entry says how many the key had before it.
"""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_prolific.exceptions import ProlificError, ProlificUndecidedError, ProlificValueError
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.version_compat import get_variable, set_variable
from airflow_provider_prolific.waiting.bonuses import Entry, check_entry

#: How long a claim stands before its task goes on.
CLAIM_SECONDS = 6.0
#: How long a task that has seen its claim may take to write its entry: less than a claim stands.
WRITE_SECONDS = 5.0
#: How often a task looks for an open entry meanwhile.
CLAIM_LOOKS = 3
#: The longest name of an Airflow Variable.
MAX_NAME = 250

_PAYMENT_KEY = re.compile(r"[A-Za-z0-9_.:+@-]{1,100}", re.ASCII)  # a run id is one
_DESCRIPTION = "The ledger of bonuses paid through Prolific: see docs/bonuses.md of airflow-provider-prolific"


def check_payment_key(value: Any, name: str) -> str:
    """Return the name of a round of bonuses, which becomes part of the name of an Airflow Variable."""
    if not isinstance(value, str) or not _PAYMENT_KEY.fullmatch(value):
        raise ProlificValueError(
            f"{name} must be 1 to 100 letters, digits or '_.:+@-', such as 'wave-1', not {shorten(value)}"
        )
    return value


class Ledger:
    """The ledger as one task sees it.

    :param study_id: The study.
    :param payment_key: The payment key.
    :raises ProlificValueError: together they are too long for the name of a Variable.
    """

    def __init__(self, study_id: str, payment_key: str) -> None:
        self._payment_key = payment_key
        self.name = f"prolific_bonuses_{study_id}"
        self._claim_name = f"{self.name}_claim"
        self._claim = ""
        self._known = 0  # how many closed entries of this key have been seen
        if len(self._closed_name(payment_key)) > MAX_NAME:
            raise ProlificValueError(
                f"study_id and payment_key name an Airflow Variable: too long for its {MAX_NAME} characters"
            )

    def open_entry(self) -> Entry | None:
        """Return the open entry of this key; an entry that a person has set to "not paid" is closed.

        :raises ProlificError: the open entry is another key's, or the ledger cannot be read.
        """
        entry = self._newest_entry()
        if entry is None:
            return None
        if entry["state"] == "not paid":
            self.close(entry, "not paid")
            return None
        if any(closed["id"] == entry["id"] for closed in self._closed_entries(entry["payment_key"])):
            return None
        if entry["payment_key"] != self._payment_key:
            raise ProlificError(
                f"bonuses of this study are being paid under the payment key {shorten(entry['payment_key'])}, or it is "
                f"not known whether they were: nothing was paid under {self._payment_key!r}. Wait until that task has "
                f"ended, and clear it if it has failed (Airflow Variable {self.name}, batch {entry['batch_id']})"
            )
        return entry

    def claim(self) -> bool:
        """Claim the study, and tell whether its bonuses may be prepared; otherwise begin again."""
        self._claim = uuid.uuid4().hex
        self._write(self._claim_name, self._claim)
        for _ in range(CLAIM_LOOKS):
            if self._read(self._claim_name) != self._claim:
                return False
            time.sleep(CLAIM_SECONDS / CLAIM_LOOKS)
            self._known = len(self.closed_entries())
            if self.open_entry() is not None:
                return False
        return True

    def give_way(self, turn: int) -> None:
        """Let another task, which prepares a payment of this study, come to an end.

        :param turn: How often there has been another one.
        """
        time.sleep(random.uniform(0, CLAIM_SECONDS * 2**turn))  # noqa: S311

    def open(self, entry: Entry) -> bool:
        """Write down a batch that is about to be paid; tell whether it may be paid, or another task has come between.

        :raises ProlificError: the ledger does not show what was written.
        :raises ProlificUndecidedError: writing it took too long to be sure that nobody else pays.
        """
        looked_at = time.monotonic()
        if self._read(self._claim_name) != self._claim:
            return False
        text = _dump(entry)
        self._write(self.name, text)
        if self._read(self.name) != text:
            raise ProlificError(
                f"the Airflow Variable {self.name} does not show what was written to it (it may be set in the "
                "environment or a secrets backend, too): nothing was paid"
            )
        if (passed := time.monotonic() - looked_at) > WRITE_SECONDS:
            raise ProlificUndecidedError(
                f"writing the Airflow Variable {self.name} took {passed:.0f} seconds, too long to be sure that nobody "
                f"else pays bonuses of this study: batch {entry['batch_id']} was not paid. When no other task pays any "
                'more, set its state to "not paid" and clear this task: docs/bonuses.md'
            )
        return True

    def close(self, entry: Entry, state: str) -> None:
        """Put an entry to the closed ones of its key; once more does nothing.

        :param state: ``"paid"`` or ``"not paid"``.
        :raises ProlificError: the ledger cannot be read or written.
        """
        closed = self._closed_entries(entry["payment_key"], entry["number"] - 1)
        if any(each["id"] == entry["id"] for each in closed):
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = _dump([*closed, entry | {"state": state, "closed_at": now}])
        name = self._closed_name(entry["payment_key"])
        self._write(name, text)
        if self._read(name) != text:
            raise ProlificError(f"the Airflow Variable {name} does not show what was written to it")

    def closed_entries(self) -> list[Entry]:
        """Return the closed entries of this key, the oldest first."""
        return self._closed_entries(self._payment_key, self._known)

    def total_paid(self) -> Decimal:
        """Return what the paid entries of this key have cost, fees included."""
        paid = [Decimal(entry["total_amount"]) for entry in self.closed_entries() if entry["state"] == "paid"]
        return sum(paid, Decimal())

    # -- Variables --------------------------------------------------------------------------------------------

    def _closed_name(self, payment_key: str) -> str:
        return f"{self.name}_key_{payment_key}"

    def _newest_entry(self) -> Entry | None:
        value = self._read_json(self.name)
        return None if value is None else check_entry(value, f"the Airflow Variable {self.name}")

    def _closed_entries(self, payment_key: str, known: int = 0) -> list[Entry]:
        name = self._closed_name(payment_key)
        value = self._read_json(name)
        if value is not None and not isinstance(value, list):
            raise ProlificValueError(f"the Airflow Variable {name} must hold a list of entries; see docs/bonuses.md")
        entries = [check_entry(each, f"an entry of the Airflow Variable {name}") for each in value or ()]
        if len(entries) < known:
            raise ProlificError(
                f"the Airflow Variable {name} shows {len(entries)} closed entries, and there have been {known}: it "
                "could not be read, or somebody has changed it"
            )
        return entries

    def _read_json(self, name: str) -> Any:
        text = self._read(name)
        try:
            return None if text is None else json.loads(text)
        except ValueError:
            raise ProlificValueError(
                f"the Airflow Variable {name} is not JSON; docs/bonuses.md says what may be edited"
            ) from None

    def _read(self, name: str) -> str | None:
        try:
            return get_variable(name)
        except Exception as error:
            raise ProlificError(f"the Airflow Variable {name} cannot be read: {type(error).__name__}") from error

    def _write(self, name: str, text: str) -> None:
        try:
            set_variable(name, text, _DESCRIPTION)
        except Exception as error:
            raise ProlificError(f"the Airflow Variable {name} cannot be written: {type(error).__name__}") from error


def _dump(document: Any) -> str:
    return json.dumps(document, indent=1)
