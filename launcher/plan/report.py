"""What ``esmm plan`` prints."""

from typing import Any

from esmm_dist.text_table import text_table
from esmm_dist.words import short_bytes, short_number
from launcher.plan.constants import PlanConstants
from launcher.plan.suggestion import MEMORY_SHARE, Candidate, Suggestion
from launcher.plan.workload import Workload
from launcher.terminal.json_line import json_value
from launcher.terminal.progress import duration

_REMEDIES = {
    "reading": "Reading and finding unique ids limits it: more workers, each with a smaller share, help.",
    "worker cores": "The workers' cores limit it: more workers, or more cores each, help.",
    "server cores": "The servers' cores limit it: more servers help.",
    "worker network": "The workers' links limit it: --wire bfloat16, more workers or a faster network help.",
    "server network": "The servers' links limit it: --wire bfloat16, more servers or a faster network help.",
    "shared cores": "The cores that all processes share limit it: more processes on them do not help.",
}
_STEP_REMEDIES = {
    "servers": "Waiting for the servers limits it: more servers, or --update-mode bounded, help.",
    "network": "The network limits it: a faster one or --wire bfloat16 helps.",
    "round trips": "The network's round trips limit it: larger batches, or a shorter way between processes, help.",
    "pull": "Receiving rows limits it: more workers help.",
    "push": "Sending gradients limits it: more workers help.",
    "allreduce": "Adding up the towers' gradients limits it: larger batches or smaller towers help.",
    "towers": "The towers limit it: more cores a worker, or more workers, help.",
    "pooling": "Pooling limits it: more workers help.",
    "other": "The fixed cost of a step limits it: larger batches help.",
}


def bottleneck(candidate: Candidate) -> str:
    """Return in a sentence what limits a step, and what would help."""
    bounds, path, cluster = candidate.step.bounds, candidate.step.path, candidate.cluster
    name = max(bounds, key=lambda each: bounds[each])
    if name != "steps":
        return _REMEDIES[name]
    part = max(path, key=lambda each: path[each])
    if cluster.servers == 0 and part in ("pull", "push"):
        return "The table within the worker limits it: servers and more workers help."
    return _STEP_REMEDIES[part]


def plan_lines(
    workload: Workload, constants: PlanConstants, planned: Candidate, suggestion: Suggestion, memory_bytes: float
) -> list[str]:
    """Return the plan for a reader."""
    lines = [
        f"{short_number(workload.impressions)} impressions, {short_number(workload.ids)} ids, D = {workload.dim}, "
        f"{workload.epochs} pass{'es' if workload.epochs > 1 else ''}: {short_number(workload.steps)} steps of "
        f"{short_number(workload.batch_impressions)} impressions",
        "",
        f"With {cluster_text(planned)}:",
        *text_table(["", ""], _rows(workload, planned)),
        "",
        *text_table(["a step of a worker", "s", "core-s"], _step_rows(planned)),
        "",
        f"Bottleneck: {bottleneck(planned)}",
    ]
    if memory_warning := _memory_warning(planned, memory_bytes):
        lines.append(memory_warning)
    best = suggestion.candidate
    if best.cluster == planned.cluster:
        lines.append(f"Suggested: this ({suggestion.reason}).")
    else:
        lines.append(f"Suggested: {cluster_text(best)}: {duration(best.hours * 3600)} ({suggestion.reason}).")
    lines.append(f"Constants: measured on {constants.measured_on} by {constants.measured_by}")
    return lines


def cluster_text(candidate: Candidate) -> str:
    """Return the numbers of workers and servers in words."""
    workers, servers = candidate.cluster.workers, candidate.cluster.servers
    text = f"{workers} worker{'s' if workers > 1 else ''}"
    return (
        f"{text}, the table within it" if servers == 0 else f"{text} and {servers} server{'s' if servers > 1 else ''}"
    )


def _rows(workload: Workload, planned: Candidate) -> list[list[str]]:
    step, of_run, servers = planned.step, planned.sizes, planned.cluster.servers
    rate = workload.batch_impressions / step.seconds
    received, sent = step.worker_bytes
    rows = [
        ["time of the training", duration(planned.hours * 3600)],
        ["a step", f"{1000 * step.seconds:.0f} ms, {short_number(rate)} impressions/s"],
        ["memory of a worker", short_bytes(of_run.worker_bytes)],
    ]
    if received or sent:
        rows.append(["network of a worker, a step", f"{short_bytes(received)} in, {short_bytes(sent)} out"])
    if servers:
        received, sent = step.server_bytes
        busy = step.cpu_s[1] / (step.seconds * planned.cluster.server_cores)
        rows += [
            ["memory of a server", short_bytes(of_run.server_bytes)],
            ["network of a server, a step", f"{short_bytes(received)} in, {short_bytes(sent)} out"],
            ["a server's cores are busy", f"{busy:.0%} of the time ({1000 * step.cpu_s[1]:.0f} core-ms a step)"],
        ]
    return [
        *rows,
        ["a checkpoint", f"{short_bytes(of_run.checkpoint_bytes)}, {duration(of_run.save_s)} to write"],
        ["disk of the run", short_bytes(of_run.run_disk_bytes)],
        ["disk of the data set's train split", short_bytes(of_run.data_disk_bytes)],
    ]


def _step_rows(planned: Candidate) -> list[list[str]]:
    """Return a row for each part of a worker's step: time on the main thread, and work."""
    step = planned.step
    own = [
        [name, f"{step.path[name]:.3f}" if name in step.path else "beside it", f"{work:.3f}"]
        for name, work in step.worker_work.items()
    ]
    waits = [[f"waits: {name}", f"{s:.3f}", ""] for name, s in step.path.items() if s and name not in step.worker_work]
    return [*own, *waits, ["together", f"{sum(step.path.values()):.3f}", f"{step.cpu_s[0]:.3f}"]]


def _memory_warning(planned: Candidate, memory_bytes: float) -> str:
    needed = planned.sizes.server_bytes or planned.sizes.worker_bytes
    if needed <= memory_bytes * MEMORY_SHARE:
        return ""
    who = "A server" if planned.cluster.servers else "The worker"
    return (
        f"Warning: {who.lower()} needs {short_bytes(needed)}, more than {MEMORY_SHARE:.0%} of its "
        f"{short_bytes(memory_bytes)}. Take more servers, or more memory each (--server-memory-gb)."
    )


def plan_mapping(
    workload: Workload, constants: PlanConstants, planned: Candidate, suggestion: Suggestion
) -> dict[str, Any]:
    """Return the same for a program."""
    best = suggestion.candidate
    mapping = json_value(
        {
            "steps": workload.steps,
            "batch": workload.share(planned.cluster.workers),
            "plan": {**_candidate_mapping(planned), "bottleneck": bottleneck(planned)},
            "suggestion": {**_candidate_mapping(best), "reason": suggestion.reason},
            "constants": constants,
        }
    )
    assert isinstance(mapping, dict)
    return mapping


def _candidate_mapping(candidate: Candidate) -> dict[str, Any]:
    return {
        "cluster": candidate.cluster,
        "step": candidate.step,
        "sizes": candidate.sizes,
        "hours": candidate.hours,
    }
