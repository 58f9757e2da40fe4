"""`async deploy`: create the endpoint, or fix it."""

from typing import Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import ACCOUNT_ALONE_OPTIONS, COUNT, ENDPOINT_OPTION
from batchcast.pipelines.parameters import split_pairs
from batchcast.serving.endpoint.endpoint import deploy_async
from batchcast.serving.endpoint.settings import AsyncSettings
from batchcast.session.session import open_session


@click.command("deploy")
@ENDPOINT_OPTION
@click.option("--model", required=True, help="Name of the SageMaker model.")
@click.option("--instance-type", required=True, metavar="TYPE", help="For example ml.m5.4xlarge.")
@click.option("--max-instances", type=COUNT, default=1, help="Most instances at once.")
@click.option("--concurrency", type=COUNT, default=4, help="Requests an instance.")
@click.option("--output", "output_uri", required=True, metavar="S3URI", help="Prefix for answers and failures.")
@click.option("--success-topic", metavar="ARN", help="SNS topic that is told of answers.")
@click.option("--error-topic", metavar="ARN", help="SNS topic that is told of failures.")
@click.option("--kms-key", help="KMS key of the answers.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="On endpoint and configuration; repeatable.")
@ACCOUNT_ALONE_OPTIONS
@click.option("--dry-run", is_flag=True, help="Print the exact requests as JSON and send nothing.")
def async_deploy_command(tags: tuple[str, ...], dry_run: bool, **given: Any) -> None:
    """Create the endpoint with all that lets it scale to zero and out again, or fix it."""
    where = {name: given.pop(name) for name in ("region", "profile")}
    settings = AsyncSettings(**given, tags=split_pairs(tags, "setting", "--tag", "Write --tag KEY=VALUE."))
    if dry_run:
        echo_json(settings.requests())
        return
    session = open_session(**where)
    echo("An endpoint takes some minutes until it is in service.", err=True)
    done = deploy_async(settings, session.client)
    echo(
        f"Endpoint {settings.endpoint} in {session.region}: {done}. It has 0 to {settings.max_instances} instances, "
        f"answers a single request from zero in about ten minutes and is back at zero about 20 minutes after the last."
    )
