"""Before stage 1: find the edges of numeric fields whose buckets are quantiles, for the schema of the data set."""

from dataclasses import replace

from esmm_dist.errors import SchemaError
from esmm_dist.schema.edges import with_found_edges
from preprocess.read.flat.quantiles import find_edges, open_fields
from preprocess.stages.context import RunContext
from preprocess.stages.parse_stage import files_to_read, parse_job


def with_edges(run: RunContext) -> RunContext:
    """Return the run with a schema that has all edges; those it lacks are found in the train split.

    Raises:
        SchemaError: It lacks edges, and the log has no train split.
    """
    lacking = [field.name for field in run.schema.fields if field.numeric is not None and field.numeric.edges is None]
    if not lacking:
        return run
    if "train" not in run.splits:
        raise SchemaError(
            f"Field '{lacking[0]}': its buckets are quantiles of the train split, and this log has none. Give --like "
            "DATA, to use the edges of the data set that the model was trained on."
        )
    job = parse_job(run)
    files = [file for file in files_to_read(run) if file.split == "train"]
    found = find_edges(job, files, run.pool, run.progress)
    for field in open_fields(job):
        edges, shown = found[field.name], field.name if field.alias == field.name else f"{field.name} ({field.alias})"
        between = f", between {edges[0]:.6g} and {edges[-1]:.6g}" if edges else ""
        run.progress.message(f"{shown}: {_counted(len(edges) + 1)} by quantiles of the train split{between}.")
    return replace(run, schema=with_found_edges(run.schema, found))


def _counted(buckets: int) -> str:
    return f"{buckets:,} buckets" if buckets != 1 else "1 bucket"
