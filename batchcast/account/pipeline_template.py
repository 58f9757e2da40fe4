"""The pipeline as a CloudFormation template: for teams that deploy with templates, CDK or Terraform.

Each parameter without a default is a parameter of the template, and so is the pipeline's role. The objects that
the definition names are not in it: `deploy --no-pipeline` writes them.
"""

import json
from collections.abc import Mapping
from typing import Any

from batchcast.account.deploy import Package
from batchcast.account.deploy_settings import DeploySettings
from batchcast.pipelines.parameters import declared_parameters
from batchcast.pipelines.settings import tag_list


def pipeline_template(settings: DeploySettings, packed: Package) -> dict[str, Any]:
    """The template, with what the settings say as defaults of its parameters."""
    help_of = {one.name: one.help for one in declared_parameters() if one.default is None}
    known = {one["Name"]: one.get("DefaultValue") for one in packed.definition["Parameters"] if one["Name"] in help_of}
    parameters = {name: _parameter(help_of[name], value) for name, value in known.items()}
    parameters["PipelineRoleArn"] = _parameter("Role that starts the jobs.", settings.pipeline_role_arn)
    tags = tag_list(settings.build.tags)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": packed.description,
        "Parameters": parameters,
        "Resources": {
            "Pipeline": {
                "Type": "AWS::SageMaker::Pipeline",
                "Properties": {
                    "PipelineName": settings.build.pipeline_name,
                    "PipelineDescription": packed.description,
                    "PipelineDefinition": {"PipelineDefinitionBody": {"Fn::Sub": _body(packed.definition, known)}},
                    "RoleArn": {"Ref": "PipelineRoleArn"},
                }
                | ({"Tags": tags} if tags else {}),
            }
        },
        "Outputs": {"PipelineName": {"Value": {"Ref": "Pipeline"}}},
    }


def _parameter(help_text: str, default: str | None) -> dict[str, str]:
    return {"Type": "String", "Description": help_text} | ({"Default": default} if default else {})


def _body(definition: Mapping[str, Any], replaced: Mapping[str, Any]) -> str:
    """The definition as one line, in which `${Name}` stands for the default of each of `replaced`."""
    literal = json.loads(json.dumps(definition).replace("${", "${!"))
    for one in literal["Parameters"]:
        if one["Name"] in replaced:
            one["DefaultValue"] = f"${{{one['Name']}}}"
    return json.dumps(literal)
