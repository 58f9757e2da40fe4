"""gunicorn's settings for the bakery model in `inference-server`; the address comes from the command line."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent

wsgi_app = "inference_server:create_app()"
# Where the plugin and its entry point lie, and the model.
pythonpath = f"{HERE},{HERE.parents[1] / 'examples' / 'bakery'}"
workers = 2
# It would be a file in the home directory, shared by all servers of a user.
control_socket_disable = True
