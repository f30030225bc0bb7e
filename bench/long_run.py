#!/usr/bin/env python3
"""Memory of `gvhmr run` over hours: resident set of the program and its decoders every few seconds.

    bench/long_run.py CLIP DIR [--hours 2] [--fps 10] [--size 480x270] [--every 10] [-- OPTIONS OF gvhmr run]

The video is the clip forwards and backwards, over and over, so that it has no cut and whoever is in view stays in view
(made by the ffmpeg program, kept as DIR/long.mp4). Prints for each stage the largest memory and how it goes on in the second
half, which for "observe" and "draw" is the second half of the video. Samples are kept in DIR/memory.csv.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def make_video(clip, path, hours, fps, size):
    if os.path.exists(path):
        return
    loop, part = path + ".loop.mp4", path + ".part.mp4"
    w, h = size.split("x")
    quiet = ["ffmpeg", "-v", "error", "-y"]
    turn = (f"[0:v]scale={w}:{h},setpts=N/{fps}/TB,split[a][b];[b]reverse[c];[a][c]concat=n=2[d];[d]fps={fps}[e]")
    subprocess.run(quiet + ["-i", clip, "-filter_complex", turn, "-map", "[e]", "-an", "-c:v", "libx264", "-bf", "0",
                            "-crf", "20", loop], check=True)
    subprocess.run(quiet + ["-stream_loop", "-1", "-i", loop, "-t", str(hours * 3600), "-c", "copy", part], check=True)
    os.remove(loop)
    os.rename(part, path)


def children(pid):
    try:
        text = "".join(open(f"/proc/{pid}/task/{t}/children").read() for t in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return []
    return [c for p in map(int, text.split()) for c in [p] + children(p)]


def resident_mb(pid):
    """Resident set: the program's, and the sum over it and its children with every shared page counted each time and with
    shared pages counted by their share. None where it has ended."""
    own, rss, pss = None, 0, 0
    for p in [pid] + children(pid):
        try:
            rows = dict(r.split(":", 1) for r in open(f"/proc/{p}/smaps_rollup").read().splitlines()[1:])
            mine, share = int(rows["Rss"].split()[0]) / 1024, int(rows["Pss"].split()[0]) / 1024
        except (OSError, KeyError, ValueError):
            continue
        own = mine if p == pid else own
        rss, pss = rss + mine, pss + share
    return None if own is None else (own, rss, pss)


def slope(rows):
    """MB an hour of work: least squares through rows of (seconds, ..., MB)."""
    n = len(rows)
    mt, mm = sum(r[0] for r in rows) / n, sum(r[-1] for r in rows) / n
    var = sum((r[0] - mt) ** 2 for r in rows)
    return 3600 * sum((r[0] - mt) * (r[-1] - mm) for r in rows) / var if var else 0.0


def watch(command, samples, every):
    """Runs the command; its standard output, samples of (seconds, own, rss, pss) and its status."""
    rows, start = [], time.monotonic()
    env = dict(os.environ, OMP_WAIT_POLICY="passive")
    with open(samples, "w") as out, open(samples + ".out", "w+") as answer:
        out.write("seconds,own_mb,sum_mb,shared_once_mb\n")
        p = subprocess.Popen(command, env=env, stdout=answer)
        while p.poll() is None:
            mb = resident_mb(p.pid)
            if mb:
                rows.append((time.monotonic() - start, *mb))
                out.write("%.1f,%.1f,%.1f,%.1f\n" % rows[-1])
                out.flush()
            try:
                p.wait(every)
            except subprocess.TimeoutExpired:
                pass
        answer.seek(0)
        return answer.read(), rows, p.returncode


def report(rows, timings):
    """Stages follow each other: observe, predict, draw, viewer; the rest of the time is loading and writing."""
    took = {t["stage"]: t["seconds"] for t in timings}
    begin = max(0.0, rows[-1][0] - took.get("whole", 0))
    print("%-10s %8s %8s | %8s %8s %8s | first and last sample of the second half, its slope in MB an hour (shared once)"
          % ("stage", "from s", "to s", "own MB", "sum MB", "once MB"))
    for stage in ("observe", "predict", "draw", "whole"):
        if stage not in took:
            continue
        start = 0.0 if stage == "whole" else begin
        end = rows[-1][0] if stage == "whole" else begin + took[stage]
        part = [r for r in rows if start <= r[0] <= end] or rows[-1:]
        half = [r for r in part if r[0] >= (start + end) / 2] or part
        print("%-10s %8.0f %8.0f | %8.1f %8.1f %8.1f | %.1f %.1f, %+.1f" % (
            stage, start, end, *(max(r[k] for r in part) for k in (1, 2, 3)), half[0][3], half[-1][3], slope(half)))
        begin = end


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("clip")
    p.add_argument("dir")
    p.add_argument("--hours", type=float, default=2)
    p.add_argument("--fps", type=int, default=10)
    p.add_argument("--size", default="480x270")
    p.add_argument("--every", type=float, default=10)
    p.add_argument("--gvhmr", default=os.path.join(HERE, "..", "build", "gvhmr"))
    own, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    a = p.parse_args(own.split())
    os.makedirs(a.dir, exist_ok=True)
    video, results = os.path.join(a.dir, "long.mp4"), os.path.join(a.dir, "results")
    make_video(a.clip, video, a.hours, a.fps, a.size)
    text, rows, status = watch([a.gvhmr, "run", video, "-o", results, "--json", "--quiet"] + options.split(),
                               os.path.join(a.dir, "memory.csv"), a.every)
    if status or not rows:
        sys.exit(f"long_run: gvhmr ended with status {status} after {rows[-1][0] if rows else 0:.0f} s")
    scene = json.loads(text)
    print(scene["video"], [(x["first_frame"], x["last_frame"], x["frames_seen"]) for x in scene["people"]])
    for t in scene["timings"]:
        print("%-10s %8d frames %9.1f s" % (t["stage"], t["frames"], t["seconds"]))
    report(rows, scene["timings"])


main()
