"""The map of the command line is its overview: a command a module, in a folder a section, and nothing else there."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import pytest

from batchcast.cli.main import COMMANDS, SECTIONS, root

FOLDER = Path(__file__).resolve().parents[2] / "batchcast" / "cli"


def modules_below(folder: Path) -> set[str]:
    """The modules and packages right in a folder."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def commands_of(module_name: str) -> dict[str, click.Command]:
    """The commands that a module makes, and not those that it imports."""
    module = vars(importlib.import_module(module_name))
    found = {name: value for name, value in module.items() if isinstance(value, click.Command)}
    return {name: one for name, one in found.items() if one.callback and one.callback.__module__ == module_name}


def test_the_folders_are_the_sections_of_the_overview() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == {
        title.split()[0].lower() for title in SECTIONS
    }


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_has_a_module_for_each_of_its_commands_and_no_other(title: str) -> None:
    wanted = {COMMANDS[name].rpartition(".")[2] for name in SECTIONS[title]}
    assert modules_below(FOLDER / title.split()[0].lower()) == wanted


@pytest.mark.parametrize("name", COMMANDS)
def test_a_module_has_one_command(name: str) -> None:
    (command,) = commands_of(COMMANDS[name]).values()
    assert command is root.get_command(click.Context(root), name)
    if isinstance(command, click.Group):
        folder = FOLDER.joinpath(*COMMANDS[name].split(".")[2:])
        assert modules_below(folder) == set(command.commands)
        for each, member in command.commands.items():
            assert [*commands_of(f"{COMMANDS[name]}.{each}").values()] == [member]
