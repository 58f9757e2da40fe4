"""GluonTS's own serving shell with its seasonal naive predictor, on loopback instead of on port 8080 of a container.

python conformance/gluonts/serve.py PORT
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import waitress
from gluonts.model.seasonal_naive import SeasonalNaivePredictor
from gluonts.shell.env import ServeEnv
from gluonts.shell.serve import Settings, make_flask_app


def main() -> None:
    """In a transform job (SAGEMAKER_BATCH=true) the predictor is made of INFERENCE_CONFIG, and takes JSON lines."""
    with tempfile.TemporaryDirectory() as folder:
        app = make_flask_app(ServeEnv(Path(folder)), SeasonalNaivePredictor, Settings(model_server_workers=1))
        waitress.serve(app, listen=f"127.0.0.1:{sys.argv[1]}")


if __name__ == "__main__":
    main()
