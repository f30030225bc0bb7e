#!/usr/bin/python3
"""Motion from single views against a person filmed by several calibrated cameras.

    bench/multiview.py DEMO [--gvhmr build/gvhmr] [--work DIR] [--model FILE] [--options "..."]

DEMO: a folder like Pose2Sim's Demo_SinglePerson (github.com/perfanalytics/pose2sim, BSD-3-Clause): videos/cam01.mp4 ...,
in step with each other, and calibration/*.qca.txt (Qualisys' XML; camera k belongs to video k). The truth is made here:
the keypoints of all views, as `gvhmr run --landmarks heavy` finds them, triangulated and smoothed; so it shares their
errors, a centimetre or two. Twelve points (shoulders, elbows, wrists, hips, knees, ankles) are compared with SMPL-X's
joints of the same names. Printed for each view and in the mean: PA-MPJPE, MPJPE (middle of the hips laid together),
WA-MPJPE (one similarity for the whole clip) in mm, gravity's error in degrees, depth over true depth; and the first two
for BlazePose's own points in space. Needs numpy and scipy. Results are kept in --work and used again.
"""
import argparse
import glob
import itertools
import json
import os
import subprocess
import xml.etree.ElementTree as xml

import numpy as np
from scipy.signal import medfilt, savgol_filter
from scipy.spatial.transform import Rotation

POINTS = list(range(5, 17))  # of COCO-17
JOINTS = [16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8]  # of SMPL-X
HIPS = [6, 7]  # of POINTS


class Camera:
    """World (z up) to camera: x = R X + t; K [3, 3]; two radial and two tangential coefficients."""

    def __init__(self, node):
        move, lens = node.find("transform").attrib, node.find("intrinsic").attrib
        flip = np.diag([1.0, -1.0, -1.0])  # Qualisys' cameras look along -z
        turn = np.array([[float(move[f"r{i}{j}"]) for j in "123"] for i in "123"])
        self.R = flip @ turn
        self.t = -self.R @ (np.array([float(move[a]) for a in "xyz"]) / 1000)
        of = lambda name, scale=1: float(lens[name]) / scale
        self.f = np.array([of("focalLengthU", 64), of("focalLengthV", 64)])  # in 64ths of a pixel
        self.c = np.array([of("centerPointU", 64), of("centerPointV", 64)])
        self.k = [of(n) for n in ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")]

    def distort(self, u):
        r2 = (u**2).sum(-1, keepdims=True)
        k1, k2, p1, p2 = self.k
        x, y = u[..., :1], u[..., 1:]
        bent = np.concatenate([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1)
        return u * (1 + k1 * r2 + k2 * r2 * r2) + bent

    def undistort(self, pixels):
        seen = (pixels - self.c) / self.f
        u = seen.copy()
        for _ in range(20):
            u += seen - self.distort(u)
        return u


def triangulate(rays, weights, cameras):
    rows = []
    for (x, y), w, c in zip(rays, weights, cameras):
        P = np.column_stack([c.R, c.t])
        rows += [w * (x * P[2] - P[0]), w * (y * P[2] - P[1])]
    X = np.linalg.svd(np.array(rows))[2][-1]
    return X[:3] / X[3]


def best_point(rays, confidence, cameras):
    """The point that the largest set of views agrees on to 20 px."""
    best = None
    for n in range(len(cameras), 1, -1):
        for views in map(list, itertools.combinations(range(len(cameras)), n)):
            some = [cameras[v] for v in views]
            X = triangulate(rays[views], np.maximum(confidence[views], 0.05), some)
            at = [c.R @ X + c.t for c in some]
            off = [np.linalg.norm(c.f * (p[:2] / p[2] - r)) for c, p, r in zip(some, at, rays[views])]
            error = np.sqrt(np.mean(np.square(off)))
            if best is None or error < best[0] * (0.5 if n < best[2] else 1):
                best = error, X, n
        if best[0] < 20:
            break
    return best[1]


def main_person(folder):
    """The scene and its largest person, moving wrists counting."""
    with open(f"{folder}/scene.json") as f:
        scene = json.load(f)
    people = [dict(np.load(f"{folder}/{p['file']}")) for p in scene["people"]]
    side = lambda p: p["bbx_xys"][:, 2].mean()
    return scene, max(people, key=lambda p: side(p) * (1 + 5 * np.std(p["kp2d"][:, 9, 1]) / side(p)))


def similar(A, B):
    """A moved, turned and scaled onto B, both [n, 3]."""
    a, b = A.mean(0), B.mean(0)
    U, s, Vt = np.linalg.svd((A - a).T @ (B - b))
    s[2] *= (sign := np.sign(np.linalg.det(U @ Vt)))
    R = Vt.T @ np.diag([1, 1, sign]) @ U.T
    return s.sum() / ((A - a) ** 2).sum() * (A - a) @ R.T + b


def mpjpe(A, B):
    rooted = lambda X: X - X[:, HIPS].mean(1, keepdims=True)
    return 1000 * np.linalg.norm(rooted(A) - rooted(B), axis=2).mean()


def pa_mpjpe(A, B):
    return 1000 * np.mean([np.linalg.norm(similar(a, b) - b, axis=1).mean() for a, b in zip(A, B)])


def gravity_error(motion, camera):
    """Degrees between the vertical of the motion's world and the true one, both in the camera."""
    turn = lambda key: Rotation.from_rotvec(motion[key])
    up = (turn("global_orient_incam") * turn("global_orient").inv()).apply([0, 1, 0]).mean(0)
    return np.degrees(np.arccos(np.clip(up @ camera.R[:, 2] / np.linalg.norm(up), -1, 1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo")
    parser.add_argument("--gvhmr", default="build/gvhmr")
    parser.add_argument("--work", default="/tmp/gvhmr-multiview")
    parser.add_argument("--options", default="", help="of gvhmr run")
    parser.add_argument("--model", help="the motion network")
    o = parser.parse_args()
    videos = sorted(glob.glob(f"{o.demo}/videos/*.mp4"))
    cameras = [Camera(n) for n in xml.parse(glob.glob(f"{o.demo}/calibration/*.qca.txt")[0]).getroot().iter("camera")]
    if len(videos) != len(cameras) or len(videos) < 2:
        raise SystemExit(f"{o.demo}: {len(videos)} videos, {len(cameras)} cameras")

    def run(verb, name, *options):
        out = f"{o.work}/{name}"
        if not os.path.exists(out):
            os.makedirs(o.work, exist_ok=True)
            view = videos[int(name.split(".")[0][-1]) - 1]
            subprocess.run([o.gvhmr, verb, view, "-o", out, "--quiet", *options], check=True)
        return out

    views = range(len(cameras))
    heavy = [main_person(run("run", f"heavy{v + 1}", "--landmarks", "heavy", "--no-video"))[1] for v in views]
    frames = min(len(p["kp2d"]) for p in heavy)
    rays = np.array([c.undistort(p["kp2d"][:frames, POINTS, :2].astype(float)) for c, p in zip(cameras, heavy)])
    sure = np.array([p["kp2d"][:frames, POINTS, 2] for p in heavy])
    truth = np.array([[best_point(rays[:, t, k], sure[:, t, k], cameras) for k in range(12)] for t in range(frames)])
    truth = savgol_filter(medfilt(truth, (7, 1, 1)), 9, 2, axis=0)

    label = os.path.splitext(os.path.basename(o.model))[0] if o.model else "own"
    options = ["--no-video", *o.options.split(), *(["--model", o.model] if o.model else [])]
    ours, theirs = [], []
    for v, c in zip(views, cameras):
        scene, m = main_person(run("run", f"{label}{''.join(o.options.split())}{v + 1}", *options))
        seen, world = m["joints_incam"][:frames, JOINTS], m["joints_world"][:frames, JOINTS]
        there = truth @ c.R.T + c.t
        flat = similar(world.reshape(-1, 3), truth.reshape(-1, 3)).reshape(truth.shape)
        wa = 1000 * np.linalg.norm(flat - truth, axis=2).mean()
        depth = seen[..., 2].mean() / there[..., 2].mean()
        ours.append([pa_mpjpe(seen, there), mpjpe(seen, there), wa, gravity_error(m, c), depth])
        points = dict(np.load(run("observe", f"points{v + 1}.npz", "--landmarks", "heavy")))
        same = np.abs(points["bbx_xys"][frames // 2] - m["bbx_xys"][frames // 2]).max() < 100
        if same:
            guess = points["kp3d"][:frames, POINTS]
            found = np.abs(guess).max((1, 2)) > 0
            theirs.append([pa_mpjpe(guess[found], there[found]), mpjpe(guess[found], there[found])])
        print("view %d  PA %5.1f  MPJPE %5.1f  WA %5.1f  gravity %4.1f  depth %.2f" % (v + 1, *ours[-1]), end="")
        print("  BlazePose's own: PA %5.1f  MPJPE %5.1f" % tuple(theirs[-1]) if same else "")
    print("mean    PA %5.1f  MPJPE %5.1f  WA %5.1f  gravity %4.1f  depth %.2f" % tuple(np.mean(ours, 0)), end="")
    print("  BlazePose's own: PA %5.1f  MPJPE %5.1f" % tuple(np.mean(theirs, 0)) if theirs else "")


main()
