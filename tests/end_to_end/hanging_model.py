"""A model server that never answers for one item: `python hanging_model.py <port> <item> <folder>`.

Everything else it answers at once, and that one too when the folder has a file `healed`. It leaves a file named by its
process id in the folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

from last_week_model import Handler, forecast


class HangingHandler(Handler):
    def do_POST(self) -> None:  # noqa: N802 - the name http.server looks for
        record = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        while record["item_id"] == HELD and not (STARTED / "healed").exists():
            time.sleep(1)
        self._answer(200, json.dumps(forecast(record)).encode())


if __name__ == "__main__":
    HELD = sys.argv.pop(2)  # else `forecast` refuses it
    STARTED = Path(sys.argv.pop(2))
    (STARTED / str(os.getpid())).touch()
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), HangingHandler).serve_forever()
