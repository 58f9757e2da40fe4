"""A processing job: the definition's command under a private /opt/ml, its data, its limits, its end."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from engine_client import EngineClient
from local_pipeline import Json, local, processing, store_of
from memory_store import MemoryStore

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.processing.data import InputError, stage_inputs
from batchcast.steps.store.objects import DirectoryStore

IN, OUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def job(code: str, *arguments: str, name: str = "job", **members: Any) -> Json:
    """A CreateProcessingJob request that runs Python source."""
    options = {key: members.pop(key) for key in ("inputs", "outputs", "environment") if key in members}
    return {"ProcessingJobName": name, **processing("Step", code, *arguments, **options)["Arguments"], **members}


def s3_input(uri: str, **members: str) -> list[Json]:
    source = {"S3Uri": uri, "LocalPath": f"{IN}/data", "S3DataType": "S3Prefix", "S3InputMode": "File", **members}
    return [{"InputName": "data", "S3Input": source}]


def ended(client: EngineClient, request: Json, seconds: float = 20.0) -> Json:
    """Create the job and wait for its end; its description."""
    client.create_processing_job(**request)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        described: Json = client.describe_processing_job(ProcessingJobName=request["ProcessingJobName"])
        if described["ProcessingJobStatus"] not in ("InProgress", "Stopping"):
            return described
        time.sleep(0.01)
    raise AssertionError(described)


def log_of(workspace: Path, name: str = "job", host: str = "algo-1") -> str:
    return (workspace / "logs/aws/sagemaker/ProcessingJobs" / name / host / "container-log").read_text()


def test_the_command_sees_its_inputs_and_what_it_writes_is_uploaded(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.write("s3://b/in/x/one.txt", b"1")
    store.write("s3://b/in/two.txt", b"2")
    code = (
        "import pathlib, sys; source, target = map(pathlib.Path, sys.argv[1:]); (target / 'deep').mkdir(); "
        "[(target / 'deep' / p.name).write_bytes(p.read_bytes() * 2) for p in source.rglob('*.txt')]"
    )
    request = job(code, f"{IN}/data", f"{OUT}/result", inputs={"data": "s3://b/in/"}, outputs={"result": "s3://b/out"})
    described = ended(local(tmp_path), request)
    assert described["ProcessingJobStatus"] == "Completed"
    assert {each.uri: store.read(each.uri) for each in store.list("s3://b/out")} == {
        "s3://b/out/deep/one.txt": b"11",
        "s3://b/out/deep/two.txt": b"22",
    }


def test_the_container_is_described_in_opt_ml_config(tmp_path: Path) -> None:
    store_of(tmp_path).write("s3://b/in/a", b"")
    code = "import os; print(open(os.environ['OPT_ML'] + '/config/processingjobconfig.json').read())"
    request = job(
        code,
        inputs={"data": "s3://b/in/"},
        outputs={"o": "s3://b/out"},
        environment={"KEY": "value"},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    ended(local(tmp_path), request)
    config = json.loads(log_of(tmp_path))
    root = tmp_path / "jobs" / "job" / "algo-1"
    assert config["ProcessingJobArn"].endswith(":processing-job/job")
    assert config["Environment"] == {"KEY": "value"}
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 60}
    assert config["AppSpecification"] == request["AppSpecification"]
    assert config["ProcessingInputs"][0]["S3Input"] == {
        "S3Uri": "s3://b/in/",
        "LocalPath": f"{root}/processing/input/data",
        "S3DataType": "S3Prefix",
        "S3DataDistributionType": "FullyReplicated",
        "S3InputMode": "File",
        "S3CompressionType": "None",
        "S3DownloadMode": "StartOfJob",
    }
    assert config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"] == f"{root}/processing/output/o"


@pytest.mark.parametrize("text", ["/opt/ml/processing/x", "--to=/opt/ml/processing/x", "a:/opt/ml/processing/x"])
def test_paths_under_opt_ml_are_moved_to_the_private_root(tmp_path: Path, text: str) -> None:
    ended(local(tmp_path), job("import os, sys; print(sys.argv[1], os.environ['TO'])", text, environment={"TO": text}))
    moved = text.replace("/opt/ml", str(tmp_path / "jobs/job/algo-1"))
    assert log_of(tmp_path) == f"{moved} {moved}\n"


@pytest.mark.parametrize("text", ["s3://b/opt/ml/x", "/srv/opt/ml/x", "/opt/mlx"])
def test_other_texts_are_left_alone(tmp_path: Path, text: str) -> None:
    ended(local(tmp_path), job("import sys; print(sys.argv[1])", text))
    assert log_of(tmp_path) == f"{text}\n"


def test_the_environment_is_the_jobs_and_not_this_process_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("UNRELATED", "x")
    monkeypatch.setenv("JAVA_HOME", "/opt/java")  # where Spark finds its Java
    code = "import json, os, sys; print(json.dumps([sys.executable, dict(os.environ)]))"
    ended(local(tmp_path), job(code, environment={"KEY": "value"}))
    executable, environment = json.loads(log_of(tmp_path))
    assert executable == sys.executable
    assert environment["BATCHCAST_OBJECT_STORE"] == str(tmp_path / "s3")
    assert environment["OPT_ML"] == str(tmp_path / "jobs" / "job" / "algo-1")
    assert environment["KEY"] == "value"
    assert (environment["PATH"], environment["JAVA_HOME"]) == (os.environ["PATH"], "/opt/java")
    assert not {"AWS_SECRET_ACCESS_KEY", "UNRELATED"} & environment.keys()


SECRET = "a secret of the store's"


class RemoteStore:
    """A store that is no directory to the engine, as S3 is none."""

    environment: ClassVar = {"AWS_SECRET_ACCESS_KEY": SECRET}

    def __init__(self, behind: DirectoryStore) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        if name not in ("list", "read", "exists", "download", "upload"):
            raise AttributeError(name)
        return getattr(self._behind, name)


def test_on_a_remote_store_inputs_are_downloaded_and_the_job_has_the_credentials_and_no_file_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of this process, not of the store")
    store = store_of(tmp_path)
    store.write("s3://b/in/x/one.txt", b"1")
    code = (
        "import os, sys; print(open(sys.argv[1]).read(), len(os.environ['AWS_SECRET_ACCESS_KEY']), "
        "sorted(k for k in os.environ if k[:3] in ('AWS', 'BAT')), flush=True); os.kill(os.getpid(), 9)"
    )
    request = job(code, f"{IN}/data/x/one.txt", inputs={"data": "s3://b/in/"})
    # The job fails, so that everything it was given stays.
    assert ended(local(tmp_path, store=RemoteStore(store)), request)["ProcessingJobStatus"] == "Failed"
    assert log_of(tmp_path) == f"1 {len(SECRET)} ['AWS_SECRET_ACCESS_KEY', 'BATCHCAST_JOB_LOGS']\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []


def test_a_workspace_may_be_named_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store_of(tmp_path / "w").write("s3://b/in/x", b"1")
    code = (
        "import os, sys; print(open(sys.argv[1]).read(), os.path.isdir(os.environ['BATCHCAST_OBJECT_STORE'] + '/b'), "
        "file=open(os.environ['OPT_ML'] + '/processing/output/o/f', 'w'))"
    )
    request = job(code, f"{IN}/data/x", inputs={"data": "s3://b/in/"}, outputs={"o": "s3://b/out"})
    assert ended(local(Path("w")), request)["ProcessingJobStatus"] == "Completed"
    assert store_of(tmp_path / "w").read("s3://b/out/f") == b"1 True\n"


def test_p12_an_exit_code_fails_the_job_and_uploads_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; root = os.environ['OPT_ML']; open(root + '/processing/output/o/f', 'w').close(); "
        "open(root + '/output/message', 'w').write('DataError: no history'); sys.exit(3)"
    )
    described = ended(local(tmp_path), job(code, outputs={"o": "s3://b/out"}))
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 3"
    assert described["ExitMessage"] == "DataError: no history"
    assert list(store_of(tmp_path).list("s3://b/out")) == []
    assert (tmp_path / "jobs/job/algo-1/processing/output/o/f").exists()


def test_a_command_that_does_not_exist_fails_the_job(tmp_path: Path) -> None:
    request = job("")
    request["AppSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
    described = ended(local(tmp_path), request)
    assert described["FailureReason"].endswith("exit code: 127")
    assert log_of(tmp_path) == "no-such-program: No such file or directory\n"


def test_the_exit_message_is_its_first_1024_characters(tmp_path: Path) -> None:
    code = "import os; open(os.environ['OPT_ML'] + '/output/message', 'w').write('é' * 2000)"
    described = ended(local(tmp_path), job(code))
    assert described["ProcessingJobStatus"] == "Completed"
    assert described["ExitMessage"] == "é" * 1024


def test_a_message_that_is_not_utf8_fails_the_job(tmp_path: Path) -> None:
    code = "import os; open(os.environ['OPT_ML'] + '/output/message', 'wb').write(bytes([255]))"
    described = ended(local(tmp_path), job(code))
    assert described["FailureReason"] == "ClientError: /opt/ml/output/message is not UTF-8."


def test_an_input_prefix_without_an_object_fails_the_job_before_the_command_runs(tmp_path: Path) -> None:
    described = ended(local(tmp_path), job("print('ran')", inputs={"data": "s3://b/none/"}))
    assert described["ProcessingJobStatus"] == "Failed"
    assert 'No S3 objects found under S3 URL "s3://b/none/"' in described["FailureReason"]
    assert not (tmp_path / "logs").exists()


def test_a_job_that_runs_too_long_is_stopped(tmp_path: Path) -> None:
    request = job("import time; time.sleep(60)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    described = ended(local(tmp_path), request)
    assert described["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in described


def test_p12_a_stopped_job_gets_the_chance_to_end_by_itself(tmp_path: Path) -> None:
    client = local(tmp_path)
    code = (
        "import os, signal, sys, time; root = os.environ['OPT_ML']; "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(time.sleep(1) or print('bye'))); "
        "open(root + '/processing/output/o/f', 'w').close(); open(root + '/ready', 'w').close(); time.sleep(60)"
    )
    client.create_processing_job(**job(code, outputs={"o": "s3://b/out"}))
    while not (tmp_path / "jobs/job/algo-1/ready").exists():
        time.sleep(0.01)
    client.stop_processing_job(ProcessingJobName="job")
    assert client.describe_processing_job(ProcessingJobName="job")["ProcessingJobStatus"] == "Stopping"
    while client.describe_processing_job(ProcessingJobName="job")["ProcessingJobStatus"] == "Stopping":
        time.sleep(0.01)
    assert client.describe_processing_job(ProcessingJobName="job")["ProcessingJobStatus"] == "Stopped"
    assert log_of(tmp_path) == "bye\n"
    assert list(store_of(tmp_path).list("s3://b/out")) == []


def with_hosts(request: Json, count: int) -> Json:
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = count
    return request


def test_several_hosts_know_each_other_and_share_out_the_objects(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for name in "abcde":
        store.write(f"s3://b/in/{name}", b"")
    code = (
        "import json, os; root = os.environ['OPT_ML']; r = json.load(open(root + '/config/resourceconfig.json')); "
        "open(root + '/processing/output/o/' + r['current_host'], 'w')"
        ".write(json.dumps([r['hosts'], sorted(os.listdir(root + '/processing/input/data'))]))"
    )
    request = job(code, outputs={"o": "s3://b/out"})
    request["ProcessingInputs"] = s3_input("s3://b/in/", S3DataDistributionType="ShardedByS3Key")
    assert ended(local(tmp_path), with_hosts(request, 2))["ProcessingJobStatus"] == "Completed"
    hosts = ["algo-1", "algo-2"]
    assert json.loads(store.read("s3://b/out/algo-1")) == [hosts, ["a", "c", "e"]]
    assert json.loads(store.read("s3://b/out/algo-2")) == [hosts, ["b", "d"]]


def test_every_host_has_the_same_list_sorted_as_text(tmp_path: Path) -> None:
    code = "import json, os; print(json.load(open(os.environ['OPT_ML'] + '/config/resourceconfig.json'))['hosts'][:3])"
    ended(local(tmp_path), with_hosts(job(code), 10))
    assert {log_of(tmp_path, host=f"algo-{number}") for number in range(1, 11)} == {"['algo-1', 'algo-10', 'algo-2']\n"}


def test_p13_one_host_that_fails_fails_the_job_and_ends_the_others(tmp_path: Path) -> None:
    code = "import os, time; time.sleep(60) if os.environ['OPT_ML'].endswith('1') else exit(4)"
    described = ended(local(tmp_path), with_hosts(job(code), 2))
    assert described["FailureReason"].endswith("exit code: 4")


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("s3://b/in/", ["a", "x/b"]),
        ("s3://b/in", ["a", "input2/c", "x/b"]),
        ("s3://b/in/a", ["a"]),
        ("s3://b/inp", ["input2/c"]),
    ],
)
def test_p14_objects_lie_below_the_local_path_as_they_lie_below_the_prefix(
    tmp_path: Path, uri: str, names: list[str]
) -> None:
    for key in ("in/a", "in/x/b", "input2/c"):
        store_of(tmp_path).write(f"s3://b/{key}", b"")
    code = (
        "import pathlib, sys; r = pathlib.Path(sys.argv[1]); "
        "print(*sorted(str(p.relative_to(r)) for p in r.rglob('*') if p.is_file()))"
    )
    request = job(code, f"{IN}/data")
    request["ProcessingInputs"] = s3_input(uri)
    ended(local(tmp_path), request)
    assert log_of(tmp_path).split() == names


@pytest.mark.parametrize("prefix", ["s3://b/in/", "s3://b/in"])
def test_a_manifest_names_the_objects(tmp_path: Path, prefix: str) -> None:
    store = store_of(tmp_path)
    for key in ("in/a", "in/x/b", "in/c"):
        store.write(f"s3://b/{key}", b"")
    slash = "" if prefix.endswith("/") else "/"
    manifest = json.dumps([{"prefix": prefix}, f"{slash}x/b", f"{slash}a"]).encode()
    store.write("s3://b/manifest.json", manifest)
    request = job("import os, sys; print(*sorted(os.listdir(sys.argv[1])))", f"{IN}/data")
    request["ProcessingInputs"] = s3_input("s3://b/manifest.json", S3DataType="ManifestFile")
    ended(local(tmp_path), request)
    assert log_of(tmp_path).split() == ["a", "x"]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"{'prefix': 's3://b/'}", "is not a manifest"),
        (b'["a", "b"]', "is not a manifest"),
        (b'[{"prefix": "s3://b/in/"}, "gone"]', "1 objects of the manifest"),
        (None, "there is no manifest"),
    ],
)
def test_a_manifest_that_cannot_be_followed_fails_the_job(tmp_path: Path, manifest: bytes | None, says: str) -> None:
    if manifest is not None:
        store_of(tmp_path).write("s3://b/manifest.json", manifest)
    request = job("pass")
    request["ProcessingInputs"] = s3_input("s3://b/manifest.json", S3DataType="ManifestFile")
    described = ended(local(tmp_path), request)
    assert described["ProcessingJobStatus"] == "Failed"
    assert says in described["FailureReason"]


def test_two_objects_for_one_place_fail_the_job(tmp_path: Path) -> None:
    store_of(tmp_path).write("s3://b/in/a", b"")
    store_of(tmp_path).write("s3://b/other/a", b"")
    request = job("pass")
    request["ProcessingInputs"] = [*s3_input("s3://b/in/"), {**s3_input("s3://b/other/")[0], "InputName": "more"}]
    described = ended(local(tmp_path), request)
    assert "Cannot download s3://b/other/a" in described["FailureReason"]


def test_symbolic_links_are_not_uploaded(tmp_path: Path) -> None:
    code = (
        "import os; os.chdir(os.environ['OPT_ML'] + '/processing/output/o'); "
        "open('real', 'w').close(); os.symlink('real', 'link')"
    )
    ended(local(tmp_path), job(code, outputs={"o": "s3://b/out"}))
    assert [each.uri for each in store_of(tmp_path).list("s3://b/out")] == ["s3://b/out/real"]


def changed(**members: Any) -> Json:
    request = job("pass", inputs={"data": "s3://b/in/"}, outputs={"o": "s3://b/out"})
    return {**request, **members}


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (changed(ProcessingInputs=s3_input("s3://b/", S3InputMode="Pipe")), "S3InputMode: Pipe is not emulated"),
        (changed(ProcessingInputs=s3_input("s3://b/", S3CompressionType="Gzip")), "Gzip is not emulated"),
        (changed(ProcessingInputs=[{"InputName": "q", "DatasetDefinition": {}}]), "DatasetDefinition"),
        (changed(AppSpecification={"ImageUri": "image"}), "an image's own entrypoint cannot run without Docker"),
        (
            changed(
                ProcessingOutputConfig={
                    "Outputs": [
                        {
                            "OutputName": "o",
                            "S3Output": {"S3Uri": "s3://b/o", "LocalPath": OUT, "S3UploadMode": "Continuous"},
                        }
                    ]
                }
            ),
            "Continuous is not emulated",
        ),
    ],
)
def test_r03_what_is_not_emulated_is_refused_by_name(tmp_path: Path, request_: Json, says: str) -> None:
    with pytest.raises(NotEmulatedError) as refused:
        local(tmp_path).create_processing_job(**request_)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        (changed(Colour="red"), "ParamValidationError", "Colour"),
        (changed(Environment={"K": "v" * 257}), "ValidationException", "less than or equal to 256"),
        (
            changed(ProcessingInputs=s3_input("s3://b/", LocalPath="/tmp/x")),
            "ValidationException",
            "is not under /opt/ml/processing/",
        ),
        (changed(ProcessingInputs=s3_input("s3://b/") * 2), "ValidationException", "the InputName data is used twice"),
        (changed(StoppingCondition={"MaxRuntimeInSeconds": 0}), "ValidationException", "greater than or equal to 1"),
        (with_hosts(job("pass", inputs={}), 101), "ValidationException", "less than or equal to 100"),
        (job("pass", "a" * 257), "ValidationException", "less than or equal to 256"),
    ],
)
def test_what_the_service_refuses_is_refused(tmp_path: Path, request_: Json, code: str, says: str) -> None:
    with pytest.raises(ServiceException) as refused:
        local(tmp_path).create_processing_job(**request_)
    assert refused.value.code == code
    assert says in refused.value.message


def test_a_name_is_used_once(tmp_path: Path) -> None:
    client = local(tmp_path)
    ended(client, job("pass"))
    with pytest.raises(ServiceException) as refused:
        client.create_processing_job(**job("pass"))
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_an_unknown_job_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceException, match="Could not find requested job with name: nope"):
        local(tmp_path).describe_processing_job(ProcessingJobName="nope")


@pytest.mark.parametrize("uri", ["s3://b//o", "s3://b/a//o", "s3://b/../o"])
def test_p20_an_output_that_no_directory_has_is_refused_before_the_work(tmp_path: Path, uri: str) -> None:
    with pytest.raises(NotEmulatedError, match=r"Outputs\[0\]\.S3Output\.S3Uri"):
        local(tmp_path).create_processing_job(**job("pass", outputs={"o": uri}))


@pytest.mark.parametrize("key", ["../outside", "a/../../../outside", "a/./b", "a//b"])
def test_p20_a_key_that_leads_out_of_the_input_s_folder_is_not_brought(tmp_path: Path, key: str) -> None:
    """A real store can hold such a key; no path is made of it."""
    store = MemoryStore()
    store.write(f"s3://b/in/{key}", b"x")
    root = tmp_path / "job" / "algo-1"
    with pytest.raises(InputError, match="cannot hold the key"):
        stage_inputs(s3_input("s3://b/in/"), store, [root])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
