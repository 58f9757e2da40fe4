"""The command line of batchcast: `.venv/bin/python run_pipeline.py --help`."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line, or say which Python has what it needs."""
    try:
        from batchcast.cli.main import main as run

        run()  # A command imports what it needs when it is called.
    except (ImportError, SyntaxError) as error:
        if (getattr(error, "name", None) or "").startswith("batchcast"):
            raise
        sys.exit(_other_python(error))


def _other_python(error: Exception) -> str:
    here = Path(__file__).resolve().parent
    python = here / ".venv" / "bin" / "python"
    version = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    problem = f"{sys.executable} ({version}) cannot run batchcast: {error}."
    if not python.exists():
        return f"{problem} `make run` makes .venv, whose Python can; Python 3.11 or later is needed."
    if sys.prefix == str(python.parents[1]):
        return f"{problem} Remove .venv, and `make run` makes it anew."
    return (
        f"{problem} Type {os.path.relpath(python)} {os.path.relpath(here / 'run_pipeline.py')} {' '.join(sys.argv[1:])}"
    )


if __name__ == "__main__":
    main()
