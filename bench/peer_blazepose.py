"""peer_blazepose.py FOLDER THREADS: BlazePose's networks in PyTorch, as a peer for bench_blazepose.

Prints "name median_ms median_cpu_ms" per network; with --sum the sums of its outputs on stderr, to be compared
with another executor's. The file format is described in src/formats/tflite.h.
"""
import struct, sys, time
import numpy as np
import torch
import torch.nn.functional as F


class Table:
    def __init__(self, b, p): self.b, self.p = b, p

    def field(self, n):
        v = self.p - struct.unpack_from('<i', self.b, self.p)[0]
        size = struct.unpack_from('<H', self.b, v)[0]
        o = struct.unpack_from('<H', self.b, v + 4 + 2 * n)[0] if 4 + 2 * n < size else 0
        return self.p + o if o else 0

    def get(self, n, fmt, default=0):
        o = self.field(n)
        return struct.unpack_from('<' + fmt, self.b, o)[0] if o else default

    def follow(self, o): return o + struct.unpack_from('<I', self.b, o)[0]

    def table(self, n):
        o = self.field(n)
        return Table(self.b, self.follow(o)) if o else None

    def vector(self, n, dtype):
        o = self.field(n)
        if not o: return np.zeros(0, dtype)
        q = self.follow(o)
        return np.frombuffer(self.b, dtype, struct.unpack_from('<I', self.b, q)[0], q + 4)

    def tables(self, n):
        o = self.field(n)
        q = self.follow(o) if o else 0
        return [Table(self.b, self.follow(q + 4 + 4 * i)) for i in range(struct.unpack_from('<I', self.b, q)[0])] if o else []


def constant(t, buffers):
    """Constant of a tensor, dense, or None."""
    data = buffers[t.get(2, 'I')].vector(0, np.uint8)
    if not len(data): return None
    shape = t.vector(0, np.int32)
    v = np.frombuffer(data.tobytes(), {0: np.float32, 1: np.float16, 2: np.int32}[t.get(1, 'b')])
    sparse = t.table(6)
    if sparse:
        last = sparse.tables(2)[-1]
        kind = {1: np.int32, 2: np.uint16, 3: np.uint8}
        seg = last.table(3).vector(0, kind[last.get(2, 'B')]).astype(int)
        idx = last.table(5).vector(0, kind[last.get(4, 'B')])
        full = np.zeros((len(seg) - 1, shape[-1]), np.float32)
        for n in range(len(seg) - 1): full[n, idx[seg[n]:seg[n + 1]]] = v[seg[n]:seg[n + 1]]
        v = full
    return v.reshape(shape).astype(np.int32 if t.get(1, 'b') == 2 else np.float32)


def act(x, a): return F.relu6(x, True) if a == 3 else F.relu(x, True) if a == 1 else x


def same(x, k, s):
    p = []
    for size, kk in ((x.shape[3], k[1]), (x.shape[2], k[0])):
        total = max(((size + s - 1) // s - 1) * s + kk - size, 0)
        p += [total // 2, total - total // 2]
    return F.pad(x, p) if any(p) else x


class Net:
    """Images are NCHW here."""
    def __init__(self, path, outputs):
        b = open(path, 'rb').read()
        m = Table(b, struct.unpack_from('<I', b, 0)[0])
        codes = [max(c.get(0, 'b'), c.get(3, 'i')) for c in m.tables(1)]
        g = m.tables(2)[0]
        tensors, buffers = g.tables(0), m.tables(4)
        self.shape = [list(t.vector(0, np.int32)) for t in tensors]
        self.const = {i: c for i, t in enumerate(tensors) if (c := constant(t, buffers)) is not None}
        self.input, self.outputs = g.vector(1, np.int32)[0], [g.vector(2, np.int32)[i] for i in outputs]
        nodes = [(codes[o.get(0, 'I')], list(o.vector(1, np.int32)), o.vector(2, np.int32)[0], o.table(4)) for o in g.tables(3)]
        for code, i, o, _ in nodes:
            if code in (6, 124) and i[0] in self.const: self.const[o] = self.const[i[0]]
        need = set(self.outputs)
        self.nodes = []
        for n in reversed(nodes):
            if n[2] in need and n[2] not in self.const:
                need |= set(n[1])
                self.nodes.insert(0, self.prepare(*n))

    def prepare(self, code, i, o, opt):
        if code == 3:
            w, bias = torch.tensor(self.const[i[1]]).permute(0, 3, 1, 2).contiguous(), torch.tensor(self.const[i[2]])
            return (i[:1], o, self.conv(w, bias, opt.get(0, 'b'), opt.get(1, 'i'), opt.get(3, 'b'), 1))
        if code == 4:
            w, bias = torch.tensor(self.const[i[1]]).permute(3, 0, 1, 2).contiguous(), torch.tensor(self.const[i[2]])
            return (i[:1], o, self.conv(w, bias, opt.get(0, 'b'), opt.get(1, 'i'), opt.get(4, 'b'), w.shape[0]))
        if code == 0: return (i, o, lambda x, y, a=opt.get(0, 'b'): act(x + y, a))
        if code == 34:
            p = self.const[i[1]]
            pads = [int(v) for v in (*p[2], *p[1], *p[3])]
            return (i[:1], o, lambda x: F.pad(x, pads))
        if code == 17: return (i, o, lambda x: F.max_pool2d(x, 2))
        if code == 23: return (i[:1], o, lambda x: F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False))
        if code == 5: return (i, o, self.depth_to_space)
        if code == 22: return (i[:1], o, lambda x, s=self.shape[o]: x.permute(0, 2, 3, 1).reshape([int(v) for v in s]))
        if code == 2: return (i, o, lambda *x: torch.cat(x, 1))
        if code == 14: return (i, o, torch.sigmoid)
        raise ValueError(code)

    @staticmethod
    def conv(w, bias, valid, stride, a, groups):
        k = w.shape[2:]
        return lambda x: act(F.conv2d(x if valid else same(x, k, stride), w, bias, stride, 0, 1, groups), a)

    @staticmethod
    def depth_to_space(x):
        n, c, h, w = x.shape
        return x.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)

    def run(self, x):
        v = {self.input: x}
        for i, o, f in self.nodes: v[o] = f(*(v[k] for k in i))
        return [v[o] for o in self.outputs]


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    for name, file, outputs, size in (('detector', 'pose_solution_packed_assets.data', (0, 1), 224),
                                      ('lite', 'pose_landmark_lite.tflite', (0, 1, 3, 4), 256),
                                      ('full', 'pose_landmark_full.tflite', (0, 1, 3, 4), 256),
                                      ('heavy', 'pose_landmark_heavy.tflite', (0, 1, 3, 4), 256)):
        net = Net(folder + '/' + file, outputs)
        x = (torch.arange(size * size * 3).mul(7919).remainder(255) / 255).reshape(1, size, size, 3).permute(0, 3, 1, 2).contiguous()
        times, cpu = [], []
        with torch.no_grad():
            for _ in range(20 if name == 'heavy' else 40):
                start, begin = time.perf_counter(), time.process_time()
                out = net.run(x)
                times.append(1e3 * (time.perf_counter() - start))
                cpu.append(1e3 * (time.process_time() - begin))
        if '--sum' in sys.argv: print(name, [float(o.double().sum()) for o in out], file=sys.stderr)
        print(name, *(round(sorted(t)[len(t) // 2], 3) for t in (times, cpu)), flush=True)


if __name__ == '__main__':
    main()
