"""The program of one forecasting process: `worker.py DESCRIPTOR MODEL`, started by `pool.py`.

Requests come over the socket DESCRIPTOR, and its end is the end of the process: when the server goes, however it goes,
no worker is left behind.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from http import HTTPStatus
from multiprocessing.connection import Connection

from pool import Reply

__all__ = ["main"]


def main(descriptor: int, model: str) -> None:
    """Answer requests until the server closes the connection."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a signal to the whole group is the server's to act on
        signal.signal(number, signal.SIG_IGN)
    # LightGBM imports these two for the types it accepts; without them a worker starts in a fifth of the time.
    for unneeded in ("pandas", "sklearn"):
        sys.modules[unneeded] = None  # type: ignore[assignment]
    from lightgbm import Booster

    from features import feature_names
    from forecast import BadRequestError, answer

    connection = Connection(descriptor)
    booster = Booster(model_file=model)
    if booster.feature_name() != feature_names():
        sys.exit(f"{model}: trained on other features than features.py computes; run train.py")
    predict = partial(booster.predict, num_threads=int(os.environ["OMP_NUM_THREADS"]))
    try:
        connection.send_bytes(b"ready")
        while True:
            body = connection.recv_bytes()
            try:
                reply = Reply(HTTPStatus.OK, answer(predict, body).encode())
            except BadRequestError as error:
                reply = Reply.error(HTTPStatus.BAD_REQUEST, str(error), error.item_id)
            connection.send(reply)
    except (EOFError, ConnectionError):
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
