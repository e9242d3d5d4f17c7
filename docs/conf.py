"""Sphinx: the Markdown pages, and a page for each module made from its docstrings. ``make docs`` runs it."""

import importlib
import pkgutil
from typing import Any

import airflow_provider_prolific as package

# autodoc would import them as if for a type checker, which Airflow's own modules do not survive.
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    importlib.import_module(module.name)

project = "airflow-provider-prolific"
version = release = package.__version__
extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc"]
root_doc = "docs/contents"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = ["docs/images/**"]
html_theme = "alabaster"
nitpicky = True  # a name in a docstring that leads nowhere is an error
nitpick_ignore_regex = [("py:class", r"airflow\..*"), ("py:exc", "Airflow.*")]  # these are not ours
suppress_warnings = ["ref.python"]  # a class that its package offers under a shorter name as well

myst_heading_anchors = 3
default_role = "any"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_inherit_docstrings = False  # Airflow's own are its own matter
apidoc_modules = [
    {
        "path": package.__path__[0],
        "destination": "docs/api",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "ignore-module-all"},
    }
]


def setup(app: Any) -> None:
    """Let ``:ref:`` in docstrings find the page of the connection, which is plain Markdown and has no label."""
    app.connect("env-updated", lambda _app, env: add_label_of_the_connection(env))


def add_label_of_the_connection(env: Any) -> None:
    """Name the page as Airflow's own providers name theirs."""
    env.get_domain("std").note_hyperlink_target("howto/connection:prolific", "docs/connection", "", "The connection")
