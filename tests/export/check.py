"""Compares a model's predictions with those of its exports: `check.py LAGRANGE MODEL IMAGES`.

IMAGES is a file of IDX images (.gz) or an .npz with `x`. ONNX runs in onnxruntime, the safetensors file in PyTorch
where that is installed; NumPy reads the .npz. Ends with an error if one label differs."""
import gzip
import importlib.util
import json
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime


def images_of(path):
    """uint8 [n, C, H, W]"""
    if path.endswith(".npz"):
        x = np.load(path)["x"]
    else:
        data = gzip.open(path).read()
        x = np.frombuffer(data, np.uint8, offset=16).reshape(np.frombuffer(data, ">i4", 3, 4))
    x = x[..., None] if x.ndim == 3 else x
    return x.transpose(0, 3, 1, 2).copy()


def export(lagrange, model, form, out):
    command = [lagrange, "export", model, "--format", form, "--out", out]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def onnx(path, images, count):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores, labels = session.run(["scores", "label"], {"image": images})
    names = json.loads(session.get_modelmeta().custom_metadata_map["names"])
    assert scores.shape == (len(images), count)
    # Any number of images.
    assert session.run(["label"], {"image": images[:1]})[0].shape == (1,)
    return scores, [names[label] for label in labels]


def torch(folder, images):
    import torch

    spec = importlib.util.spec_from_file_location("model", f"{folder}/model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model, config = module.load(folder)
    blocks = np.array_split(images, max(1, len(images) // 500))
    scores = np.concatenate([model(torch.from_numpy(block)).numpy() for block in blocks])
    labels = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(1)
    return scores, [config["classes"][label] for label in labels]


def main(lagrange, model, path):
    images = images_of(path)
    command = [lagrange, "predict", model, path, "--format", "jsonl"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    said = [json.loads(line) for line in said]
    scores, labels = np.array([line["scores"] for line in said]), [line["label"] for line in said]
    assert len(said) == len(images)
    with tempfile.TemporaryDirectory() as folder:
        path = export(lagrange, model, "onnx", f"{folder}/m.onnx")
        others = {"onnxruntime": onnx(path, images, scores.shape[1])}
        if importlib.util.find_spec("torch"):
            others["torch"] = torch(export(lagrange, model, "torch", f"{folder}/m"), images)
        arrays = np.load(export(lagrange, model, "npz", f"{folder}/m.npz"))
        assert arrays["layers.0.weight"].ndim == 4 and arrays["mean"].shape == (images.shape[1],)
    wrong = 0
    for name, (theirs, their_labels) in others.items():
        different = sum(ours != other for ours, other in zip(labels, their_labels))
        wrong += different
        gap = np.abs(theirs - scores).max()
        print(f"{name}: {len(labels)} images, {different} other labels, scores within {gap:.1e}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
