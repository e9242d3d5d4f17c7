"""The example DAGs, with looks at Prolific every few seconds: nobody who watches them waits for minutes."""

import re
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent.parent / "example_dags"
#: Long enough for a real triggerer: see "is queued" in docs/errors.md.
SECONDS = 5.0


def quick_example(dag_id: str, seconds: float = SECONDS) -> str:
    """Return the source of an example with a shorter interval between two looks."""
    return quicken((EXAMPLES / f"{dag_id}.py").read_text(), seconds)


def quicken(source: str, seconds: float) -> str:
    """Return the source of a DAG file with a shorter interval between two looks."""
    return re.sub(r'\b(poke_interval(?:=|": ))(timedelta\(minutes=\d+\)|\d+)', rf"\g<1>{seconds:g}", source)


def write_quick_examples(folder: Path, *dag_ids: str, seconds: float = SECONDS) -> None:
    """Write examples into a folder, which is made if it does not exist: all of them, or those that are named."""
    folder.mkdir(parents=True, exist_ok=True)
    for dag_id in dag_ids or sorted(path.stem for path in EXAMPLES.glob("*.py")):
        (folder / f"{dag_id}.py").write_text(quick_example(dag_id, seconds))
