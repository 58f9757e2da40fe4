"""An execution from its start to its end: steps in the order the graph allows, side by side where it allows.

One thread drives the execution and alone writes its record; each running step has a thread of its own and reports to
the driver through a queue.
"""

import queue
import threading
from collections.abc import Mapping
from typing import IO, Any

from batchcast.engine.errors import internal_error, storage_error
from batchcast.engine.pipeline.definition import ENDED, Definition, Step, final_status, ready_steps
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.pipeline.execution.record import execution_arn, execution_variables
from batchcast.engine.pipeline.execution.step_run import ExecutionContext, StepEnd, run_step
from batchcast.engine.pipeline.parameters import parameter_values
from batchcast.engine.state import Record, now
from batchcast.engine.workspace import Workspace

_POLL_SECONDS = 0.05
_MAX_STEP_REASON = 1024
_MAX_EXECUTION_REASON = 1300
_UNHANDLED = "Step failure: One or multiple steps failed."


def start_executor(workspace: Workspace, execution_id: str, lock: IO[str]) -> None:
    """Drive a recorded execution in the background; `lock` is its ownership."""
    executor = Executor(workspace, execution_id)
    workspace.broken.pop(executor.arn, None)
    threading.Thread(target=executor.run, args=(lock,), name=f"execution-{execution_id}", daemon=True).start()


class Executor:
    """Drives one execution, new, retried or interrupted: it goes on from whatever the record says."""

    def __init__(self, workspace: Workspace, execution_id: str) -> None:
        self._workspace = workspace
        self._records = workspace.executions
        self._id = execution_id
        self._record: Record = self._records.read(execution_id) or {}
        self.arn = execution_arn(self._record)
        self._steps: dict[str, Record] = self._record["Steps"]
        self._definition: Definition = parse_definition(self._record["PipelineDefinition"])
        config = self._record.get("SelectiveExecutionConfig")
        steps = self._definition.steps
        self._selected = {each["StepName"] for each in config["SelectedSteps"]} if config else set(steps)
        self._events: queue.Queue[tuple[str, Mapping[str, Any] | StepEnd | Exception]] = queue.Queue()
        self._running: set[str] = set()
        self._halted = threading.Event()
        self._context = ExecutionContext(
            workspace=workspace,
            definition=self._definition,
            variables=execution_variables(self._record),
            parameters=parameter_values(self._definition.parameters, self._record["PipelineParameters"]),
            steps=self._steps,
            halted=self._halted,
        )

    def run(self, lock: IO[str]) -> None:
        """Until nothing runs and nothing can start. The record tells the outcome; nothing is raised.

        Where the disk is in the way there is no outcome: the execution is interrupted, and whoever asks is told why.
        """
        with lock:
            try:
                self._drive()
            except Exception as error:
                self._workspace.broken[self.arn] = storage_error(error, self._workspace.root) or error

    def _drive(self) -> None:
        try:
            self._run_steps()
        except Exception as error:  # the engine stands for the service here: its failure is the execution's
            if storage_error(error, self._workspace.root) is not None:
                raise
            self._finish("Failed", internal_error(error))

    def _run_steps(self) -> None:
        for name in [name for name, record in self._steps.items() if record["StepStatus"] not in ENDED]:
            self._start(name)
        while True:
            self._notice_stop()
            self._start_ready()
            if not self._running:
                break
            self._take_event()
        self._finish(*self._outcome())

    def _notice_stop(self) -> None:
        if not self._halted.is_set() and self._records.stop_requested(self._id):
            self._halted.set()
            for name in self._running:
                self._steps[name]["StepStatus"] = "Stopping"
            self._save()

    def _start_ready(self) -> None:
        limit = self._record.get("ParallelismConfiguration", {}).get("MaxParallelExecutionSteps")
        ready = [] if self._halted.is_set() else ready_steps(self._definition, self._steps, self._selected)
        room = len(ready) if limit is None else max(0, limit - len(self._running))
        for name in ready[:room]:
            self._start(name)

    def _start(self, name: str) -> None:
        step = self._definition.steps[name]
        # A step that was interrupted goes on with its attempt, any other begins one.
        interrupted = self._steps.get(name, {})
        attempt = interrupted.get("AttemptCount") or self._record["Attempts"].get(name, 0) + 1
        self._steps[name] = {
            "StepName": name,
            **step.texts,
            "StartTime": now(),
            **interrupted,
            "StepStatus": "Starting",
            "AttemptCount": attempt,
        }
        self._running.add(name)
        self._save()
        threading.Thread(target=self._run_step, args=(step, attempt), name=f"step-{name}", daemon=True).start()

    def _run_step(self, step: Step, attempt: int) -> None:
        try:
            end = run_step(step, self._context, attempt, lambda members: self._events.put((step.name, members)))
        except Exception as error:  # as in run
            if storage_error(error, self._workspace.root) is not None:
                self._events.put((step.name, error))  # the disk is in the way of more than this step
                return
            end = StepEnd(status="Failed", failure_reason=internal_error(error))
        self._events.put((step.name, end))

    def _take_event(self) -> None:
        try:
            name, event = self._events.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return
        if isinstance(event, Exception):
            raise event
        record = self._steps[name]
        if isinstance(event, StepEnd):
            self._running.remove(name)
            record |= {"StepStatus": event.status, "EndTime": now(), "Metadata": event.metadata or {}}
            if event.failure_reason is not None and event.status == "Failed":
                record["FailureReason"] = event.failure_reason[:_MAX_STEP_REASON]
        else:
            record |= {**event, **({"StepStatus": "Stopping"} if self._halted.is_set() else {})}
        self._save()

    def _outcome(self) -> tuple[str, str | None]:
        if self._halted.is_set():
            return "Stopped", None
        status = final_status(self._definition, self._steps)
        if status != "Failed":
            return status, None
        ends = [each["Metadata"]["Fail"] for each in self._steps.values() if "Fail" in each["Metadata"]]
        return status, ends[0]["ErrorMessage"] if ends else _UNHANDLED

    def _finish(self, status: str, reason: str | None) -> None:
        self._save(Status=status, **({"FailureReason": reason[:_MAX_EXECUTION_REASON]} if reason else {}))
        self._records.clear_stop(self._id)

    def _save(self, **members: str) -> None:
        self._record |= {**members, "LastModifiedTime": now()}
        self._records.write(self._id, self._record)
