"""The ledger of bonuses: what has been paid, and what must not be paid twice. Kept in Airflow Variables.

A study and a payment key have three Variables. All are JSON that people can read (``docs/bonuses.md``):

``prolific_bonuses_<study>``
    The newest entry. It is the lock: while this entry is open, no task pays other bonuses of this study.
``prolific_bonuses_<study>_key_<payment key>``
    The closed entries of this key. An entry is closed as soon as it is in this list. The lock is never freed by writing
    over it, because a late write could hit an entry that was opened in the meantime.
``prolific_bonuses_<study>_claim``
    The task whose turn it is to prepare a payment.

**Why two tasks never pay at the same time.** A Variable can be read and written, but there is no compare-and-set. So a
task

1. writes its own claim, and waits for `CLAIM_SECONDS`;
2. checks that no entry is open, and only then reads what the submissions have been paid;
3. checks that the claim is still its own, writes its entry, and reads it back. It pays only if this third step took at
   most `WRITE_SECONDS`.

Take two tasks A and B, of which B wrote its claim later. A checked the claim before B wrote it (otherwise A finds B's
claim and gives up). So A's entry can be read at most `WRITE_SECONDS` after B wrote its claim (otherwise A does not
pay), and this is before B looks for an open entry. If B finds A's entry open, it gives up. If B finds it closed, then
what B reads next includes what A has paid. Clocks of different machines are not compared. A task that wrote its entry
too late does not pay, but it may have replaced another task's entry. Its own entry then stays open, and nobody pays
until a person has checked.

**An unreadable Variable.** In Airflow, a Variable that cannot be read looks like one that does not exist. So the ledger
looks several times, and each time also at the claim, which must exist. Each entry also says how many entries its key
had before.
"""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from airflow_provider_prolific.exceptions import ProlificError, ProlificUndecidedError, ProlificValueError
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.version_compat import get_variable, set_variable
from airflow_provider_prolific.waiting.bonuses import Entry, check_entry

#: How long a task waits after writing its claim.
CLAIM_SECONDS = 6.0
#: How long a task may take from checking its claim to reading back its entry; less than `CLAIM_SECONDS`.
WRITE_SECONDS = 5.0
#: How often a task looks for an open entry while it waits.
CLAIM_LOOKS = 3
#: The longest name of an Airflow Variable.
MAX_NAME = 250

_PAYMENT_KEY = re.compile(r"[A-Za-z0-9_.:+@-]{1,100}", re.ASCII)  # run ids match
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
        """Return the open entry of this key; close an entry that a person has set to "not paid".

        :raises ProlificError: the open entry belongs to another key, or the ledger cannot be read.
        """
        value = self._read_json(self.name)
        if value is None:
            return None
        entry = check_entry(value, f"the Airflow Variable {self.name}")
        if entry["state"] == "not paid":
            self.close(entry, "not paid")
            return None
        if any(closed["id"] == entry["id"] for closed in self._closed_entries(entry["payment_key"])):
            return None
        if entry["payment_key"] != self._payment_key:
            raise ProlificError(
                f"bonuses of this study are being paid under the payment key {shorten(entry['payment_key'])}, or it is "
                f"not known whether they were: what is due under {self._payment_key!r} was not paid. Wait until that "
                f"task has ended, and clear it if it has failed (Airflow Variable {self.name}, batch "
                f"{entry['batch_id']})"
            )
        return entry

    def claim(self) -> bool:
        """Claim the study; return whether this task may prepare bonuses. Otherwise it must start over."""
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
        """Wait for another task that prepares a payment of this study.

        :param turn: How often this task has given way.
        """
        time.sleep(random.uniform(0, CLAIM_SECONDS * 2**turn))  # noqa: S311

    def open(self, entry: Entry) -> bool:
        """Write the entry of a batch; return whether the batch may be paid. If not, another task has interfered.

        :raises ProlificError: the ledger does not show what was written.
        :raises ProlificUndecidedError: writing took too long to be sure that no other task pays.
        """
        looked_at = time.monotonic()
        if self._read(self._claim_name) != self._claim:
            return False
        text = _dump(entry)
        self._write(self.name, text)
        if self._read(self.name) != text:
            raise ProlificError(
                f"the Airflow Variable {self.name} does not show what was written to it (it may be set in the "
                "environment or a secrets backend, too): what is due was not paid"
            )
        if (passed := time.monotonic() - looked_at) > WRITE_SECONDS:
            raise ProlificUndecidedError(
                f"writing the Airflow Variable {self.name} took {passed:.0f} seconds, too long to be sure that no "
                f"other task pays bonuses of this study: batch {entry['batch_id']} was not paid. When no other task "
                'pays, set its state to "not paid" and clear this task: docs/bonuses.md'
            )
        return True

    def close(self, entry: Entry, state: str) -> None:
        """Add an entry to the closed ones of its key; doing it again changes nothing.

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

    def paid_entries(self) -> list[Entry]:
        """Return the closed entries of this key that were paid, the oldest first."""
        return [entry for entry in self.closed_entries() if entry["state"] == "paid"]

    # -- Variables --------------------------------------------------------------------------------------------

    def _closed_name(self, payment_key: str) -> str:
        return f"{self.name}_key_{payment_key}"

    def _closed_entries(self, payment_key: str, known: int = 0) -> list[Entry]:
        name = self._closed_name(payment_key)
        value = self._read_json(name)
        if value is not None and not isinstance(value, list):
            raise ProlificValueError(f"the Airflow Variable {name} must hold a list of entries; see docs/bonuses.md")
        entries = [check_entry(each, f"an entry of the Airflow Variable {name}") for each in value or ()]
        if len(entries) < known:
            raise ProlificError(
                f"the Airflow Variable {name} shows {len(entries)} closed entries, but there have been {known}: it "
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
