"""Reads a run's event files as TensorBoard does, and compares them with its metrics: `check.py RUN_FOLDER FILES`.

FILES is the number of event files that the folder must have: one, and one more each time the run was resumed. Ends
with an error if a file is damaged, if a series has other steps or values than metrics.jsonl, or if histograms or
pictures are missing."""
import glob
import io
import json
import os
import shutil
import sys
import tempfile

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.tensorflow_stub.errors import DataLossError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

OF_STEPS = {
    "train/loss": "loss",
    "train/objective": "objective",
    "train/multiplier_rms": "multiplier_rms",
    "train/rate": "rate",
    "cluster/bytes_to_workers": "bytes_sent",
    "cluster/bytes_from_workers": "bytes_received",
    "seconds/wait": "wait_seconds",
    "seconds/work": "work_seconds",
}
OF_STAGES = {
    "residual/stage%d/output": "output_residual",
    "residual/stage%d/activation": "activation_residual",
    "residual/stage%d/dual": "dual_residual",
    "solve/stage%d/condition": "condition",
}


def series_of(metrics):
    """Every series of the metrics: tag to a list of step and value."""
    series, workers = {}, None
    for event in metrics:
        values = {}
        if event["event"] == "membership":
            workers = event["workers"]
        elif event["event"] == "step":
            values = {tag: event[key] for tag, key in OF_STEPS.items()}
            values["cluster/workers"] = workers
            for tag, key in OF_STAGES.items():
                values |= {tag % (stage + 1): value for stage, value in enumerate(event[key])}
        elif event["event"] == "evaluation":
            split = event["split"].replace("validation", "val")
            values = {f"{split}/{key}": event[key] for key in ("accuracy", "loss")}
        for tag, value in values.items():
            series.setdefault(tag, []).append((event["step"], np.float32(value)))
    return series


def records(path):
    """Records of a file whose checksums are right, and whether it ends behind one of them."""
    reader, count = PyRecordReader_New(path), 0
    try:
        while True:
            reader.GetNext()
            count += 1
    except DataLossError:
        return count, False
    except Exception as error:  # its errors.OutOfRangeError has no place in the public names
        assert type(error).__name__ == "OutOfRangeError", error
        return count, True


def check_damage_is_seen(path):
    """A changed bit must not pass: this check could otherwise not fail."""
    data = bytearray(open(path, "rb").read())
    data[len(data) // 2] ^= 1
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        open(copy, "wb").write(data)
        assert not records(copy)[1], "a damaged file was read to its end"


def read(run):
    # Without limits: TensorBoard shows a sample of a long series.
    events = event_accumulator.EventAccumulator(run, size_guidance=dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0))
    events.Reload()
    return events


def check_scalars(events, expected):
    assert sorted(events.Tags()["scalars"]) == sorted(expected), (events.Tags()["scalars"], sorted(expected))
    for tag, points in expected.items():
        found = [(event.step, np.float32(event.value)) for event in events.Scalars(tag)]
        assert found == points, f"{tag}: {found[:9]} .. instead of {points[:9]} .."
        steps = [step for step, _ in found]
        assert steps == sorted(set(steps)), f"{tag}: a step twice"


def check_weights(events, evaluated, stages):
    expected = [f"weights/stage{stage}/{part}" for stage in range(1, stages + 1) for part in ("kernels", "bias")]
    assert sorted(events.Tags()["histograms"]) == sorted(expected)
    for tag in expected:
        found = events.Histograms(tag)
        assert [event.step for event in found] == evaluated, (tag, [event.step for event in found], evaluated)
        for event in found:
            counts = event.histogram_value
            assert counts.num > 0 and abs(sum(counts.bucket) - counts.num) < 0.5 and counts.min <= counts.max
    assert events.Tags()["images"] == ["kernels/stage1"]
    for event in events.Images("kernels/stage1"):
        picture = Image.open(io.BytesIO(event.encoded_image_string))
        assert picture.format == "PNG" and picture.size == (event.width, event.height)
        shades = np.asarray(picture)
        assert shades.min() != shades.max(), "nothing is drawn"
    assert [event.step for event in events.Images("kernels/stage1")] == evaluated


def main(run, files):
    paths = sorted(glob.glob(os.path.join(run, "events.out.tfevents.*")))
    assert len(paths) == int(files), paths
    found = [records(path) for path in paths]
    # A process that was killed may have left half a record; TensorBoard goes on with the next file.
    assert found[-1][1], f"{paths[-1]} is damaged"
    check_damage_is_seen(paths[-1])
    with open(os.path.join(run, "metrics.jsonl")) as lines:
        metrics = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as alone:
        for path in paths:
            shutil.copy(path, alone)
        events = read(alone)
    expected = series_of(metrics)
    check_scalars(events, expected)
    evaluated = sorted({event["step"] for event in metrics if event["event"] == "evaluation"})
    stages = max(len(event["dual_residual"]) for event in metrics if event["event"] == "step")
    check_weights(events, evaluated, stages)
    points = sum(len(points) for points in expected.values())
    size = sum(map(os.path.getsize, paths))
    print(
        f"{len(paths)} event files, {sum(count for count, _ in found)} records, {size / 1e3:.0f} kB: "
        f"{len(expected)} series with {points} points as in metrics.jsonl, weights at steps {evaluated}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
