#!/usr/bin/python3
"""peer_train.py [--binary build/bench/bench_train] [--batch 8] [--runs 3] [--device cpu|cuda]

Training speed beside PyTorch: the network forwards and backwards (SPEC.md 5, dropout 0.1), sequences of 120 frames per
second, for the released size and the default one, float32 and (ours alone) bfloat16 products. Both with as many threads
as OMP_NUM_THREADS says, alternating in one run; prints the ratio of the medians. With Debian's reference BLAS PyTorch is
many times slower: install libopenblas0-openmp for a fair comparison. With --device cuda both run on the GPU: PyTorch
compiled, with its own attention and autocast to bfloat16 beside ours in bfloat16, in float32 without TF32 beside ours.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

L, X = 120, 151


class Mlp(nn.Module):
    def __init__(self, a, b, c, tanh=False, drop=0.0):
        super().__init__()
        self.fc1, self.fc2, self.tanh, self.drop = nn.Linear(a, b), nn.Linear(b, c), tanh, nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x), approximate="tanh" if self.tanh else "none"))))


def rope(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


def product(a, b):
    """a @ b, one head at a time: PyTorch without MKL has a slow loop for batches, and BLAS for matrices."""
    return torch.stack([x @ y for x, y in zip(a.flatten(0, 1), b.flatten(0, 1))]).unflatten(0, a.shape[:2])


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.mlp = Mlp(d, 4 * d, d, True, 0.1)
        self.gate1, self.gate2 = nn.Parameter(torch.full((d,), 0.5)), nn.Parameter(torch.full((d,), 0.5))

    def forward(self, x, cos, sin):
        b, l, d = x.shape
        n = self.norm1(x)
        q, k, v = (f(n).view(b, l, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        if x.is_cuda:
            y = F.scaled_dot_product_attention(rope(q, cos, sin), rope(k, cos, sin), v, dropout_p=0.1)
            x = x + self.gate1 * self.o(y.transpose(1, 2).reshape(b, l, d))
            return x + self.gate2 * self.mlp(self.norm2(x))
        p = (product(rope(q, cos, sin), rope(k, cos, sin).transpose(-1, -2)) / (d // self.heads) ** 0.5).softmax(-1)
        x = x + self.gate1 * self.o(product(F.dropout(p, 0.1), v).transpose(1, 2).reshape(b, l, d))
        return x + self.gate2 * self.mlp(self.norm2(x))


class Network(nn.Module):
    def __init__(self, d, layers, heads):
        super().__init__()
        self.pos, self.joint = nn.Parameter(torch.randn(17, 32)), nn.Linear(2, 32)
        self.obs = Mlp(17 * 32, 2 * d, d, drop=0.1)
        self.cliff = nn.Sequential(nn.Linear(3, d), nn.SiLU(), nn.Dropout(0.1), nn.Linear(d, d))
        self.cam = nn.Sequential(nn.Linear(6, d), nn.SiLU(), nn.Dropout(0.1), nn.Linear(d, d))
        self.image = nn.Sequential(nn.LayerNorm(1024), nn.Linear(1024, d))
        self.blocks = nn.ModuleList(Block(d, heads) for _ in range(layers))
        self.out = nn.ModuleList(Mlp(d, d, n) for n in (X, 3, 6))
        half = d // heads // 2
        angle = torch.arange(L)[:, None] / 10000 ** (torch.arange(half) / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, obs, cliff, cam, image):
        seen = obs[..., 2:] > 0.5
        e = torch.where(seen, self.joint(obs[..., :2]), self.pos)
        x = self.obs(e.flatten(-2)) + self.cliff(cliff) + self.cam(cam) + self.image(image)
        for b in self.blocks:
            x = b(x, self.cos, self.sin)
        return [f(x) for f in self.out]


def torch_speed(net, batch, device="cpu", bf16=False):
    inputs = [torch.randn(batch, L, *s, device=device) for s in ((17, 3), (3,), (6,), (1024,))]
    grads = [torch.randn(batch, L, n, device=device) for n in (X, 3, 6)]
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    with torch.autocast(device, torch.bfloat16, enabled=bf16):
        out = net(*inputs)
    torch.autograd.backward(out, [g.to(y.dtype) for g, y in zip(grads, out)])
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    net.zero_grad()
    return batch / seconds


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default="build/bench/bench_train")
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    o = p.parse_args()
    cuda = o.device == "cuda"
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    for name, d, layers, heads in (("default", 192, 4, 4), ("released", 512, 12, 8)):
        net = Network(d, layers, heads).to(o.device)
        if cuda:
            net = torch.compile(net)
        theirs, ours = {0: [], 1: []}, {0: [], 1: []}
        for run in range(-1 if not cuda else -2, o.runs):  # the first ones warm up
            for bf16 in (0, 1):
                if cuda or not bf16:  # on the processor PyTorch is float32 alone
                    speed = torch_speed(net, o.batch, o.device, bool(bf16))
                if run < 0:
                    continue
                theirs[bf16].append(speed)
                size = map(str, (d, layers, heads, o.batch, 5 if cuda else 1, bf16))
                out = subprocess.run([o.binary, *size, o.device], check=True, capture_output=True, text=True).stdout
                ours[bf16].append(json.loads(out)["median"])
        t, a = ([statistics.median(x[k]) for k in (0, 1)] for x in (theirs, ours))
        print(f"{name:9s} PyTorch {t[0]:7.2f}" + (f", bfloat16 {t[1]:7.2f}" if cuda else "") +
              f"  ours float32 {a[0]:7.2f} ({a[0] / t[0]:.2f}x)  bfloat16 {a[1]:7.2f} ({a[1] / t[1]:.2f}x)"
              "  sequences/s")


if __name__ == "__main__":
    main()
