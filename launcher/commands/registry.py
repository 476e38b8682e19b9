"""Every command of ``esmm``, a row each, in the order of ``esmm --help``."""

from typing import Any

from launcher.command import Command
from launcher.tasks import TASKS, TaskName

TRY, DATA, TRAIN, LOOK = "Try and check", "Data", "Train", "Look at a model"
SERVE, JOBS, SERVERS = "Serve", "Runs and cluster jobs", "Servers and other processes"


def _task(name: TaskName) -> dict[str, Any]:
    """Return what a job's task and the command of the same name have in common."""
    return {"name": name, "settings": TASKS[name].settings, "stored": TASKS[name].stored}


_ROWS = (
    Command(
        name="demo",
        group=TRY,
        summary="Run the whole path in three minutes: synthetic log, preprocess, train, evaluate, predict.",
        example="esmm demo",
        settings="launcher.demo.run:DemoConfig",
        work="launcher.demo.run:demo_command",
        positional=("dir",),
    ),
    Command(
        name="doctor",
        group=TRY,
        summary="Check this machine and the installed libraries, and say how to fix what fails.",
        example="esmm doctor",
        settings="launcher.doctor.run:DoctorConfig",
        work="launcher.doctor.run:doctor_command",
    ),
    Command(
        **_task("synth"),
        group=DATA,
        summary="Write a synthetic raw log (Ali-CCP format) and the best AUC that any model can reach on it.",
        example="esmm synth raw --impressions 300000",
        work="launcher.commands.data:synth_command",
        positional=("out",),
    ),
    Command(
        **_task("preprocess"),
        group=DATA,
        summary="Turn a raw log into a data set: grouped TFRecord shards, a vocabulary and a manifest.",
        example="esmm preprocess raw data --schema aliccp",
        work="launcher.commands.data:preprocess_command",
        positional=("raw", "out"),
        main=("schema", "like", "min_count", "workers", "memory_gb"),
        earlier_settings="launcher.commands.data:settings_like",
    ),
    Command(
        name="copy",
        group=DATA,
        summary="Copy a data set, a log or a model from or to an object store, or continue an interrupted copy.",
        example="esmm copy s3://bucket/data data",
        settings="launcher.object_store.copy:CopyConfig",
        work="launcher.object_store.copy:copy_command",
        positional=("source", "target"),
    ),
    Command(
        name="plan",
        group=TRAIN,
        summary="Say how large a training must be, how long it takes and what limits it, before it is started.",
        example="esmm plan --impressions 42000000 --ids 8000000 --workers 4 --servers 2 --network-gbps 10",
        settings="launcher.plan.config:PlanConfig",
        work="launcher.plan.run:plan_command",
        main=("data", "impressions", "ids", "dim", "workers", "servers", "network_gbps", "hours"),
    ),
    Command(
        **_task("train"),
        group=TRAIN,
        summary="Train ESMM on a data set, or resume a run: esmm train --run RUN",
        example="esmm train --data data --run run",
        work="launcher.commands.training:train_command",
        in_ranks=True,
        main=("data", "run", "epochs", "global_batch_records", "embedding_learning_rate", "servers"),
        earlier_settings="launcher.commands.training:settings_of_run",
    ),
    Command(
        name="local",
        group=TRAIN,
        summary="Train (or evaluate, predict) on this machine with several workers and parameter servers.",
        example="esmm local --workers 2 --servers 2 -- --data data --run run",
        settings="launcher.local.config:LocalConfig",
        work="launcher.commands.training:local_command",
        main=("workers", "servers", "min_workers", "max_workers", "dry_run"),
        rest="command",
    ),
    Command(
        name="tune",
        group=TRAIN,
        summary="Search for the settings of esmm train that do best on the validation split, with many trainings.",
        example="esmm tune search.yaml",
        settings="launcher.tune.config:TuneConfig",
        work="launcher.tune.run:tune_command",
        file_first=True,
        main=("data", "study", "objective", "trials", "jobs", "settings", "search"),
    ),
    Command(
        **_task("evaluate"),
        group=LOOK,
        summary="Measure a trained model on one split: exact AUC with its standard error, log loss, calibration.",
        example="esmm evaluate --run run --data data --split test",
        work="launcher.commands.inference:evaluate_command",
        in_ranks=True,
    ),
    Command(
        name="checkpoints",
        group=LOOK,
        summary="List the checkpoints of a run (step, size, rows, metrics, intact or damaged), or --show one.",
        example="esmm checkpoints run --show 1000",
        settings="launcher.commands.checkpoints:CheckpointsConfig",
        work="launcher.commands.checkpoints:checkpoints_command",
        positional=("run",),
    ),
    Command(
        name="table",
        group=LOOK,
        summary="Print rows of a saved embedding table, with their slot variables.",
        example="esmm table run --field user_id --value 111",
        settings="launcher.commands.table:TableConfig",
        work="launcher.commands.table:table_command",
        positional=("run",),
    ),
    Command(
        **_task("predict"),
        group=SERVE,
        summary="Write predictions to a file (Parquet or CSV): sample_id, pctr, pcvr, pctcvr.",
        example="esmm predict --run run --data data --split test --out predictions.parquet",
        work="launcher.commands.inference:predict_command",
        in_ranks=True,
    ),
    Command(
        **_task("export"),
        group=SERVE,
        summary="Write the model as a SavedModel that plain TensorFlow loads and serves.",
        example="esmm export --run run --out model/1",
        work="launcher.commands.inference:export_command",
    ),
    Command(
        name="submit",
        group=JOBS,
        summary="Run a job in a Kubernetes cluster: a training, or another task in one pod.",
        example="esmm submit job.yaml --follow",
        settings="launcher.jobs.config:SubmitConfig",
        work="launcher.commands.submit:submit_command",
        positional=("file",),
    ),
    Command(
        name="jobs",
        group=JOBS,
        summary="List the jobs of a namespace and the runs in folders below the current one.",
        example="esmm jobs --all-namespaces",
        settings="launcher.jobs.config:JobsConfig",
        work="launcher.commands.jobs:jobs_command",
    ),
    Command(
        name="status",
        group=JOBS,
        summary="Show the ranks, servers, speed, checkpoints and restarts of a run or job, and what holds it up.",
        example="esmm status run --watch 2",
        settings="launcher.jobs.config:StatusConfig",
        work="launcher.commands.jobs:status_command",
        positional=("job",),
    ),
    Command(
        name="logs",
        group=JOBS,
        summary="Show the log of a run's or job's driver, of a worker or of a server.",
        example="esmm logs nightly --rank 0 -f",
        settings="launcher.jobs.config:LogsConfig",
        work="launcher.commands.jobs:logs_command",
        positional=("job",),
        short={"follow": "-f"},
    ),
    Command(
        name="scale",
        group=JOBS,
        summary="Change the number of workers of a run or job while it trains, or of a job's servers.",
        example="esmm scale run --workers 3",
        settings="launcher.jobs.config:ScaleConfig",
        work="launcher.commands.jobs:scale_command",
        positional=("job",),
    ),
    Command(
        name="cancel",
        group=JOBS,
        summary="Stop a run or job; it saves a checkpoint first, from which it can be resumed.",
        example="esmm cancel nightly",
        settings="launcher.jobs.config:CancelConfig",
        work="launcher.commands.jobs:cancel_command",
        positional=("job",),
    ),
    Command(
        name="resume",
        group=JOBS,
        summary="Resume a stopped run or job from its last checkpoint.",
        example="esmm resume nightly",
        settings="launcher.jobs.config:ResumeConfig",
        work="launcher.commands.jobs:resume_command",
        positional=("job",),
    ),
    Command(
        name="delete",
        group=JOBS,
        summary="Remove a run or job; its data stay unless --no-keep-data is given.",
        example="esmm delete nightly",
        settings="launcher.jobs.config:DeleteConfig",
        work="launcher.commands.jobs:delete_command",
        positional=("job",),
    ),
    Command(
        name="server",
        group=SERVERS,
        summary="Run one parameter server until SIGTERM.",
        example="esmm server --index 0 --count 2 --bind 127.0.0.1:7070",
        settings="esmm_dist.parameter_server.config:ServerConfig",
        work="launcher.commands.servers:server_command",
    ),
    Command(
        name="servers",
        group=SERVERS,
        summary="Show the rows, speed, latency and state of running parameter servers.",
        example="esmm servers --servers 127.0.0.1:7070,127.0.0.1:7071 --watch 2",
        settings="launcher.commands.servers:ServerFiguresConfig",
        work="launcher.commands.servers:servers_command",
    ),
    Command(
        name="driver",
        group=SERVERS,
        summary="Assign the ranks of an elastic run to its agents (esmm local and cluster jobs start it).",
        example="esmm driver --run run --agents-file agents.json --servers 127.0.0.1:7070 --max-workers 4",
        settings="launcher.driver.config:DriverConfig",
        work="launcher.commands.driver_and_agent:driver_command",
    ),
    Command(
        name="agent",
        group=SERVERS,
        summary="Run one worker of an elastic training at its driver's request, until SIGTERM.",
        example="esmm agent --name worker-0 -- train --data data --run run --servers 127.0.0.1:7070",
        settings="launcher.agent.config:AgentConfig",
        work="launcher.commands.driver_and_agent:agent_command",
        rest="command",
    ),
)

COMMANDS: dict[str, Command] = {row.name: row for row in _ROWS}
"""By name."""

FIRST_STEPS = ("demo", "preprocess", "train", "evaluate", "predict")
"""The commands that a new user needs first: ``esmm --help`` begins with their examples."""
