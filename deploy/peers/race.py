"""Time to an accuracy: `lagrange train` and Adam in PyTorch in turns, seed by seed, on one machine.

    cargo build --release --bin lagrange
    python deploy/peers/race.py --seeds 5

Lagrange's seconds hold everything from the first listening to the last evaluation, with reading the data and finding the first kernels;
Adam's are those of training alone. Settings of Adam: the least epochs that reach the target, with the best of batches of
32, 64 and 128 and of learning rates of 0.001, 0.002 and 0.004 (`tuned`, found on the test set), or with 0.002 (`usual`).
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAGRANGE = {
    ("odd-even", 98.5): ["--preset", "odd-even-fast", "--epochs", "0.2"],
    ("odd-even", 99.0): ["--preset", "odd-even-fast", "--epochs", "0.4"],
    ("digits", 98.5): ["--preset", "digits-fast", "--epochs", "0.3"],
    ("digits", 99.0): ["--preset", "digits-fast", "--epochs", "0.8"],
}
# Batch, learning rate, epochs.
TUNED = {
    ("odd-even", 98.5): (32, 4e-3, 0.4),
    ("odd-even", 99.0): (32, 2e-3, 1.0),
    ("digits", 98.5): (32, 4e-3, 0.55),
    ("digits", 99.0): (64, 4e-3, 1.5),
}
USUAL = {
    ("odd-even", 98.5): (64, 2e-3, 0.75),
    ("odd-even", 99.0): (64, 2e-3, 1.5),
    ("digits", 98.5): (64, 2e-3, 1.0),
    ("digits", 99.0): (64, 2e-3, 1.75),
}


def last_line(command):
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = json.loads(output.splitlines()[-1])
    return result["seconds"], 100 * result["test_accuracy"]


def lagrange(goal, seed):
    with tempfile.TemporaryDirectory() as folder:
        run = ["train", *LAGRANGE[goal], "--seed", str(seed), "--json", "--quiet", "--run-dir", f"{folder}/run"]
        return last_line([ROOT / "target/release/lagrange", *run])


def adam(settings, goal, seed, processes):
    batch, rate, epochs = settings[goal]
    run = {"task": goal[0], "seed": seed, "batch": batch, "rate": rate, "epochs": epochs}
    run |= {"processes": processes, "threads": 2 // processes}
    flags = [part for name, value in run.items() for part in (f"--{name}", str(value))]
    return last_line([sys.executable, ROOT / "deploy/peers/adam.py", *flags])


SYSTEMS = {
    "lagrange": lagrange,
    "adam, tuned": lambda goal, seed: adam(TUNED, goal, seed, 1),
    "adam, tuned, two processes": lambda goal, seed: adam(TUNED, goal, seed, 2),
    "adam, usual": lambda goal, seed: adam(USUAL, goal, seed, 1),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    runs = {}
    for seed in seeds:
        for goal in LAGRANGE:
            for name, run in SYSTEMS.items():
                runs.setdefault((goal, name), []).append(run(goal, seed))
    print("| goal | system | seconds, median | accuracies in % | median ratio |\n|---|---|---|---|---|")
    for (goal, name), results in runs.items():
        ours = [seconds for seconds, _ in runs[goal, "lagrange"]]
        ratio = statistics.median(a / b for a, (b, _) in zip(ours, results))
        seconds = statistics.median(seconds for seconds, _ in results)
        reached = " ".join(f"{accuracy:.2f}" for _, accuracy in results)
        print(f"| {goal[0]} {goal[1]} % | {name} | {seconds:.2f} | {reached} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
