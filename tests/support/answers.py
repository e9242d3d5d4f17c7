"""What a server may answer to a request for participant groups: right, nearly right, and nonsense."""

import json

from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
#: Nearly right, so that each check is met by values on both of its sides.
GROUP = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b", ""]) | JSON,
        "name": st.sampled_from(["A", "B"]) | JSON,
        "participant_count": st.integers(-1, 5) | JSON,
        "is_deleted": st.booleans() | JSON,
        "workspace_id": st.sampled_from(["w", None, "other"]) | JSON,
        "feeder_studies": JSON,
    },
)
LISTING = st.fixed_dictionaries(
    {"results": st.lists(GROUP, max_size=3) | JSON},
    optional={
        "meta": st.fixed_dictionaries({}, optional={"count": st.integers(-1, 4) | JSON, "total": JSON}) | JSON,
        "_links": st.fixed_dictionaries({}, optional={"next": JSON | st.just({"href": None})}) | JSON,
    },
)
LISTINGS = (LISTING | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
