"""What a page has people type, typed in a clone of the project, and what the page shows held against what was said."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MARK = "== typed =="
_GOES_ON = re.compile(r"^[A-Z][^:]*: (\d+ s|.* \d+ s left)$| rows \(\d+ %\), ")  # said on a slow machine


@dataclass(frozen=True)
class Typed:
    """A command of a page, the output that the page shows below it, how the command ended and what it said."""

    command: str
    shown: str
    code: int
    said: str


def console_blocks(page: str) -> list[tuple[str, str]]:
    """(command, the output shown below it) of every console block; a command may go on after a backslash."""
    pairs = []
    for block in re.findall(r"```console\n(.*?)```", page, flags=re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", "").partition("\n")
            pairs.append((re.sub(r"  +", " ", command), output))
    return pairs


def minutes(text: str) -> float:
    """What a person takes for a part of a page, the machine's time left out: 150 words a minute are read, three
    characters a second typed, and for a minute one looks at what each command said."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)
    prose = re.sub(r"```.*?```|^\|.*?$|\]\([^)]*\)", "", text, flags=re.DOTALL | re.MULTILINE)
    commands = [pair for pair in console_blocks(text) if pair[0]]
    typed = [command for command, _ in commands] + [code for kind, code in blocks if kind != "console"]
    read = len(prose.split()) + sum(len(shown.split()) for _, shown in commands)
    return read / 150 + sum(map(len, typed)) / 180 + len(commands)


def fresh_clone(folder: Path, python: Path) -> Path:
    """A copy of what git knows in the state it is in, and the environment that `make run` would make, with `python`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0")[:-1]:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    environment, real = folder / ".venv", Path(sys.prefix)
    (environment / "bin").mkdir(parents=True)
    for path in (*real.iterdir(), *(real / "bin").iterdir()):
        if path.suffix != ".installed" and path not in (real / "bin", real / "bin" / "python"):
            (environment / path.relative_to(real)).symlink_to(path)
    (environment / "bin" / "python").symlink_to(python)
    for name in ("uv", "run", "dev"):
        (environment / f"{name}.installed").touch()
    return folder


def of_a_new_user(clone: Path) -> dict[str, str]:
    """The variables of somebody who has activated nothing and has no account."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(clone), "AWS_EC2_METADATA_DISABLED": "true"}


def type_page(page: str, clone: Path, **replaced: str) -> list[Typed]:
    """Every console block of the page in one shell. RUN_ID is the run that began last; `replaced` are other words."""
    pairs = console_blocks(page)
    script = ["last() { ls -t workspace/s3/batchcast/runs | head -n 1; }"]
    for command, _ in pairs:
        for word, other in {**replaced, "RUN_ID": '"$(last)"'}.items():
            command = command.replace(word, other)
        script += [f"echo '{_MARK}'", command, f'echo "{_MARK}$?"']
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=clone,
        env=of_a_new_user(clone),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = re.findall(rf"{_MARK}\n(.*?){_MARK}(\d+)\n", done.stdout, flags=re.DOTALL)
    assert len(said) == len(pairs), done.stdout
    return [Typed(*pair, int(code), text) for pair, (text, code) in zip(pairs, said, strict=True)]


def shape(text: str, directory: Path) -> list[str]:
    """The lines without what differs from run to run: ids, seconds, rates, directories and interim progress."""
    text = text.replace(f"{directory}/", "").replace(str(directory), "")
    lines = [
        line.rstrip() for line in text.strip().splitlines() if "executing: " not in line and "Going on" not in line
    ]
    without_ids = [re.sub(r"(Run |run_id=|runs/|status |rerun )[a-z0-9]{12}", r"\1ID", line) for line in lines]
    started = [line for line in without_ids if "starting" not in line and not _GOES_ON.search(line)]
    return [re.sub(r" *\b\d+\.\d(/s| s\b|$)", " N", line) for line in started]


def shows(shown: list[str], said: list[str]) -> bool:
    """Whether what was said has the shown lines, all of them but those that a line `…` stands for."""
    if not shown:
        return not said
    if shown[0] != "…":
        return bool(said) and shown[0] == said[0] and shows(shown[1:], said[1:])
    return any(shows(shown[1:], said[left:]) for left in range(len(said) + 1))


def wrong(typed: list[Typed], clone: Path) -> list[Typed]:
    """What failed, or said something else than the page shows. A command without output below it may say anything."""
    return [
        each
        for each in typed
        if each.code or (each.shown.strip() and not shows(shape(each.shown, clone), shape(each.said, clone)))
    ]
