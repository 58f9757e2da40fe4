"""A model on this machine while somebody asks it: one that runs already, or one that is started and ended again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchcast.steps.errors import ConfigError, ModelError, Problem

if TYPE_CHECKING:
    from batchcast.engine.server.model_server import ModelCommand, ModelSource


@contextmanager
def served_model(model: ModelSource) -> Iterator[str]:
    """The URL it is asked at. Raises ModelError when the server does not start."""
    import tempfile
    from threading import Event, Timer

    from batchcast.engine.server.model_server import (
        ModelUrl,
        StartError,
        free_ports,
        start_model_server,
        wait_until_ready,
    )
    from batchcast.session.session import LOCAL_START_SECONDS

    if isinstance(model, ModelUrl):
        yield model.url
        return
    with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
        log = Path(folder) / "model.log"
        (port,) = free_ports(1)
        server = start_model_server(model, port=port, environment={}, log=log)
        late = Event()
        timer = Timer(LOCAL_START_SECONDS, late.set)
        timer.start()
        try:
            if not wait_until_ready(server, aborted=late, log=log):
                raise StartError(f"The model does not answer /ping after {LOCAL_START_SECONDS:.0f} s.")
            yield f"http://127.0.0.1:{port}"
        except StartError as error:
            raise ModelError(Problem("model_start", f"{error}", model.command)) from error
        finally:
            timer.cancel()
            server.stop()


def command_with_port(command: str, option: str) -> ModelCommand:
    """The server that an option's command starts. Raises ConfigError for one that cannot be told its port."""
    from batchcast.engine.server.model_server import ModelCommand

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(Problem("model", f"{command!r}: {error}.", option, "Close every quote.")) from error
    if not any("{port}" in word for word in words):
        remedy = "Write {port} where the server takes its port."
        raise ConfigError(Problem("model", f"{command!r} has no {{port}}.", option, remedy))
    return ModelCommand(command=command)


def model_server(command: str | None, url: str | None) -> ModelSource:
    """The server of --model-command or --model-url. Raises ConfigError unless exactly one of them is given."""
    from batchcast.engine.server.model_server import ModelUrl

    if (command is None) == (url is None):
        what = "nothing says which model to ask." if command is None else "both --model-command and --model-url."
        raise ConfigError(Problem("model", what, remedy="Give one of --model-command and --model-url."))
    return ModelUrl(url=url) if url is not None else command_with_port(str(command), "--model-command")
