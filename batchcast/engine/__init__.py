"""AWS on a laptop: the same pipeline definition, run as SageMaker would, with no account and no Docker.

    client ─▶ pipeline ─▶ workspace ─▶ transform, processing      container_check ─▶ transform

`pipeline` executes definitions; `transform` and `processing` do one job each and know nothing of pipelines; the
workspace keeps what is going on as files. At the top are also what the client alone needs and what several parts share,
which knows none of them; the layers in pyproject.toml hold every module to its place.
"""
