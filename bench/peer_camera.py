#!/usr/bin/env python3
"""The plain way with OpenCV: peer_camera.py VIDEO FOCAL_PX FRAMES [TRUTH.npz]

Corners (goodFeaturesToTrack) followed by pyramidal Lucas-Kanade with a backward check on a grey picture of at most
640 pixels, frame-to-frame rotation by RANSAC over two directions and Kabsch on the inliers. One thread; decoding
is not counted. Prints processor time per frame and, with TRUTH (R_w2c), the errors.
"""
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(1)


def kabsch(a, b):
    u, _, vt = np.linalg.svd(b.T @ a)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def rotation(a, b, rng, limit=2e-3, draws=100):
    best, keep = 0, None
    for _ in range(draws):
        i = rng.choice(len(a), 2, replace=False)
        inliers = np.linalg.norm(a @ kabsch(a[i], b[i]).T - b, axis=1) < limit
        if inliers.sum() > best:
            best, keep = inliers.sum(), inliers
    return kabsch(a[keep], b[keep]) if best >= 3 else np.eye(3)


def angle(R):
    v = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2
    return np.degrees(np.arctan2(np.linalg.norm(v), (np.trace(R) - 1) / 2))


def main():
    path, focal, limit = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    video, frames = cv2.VideoCapture(path), []
    while len(frames) < limit:
        ok, f = video.read()
        if not ok:
            break
        frames.append(f)
    h, w = frames[0].shape[:2]
    s = min(1, 640 / max(w, h))
    rng = np.random.default_rng(1)
    start, R, prev, points = time.thread_time(), [np.eye(3)], None, None
    for f in frames:
        g = cv2.cvtColor(cv2.resize(f, None, fx=s, fy=s, interpolation=cv2.INTER_AREA) if s < 1 else f, cv2.COLOR_BGR2GRAY)
        if prev is not None:
            step = np.eye(3)
            if points is not None and len(points) >= 8:
                q, ok, _ = cv2.calcOpticalFlowPyrLK(prev, g, points, None, winSize=(15, 15), maxLevel=4)
                back, ok2, _ = cv2.calcOpticalFlowPyrLK(g, prev, q, None, winSize=(15, 15), maxLevel=4)
                good = (ok.ravel() & ok2.ravel() > 0) & (np.linalg.norm((back - points)[:, 0], axis=1) < 0.7)
                ray = [np.c_[(p[good, 0] + 0.5 - [g.shape[1] / 2, g.shape[0] / 2]) / (focal * s), np.ones(good.sum())] for p in (points, q)]
                ray = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in ray]
                if good.sum() >= 8:
                    step = rotation(*ray, rng)
                points = q[good]
            R.append(step @ R[-1])
        if points is None or len(points) < 250:
            points = cv2.goodFeaturesToTrack(g, 400, 0.01, 10)
        prev = g
    ms = 1e3 * (time.thread_time() - start) / len(frames)
    text = f'peer cpu {ms:.2f} ms/frame (OpenCV {cv2.__version__})'
    if len(sys.argv) > 4 and sys.argv[4]:
        G = np.load(sys.argv[4])['R_w2c']
        e = [angle((R[i + 1] @ R[i].T) @ (G[i + 1] @ G[i].T).T) for i in range(len(R) - 1)]
        d = [angle(R[i] @ (G[i] @ G[0].T).T) for i in range(len(R))]
        text += f', error: frame to frame {np.sqrt(np.mean(np.square(e))):.4f} deg RMS, drift at most {max(d):.3f} deg'
    print(text)


main()
