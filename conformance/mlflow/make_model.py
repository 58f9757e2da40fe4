"""Write an MLflow model that forecasts a series from a table of its dates and sales.

python conformance/mlflow/make_model.py FOLDER
mlflow models serve --model-uri FOLDER --env-manager local --host 127.0.0.1 --port PORT
"""

from __future__ import annotations

import sys

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema


class LastWeek(mlflow.pyfunc.PythonModel):
    """Each day as the same weekday of the last week was."""

    def predict(self, context: object, model_input: pd.DataFrame, params: dict | None = None) -> list[float]:  # noqa: ARG002
        """`horizon` numbers for the one series of the table."""
        ordered = model_input.sort_values("date")["sales"].tolist()
        return [float(ordered[-7 + step % 7]) for step in range(params["horizon"])]


def main() -> None:
    """Save the model with the signature that a scoring server enforces."""
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "date"), ColSpec(DataType.double, "sales")]),
        outputs=Schema([ColSpec(DataType.double)]),
        params=ParamSchema([ParamSpec("horizon", DataType.integer, 7)]),
    )
    mlflow.pyfunc.save_model(sys.argv[1], python_model=LastWeek(), signature=signature, pip_requirements=[])


if __name__ == "__main__":
    main()
