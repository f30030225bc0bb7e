"""The Python module on a short clip: results, files, errors, progress, Ctrl-C. usage: python_check.py CLIP"""

import gc
import os
import signal
import sys
import tempfile
import threading
import time

import numpy as np

import gvhmr

clip = sys.argv[1]
quick = {"landmarks": "lite", "no_video": True, "export": "none"}


def fails(kind, call, *words):
    try:
        call()
    except kind as error:
        for word in words:
            assert word in str(error), f"{error} lacks {word}"
    else:
        raise AssertionError(f"{kind.__name__} expected")


def results(folder):
    stages = []
    r = gvhmr.run(clip, folder, progress=lambda p: stages.append(p.stage), **quick)
    assert {"observe", "predict"} <= set(stages), stages
    again = gvhmr.load(folder)
    assert len(r.people) == len(again.people) >= 1
    for a, b in zip(r.people, again.people):
        assert list(a) == list(b) and len(a) > 10
        for key in a:
            assert np.array_equal(a[key], b[key]), key
        stored = np.load(os.path.join(folder, f"person-{again.people.index(b) + 1}.npz"))
        assert np.array_equal(stored["joints_world"], b.joints_world)
    p = r.people[0]
    assert p.joints_world.shape == (p.frames, 22, 3) and p.joints_world.dtype == np.float32
    assert p.time_sec.dtype == np.float64 and p.frame_index.dtype == np.int32
    for name in ("body_pose", "betas", "global_orient", "transl", "global_orient_incam", "transl_incam",
                 "joints_incam", "static_prob", "keypoints"):
        assert np.isfinite(getattr(p, name)).all()
    assert list(stored["joint_names"]) == list(gvhmr.JOINT_NAMES)
    assert r.camera.R_w2c.shape[1:] == (3, 3) and r.scene["people"][0]["quality"]["verdict"]
    fails(KeyError, lambda: p["nothing"])
    fails(ValueError, lambda: p.betas.__setitem__(0, 1.0))
    joints, copy = p.joints_world, p.joints_world.copy()
    del r, again, a, b, p
    gc.collect()
    assert np.array_equal(joints, copy)  # an array keeps its memory


def errors(folder):
    fails(gvhmr.FileError, lambda: gvhmr.run("absent.mp4"), "absent.mp4")
    fails(OSError, lambda: gvhmr.load("absent"))
    fails(gvhmr.FormatError, lambda: gvhmr.run(__file__))
    fails(gvhmr.OptionError, lambda: gvhmr.run(clip, landmarks="huge"), "huge")
    fails(ValueError, lambda: gvhmr.Session(people=0), "1 to 1000")
    fails(gvhmr.OptionError, lambda: gvhmr.Session(frobnicate=True), "frobnicate")
    fails(gvhmr.OptionError, lambda: gvhmr.run("a\0b"))
    fails(gvhmr.FileError, lambda: gvhmr.run(clip, "/proc/none"))
    typed = set(gvhmr.Options.__annotations__)
    assert typed == set(gvhmr.OPTIONS), typed ^ set(gvhmr.OPTIONS)


def stopping(folder):
    class Enough(Exception):
        pass

    def stop(p):
        raise Enough

    s = gvhmr.Session(**quick)
    fails(Enough, lambda: s.run(clip, progress=stop))
    fails(Enough, lambda: s.run(clip, folder, progress=stop))
    assert not [f for f in os.listdir(folder) if f.startswith(".tmp") or f == "scene.json"]

    def interrupt(p):
        if p.stage == "observe" and p.done == 0:
            os.kill(os.getpid(), signal.SIGINT)

    begin = time.monotonic()
    fails(KeyboardInterrupt, lambda: s.run(clip, progress=interrupt))
    print(f"Ctrl-C: {time.monotonic() - begin:.2f} s")
    timer = threading.Timer(0.05, s.cancel)
    timer.start()
    fails(gvhmr.Cancelled, lambda: [s.run(clip) for _ in range(3)])
    timer.join()
    assert len(s.run(clip).people) >= 1  # the session is as good as before


for number, check in enumerate((errors, results, stopping)):
    with tempfile.TemporaryDirectory() as folder:
        check(folder)
    print(check.__name__, "fine")
