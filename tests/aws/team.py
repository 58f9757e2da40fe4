"""The account and the resources of a team that does not exist."""

from __future__ import annotations

from pathlib import Path

REGION = "eu-central-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/forecast-pipeline"
BUCKET = "acme-forecasts"
CONTRACT = Path(__file__).resolve().parents[2] / "examples" / "bakery" / "model.toml"
DEFAULTS = {
    "HistoryUri": f"s3://{BUCKET}/history/",
    "RunsUri": f"s3://{BUCKET}/batchcast/runs",
    "PublishUri": f"s3://{BUCKET}/batchcast/published",
    "ModelName": "demand-model",
}
