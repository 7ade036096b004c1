"""Pages of the documentation made from the code, as a hook of mkdocs: every command, every key of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rvos_fusion.commands.cli import GROUPS, build_parser
from rvos_fusion.recipe.schema import recipe_schema

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

Schema = Mapping[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those that lie in `docs/`."""
    # Not at the top: the tests read the pages where mkdocs is not installed.
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/commands.md", content=write_commands()))
    files.append(File.generated(config, "reference/recipe_keys.md", content=write_recipe_keys()))
    return files


def write_commands() -> str:
    """Return the help of every command, by what a person is about to do."""
    lines = ["# Every command", "", "`rvos COMMAND --help` prints the same. [How output and exit statuses are meant]"]
    lines[-1] += "(../command_line.md)."
    for group, commands in GROUPS.items():
        lines += ["", f"## {group.capitalize()}"]
        for command in commands:
            lines += ["", f"### rvos {command}", "", "```text", build_parser(command).format_help().rstrip(), "```"]
    return "\n".join(lines) + "\n"


def write_recipe_keys() -> str:
    """Return the keys of every section and kind of node, from the schema that editors read."""
    lines = ["# Every key of a recipe", "", "Made from the classes that recipes are read by; [how a recipe is written]"]
    lines[-1] += "(../recipes.md)."
    for section, schema in recipe_schema()["properties"].items():
        lines += ["", f"## {section}", "", *_describe(schema)]
    return "\n".join(lines) + "\n"


def _describe(schema: Schema) -> Iterator[str]:
    """Yield a table for each form that a section's entries may have, with the rows of what lies inside its values."""
    for form in _find_forms(schema):
        if description := form.get("description"):
            yield from (_one_line(description), "")
        yield from ("| key | values | default | |", "|---|---|---|---|", *dict.fromkeys(_list_rows(form, "")), "")


def _find_forms(schema: Schema) -> Iterator[Schema]:
    """Yield what has keys of its own, wherever a schema leads to it."""
    if "if" in schema:
        parts = [schema["then"], schema.get("else", {})]
    elif "properties" in schema:
        yield schema
        return
    else:
        parts = [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    for part in parts:
        if isinstance(part, Mapping):
            yield from _find_forms(part)


def _list_rows(form: Schema, before: str) -> Iterator[str]:
    for name, value in form["properties"].items():
        default = f"`{_show(value['default'])}`" if "default" in value else ""
        default = "needed" if name in form.get("required", ()) else default
        meaning = _one_line(value.get("description", ""))
        yield f"| `{before}{name}` | {_name_values(value)} | {default} | {meaning} |"
        for inner in _find_forms(value):
            yield from _list_rows(inner, f"{before}{name}.")
    for case in form.get("allOf", ()):  # what some keys hold depends on another
        for name, value in case["then"]["properties"].items():
            for inner in _find_forms(value):
                yield from _list_rows(inner, f"{before}{name}.")


def _name_values(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{_show(value)}`" for value in schema["enum"])
    if forms := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_name_values(form) for form in forms))
    kinds = schema.get("type", "any")
    if kinds == "array":
        return f"list of {_name_values(schema.get('items', {}))}"
    names = [kinds] if isinstance(kinds, str) else kinds
    return "text" if "string" in names and len(names) > 1 else ", ".join(names).replace("string", "text")


def _show(value: object) -> str:
    words = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
