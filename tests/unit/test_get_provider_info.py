"""The provider's metadata: what Airflow's own schema asks for, and nothing that does not exist."""

from __future__ import annotations

import importlib
import json
from importlib import metadata, resources

import jsonschema
import pytest

from airflow_provider_prolific import __version__
from airflow_provider_prolific.get_provider_info import get_provider_info
from airflow_provider_prolific.hooks.connection import DEFAULT_HOST, SCOPE_LABELS
from airflow_provider_prolific.hooks.prolific import ProlificHook

CONNECTION_TYPE = get_provider_info()["connection-types"][0]


def test_the_metadata_fits_airflows_schema():
    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_the_description_needs_no_mark_up():
    """Airflow's page of providers shows a link's mark-up as text."""
    assert not set("`_<>") & set(get_provider_info()["description"])


def test_the_metadata_is_made_of_what_json_has():
    assert json.loads(json.dumps(get_provider_info())) == get_provider_info()


def test_the_version_is_the_packages_own():
    assert get_provider_info()["versions"] == [__version__]


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_that_is_named_exists(kind):
    modules = [name for entry in get_provider_info()[kind] for name in entry["python-modules"]]

    assert modules
    for name in modules:
        assert importlib.import_module(name).__name__ == name


def test_every_integration_that_a_module_names_is_declared():
    info = get_provider_info()
    named = {
        entry["integration-name"] for kind in ("hooks", "operators", "sensors", "triggers") for entry in info[kind]
    }

    assert named == {integration["integration-name"] for integration in info["integrations"]}


def test_the_connection_type_is_the_hooks():
    module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")

    assert getattr(importlib.import_module(module), name) is ProlificHook
    assert CONNECTION_TYPE["connection-type"] == ProlificHook.conn_type == "prolific"
    assert CONNECTION_TYPE["hook-name"] == ProlificHook.hook_name == "Prolific"
    assert ProlificHook.default_conn_name == "prolific_default"


def test_the_form_hides_what_has_no_meaning_and_keeps_the_port():
    behaviour = CONNECTION_TYPE["ui-field-behaviour"]

    assert sorted(behaviour["hidden-fields"]) == ["login", "schema"]
    assert behaviour["relabeling"]["password"] == "API token"
    assert behaviour["placeholders"]["host"] == DEFAULT_HOST
    assert behaviour["placeholders"]["port"] == "leave empty for Prolific, or 443"
    assert behaviour["placeholders"]["password"] == "from Prolific: Settings, API tokens"


def test_the_form_has_the_two_scopes_as_its_own_fields():
    assert {key: field["label"] for key, field in CONNECTION_TYPE["conn-fields"].items()} == SCOPE_LABELS


def test_older_airflow_gets_the_same_form_from_the_hook():
    behaviour = CONNECTION_TYPE["ui-field-behaviour"]

    assert ProlificHook.get_ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }


def test_older_airflow_gets_the_same_fields_from_the_hook():
    pytest.importorskip("flask_appbuilder")
    widgets = ProlificHook.get_connection_form_widgets()

    assert list(widgets) == list(CONNECTION_TYPE["conn-fields"])
    for name, field in CONNECTION_TYPE["conn-fields"].items():
        assert widgets[name].args[0]._args == (field["label"],)
        assert widgets[name].kwargs["description"] == field["description"]


def test_airflow_finds_the_metadata_by_the_entry_point():
    try:
        distribution = metadata.distribution("airflow-provider-prolific")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is on the path but not installed")

    [entry_point] = distribution.entry_points.select(group="apache_airflow_provider")
    assert entry_point.load() is get_provider_info
