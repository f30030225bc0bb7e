#!/usr/bin/python3
"""peer_network.py [--binary build/bench/bench_network] [--lengths 120,300,1430,5000] [--runs 3] [--check] [--device cpu|cuda]

The motion network and solver in plain PyTorch, written from SPEC.md sections 5 to 10 in the manner of the
reference: L x L masked attention, one linear after the other, tensors over all frames, Python loops over
frames where the method is sequential. Timed against bench_network in the same run, alternating, with the
same number of threads and the released network's size; prints the ratio of the medians.

--check compares this implementation with the recorded cases (tiny network) before it is timed, so that the comparison
is with something that does the same work, and `gvhmr predict` with it at the released size (random weights).

--device cuda times the network alone, both on the GPU: PyTorch compiled, in float32 and with autocast to bfloat16.
"""
import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

CONSTANTS = None
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
STATIC = [7, 10, 8, 11, 20, 21]


# ---- rotations


def from_6d(d):
    a, b = d[..., :3], d[..., 3:]
    r0 = F.normalize(a, dim=-1)
    r1 = F.normalize(b - (r0 * b).sum(-1, keepdim=True) * r0, dim=-1)
    return torch.stack((r0, r1, torch.cross(r0, r1, dim=-1)), -2)


def quat_to_mat(q):
    w, x, y, z = q.unbind(-1)
    s = 2 / (q * q).sum(-1)
    m = torch.stack((1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w),
                     s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w),
                     s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)), -1)
    return m.reshape(q.shape[:-1] + (3, 3))


def mat_to_quat(m):
    a, b, c, d, e, f, g, h, i = m.reshape(m.shape[:-2] + (9,)).unbind(-1)
    r = torch.stack((1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i), -1).clamp(min=0).sqrt()
    n = torch.stack((torch.stack((r[..., 0] ** 2, h - f, c - g, d - b), -1), torch.stack((h - f, r[..., 1] ** 2, d + b, c + g), -1),
                     torch.stack((c - g, d + b, r[..., 2] ** 2, f + h), -1), torch.stack((d - b, g + c, h + f, r[..., 3] ** 2), -1)), -2)
    n = n / (2 * r[..., None].clamp(min=0.1))
    q = torch.gather(n, -2, r.argmax(-1)[..., None, None].expand(r.shape[:-1] + (1, 4)))[..., 0, :]
    return torch.where(q[..., :1] < 0, -q, q)


def aa_to_mat(v):
    th = v.norm(dim=-1, keepdim=True)
    k = torch.where(th < 1e-6, 0.5 - th * th / 48, torch.sin(th / 2) / th.clamp(min=1e-30))
    return quat_to_mat(torch.cat((torch.cos(th / 2), v * k), -1))


def mat_to_aa(m):
    q = mat_to_quat(m)
    h = torch.atan2(q[..., 1:].norm(dim=-1, keepdim=True), q[..., :1])
    th = 2 * h
    k = torch.where(th.abs() < 1e-6, 0.5 - th * th / 48, torch.sin(h) / torch.where(th == 0, torch.ones_like(th), th))
    return q[..., 1:] / k


# ---- network


def rope(x):  # [H, L, d]
    L, d = x.shape[-2:]
    w = 1.0 / (10000 ** (torch.arange(0, d, 2).float() / d))  # the angle is rounded to float32 in the reference
    a = torch.outer(torch.arange(L).float(), w).repeat_interleave(2, -1).to(x.dtype)
    swapped = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
    return x * a.cos() + swapped * a.sin()


def window_mask(L, length, M=120):
    mask = torch.zeros(L, L, dtype=torch.bool)
    if L > M:
        mask[:] = True
        for i in range(L):
            hi = max(M, min(L, i + M // 2))
            lo = min(L - M, max(0, i - M // 2))
            mask[i, lo:hi] = False
    mask[:, length:] = True
    return mask


def network(w, heads, obs, cliff, angvel, images, length, seen=None):
    lin = lambda x, n: F.linear(x, w[n + ".weight"], w[n + ".bias"])
    D, L = w["embed_noisyobs.fc2.bias"].numel(), obs.shape[0]
    e = torch.where((obs[..., 2:] > 0.5), lin(obs[..., :2], "learned_pos_linear"), w["learned_pos_params"])
    x = lin(F.gelu(lin(e.flatten(1), "embed_noisyobs.fc1")), "embed_noisyobs.fc2")
    x = x + lin(F.silu(lin(cliff, "cliffcam_embedder.0")), "cliffcam_embedder.3")
    mean, std = (torch.tensor(CONSTANTS["cam_angvel_" + k]) for k in ("mean", "std"))
    x = x + lin(F.silu(lin((angvel - mean) / std, "cam_angvel_embedder.0")), "cam_angvel_embedder.3")
    x = x + lin(F.layer_norm(images, (1024,), w["imgseq_embedder.0.weight"], w["imgseq_embedder.0.bias"], 1e-5), "imgseq_embedder.1")
    mask, d = window_mask(L, length) if seen is None else None, D // heads
    for i in range(sum(k.endswith("gate_msa") for k in w)):
        p = "blocks.%d." % i
        n = F.layer_norm(x, (D,), w[p + "norm1.weight"], w[p + "norm1.bias"], 1e-6)
        q, k, v = (lin(n, p + "attn." + s).reshape(L, heads, d).transpose(0, 1) for s in ("query", "key", "value"))
        if seen is None:
            s = torch.einsum("hid,hjd->hij", rope(q), rope(k)) / math.sqrt(d)
            s = s.masked_fill(mask, float("-inf")).softmax(-1)
            a = torch.einsum("hij,hjd->hid", s, v)
        else:  # on a GPU, with PyTorch's own attention
            a = F.scaled_dot_product_attention(rope(q), rope(k), v, attn_mask=seen)
        a = a.transpose(0, 1).reshape(L, D)
        x = x + w[p + "gate_msa"].reshape(D) * lin(a, p + "attn.proj")
        n = F.layer_norm(x, (D,), w[p + "norm2.weight"], w[p + "norm2.bias"], 1e-6)
        x = x + w[p + "gate_mlp"].reshape(D) * lin(F.gelu(lin(n, p + "mlp.fc1"), approximate="tanh"), p + "mlp.fc2")
    head = lambda n: lin(F.gelu(lin(x, n + ".fc1")), n + ".fc2")
    pred_x = head("final_layer")
    pred_x[:, 126:136] = pred_x[:length, 126:136].sum(0) / length
    cam = head("pred_cam_head") * torch.tensor(CONSTANTS["pred_cam_std"]) + torch.tensor(CONSTANTS["pred_cam_mean"])
    cam[:, 0].clamp_(min=0.25)
    return pred_x, cam, head("static_conf_head")


# ---- solver


def unit_columns(m):
    return m / (m.norm(dim=-2, keepdim=True) + 1e-9)


def chain(parent, local):
    R = unit_columns(parent[..., :3, :3] @ local[..., :3, :3])
    t = (parent[..., :3, :3] @ local[..., :3, 3:]) + parent[..., :3, 3:]
    return torch.cat((R, t), -1)


def fk(S, pose, orient, transl):
    L = pose.shape[0]
    R = unit_columns(aa_to_mat(torch.cat((orient[:, None], pose.reshape(L, 21, 3)), 1)))
    o = torch.stack([S[0] + 0 * S[0]] + [S[j] - S[PARENTS[j]] for j in range(1, 22)]).expand(L, 22, 3).clone()
    o[:, 0] += transl
    local = torch.cat((R, o[..., None]), -1)
    G = [local[:, 0]]
    for j in range(1, 22):
        G.append(chain(G[PARENTS[j]], local[:, j]))
    G = torch.stack(G, 1)
    return local, G, G[..., 3]


def smooth(x, sigma):  # [L, C]
    r = int(4 * sigma + 0.5)
    k = np.exp(-np.arange(-r, r + 1) ** 2 / (2 * sigma * sigma))
    k = torch.tensor(k / k.sum()).to(x.dtype)
    y = F.pad(x.T[:, None], (r, r), mode="replicate")
    return F.conv1d(y, k[None, None])[:, 0].T


def compose_world(orient_gv, orient_c, velocity, angvel):
    A = from_6d(angvel)
    A = torch.where(mat_to_aa(A).norm(dim=-1)[:, None, None] < 1e-5, torch.eye(3, dtype=A.dtype), A)
    R_gv, R_c = aa_to_mat(orient_gv), aa_to_mat(orient_c)
    C = R_gv @ R_c.transpose(-1, -2)
    a, b = C[..., 2].clone(), (C @ A.transpose(-1, -2))[..., 2].clone()
    a[:, 1], b[:, 1] = 0, 0
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    w = torch.zeros_like(a)
    w[:, 1] = torch.atan2(torch.cross(b, a, dim=-1)[:, 1], (a * b).sum(-1))
    Y = aa_to_mat(smooth(w, 3)).transpose(-1, -2)
    Q = [torch.eye(3, dtype=A.dtype)]
    for t in range(1, len(Y)):
        Q.append(Q[-1] @ Y[t])
    Q = torch.stack(Q)
    Q = torch.where(mat_to_aa(Q).norm(dim=-1)[:, None, None] < 1e-5, torch.eye(3, dtype=A.dtype), Q)
    orient = mat_to_aa(Q @ R_gv)
    u = (aa_to_mat(orient) @ velocity[..., None])[..., 0]
    transl = torch.cat((torch.zeros_like(u[:1]), u[:-1].cumsum(0)))
    Z = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=A.dtype))
    return mat_to_aa(Z @ aa_to_mat(orient)), transl @ Z.T


def correct_moving(P, transl, logits):
    p = P[:, STATIC]
    weights = torch.where(logits[:-1] > 0, logits[:-1], logits[:-1] - 1e6).softmax(-1) * (logits[:-1] > 0).any(-1, keepdim=True)
    d = (weights[..., None] * (p[1:] - p[:-1])).sum(1)
    tau = torch.cat((transl[:1], transl[:1] + (transl[1:] - transl[:-1] - d).cumsum(0)))
    s = smooth(tau, 3)
    tau = torch.stack((s[:, 0], tau[:, 1], s[:, 2]), -1)
    tau[:, 1] -= (P - transl[:, None] + tau[:, None])[..., 1].min()
    return tau


def correct_static(P, transl, P_c, transl_c, orient_w, orient_c, logits):
    P, tau = P.clone(), transl.clone()
    P_c = P_c + (smooth(transl_c, 5) - transl_c)[:, None]
    R = aa_to_mat(orient_w[0]) @ aa_to_mat(orient_c[0]).T
    X = P_c[:, 0] @ R.T
    X = X + P[0, 0] - X[0]
    for i in range(1, len(P)):
        e = P[i, 0] - X[i]
        e = torch.where((e > -0.25) & (e < 0.25), torch.zeros_like(e), e).clamp(-0.02, 0.02)
        tau[i:] -= e
        P[i:] -= e
    m = (logits[:-1].sigmoid() > 0.8).to(P.dtype)
    p = P[:, STATIC]
    d = (m[..., None] * (p[1:] - p[:-1])).sum(1) / m.sum(1, keepdim=True).clamp(min=1)
    d[:, 1] = 0
    shift = d.cumsum(0)
    tau[1:] -= shift
    P[1:] -= shift[:, None]
    tau[:, 1] -= P[..., 1].min()
    return tau


def q_mul(a, b):
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    return torch.cat((aw * bw - (av * bv).sum(-1, keepdim=True), aw * bv + bw * av + torch.cross(av, bv, dim=-1)), -1)


def q_unit(q):
    return q / q.norm(dim=-1, keepdim=True).clamp(min=1e-8)


def q_between(a, b):
    v = torch.cross(a, b, dim=-1)
    w = ((a * a).sum(-1, keepdim=True) * (b * b).sum(-1, keepdim=True)).sqrt() + (a * b).sum(-1, keepdim=True)
    opposite = (v.norm(dim=-1, keepdim=True) == 0) & (w.abs() <= 1e-4)
    return q_unit(torch.cat((w, torch.where(opposite, torch.tensor([0.0, 1.0, 0.0], dtype=v.dtype), v)), -1))


def q_slerp(a, b, t):
    a = q_unit(a)
    q = q_unit(q_mul(q_unit(b), a * torch.tensor([1.0, -1, -1, -1], dtype=a.dtype)))
    h = q[..., :1].clamp(max=1).acos()
    h = torch.where(h.abs() <= 1e-9, torch.full_like(h, 1e-9), h)
    return q_mul(torch.cat(((t * h).cos(), q[..., 1:] / h.sin() * (t * h).sin()), -1), a)


def q_rotate(q, v):
    v = v.expand(q.shape[:-1] + (3,))
    uv = torch.cross(q[..., 1:], v, dim=-1)
    return v + 2 * (q[..., :1] * uv + torch.cross(q[..., 1:], uv, dim=-1))


def solve_chain(local, start, joints, targets):
    C = [local[:, j] for j in joints]

    def walk():
        H = [start]
        for i in range(1, 5):
            H.append(chain(H[-1], C[i]))
        return H

    H = walk()
    ex, ey = torch.tensor([1.0, 0, 0], dtype=local.dtype), torch.tensor([0.0, 1, 0], dtype=local.dtype)
    for _ in range(2):
        for i in (1, 2, 3):
            o, q = H[i][..., 3], mat_to_quat(H[i][..., :3])
            s = [q_slerp(q, q_mul(q_between(H[j][..., 3] - o, tau - o), q), (i + 1) / 5) for tau, j in targets if j > i]
            X = sum(q_rotate(k, ex) for k in s) / len(s)
            Y = sum(q_rotate(k, ey) for k in s) / len(s)
            X, Y = (k / k.norm(dim=-1, keepdim=True).clamp(min=1e-9) for k in (X, Y))
            M = torch.stack((X, Y, torch.cross(X, Y, dim=-1)), -1)
            R = unit_columns(unit_columns(torch.linalg.inv(H[i - 1][..., :3])) @ M)
            C[i] = torch.cat((R, C[i][..., 3:]), -1)
            H = walk()
    for i in range(1, 5):
        local[:, joints[i]] = C[i]
    return local


def lock(S, pose, orient, tau, logits):
    local, G, P = fk(S, pose, orient, tau)
    p, c = P[:, STATIC], logits.sigmoid()
    q = [p[0]]
    for t in range(1, len(p)):
        q.append(c[t - 1, :, None] * q[-1] + (1 - c[t - 1, :, None]) * p[t])
    q = torch.stack(q)
    for joints, targets in (((0, 1, 4, 7, 10), ((q[:, 0], 3), (q[:, 1], 4))), ((0, 2, 5, 8, 11), ((q[:, 2], 3), (q[:, 3], 4))),
                            ((9, 13, 16, 18, 20), ((q[:, 4], 4),)), ((9, 14, 17, 19, 21), ((q[:, 5], 4),))):
        G = [local[:, 0]]
        for j in range(1, 22):
            G.append(chain(G[PARENTS[j]], local[:, j]))
        local = solve_chain(local, G[joints[0]], joints, targets)
    return mat_to_aa(local[:, 1:, :3, :3]).flatten(1), q


def solve(pred_x, cam, logits, boxes, K, angvel, J, J_dirs, static):
    y = pred_x * torch.tensor(CONSTANTS["std"]).to(pred_x) + torch.tensor(CONSTANTS["mean"]).to(pred_x)
    L = len(y)
    pose = mat_to_aa(from_6d(y[:, :126].reshape(L, 21, 6))).flatten(1)
    orient_c, orient_gv = (mat_to_aa(from_6d(y[:, k:k + 6])) for k in (136, 142))
    sb = boxes[:, 2] * cam[:, 0] + 1e-9
    transl_c = torch.stack((cam[:, 1] + 2 * (boxes[:, 0] - K[0, 2]) / sb, cam[:, 2] + 2 * (boxes[:, 1] - K[1, 2]) / sb, 2 * K[0, 0] / sb), -1)
    S = J[:22] + (J_dirs[:22] * y[0, 126:136]).sum(-1)
    orient_w, transl_w = compose_world(orient_gv, orient_c, y[:, 148:], angvel)
    P = fk(S, pose, orient_w, transl_w)[2]
    if static:
        P_c = fk(S, pose, orient_c, transl_c)[2]
        tau = correct_static(P, transl_w, P_c, transl_c, orient_w, orient_c, logits)
    else:
        tau = correct_moving(P, transl_w, logits)
    final, targets = lock(S, pose, orient_w, tau, logits)
    return {"global_body_pose": final, "global_transl": tau, "global_global_orient": orient_w, "ik_target": targets}


# ---- checking and timing


def check(folder):
    sd = torch.load(folder / "tiny.ckpt", map_location="cpu")["state_dict"]
    w = {k[len("pipeline.denoiser3d."):]: v for k, v in sd.items()}
    body = np.load(folder / "exp_body_model.npz")
    J, J_dirs = (torch.tensor(body[k]).double() for k in ("J_template", "J_shapedirs"))
    for case in ("L30_static", "L121_static", "L300_moving"):
        i, e = (np.load(folder / (n % case)) for n in ("in_%s.npz", "exp64_tiny_%s.npz"))
        t = lambda k: torch.tensor(e[k] if k in e else i[k])
        pred = network(w, 4, t("obs"), t("f_cliffcam"), t("cam_angvel"), t("f_imgseq"), len(e["obs"]))
        worst = {k: float((p - t(k)).abs().max()) for k, p in zip(("pred_x", "pred_cam", "static_conf_logits"), pred)}
        args = [p.double() for p in pred] + [t(k).double() for k in ("bbx_xys", "K_fullimg", "cam_angvel")]
        for mode in ("mv", "st"):
            for k, v in solve(*args, J, J_dirs, mode == "st").items():
                x = t(mode + "_" + k)
                if "pose" in k or "orient" in k:
                    v, x = (aa_to_mat(m.double().reshape(len(m), -1, 3)) for m in (v, x))
                worst[mode + "_" + k] = float((v - x).abs().max())
        bad = {k: v for k, v in worst.items() if v > 3e-4}
        print("check %s: largest difference %.1e%s" % (case, max(worst.values()), " BAD %s" % bad if bad else ""))
        if bad:
            sys.exit(1)


def random_weights(names):
    g = torch.Generator().manual_seed(42)
    w = {}
    for name, shape in names.items():
        scale = 1 / math.sqrt(shape[1]) if len(shape) == 2 else 0.1
        w[name[len("pipeline.denoiser3d."):]] = (torch.rand(shape, generator=g) * 2 - 1) * scale
    return w


def inputs_of(o):
    """The network's inputs from observations, SPEC.md 4.1 to 4.3."""
    kp, box, K = (torch.tensor(o[k]) for k in ("kp2d", "bbx_xys", "K_fullimg"))
    xy = (kp[..., :2] - box[:, None, :2]) / box[:, None, 2:] * 2
    inside = ((xy >= -1) & (xy <= 1)).all(-1)
    obs = torch.cat((xy, (kp[..., 2] * inside)[..., None]), -1)
    f = K[0, 0]
    cliff = torch.stack(((box[:, 0] - K[0, 2]) / f, (box[:, 1] - K[1, 2]) / f, box[:, 2] / f), -1)
    return obs, cliff, torch.tensor(o["cam_angvel"]), torch.tensor(o["f_imgseq"])


def angles(a, b):  # degrees between rotations given as axis-angle
    r = aa_to_mat(a.reshape(-1, 3)).transpose(-1, -2) @ aa_to_mat(b.reshape(-1, 3))
    return mat_to_aa(r).norm(dim=-1).rad2deg()


def check_full(a, motion, w, J, J_dirs):
    """The released size: gvhmr predict against this code in float64, the network in units of its own float32 noise."""
    source = np.load(motion / "in_L300_moving.npz")
    bad = False
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        torch.save({"state_dict": {"pipeline.denoiser3d." + k: v for k, v in w.items()}}, folder / "full.ckpt")
        for L in (2, 120, 300, 700):
            there_and_back = np.r_[0:300, 299:0:-1, 1:300][:L]
            o = {k: v[there_and_back] if v.ndim and len(v) == 300 else v for k, v in source.items() if k != "R_w2c"}
            np.savez(folder / "o.npz", **o)
            inputs = inputs_of(o)
            single = network(w, 8, *inputs, L)
            torch.set_default_dtype(torch.float64)
            double = network({k: v.double() for k, v in w.items()}, 8, *(x.double() for x in inputs), L)
            K, box = torch.tensor(o["K_fullimg"]).double(), torch.tensor(o["bbx_xys"]).double()
            for mode in ("moving", "static"):
                subprocess.run([a.gvhmr, "predict", folder / "o.npz", "-o", folder / "m.npz", "--verbose", "-q", "--threads", str(a.threads),
                                "--model", folder / "full.ckpt", "--body-model", motion / "SMPLX_NEUTRAL.npz"] +
                               ["--static-camera"] * (mode == "static"), check=True)
                ours = {k: torch.tensor(v).double() for k, v in np.load(folder / "m.npz").items() if v.dtype.kind == "f"}
                ratios = []
                for k, x, y in zip(("pred_x", "pred_cam", "static_conf_logits"), single, double):
                    ratios.append(float((ours["net/" + k].reshape(y.shape) - y).abs().max() / (x - y).abs().max()))
                want = solve(*double, box, K, inputs[2].double(), J, J_dirs, mode == "static")
                turn = torch.cat([angles(ours[k], want["global_" + k]) for k in ("body_pose", "global_orient")])
                shift = 1000 * (ours["transl"] - want["global_transl"]).norm(dim=-1)
                print("full size, %d frames, %s: network %s of float32's noise; motion median %.4f degrees, %.3f mm, most %.3f, %.3f" %
                      (L, mode, " ".join("%.2f" % r for r in ratios), turn.median(), shift.median(), turn.max(), shift.max()), flush=True)
                bad |= max(ratios) > 3 or float(turn.median()) > 0.02 or float(shift.median()) > 0.1
            torch.set_default_dtype(torch.float32)
    if bad:
        sys.exit(1)


def seconds(f):
    t = time.perf_counter()
    r = f()
    return time.perf_counter() - t, r


def synced():
    torch.cuda.synchronize()
    return time.perf_counter()


def on_gpu(a, w):
    torch.set_default_device("cuda")
    w = {k: v.cuda() for k, v in w.items()}
    compiled = torch.compile(network)
    print("PyTorch %s against %s, %s, network alone, medians of %d alternating runs, seconds" %
          (torch.__version__, a.binary, torch.cuda.get_device_name(), a.runs))
    print("%7s %9s | %9s %9s %7s" % ("frames", "", "PyTorch", "ours", "ratio"))
    for L in map(int, a.lengths.split(",")):
        inputs = torch.rand(L, 17, 3), torch.rand(L, 3), torch.rand(L, 6), torch.randn(L, 1024)
        seen = ~window_mask(L, L)
        for bf16 in (False, True):
            theirs, ours = [], []
            for run in range(-2, a.runs):  # the first two warm up
                start = synced()
                with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
                    compiled(w, 8, *inputs, L, seen)
                if run < 0:
                    synced()
                    continue
                theirs.append(synced() - start)
                out = subprocess.run([a.binary, "--json", "--runs", "5", "--frames", str(L), "--device", "cuda"] +
                                     ["--bf16"] * bf16, capture_output=True, text=True, check=True).stdout
                ours.append(json.loads(out)["network_median"])
            x, y = float(np.median(theirs)), float(np.median(ours))
            print("%7d %9s | %9.5f %9.5f %6.2fx" % (L, "bfloat16" if bf16 else "float32", x, y, x / y), flush=True)


def main():
    global CONSTANTS
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--binary", default="build/bench/bench_network")
    ap.add_argument("--gvhmr", default="build/gvhmr", help="for --check")
    ap.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    ap.add_argument("--lengths", default="120,300,1430,5000")
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_grad_enabled(False)
    CONSTANTS = json.loads((a.shared / "gvhmr_constants.json").read_text())
    motion = a.shared / "reference/motion"
    w = random_weights(json.loads((motion / "full_tensors.json").read_text()))
    if a.device == "cuda":
        return on_gpu(a, w)
    body = np.load(motion / "exp_body_model.npz")
    J, J_dirs = (torch.tensor(body[k]) for k in ("J_template", "J_shapedirs"))
    if a.check:
        check(motion)
        check_full(a, motion, w, J.double(), J_dirs.double())
    print("PyTorch %s against %s, %d threads, medians of %d alternating runs, seconds" % (torch.__version__, a.binary, a.threads, a.runs))
    print("%7s | %9s %9s %7s | %9s %9s %7s | %9s %9s %7s" % ("frames", "network", "ours", "ratio", "moving", "ours", "ratio", "static", "ours", "ratio"))
    for L in map(int, a.lengths.split(",")):
        obs = torch.rand(L, 17, 3) * 2 - 1
        obs[..., 2] = 0.9
        angle = 0.01 * torch.sin(0.02 * torch.arange(L))
        zero, one = torch.zeros(L), torch.ones(L)
        angvel = torch.stack((angle.cos(), zero, angle.sin(), zero, one, zero), -1)
        images, boxes = torch.randn(L, 1024), torch.tensor([960.0, 540, 400]).expand(L, 3)
        K = torch.tensor([[2200.0, 0, 960], [0, 2200, 540], [0, 0, 1]])
        theirs, ours = {"network": [], "moving": [], "static": []}, {"network": [], "moving": [], "static": []}
        for _ in range(a.runs):
            t, pred = seconds(lambda: network(w, 8, obs, torch.rand(L, 3), angvel, images, L))
            theirs["network"].append(t)
            for mode in ("moving", "static"):
                theirs[mode].append(seconds(lambda: solve(*pred, boxes, K, angvel, J, J_dirs, mode == "static"))[0])
            out = subprocess.run([a.binary, "--json", "--runs", "3", "--frames", str(L), "--threads", str(a.threads)],
                                 capture_output=True, text=True, check=True).stdout
            for k in ours:
                ours[k].append(json.loads(out)[k + "_median"])
        row = []
        for k in ours:
            x, y = float(np.median(theirs[k])), float(np.median(ours[k]))
            row += [x, y, x / y]
        print("%7d | %9.4f %9.4f %6.1fx | %9.4f %9.4f %6.1fx | %9.4f %9.4f %6.1fx" % (L, *row), flush=True)


if __name__ == "__main__":
    main()
