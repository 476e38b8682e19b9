"""Kill, stop and end every process of a training at every moment: the model stays that of an undisturbed run."""

import itertools
import signal
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_history import ENDS, read_history
from esmm_dist.train.run_speed import read_speed
from launcher.cli import main
from tests.support.elastic_run import SLOW_SERVERS, elastic_run
from tests.support.faults import During, Fault, How, Injector, Target
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

RANKS = 2
EVERY = 20
"""Steps between checkpoints."""

TARGETS: tuple[Target, ...] = ("worker", "server", "rank 0", "driver")
HOWS: tuple[How, ...] = ("kill -9", "SIGTERM", "SIGSTOP+CONT")
MOMENTS: tuple[During, ...] = ("step", "save", "join")
MATRIX = [
    Fault(target=target, how=how, during=during, index=number % 2)
    for number, (during, how, target) in enumerate(itertools.product(MOMENTS, HOWS, TARGETS))
]
PAIRS = [
    fault
    for fault in MATRIX
    if (TARGETS.index(fault.target) + HOWS.index(fault.how) + MOMENTS.index(fault.during)) % len(MOMENTS) == 0
]
"""A third of the matrix: a Latin square, in which every target, signal and moment meets every one of the others."""
SHORT = [
    fault
    for fault in PAIRS
    if (fault.target, fault.how)
    in {
        ("worker", "SIGSTOP+CONT"),
        ("server", "kill -9"),
        ("rank 0", "SIGTERM"),
        ("driver", "kill -9"),
    }
]
"""Each target, each signal and each moment. A moment "join" begins with kill -9 of a worker in a step."""

pytestmark = pytest.mark.timeout(600)  # all faults are in one run


def training(data: Path, run: Path) -> list[str]:
    return [
        *("train", "--data", str(data), "--run", str(run), "--global-batch-records", "64", "--epochs", "400"),
        *("--checkpoint-every-steps", str(EVERY), "--keep-checkpoints", "1000", "--eval-every-steps", "0"),
        # Linear towers: next to the kink of a ReLU, differences of one bit become large by themselves
        *("--embedding-dim", "4", "--log-every-steps", "10", "--hidden-units"),
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(1280), "test": tiny_groups(101, seed=2, first_sample=5000)})
    return folder


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SHORT, id="each of them"),
        pytest.param(PAIRS, id="every pair", marks=pytest.mark.slow),
        pytest.param(MATRIX, id="the matrix", marks=pytest.mark.slow),
    ],
)
def disturbed(request, data, tmp_path_factory):
    """A run in which all faults have happened, stopped at its end; and what it cost."""
    folder = tmp_path_factory.mktemp("disturbed")
    local = [
        "--workers",
        str(RANKS),
        "--min-workers",
        "1",
        "--servers",
        "2",
        "--stall-seconds",
        "20",
        "--standby",
        "--",
    ]
    with elastic_run(
        folder / "run", [*local, *training(data, folder / "run")], log=folder / "log", esmm=SLOW_SERVERS
    ) as run:
        injector = Injector(run, ranks=RANKS)
        found = []
        run.wait_for_ranks(RANKS)
        for fault in request.param:
            found.append(injector.inject(fault, until_all_are_back=False))
            print(found[-1], flush=True)
        run.wait_for_ranks(RANKS)
        run.send_self(signal.SIGINT)
        assert run.wait_for_end() == 0, run.tail()
        left_over = run.left_over()
    return folder / "run", found, left_over


@pytest.fixture(scope="module")
def undisturbed(data, disturbed, tmp_path_factory):
    """The run of one process, this one, that makes the same steps."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    last = max(checkpoint_steps(Folder.open(disturbed[0])))
    assert main([*training(data, run), "--max-steps", str(last)]) == 0
    return run


def test_the_short_forms_have_every_target_signal_and_moment_and_every_pair_of_them():
    assert len(MATRIX) == 36
    assert [len({getattr(each, kind) for each in SHORT}) for kind in ("target", "how", "during")] == [4, 3, 3]
    assert len(PAIRS) == 12
    assert {(each.target, each.how) for each in PAIRS} == set(itertools.product(TARGETS, HOWS))
    assert {(each.target, each.during) for each in PAIRS} == set(itertools.product(TARGETS, MOMENTS))
    assert {(each.how, each.during) for each in PAIRS} == set(itertools.product(HOWS, MOMENTS))


def test_every_checkpoint_of_a_disturbed_run_is_that_of_an_undisturbed_one(disturbed, undisturbed):
    steps = sorted(checkpoint_steps(Folder.open(disturbed[0])))
    regular = list(range(EVERY, steps[-1] + 1, EVERY))
    assert set(regular) <= set(steps)  # and those of workers that saved and ended
    differences = {
        step: largest_difference(saved_arrays(disturbed[0], step), saved_arrays(undisturbed, step))
        for step in [*regular, steps[-1]]
    }
    print(differences)
    assert max(differences.values()) < 1e-5


def test_the_history_of_a_disturbed_run_tells_all_that_happened_in_one_file(disturbed):
    events = read_history(Folder.open(disturbed[0]))
    names = [event.event for event in events]
    assert "start" in names
    assert "worker_lost" in names
    assert "server_lost" in names
    changes = [event.details for event in events if event.event == "ranks"]
    assert changes
    assert all(each["ranks"] != each["before"] for each in changes)
    assert all(event.details["servers"] == 2 for event in events if event.event in ("start", "resume", "ranks"))
    end = [event for event in events if event.event in ENDS][-1]
    saved = {event.step for event in events if event.event == "checkpoint"}
    assert (end.event, end.details["signal"]) == ("stop", "SIGINT")
    assert {end.step, *range(EVERY, end.step or 0, EVERY)} <= saved
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_the_speed_of_a_disturbed_run_has_every_step_and_both_numbers_of_ranks(disturbed):
    points = read_speed(Folder.open(disturbed[0]))
    made = {step for point in points for step in range(point.step - point.steps + 1, point.step + 1)}
    last = max(checkpoint_steps(Folder.open(disturbed[0])))
    assert made >= set(range(1, last + 1))  # and those that were undone, and not made again by the end
    assert {point.ranks for point in points} >= {1, RANKS}


def test_the_faults_leave_no_process_behind(disturbed):
    assert disturbed[2] == []
