#!/usr/bin/env python3
"""YOLOv8 in plain PyTorch: peer_yolo.py WEIGHTS.safetensors INPUT.u8 HEIGHT WIDTH THREADS RUNS OUTPUT.f32 [cpu|cuda]

The layers of SPEC-perception 6.2 by torch.nn.functional, batch norm folded into the convolutions, activations in
place. INPUT holds [3, HEIGHT, WIDTH] bytes. Writes the three raw outputs [144, h, w] one after the other and prints
"peer MIN MEDIAN" in seconds. On cuda the picture's way there and that of the outputs back count; no TF32.
"""
import json
import struct
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def load(path):
    raw = np.memmap(path, np.uint8, 'r')
    size = struct.unpack('<Q', raw[:8].tobytes())[0]
    header = json.loads(raw[8:8 + size].tobytes())
    kinds = {'F16': np.float16, 'F32': np.float32}
    return {k: torch.from_numpy(raw[8 + size + v['data_offsets'][0]:8 + size + v['data_offsets'][1]]
                                .view(kinds[v['dtype']]).reshape(v['shape']).astype(np.float32))
            for k, v in header.items() if k != '__metadata__'}


def fold(w):
    """name -> (weight, bias) of every convolution."""
    out = {}
    for k in w:
        if k.endswith('.conv.weight') and k[:-11] + 'bn.weight' in w:
            p = k[:-12]
            scale = w[p + '.bn.weight'] / torch.sqrt(w[p + '.bn.running_var'] + 1e-3)
            out[p] = (w[k] * scale[:, None, None, None]).contiguous(), w[p + '.bn.bias'] - w[p + '.bn.running_mean'] * scale
        elif k.endswith('.2.weight'):
            out[k[:-7]] = w[k], w[k[:-6] + 'bias']
    return out


class Net:
    def __init__(self, w): self.c = fold(w)

    def conv(self, x, name, stride=1):
        weight, bias = self.c[name]
        return F.silu(F.conv2d(x, weight, bias, stride, weight.shape[2] // 2), inplace=True)

    def c2f(self, x, i, shortcut):
        parts = list(self.conv(x, f'model.{i}.cv1').chunk(2, 1))
        n = 0
        while f'model.{i}.m.{n}.cv1' in self.c:
            y = self.conv(self.conv(parts[-1], f'model.{i}.m.{n}.cv1'), f'model.{i}.m.{n}.cv2')
            parts.append(y.add_(parts[-1]) if shortcut else y)
            n += 1
        return self.conv(torch.cat(parts, 1), f'model.{i}.cv2')

    def sppf(self, x):
        parts = [self.conv(x, 'model.9.cv1')]
        for _ in range(3): parts.append(F.max_pool2d(parts[-1], 5, 1, 2))
        return self.conv(torch.cat(parts, 1), 'model.9.cv2')

    def head(self, x, level):
        out = []
        for branch in 'cv2', 'cv3':
            p = f'model.22.{branch}.{level}'
            y = self.conv(self.conv(x, p + '.0'), p + '.1')
            out.append(F.conv2d(y, *self.c[p + '.2']))
        return torch.cat(out, 1)

    def __call__(self, x):
        up = lambda v: F.interpolate(v, scale_factor=2, mode='nearest')
        x = self.conv(self.conv(x, 'model.0', 2), 'model.1', 2)
        x4 = self.c2f(self.conv(self.c2f(x, 2, True), 'model.3', 2), 4, True)
        x6 = self.c2f(self.conv(x4, 'model.5', 2), 6, True)
        x9 = self.sppf(self.c2f(self.conv(x6, 'model.7', 2), 8, True))
        x12 = self.c2f(torch.cat([up(x9), x6], 1), 12, False)
        x15 = self.c2f(torch.cat([up(x12), x4], 1), 15, False)
        x18 = self.c2f(torch.cat([self.conv(x15, 'model.16', 2), x12], 1), 18, False)
        x21 = self.c2f(torch.cat([self.conv(x18, 'model.19', 2), x9], 1), 21, False)
        return [self.head(v, i) for i, v in enumerate((x15, x18, x21))]


def main():
    weights, image, height, width, threads, runs, output, *device = sys.argv[1:]
    torch.set_num_threads(int(threads))
    device = device[0] if device else 'cpu'
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    net = Net({k: v.to(device) for k, v in load(weights).items()})
    x = torch.from_numpy(np.fromfile(image, np.uint8).reshape(1, 3, int(height), int(width)).copy())
    seconds = []
    with torch.inference_mode():
        for _ in range(int(runs) + 1):  # the first warms up
            start = time.perf_counter()
            raw = [r.cpu() for r in net(x.to(device).float() / 255)]
            seconds.append(time.perf_counter() - start)
    np.concatenate([r.numpy().ravel() for r in raw]).tofile(output)
    print('peer', min(seconds[1:]), float(np.median(seconds[1:])))


if __name__ == '__main__': main()
