"""Stands in for ``esmm`` below ``esmm local``: behaves as a test asks, within milliseconds and without TensorFlow.

Words: ``server ...`` or ``train ...``. What a worker does is in ``--do``; ``--only RANK`` limits it to one rank. Each
process first writes a file with its pid into the folder ``STAND_IN_FOLDER``, named like ``worker-0``.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from launcher.terminal.progress import make_progress

FOLDER = Path(os.environ["STAND_IN_FOLDER"])


def write_whole(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.tmp{os.getpid()}")
    new.write_text(text)
    new.replace(path)


STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def wait_for_signal() -> signal.Signals:
    return signal.Signals(signal.sigwait(STOP_SIGNALS))


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def server(args: argparse.Namespace) -> int:
    do = os.environ.get("STAND_IN_SERVER", "")
    if do == "real":
        become("server", *sys.argv[2:])
    if do == "silent":
        log("thinking")
        wait_for_signal()
        return 0
    if do == f"fail {args.index}":
        log("esmm: bind is 127.0.0.1:0, which is taken.")
        return 1
    token = Path(args.token_file)
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    assert len(token.read_text().strip()) == 64
    log(f"listening on 127.0.0.1:{9000 + args.index}")
    write_whole(Path(args.address_file), f"127.0.0.1:{9000 + args.index}\n")
    wait_for_signal()
    if do == "stubborn":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        wait_for_signal()
    log("shut down")
    return 0


def worker(args: argparse.Namespace, rank: int) -> int:
    do = args.do if args.only in (None, rank) else "wait"
    progress = make_progress()
    if do == "report":
        progress.start("train", 4, "steps")
        progress.advance(4, "loss 0.5")
        progress.message("saved step 4")
        progress.finish()
        report = sys.stderr if args.json else sys.stdout
        print(f"Trained rank {rank}, servers {args.servers}, size {os.environ.get('HOROVOD_SIZE')}", file=report)
        if args.json:
            print(json.dumps({"step": 4, "auc": 0.1 + 0.2}))
        return 0
    if do == "flood":
        for i in range(2000):
            sys.stderr.write(f"line {i} of rank {rank} {'x' * (i % 300)} end\n")
        return 0
    if do == "same_error":
        log("esmm: data is nowhere, which is no folder.")
        return 2
    if do == "own_error":
        log(f"esmm: rank {rank} cannot read shard {rank}.")
        return 1
    if do == "status":
        log("about to go")
        return 3
    if do == "ask":
        become("servers", "--servers", args.servers, "--token-file", args.token_file, "--json")
    if do == "horovod":
        return horovod(Path(args.token_file), rank)
    if do == "child":
        if os.fork() == 0:
            write_whole(FOLDER / "grandchild", str(os.getpid()))
            signal.pause()
        return wait(args, rank)
    if do == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        write_whole(FOLDER / "deaf", "")
        while True:
            signal.pause()
    return wait(args, rank)


def become(*words: str) -> None:
    """Go on as the real ``esmm``."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    os.execv(sys.executable, [sys.executable, "-m", "launcher", *words])


def horovod(token_file: Path, rank: int) -> int:
    from esmm_dist.process.quiet import import_horovod
    from esmm_dist.ranks.open_world import open_world

    hvd = import_horovod()
    import tensorflow as tf

    open_world(token_file)
    total = hvd.allreduce(tf.constant([float(rank + 1)]), op=hvd.Sum).numpy()[0]
    print(f"rank {hvd.rank()} of {hvd.size()} on {hvd.local_rank()} of {hvd.local_size()}: {total}")
    return 0


def wait(args: argparse.Namespace, rank: int) -> int:
    """Do as a training does: on a signal save, say so, end with 0."""
    make_progress().start("train", 100, "steps")
    make_progress().advance(25, "loss 0.5")
    write_whole(FOLDER / f"ready-{rank}", "")
    number = wait_for_signal()
    if args.unsaved:
        return 128 + number
    print(f"Stopped by {number.name}. All is saved.")
    return 0


def main() -> int:
    # Signals wait until sigwait takes them: none is lost, and none ends the process in between.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    parser = argparse.ArgumentParser()
    parser.add_argument("word")
    for name in ("--index", "--count", "--only"):
        parser.add_argument(name, type=int)
    for name in ("--bind", "--token-file", "--address-file", "--servers"):
        parser.add_argument(name)
    for name in ("--json", "--unsaved"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--do", default="wait")
    args = parser.parse_args()
    rank = int(os.environ.get("HOROVOD_RANK", "0"))
    name = f"server-{args.index}" if args.word == "server" else f"worker-{rank}"
    write_whole(FOLDER / name, str(os.getpid()))
    return server(args) if args.word == "server" else worker(args, rank)


if __name__ == "__main__":
    sys.exit(main())
