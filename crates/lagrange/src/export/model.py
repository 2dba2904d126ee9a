"""Loads this folder into PyTorch: `model, config = load(".")`; `model` takes images, uint8 [n, C, H, W]."""
import json
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

ACTIVATIONS = {
    "relu": F.relu, "leaky-relu": lambda x: F.leaky_relu(x, 0.1), "identity": lambda x: x,
    "step": lambda x: (x >= 0).float(),
    "quantised-relu": lambda x: (torch.floor(2 * x + 0.5) / 2).clamp(0, 1.5),
}
POOLS = {"none": lambda x, size: x, "max": F.max_pool2d, "avg": F.avg_pool2d, "global": F.avg_pool2d}


def load(folder):
    config = json.load(open(f"{folder}/config.json"))
    weights = load_file(f"{folder}/model.safetensors")
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("mean", "std"))

    def model(images):
        """Scores [n, outputs]: of two classes one output, positive for the second; else the largest wins."""
        x = (images.float() / 255 - mean) / std
        for i, layer in enumerate(config["layers"]):
            kernel, bias = weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"]
            x = F.conv2d(x, kernel, bias, layer["stride"], layer["padding"])
            x = ACTIVATIONS[layer["activation"]](POOLS[layer["pool"]](x, layer["pool_size"]))
        return x.flatten(1)

    return model, config
