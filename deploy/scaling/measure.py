"""Measures the cost of a step over workers, bandwidth and latency, and fits the model of README.md to it. Linux, as root:

    cargo build --release --bin lagrange && python3 deploy/scaling/measure.py

The coordinator and the workers run in two network namespaces of their own, joined by a pair of interfaces whose rate `tc` limits at both ends: it
stands for the coordinator's network card. Latency comes from a relay in front of the workers. Needs numpy.
"""

import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
LAGRANGE = HERE.parents[1] / "target/release/lagrange"
NEAR, FAR, ADDRESS, PORT, RELAY = "lagrange-near", "lagrange-far", "10.77.0.1", 7400, 7401
WORKERS = (2, 4, 8, 16)
MEGABITS = (None, 1000, 200)
MILLISECONDS = (0, 2, 10)
BATCH, STEPS, WARM_UP, EVERY = 256, 64, 8, 16
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}


def run(*command):
    subprocess.run(command, check=True)


def inside(namespace, *command, **options):
    full = ["ip", "netns", "exec", namespace, *map(str, command)]
    return subprocess.Popen(full, env=ENVIRONMENT, **options)


def network(megabits):
    for namespace in (NEAR, FAR):
        subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL, check=False)
        run("ip", "netns", "add", namespace)
    run("ip", "link", "add", "lg-near", "netns", NEAR, "type", "veth", "peer", "name", "lg-far", "netns", FAR)
    for namespace, link, address in ((NEAR, "lg-near", ADDRESS), (FAR, "lg-far", "10.77.0.2")):
        run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", link)
        run("ip", "-n", namespace, "link", "set", link, "up")
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        if megabits:
            # Half a millisecond's bytes pass at once: a larger bucket would carry small steps for nothing.
            limit = ["rate", f"{megabits}mbit", "burst", f"{megabits * 60}b", "latency", "500ms"]
            run("ip", "netns", "exec", namespace, "tc", "qdisc", "add", "dev", link, "root", "tbf", *limit)


def measure(workers, megabits, milliseconds):
    network(megabits)
    with tempfile.TemporaryDirectory() as folder:
        settings = ["--preset", "digits-fast", "--train-limit", BATCH * STEPS, "--quiet", "--run-dir", f"{folder}/run"]
        coordinator = inside(
            NEAR, LAGRANGE, "coordinator", "--listen", f"{ADDRESS}:{PORT}", "--workers", workers, *settings,
            *EXTRA, stdout=subprocess.DEVNULL,
        )
        target, others = f"{ADDRESS}:{PORT}", []
        if milliseconds:
            target = f"127.0.0.1:{RELAY}"
            others.append(inside(FAR, sys.executable, HERE / "relay.py", RELAY, ADDRESS, PORT, milliseconds))
            time.sleep(0.3)
        staff = [inside(FAR, LAGRANGE, "worker", "--connect", target, "--threads", 1) for _ in range(workers)]
        if coordinator.wait(timeout=300) != 0:
            sys.exit(f"the run with {workers} workers failed")
        for worker in staff:
            worker.wait(timeout=30)
        for process in others:
            process.terminate()
            process.wait()
        lines = [json.loads(line) for line in open(f"{folder}/run/metrics.jsonl")]
    steps = [line for line in lines if line["event"] == "step"]
    rows = []
    for before, step in itertools.pairwise(steps):
        number = step["step"] - 1
        wire = sum(step[key] - before[key] for key in ("bytes_sent", "bytes_received"))
        rows.append((number < WARM_UP or number % EVERY == 0, step["seconds"] - before["seconds"], wire, step["work_seconds"]))
    plain = [row for row in rows if not row[0]]
    return [statistics.median(row[column] for row in plain) for column in (1, 2, 3)]


# More flags for the coordinator.
EXTRA = sys.argv[1:]


def main():
    print("| workers | Mbit/s | latency ms | step ms | coordinator ms | kB per step | model ms |\n|---|---|---|---|---|---|---|")
    points = list(itertools.product(WORKERS, MEGABITS, MILLISECONDS))
    found = [measure(*point) for point in points]
    # Step = start + per worker + per byte each way through the limit + round trips.
    columns = [
        [1.0, workers, 4 * wire / (1e6 * megabits) if megabits else 0.0, 2 * milliseconds / 1e3]
        for (workers, megabits, milliseconds), (_, wire, _) in zip(points, found)
    ]
    seconds = np.array([row[0] for row in found])
    # Relative errors: a long step must not outweigh the others.
    fit, *_ = np.linalg.lstsq(np.array(columns) / seconds[:, None], np.ones(len(seconds)), rcond=None)
    for point, (step, wire, work), column in zip(points, found, columns):
        workers, megabits, milliseconds = point
        modelled = float(np.dot(fit, column))
        print(f"| {workers} | {megabits or '-'} | {milliseconds} | {1e3 * step:.1f} | {1e3 * work:.2f} | {wire / 1e3:.0f} | {1e3 * modelled:.1f} |")
    errors = [abs(np.dot(fit, column) / step - 1) for (step, *_), column in zip(found, columns)]
    print(f"\nstep = {1e3 * fit[0]:.2f} ms + {1e3 * fit[1]:.3f} ms x workers + {fit[2]:.2f} x (bytes each way) / rate + {fit[3]:.2f} x round trip")
    print(f"median error {100 * statistics.median(errors):.0f} %, largest {100 * max(errors):.0f} %")
    for namespace in (NEAR, FAR):
        run("ip", "netns", "del", namespace)


if __name__ == "__main__":
    main()
