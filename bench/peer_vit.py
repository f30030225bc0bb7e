#!/usr/bin/python3
"""peer_vit.py --make DIR [--depth 32 --width 1280] | --run DIR [--binary build/bench/bench_vit] [--runs 3] [--batch 4] [--threads 2]
            [--bf16] [--device cuda]

ViTPose and HMR2.0 in plain PyTorch, written from SPEC-perception.md 4 and 5, against bench_vit in the same run,
alternating, on the same weights, crops and number of threads.

--make writes full-size checkpoints of random weights, in the layout of the official files, and crops of the
recorded pictures. The keypoint head is fitted to the random backbone, so that its heatmaps have one peak for every joint
as a trained network's do: without one, a keypoint says nothing about precision.
--run prints seconds per frame of both, their ratio, the share of the machine's matrix peak, and how far the results are
apart: keypoints in pixels, features as relative difference and cosine.
With --device cuda both run on the first GPU, PyTorch (2.0 or later) compiled, with its own choice of attention and, with
--bf16, under autocast; the first runs, which compile, are not counted.
"""
import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
MIRRORED = [0] + [j + 1 if j % 2 else j - 1 for j in range(1, 17)]  # joints of the mirrored picture
PREFIX = "smpl_head.transformer."


# ---- the networks


def attend(q, k, v):
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v)
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v


def vit(w, x):
    """[n, 3, 256, 192] to tokens [n, 192, D]"""
    D = w["backbone.pos_embed"].shape[-1]
    heads = 12 if D in (384, 768) else 16
    x = F.conv2d(x, w["backbone.patch_embed.proj.weight"], w["backbone.patch_embed.proj.bias"], stride=16, padding=2)
    x = x.flatten(2).transpose(1, 2)
    x = x + w["backbone.pos_embed"][:, 1:] + w["backbone.pos_embed"][:, :1]
    n, T, _ = x.shape
    i = 0
    while "backbone.blocks.%d.norm1.weight" % i in w:
        p = lambda name: w["backbone.blocks.%d.%s" % (i, name)]
        y = F.layer_norm(x, (D,), p("norm1.weight"), p("norm1.bias"), 1e-6)
        qkv = F.linear(y, p("attn.qkv.weight"), p("attn.qkv.bias")).reshape(n, T, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
        y = attend(*qkv).transpose(1, 2).reshape(n, T, D)
        x = x + F.linear(y, p("attn.proj.weight"), p("attn.proj.bias"))
        y = F.layer_norm(x, (D,), p("norm2.weight"), p("norm2.bias"), 1e-6)
        x = x + F.linear(F.gelu(F.linear(y, p("mlp.fc1.weight"), p("mlp.fc1.bias"))), p("mlp.fc2.weight"), p("mlp.fc2.bias"))
        i += 1
    return F.layer_norm(x, (D,), w["backbone.last_norm.weight"], w["backbone.last_norm.bias"], 1e-6)


def head_features(w, tokens):
    n, T, D = tokens.shape
    x = tokens.transpose(1, 2).reshape(n, D, 16, 12)
    for k in (0, 3):
        p = lambda name: w["keypoint_head.deconv_layers.%d.%s" % (k + 1, name)]
        x = F.conv_transpose2d(x, w["keypoint_head.deconv_layers.%d.weight" % k], stride=2, padding=1)
        x = F.relu(F.batch_norm(x, p("running_mean"), p("running_var"), p("weight"), p("bias"), False, 0, 1e-5))
    return x


def heatmaps(w, crops, flip):
    run = lambda x: F.conv2d(head_features(w, vit(w, x)), w["keypoint_head.final_layer.weight"], w["keypoint_head.final_layer.bias"])
    h = run(crops)
    if flip:
        h = (h + run(crops.flip(-1))[:, MIRRORED].flip(-1)) / 2
    return h


def hmr2(w, crops):
    C = vit(w, crops)
    n = len(C)
    W = w[PREFIX + "pos_embedding"].shape[-1]
    x = (w[PREFIX + "to_token_embedding.bias"] + w[PREFIX + "pos_embedding"][0, 0]).expand(n, 1, W)
    i = 0
    while PREFIX + "transformer.layers.%d.0.norm.weight" % i in w:
        p = lambda name: w[PREFIX + "transformer.layers.%d.%s" % (i, name)]
        norm = lambda k: F.layer_norm(x, (W,), p("%d.norm.weight" % k), p("%d.norm.bias" % k), 1e-5)
        v = F.linear(norm(0), p("0.fn.to_qkv.weight")).chunk(3, -1)[2]
        x = x + F.linear(v, p("0.fn.to_out.0.weight"), p("0.fn.to_out.0.bias"))
        q = F.linear(norm(1), p("1.fn.to_q.weight"))
        k, v = F.linear(C, p("1.fn.to_kv.weight")).chunk(2, -1)
        q, k, v = (t.reshape(n, t.shape[1], 8, -1).transpose(1, 2) for t in (q, k, v))
        y = ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).softmax(-1) @ v
        x = x + F.linear(y.transpose(1, 2).reshape(n, 1, -1), p("1.fn.to_out.0.weight"), p("1.fn.to_out.0.bias"))
        y = F.gelu(F.linear(norm(2), p("2.fn.net.0.weight"), p("2.fn.net.0.bias")))
        x = x + F.linear(y, p("2.fn.net.3.weight"), p("2.fn.net.3.bias"))
        i += 1
    return x[:, 0]


# ---- random checkpoints


def near(shape, std, middle=0.0):
    return middle + std * torch.randn(shape)


def linear(w, name, out, inp, gain=1.0, bias=True):
    w[name + ".weight"] = near((out, inp), gain / math.sqrt(inp))
    if bias:
        w[name + ".bias"] = near((out,), 0.05)


def norm(w, name, n):
    w[name + ".weight"], w[name + ".bias"] = near((n,), 0.1, 1), near((n,), 0.05)


def random_backbone(D, depth):
    w = {"backbone.pos_embed": near((1, 193, D), 0.3),
         "backbone.patch_embed.proj.weight": near((D, 3, 16, 16), 0.7 / math.sqrt(768)),
         "backbone.patch_embed.proj.bias": near((D,), 0.05)}
    for i in range(depth):
        b = "backbone.blocks.%d." % i
        norm(w, b + "norm1", D), norm(w, b + "norm2", D)
        linear(w, b + "attn.qkv", 3 * D, D, 1.4), linear(w, b + "attn.proj", D, D, 0.7)
        linear(w, b + "mlp.fc1", 4 * D, D, 1.0), linear(w, b + "mlp.fc2", D, 4 * D, 0.7)
    norm(w, "backbone.last_norm", D)
    return w


def random_head(D, filters=256):
    w = {}
    for k, c in ((0, D), (3, filters)):
        b = "keypoint_head.deconv_layers."
        w[b + "%d.weight" % k] = near((c, filters, 4, 4), 0.5 / math.sqrt(c))
        norm(w, b + "%d" % (k + 1), filters)
        w[b + "%d.running_mean" % (k + 1)] = near((filters,), 0.1)
        w[b + "%d.running_var" % (k + 1)] = near((filters,), 0.1, 1).abs()
        w[b + "%d.num_batches_tracked" % (k + 1)] = torch.tensor(1)
    return w


def fit_head(w, crops):
    """A Gaussian peak for every joint, at the same place in all crops: the first 17 filters of the first deconvolution by
    least squares from the tokens of all crops, upright and mirrored; those of the second enlarge them; the last layer
    picks them, with a little of everything else."""
    tokens = torch.cat([vit(w, c[None]) for c in torch.cat((crops, crops.flip(-1)))])
    n, _, D = tokens.shape
    at = 3 + torch.rand(17, 2) * torch.tensor([18.0, 26.0])
    x, y = torch.arange(24.0)[None, None], torch.arange(32.0)[None, :, None]
    upright = torch.exp(-((x - at[:, 0, None, None]) ** 2 + (y - at[:, 1, None, None]) ** 2) / 2)
    goal = torch.cat((upright.expand(n // 2, -1, -1, -1), upright[MIRRORED].flip(-1).expand(n // 2, -1, -1, -1)))
    padded = F.pad(tokens.reshape(n, 16, 12, D), (0, 0, 1, 1, 1, 1))
    name, taps = "keypoint_head.deconv_layers.", (((1, 0), (3, -1)), ((0, 1), (2, 0)))  # kernel index, shift of the input
    for a in range(2):
        for b in range(2):
            pairs = [(k, l, dy, dx) for k, dy in taps[a] for l, dx in taps[b]]
            X = torch.cat([padded[:, 1 + dy:17 + dy, 1 + dx:13 + dx] for _, _, dy, dx in pairs], -1).reshape(-1, 4 * D)
            K = X @ X.T
            K += 1e-4 * K.diagonal().mean() * torch.eye(len(K))
            s = X.T @ torch.linalg.solve(K, goal[:, :, a::2, b::2].permute(0, 2, 3, 1).reshape(-1, 17))
            for i, (k, l, _, _) in enumerate(pairs):
                w[name + "0.weight"][:, :17, k, l] = s[i * D:(i + 1) * D]
    for k in (1, 4):
        for p, v in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            w[name + "%d.%s" % (k, p)][:17] = v
    bilinear = torch.tensor([0.25, 0.75, 0.75, 0.25])
    w[name + "3.weight"][:, :17] = 0
    for j in range(17):
        w[name + "3.weight"][j, j] = bilinear[:, None] * bilinear
    w["keypoint_head.final_layer.weight"] = near((17, 256, 1, 1), 0.002)
    w["keypoint_head.final_layer.weight"][:, :17, 0, 0] = torch.eye(17)
    w["keypoint_head.final_layer.bias"] = torch.zeros(17)


def random_decoder(D, W=1024, inner=512, layers=6):
    w = {PREFIX + "to_token_embedding.weight": near((W, 1), 0.5), PREFIX + "to_token_embedding.bias": near((W,), 0.5),
         PREFIX + "pos_embedding": near((1, 1, W), 0.5)}
    for i in range(layers):
        b = PREFIX + "transformer.layers.%d." % i
        for k in range(3):
            norm(w, b + "%d.norm" % k, W)
        linear(w, b + "0.fn.to_qkv", 3 * inner, W, bias=False), linear(w, b + "0.fn.to_out.0", W, inner)
        linear(w, b + "1.fn.to_q", inner, W, bias=False), linear(w, b + "1.fn.to_kv", 2 * inner, D, bias=False)
        linear(w, b + "1.fn.to_out.0", W, inner)
        linear(w, b + "2.fn.net.0", 1024, W), linear(w, b + "2.fn.net.3", W, 1024)
    return w


def recorded_crops(shared):
    z = np.load(shared / "reference/perception/preproc.npz")
    x = (torch.tensor(z["crop"]).float() / 255 - MEAN) / STD
    return x.permute(0, 3, 1, 2)[..., 32:224].contiguous(), z["boxes"].astype(np.float32)


def make(folder, shared, D, depth):
    torch.manual_seed(7)
    folder.mkdir(parents=True, exist_ok=True)
    crops, boxes = recorded_crops(shared)
    backbone = random_backbone(D, depth)
    pose = {**backbone, **random_head(D)}
    fit_head(pose, crops)
    torch.save({"meta": {}, "state_dict": pose}, folder / "vitpose.pth")
    torch.save({"epoch": 10, "state_dict": {**backbone, **random_decoder(D)}}, folder / "hmr2.ckpt")
    np.savez(folder / "crops.npz", crops=crops.numpy(), boxes=boxes)


# ---- timing


def seconds(f):
    t = time.perf_counter()
    r = f()
    return time.perf_counter() - t, r


def ours(a, network, path, dump):
    out = subprocess.run([a.binary, "--json", "--network", network, "--runs", "1", "--batch", str(a.batch), "--threads", str(a.threads),
                          "--crops", str(a.run / "crops.npz"), "--dump", dump, "--device", a.device, *(["--bf16"] if a.bf16 else []), str(path)],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out), np.load(dump)


def keypoints(h):
    """SPEC-perception.md 4.4 without the box: [n, 17, 64, 48] to [n, 17, 2] in pixels of the heatmap."""
    n = h.shape[0] * 17
    maps = h.reshape(n, 64, 48)
    kernel = torch.exp(-(torch.arange(11.0) - 5) ** 2 / 8)
    kernel = (kernel / kernel.sum()).double()
    b = F.pad(maps[:, None].double(), (5, 5, 5, 5), mode="reflect")
    L = F.conv2d(F.conv2d(b, kernel.reshape(1, 1, 1, 11)), kernel.reshape(1, 1, 11, 1)).clamp(0.001, 50).log()
    L = F.pad(L, (1, 1, 1, 1), mode="replicate")[:, 0]
    peak = maps.reshape(n, -1).argmax(-1)
    x, y, i = peak % 48 + 1, peak // 48 + 1, torch.arange(n)
    at = lambda dx, dy: L[i, y + dy, x + dx]
    gx, gy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    gxx, gyy = at(1, 0) - 2 * at(0, 0) + at(-1, 0), at(0, 1) - 2 * at(0, 0) + at(0, -1)
    gxy = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    det = gxx * gyy - gxy * gxy
    step = torch.stack(((gyy * gx - gxy * gy) / det, (gxx * gy - gxy * gx) / det), -1)
    return torch.stack((x - 1, y - 1), -1) - step, maps.reshape(n, -1).max(-1).values


def compare(network, mine, theirs):
    if network == "hmr2":
        cosine = F.cosine_similarity(torch.tensor(mine), theirs, dim=-1).min()
        return "largest difference / scale %.1e, smallest cosine %.6f" % (float((torch.tensor(mine) - theirs).abs().max() / theirs.abs().max()), cosine)
    mine = torch.tensor(mine)
    (a, _), (b, peak) = keypoints(mine), keypoints(theirs)
    px = ((a - b).norm(dim=-1) * 500 / 63).numpy()
    return "heatmaps (peaks %.2f to %.2f): largest difference / scale %.1e; keypoints in a box of 500 px: 50, 99, 100 %% within %.3f, %.3f, %.3f px" % (
        peak.min(), peak.max(), float((mine - theirs).abs().max() / theirs.abs().max()), *np.percentile(px, (50, 99, 100)))


def on_gpu(a, f, w, crops):
    """f(w, crops) there, compiled, and waited for"""
    w, crops = {k: t.cuda() for k, t in w.items()}, crops.cuda()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    compiled = torch.compile(f, mode="max-autotune-no-cudagraphs")

    def once():
        with torch.autocast("cuda", torch.bfloat16, enabled=a.bf16):
            r = compiled(w, crops)
        torch.cuda.synchronize()
        return r.float().cpu()  # as ours: to the program's memory

    for _ in range(3):
        once()
    return once


def run(a):
    torch.set_num_threads(a.threads)
    crops = torch.tensor(np.load(a.run / "crops.npz")["crops"])
    crops = crops[torch.arange(a.batch) % len(crops)]
    print("PyTorch %s (%s) against %s (%s), %d threads, batches of %d, best of %d alternating runs, seconds per frame"
          % (torch.__version__, "bfloat16 on the GPU" if a.device == "cuda" and a.bf16 else "float32", a.binary, "bfloat16" if a.bf16 else "float32", a.threads, a.batch, a.runs))
    for network, file in (("vitpose", "vitpose.pth"), ("hmr2", "hmr2.ckpt")):
        if a.only and a.only != network:
            continue
        w = torch.load(a.run / file, map_location="cpu")["state_dict"]
        f = (lambda w, x: heatmaps(w, x, True)) if network == "vitpose" else hmr2
        peer = on_gpu(a, f, w, crops) if a.device == "cuda" else (lambda: f(w, crops))
        best, mine = [math.inf, math.inf], None
        for _ in range(a.runs):
            t, theirs = seconds(peer)
            best[0] = min(best[0], t / a.batch)
            now, dump = ours(a, network, a.run / file, "/tmp/bench_vit_dump.npz")
            if now["seconds"] < best[1]:
                best[1], mine = now["seconds"], now
        print("%-8s PyTorch %.3f, ours %.3f: %.2fx; %.0f GFLOP/s, %.2f of the peak; ready after %.2f s, %d MiB; %s"
              % (network, *best, best[0] / best[1], mine["gflops"], mine["share"], mine["open"], mine["peak_mib"],
                 compare(network, dump["out"], theirs)), flush=True)
        del w


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--make", type=Path)
    ap.add_argument("--run", type=Path)
    ap.add_argument("--width", type=int, default=1280)
    ap.add_argument("--depth", type=int, default=32)
    ap.add_argument("--binary", default="build/bench/bench_vit")
    ap.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    ap.add_argument("--runs", type=int, default=2)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--bf16", action="store_true")
    ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    ap.add_argument("--only", choices=["vitpose", "hmr2"])
    a = ap.parse_args()
    torch.set_grad_enabled(False)
    if a.make:
        make(a.make, a.shared, a.width, a.depth)
    if a.run:
        run(a)


if __name__ == "__main__":
    main()
