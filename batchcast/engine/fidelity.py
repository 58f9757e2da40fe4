"""How the engine's behaviour stands to the service's: one row a behaviour, with the tests that hold it.

E1 to E78 are behaviours of Batch Transform, Pipelines and asynchronous inference; R rows are what the engine refuses by
name; P rows are further choices of ours. A status says what stands behind a behaviour:

- documented: AWS's documentation or its service model says so;
- observed: seen in public logs, issues or AWS's own notebooks, or inferred from them, and promised nowhere;
- our pick: nothing public was found, and the engine had to do something;
- refused: the engine says by name that it does not do this;
- not emulated: the engine has no such part.

Nothing here was checked against the service itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

__all__ = ["Behaviour", "Status", "as_markdown", "behaviours"]

Status = Literal["documented", "observed", "our pick", "refused", "not emulated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """`test_files` are where its tests are: the functions whose names begin with `test_prefix`."""

    number: str
    status: Status
    title: str
    test_files: tuple[str, ...]

    @property
    def test_prefix(self) -> str:
        """E7 is tested by functions called `test_e07_…`."""
        return f"test_{self.number[0].lower()}{int(self.number[1:]):02}_"


# number | status | test files | what happens
_ROWS = """
E1 | documented | transform_input | A prefix is a string: `in` finds `in/a` and `input2/b`.
E2 | observed | transform_input | Sub-folders are found, and kept in the name of the output.
E3 | observed | transform_input | Outputs below the input prefix are input of the next job.
E4 | observed | transform_request | No object under the prefix: CreateTransformJob is refused.
E5 | documented | transform_input | A manifest names exactly its objects; outputs are named from its prefix on.
E6 | our pick | transform_input | An unreadable manifest is refused at create; an object named in vain fails alone.
E7 | documented | transform_input | AugmentedManifestFile is refused at create; so is Converse (our pick).
E8 | documented | transform_input | One file is the work of one instance, the others idle.
E9 | documented | transform_input | A file belongs to one instance: object i to instance i mod N (our pick).
E10 | documented | transform_records | SplitType None: one request with the exact bytes of the object.
E11 | observed | transform_records | A newline at the end of an object adds no record.
E12 | our pick | transform_records | A blank line is a record with an empty body; a switch refuses it.
E13 | our pick | transform_records | A carriage return stays in the record.
E14 | our pick | transform_records | A single record is sent without its newline; a switch keeps it.
E15 | documented | transform_records | BatchStrategy unset means MultiRecord.
E16 | documented | transform_records | A batch takes what fits; the limit itself fits, 1 MB is 2^20 bytes (our picks).
E17 | documented | transform_records | A batch never mixes files.
E18 | documented | transform_records | A record over MaxPayloadInMB is not sent and fails its file.
E19 | documented | transform_records | An unsplit object over MaxPayloadInMB fails.
E20 | documented | transform_request, transform_records | MaxPayloadInMB is 0 to 100; 0 is sent in chunks of any size.
E21 | documented | transform_request | Concurrency times payload is at most 100 MB; an unset payload is 6 (our pick).
E22 | documented | transform_parameters | What the job leaves open each container is asked; else 1, MULTI_RECORD and 6.
E23 | documented | transform_parameters | The job is before the container.
E24 | observed | transform_parameters | A container may answer a part.
E25 | our pick | transform_parameters | A malformed answer of /execution-parameters is not used, and logged.
E26 | documented | transform_parameters | The container's environment tells what the job says, and no more.
E27 | documented | transform_parameters | Model's and job's Environment are both there; the job's is over it (our pick).
E28 | documented | transform_parameters | Never more requests in flight than allowed, and as many where there is work.
E29 | documented | transform_parameters | Answers that come out of order are written in order.
E30 | documented | model_server | Nothing is sent before /ping answers 200 within 2 s.
E31 | observed | model_server | No ping within about 30 minutes: the job fails with the service's words.
E32 | observed | model_server | A container that exits at start fails the job; its last lines are in the reason (ours).
E33 | documented | transform_failure | A bad record costs its file and the job; other files have their outputs.
E34 | our pick | transform_failure | A 4xx is not retried; a switch retries it.
E35 | documented | transform_failure | A 5xx is retried.
E36 | documented | transform_failure | InvocationsMaxRetries retries, then the file fails.
E37 | documented | transform_failure | An answer later than InvocationsTimeoutInSeconds is none.
E38 | observed | transform_failure | A broken connection or a cut answer is none.
E39 | documented | transform_request, transform_failure | 0 to 3 retries, 1 to 3600 s; 0 retries is one attempt.
E40 | documented | transform_failure | Unset: 600 s and 3 retries.
E41 | our pick | transform_failure | After a failure nothing more of the file is sent; what is in flight ends.
E42 | documented | transform_failure | All files fail: the job fails and there is no output.
E43 | documented | transform_failure | No output is partial.
E44 | documented | transform_failure | A container's own placeholder is an answer like any other.
E45 | documented | transform_output | AssembleWith None joins answers as they are.
E46 | documented | transform_output | AssembleWith Line ends every record with one newline; none is doubled (our pick).
E47 | documented | transform_input | An output for each input: the rest of its key and `.out`.
E48 | observed | transform_input | A prefix that is a whole key gives its base name.
E49 | our pick | transform_input | A prefix that ends inside a name is cut at its last slash.
E50 | documented | transform_output | Content-Type and Accept are the job's, unset not sent (our pick); no file name.
E51 | observed | transform_output | An output that is there is overwritten.
E52 | documented | transform_records | Gzip reaches the model as plain text; `k.gz` gives `k.gz.out` (our pick).
E53 | documented | data_processing | Joining a JSON object adds SageMakerOutput; compact and sorted (observed).
E54 | documented | data_processing | Joining other JSON makes an object of SageMakerInput and SageMakerOutput.
E55 | documented | data_processing | Joining CSV appends the answer's columns.
E56 | documented | data_processing | An input member SageMakerOutput is overwritten.
E57 | documented | data_processing | InputFilter, model, join with the unfiltered record, OutputFilter.
E58 | documented | data_processing | An index that is not there fails the file; so does a name (our pick).
E59 | documented | transform_request | A join needs equal formats and delimiters; create refuses others (our pick).
E60 | observed | data_processing | An answer of another format fails the file.
E61 | our pick | data_processing | A joined batch must answer a line a record.
E62 | documented | transform_request | A filter has at most 63 characters.
E63 | our pick | transform_records | An empty object: an empty output when split, one empty request when not.
E64 | documented | transform_job | A stopped job leaves no output; what was there of it is removed (our pick).
E65 | documented | transform_request | A job name is used once.
E66 | documented | transform_request | An unknown model, or one with a ModelDataSource, is refused at create.
E67 | documented | transform_request | VolumeKmsKeyId is refused for instances with local disks.
E68 | documented | transform_request | The lengths, ranges, patterns and enumerations of the service model.
E69 | documented | transform_job | Times in order; a reason of at most 1024 characters, only when Failed.
E70 | observed | transform_job | The log begins with the parameters in force.
E71 | observed | transform_job | A job can complete without an output; by a planned fault only.
E72 | observed | transform_output | An output is there when its file is finished.
E73 | observed | pipeline_run_conditions | After a Failed step plain dependants never start, Trigger Any ones do (SDK).
E74 | documented | pipeline_run_conditions | A Fail step fails the execution, which cannot be retried then.
E75 | documented | pipeline_retries | Retry policies retry what they name, an AlgorithmError never.
E76 | documented | async_endpoint | From zero instances target tracking wakes above its target, a step policy for one.
E77 | documented | async_endpoint | A request older than RequestTTLSeconds expires; a failure object says so (our pick).
E78 | documented | async_endpoint | At most 128,000 bytes inline, and either a body or a location.
R1 | refused | transform_request | RecordIO, TFRecord, DataCaptureConfig and https:// URIs.
R2 | refused | transform_parameters | An Environment for a model server that already runs.
R3 | refused | processing_job | Pipe mode, Gzip, Continuous uploads, Athena and Redshift inputs, an image's entrypoint.
R4 | refused | pipeline_definition | Steps but Processing, Transform, Condition and Fail; caching; unknown members.
R5 | refused | client_shapes | Versions and aliases of pipelines, MLflow, models of several containers.
R6 | refused | pipeline_definition | A condition inside a condition, and a step that waits for one, as in the service.
P1 | our pick | transform_failure | A container that exits during the job fails what its instance had left.
P2 | our pick | transform_failure | Client and algorithm errors together are the algorithm's in FailureReason.
P3 | our pick | transform_parameters | One split file at a time an instance; unsplit objects fill the slots.
P4 | our pick | transform_request | KMS keys, tags, instance type, AMI and experiment are checked and described.
P5 | our pick | data_processing | A slice includes its end for CSV, not for JSON; numbers keep their text.
P6 | our pick | pipeline_stop | A job stopped by hand stops its step; unless a trigger asked for it, the run fails.
P7 | our pick | pipeline_retries | Only a Failed or Stopped execution can be retried; attempts go on counting.
P8 | our pick | pipeline_selective | A failed step of the source serves a selected step that is triggered by failure.
P9 | our pick | pipeline_parameters | Std:Join writes numbers and booleans as JSON does.
P10 | our pick | pipeline_parameters | The parameters of an execution are listed with their defaults.
P11 | our pick | pipeline_run_conditions | Steps that a failure does not concern go on; new ones among them start.
P12 | our pick | processing_job | A job that failed or was stopped uploads nothing.
P13 | our pick | processing_job | A host that fails ends the others.
P14 | our pick | processing_job | Objects lie below LocalPath as below the prefix; one inside a name keeps the name.
P15 | our pick | client_shapes | Processing: KMS keys, tags, network, volume and image are checked and described only.
P16 | our pick | async_endpoint | One scaling activity at a time; an instance let go ends what it has in process.
"""


def behaviours() -> list[Behaviour]:
    """All rows, in the table's order."""
    return [_behaviour(row) for row in _ROWS.strip().splitlines()]


def _behaviour(row: str) -> Behaviour:
    number, status, files, title = (cell.strip() for cell in row.split("|"))
    if status not in get_args(Status):
        raise ValueError(f"{number}: {status!r} is no status")
    return Behaviour(
        number=number,
        status=cast(Status, status),
        title=title,
        test_files=tuple(f"tests/engine/test_{name.strip()}.py" for name in files.split(",") if name.strip()),
    )


def as_markdown() -> str:
    """The table as docs/reference/fidelity.md has it."""
    lines = [
        "# Fidelity",
        "",
        "Written by `make docs` from `engine/fidelity.py`.",
        "",
        (__doc__ or "").rstrip(),
        "",
        "| | behaviour | status | tests |",
        "|---|---|---|---|",
    ]
    for behaviour in behaviours():
        tests = ", ".join(f"`{path}::{behaviour.test_prefix}…`" for path in behaviour.test_files) or "none"
        lines.append(f"| {behaviour.number} | {behaviour.title} | {behaviour.status} | {tests} |")
    return "\n".join(lines) + "\n"
