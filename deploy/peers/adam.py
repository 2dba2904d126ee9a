"""Adam on Lagrange's default network in PyTorch, on the CPU: one run, one line of JSON.

The seconds are those of training alone: importing PyTorch, reading the data and the evaluation are left out.
With --processes N the same run is distributed over N processes by DistributedDataParallel and gloo.
"""

import argparse
import gzip
import json
import pathlib
import time

import numpy as np
import torch
from torch import nn

DATA = pathlib.Path(__file__).resolve().parents[2] / "crates/lagrange-data/data"
TRAIN = 60_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=["digits", "odd-even"], default="digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3, help="learning rate, falling to 0 over the run")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--port", type=int, default=29477)
    return parser.parse_args()


def load(part):
    def idx(kind, header):
        with gzip.open(DATA / f"{part}-{kind}.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    images = torch.from_numpy(idx("images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).astype(np.float32))
    images = ((images / 255 - 0.1307) / 0.3081).contiguous(memory_format=torch.channels_last)
    return images, torch.from_numpy(idx("labels-idx1-ubyte", 8).astype(np.int64))


def network(outputs):
    stages = [(1, 16), (16, 32)]
    layers = [layer for c_in, c in stages for layer in (nn.Conv2d(c_in, c, 5), nn.MaxPool2d(2), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(32, outputs, 4), nn.Flatten()).to(memory_format=torch.channels_last)


def loss_of(task, z, labels):
    if task == "digits":
        return nn.functional.cross_entropy(z, labels)
    return nn.functional.binary_cross_entropy_with_logits(z[:, 0], (labels % 2).float())


def accuracy(task, model):
    images, labels = load("t10k")
    with torch.no_grad():
        z = torch.cat([model(block) for block in images.split(1000)])
    correct = z.argmax(1) == labels if task == "digits" else (z[:, 0] > 0) == (labels % 2 == 1)
    return correct.float().mean().item()


def train(rank, args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images, labels = load("train")
    plain = model = network(10 if args.task == "digits" else 1)
    if args.processes > 1:
        address = f"tcp://127.0.0.1:{args.port}"
        torch.distributed.init_process_group("gloo", address, rank=rank, world_size=args.processes)
        model = nn.parallel.DistributedDataParallel(plain)
    optimiser = torch.optim.Adam(model.parameters(), lr=args.rate)
    per_epoch, share = TRAIN // args.batch, args.batch // args.processes
    steps = max(1, round(per_epoch * args.epochs))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    random = torch.Generator().manual_seed(args.seed)
    begin = time.perf_counter()
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(TRAIN, generator=random)
        first = step % per_epoch * args.batch + rank * share
        batch = order[first : first + share]
        loss = loss_of(args.task, model(images[batch]), labels[batch])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    seconds = time.perf_counter() - begin
    if rank == 0:
        print(json.dumps({**vars(args), "seconds": seconds, "test_accuracy": accuracy(args.task, plain)}), flush=True)
    if args.processes > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    args = arguments()
    if args.processes == 1:
        train(0, args)
    else:
        torch.multiprocessing.spawn(train, (args,), nprocs=args.processes)
