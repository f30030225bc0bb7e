#!/usr/bin/python3
"""Motion from single views against a person filmed by several calibrated cameras.

    bench/multiview.py DEMO [--gvhmr build/gvhmr] [--work DIR] [--model FILE] [--options "..."] [--points "..."]

DEMO: a folder like Pose2Sim's Demo_SinglePerson (github.com/perfanalytics/pose2sim, BSD-3-Clause): videos/cam01.mp4 ...,
in step with each other, and calibration/*.qca.txt (Qualisys' XML; camera k belongs to video k). The truth is made here:
the keypoints of all views, as `gvhmr run --landmarks heavy` finds them, triangulated and smoothed; so it shares their
errors, a centimetre or two. Twelve points (shoulders, elbows, wrists, hips, knees, ankles) are compared with SMPL-X's
joints of the same names. Printed for whom all views see, for each view and in the mean: PA-MPJPE, MPJPE (middle of the hips laid together),
WA-MPJPE (one similarity for the whole clip) in mm, gravity's error in degrees, depth over true depth; and the first two
for BlazePose's own points in space, and by how many degrees these lean in the mean over the clip: forwards, about the
vertical, sideways, in the camera, and how much that varies (standard deviations). Needs numpy and scipy. Results are
kept in --work and used again.
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


def meeting(rays, confidence, cameras):
    """Where rays meet, and how far from it they pass (RMS in px)."""
    X = triangulate(rays, np.maximum(confidence, 0.05), cameras)
    at = [c.R @ X + c.t for c in cameras]
    off = [np.linalg.norm(c.f * (p[:2] / p[2] - r)) for c, p, r in zip(cameras, at, rays)]
    return X, np.sqrt(np.mean(np.square(off)))


def best_point(rays, confidence, cameras):
    """The point that the largest set of views agrees on to 20 px."""
    best = None
    for n in range(len(cameras), 1, -1):
        for views in map(list, itertools.combinations(range(len(cameras)), n)):
            X, error = meeting(rays[views], confidence[views], [cameras[v] for v in views])
            if best is None or error < best[0] * (0.5 if n < best[2] else 1):
                best = error, X, n
        if best[0] < 20:
            break
    return best[1]


def people_of(folder):
    with open(f"{folder}/scene.json") as f:
        return [dict(np.load(f"{folder}/{p['file']}")) for p in json.load(f)["people"]]


def at_frames(person, frames):
    """COCO-17 keypoints (px, confidence) in the video's frames, [frames, 17, 3]; 0 where the person is not there."""
    out = np.zeros((frames, 17, 3))
    there = person["frame_index"] < frames
    out[person["frame_index"][there]] = person["kp2d"][there]
    return out


def rays_of(cameras, group):
    """Of the same person's keypoints in all views: rays [views, frames, 12, 2] and their confidence."""
    return (np.array([c.undistort(k[:, POINTS, :2]) for c, k in zip(cameras, group)]),
            np.array([k[:, POINTS, 2] for k in group]))


def same_people(cameras, found, frames):
    """Of the people found in each view, those whom all views see: their keypoints in each view. Who is whom is what
    lets the rays of ten frames meet best."""
    groups = []
    for who in itertools.product(*found):
        rays, sure = rays_of(cameras, [at_frames(p, frames)[5 :: max(frames // 10, 1)] for p in who])
        off = [meeting(rays[:, t, k], sure[:, t, k], cameras)[1] for t in range(rays.shape[1]) for k in (0, 1, 6, 7)]
        groups.append((np.median(off), who))
    groups.sort(key=lambda g: g[0])
    chosen = []
    for off, who in groups:
        if off < 40 and not any(a is b for _, others in chosen for a, b in zip(who, others)):
            chosen.append((off, who))
    return [who for _, who in chosen]


def nearest(people, truth_px, frames):
    """Of a view's people the one whose keypoints lie nearest to [frames, 12, 2] px."""
    off = lambda p: np.median(np.linalg.norm(at_frames(p, frames)[:, POINTS, :2] - truth_px, axis=2))
    return min(people, key=off)


def best_turn(A, B):
    """The rotation that lays A onto B, both [n, 3] about the origin, and how far A's sizes along B's axes add up."""
    U, s, Vt = np.linalg.svd(A.T @ B)
    s[2] *= (sign := np.sign(np.linalg.det(U @ Vt)))
    return Vt.T @ np.diag([1, 1, sign]) @ U.T, s.sum()


def similar(A, B):
    """A moved, turned and scaled onto B, both [n, 3]."""
    a, b = A.mean(0), B.mean(0)
    R, size = best_turn(A - a, B - b)
    return size / ((A - a) ** 2).sum() * (A - a) @ R.T + b


def leaning(guess, truth):
    """Degrees about the camera's axes by which [frames, n, 3] is turned against what a crop shows of the truth: the
    estimator is told where in the picture it was half of the way. Mean and standard deviation over the frames."""
    turns = []
    for A, B in zip(guess, truth):
        hip = B[HIPS].mean(0)
        axis = np.cross(hip / np.linalg.norm(hip), [0, 0, 1])
        aside = Rotation.from_rotvec(0.5 * axis * np.arcsin(sine := np.linalg.norm(axis)) / max(sine, 1e-9))
        R, _ = best_turn(aside.apply(B - B.mean(0)), A - A.mean(0))
        turns.append(np.degrees(Rotation.from_matrix(R).as_rotvec()))
    return np.mean(turns, 0), np.std(turns, 0)


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
    parser.add_argument("--points", default="--landmarks heavy --fast", help="of gvhmr observe, for BlazePose's own points"
                        " (default: %(default)s, one reading of each region as MediaPipe has it)")
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
    found = [people_of(run("run", f"heavy{v + 1}", "--landmarks", "heavy", "--no-video")) for v in views]
    frames = min(max(p["frame_index"][-1] for p in people) for people in found) + 1
    label = os.path.splitext(os.path.basename(o.model))[0] if o.model else "own"
    options = ["--no-video", *o.options.split(), *(["--model", o.model] if o.model else [])]
    solved = [people_of(run("run", f"{label}{''.join(o.options.split())}{v + 1}", *options)) for v in views]
    points = [dict(np.load(run("observe", f"points{''.join(o.points.split())}{v + 1}.npz", *o.points.split()))) for v in views]
    for number, group in enumerate(same_people(cameras, found, frames)):
        if number:
            print("another person")
        rays, sure = rays_of(cameras, [at_frames(p, frames) for p in group])
        truth = [[best_point(rays[:, t, k], sure[:, t, k], cameras) for k in range(12)] for t in range(frames)]
        truth = savgol_filter(medfilt(np.array(truth), (7, 1, 1)), 9, 2, axis=0)
        ours, theirs = [], []
        for v, c in zip(views, cameras):
            there = truth @ c.R.T + c.t
            there_px = c.distort(there[..., :2] / there[..., 2:]) * c.f + c.c
            m = nearest(solved[v], there_px, frames)
            when = m["frame_index"][m["frame_index"] < frames]
            seen, world = (m[key][: len(when), JOINTS] for key in ("joints_incam", "joints_world"))
            flat = similar(world.reshape(-1, 3), truth[when].reshape(-1, 3)).reshape(seen.shape)
            wa = 1000 * np.linalg.norm(flat - truth[when], axis=2).mean()
            there_when = there[when]
            depth = seen[..., 2].mean() / there_when[..., 2].mean()
            ours.append([pa_mpjpe(seen, there_when), mpjpe(seen, there_when), wa, gravity_error(m, c), depth])
            found_at = points[v]["frame_index"] < frames
            at = points[v]["frame_index"][found_at]
            off = np.linalg.norm(points[v]["kp2d"][found_at][:, POINTS, :2] - there_px[at], axis=2)
            same = np.median(off) < 0.1 * np.ptp(there_px, axis=1).mean()
            if same:
                guess = points[v]["kp3d"][found_at][:, POINTS]
                told = np.abs(guess).max((1, 2)) > 0
                theirs.append([pa_mpjpe(guess[told], there[at][told]), mpjpe(guess[told], there[at][told])])
                lean, sway = leaning(guess[told], there[at][told])
            print("view %d  PA %5.1f  MPJPE %5.1f  WA %5.1f  gravity %4.1f  depth %.2f" % (v + 1, *ours[-1]), end="")
            own = "  BlazePose's own: PA %5.1f  MPJPE %5.1f  leans %5.1f %5.1f %5.1f  varies %4.1f %4.1f %4.1f"
            print(own % (*theirs[-1], *lean, *sway) if same else "")
        print("mean    PA %5.1f  MPJPE %5.1f  WA %5.1f  gravity %4.1f  depth %.2f" % tuple(np.mean(ours, 0)), end="")
        print("  BlazePose's own: PA %5.1f  MPJPE %5.1f" % tuple(np.mean(theirs, 0)) if theirs else "")


main()
