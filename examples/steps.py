"""When whose feet stand on the ground: python3 steps.py DIR, a folder that `gvhmr run` has written."""

import sys

import numpy as np
from numpy.typing import NDArray

import gvhmr

FEET = {"left": (0, 1), "right": (2, 3)}  # columns of static_prob: ankle, foot


def stretches(on: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First and last index of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.pad(on.astype(np.int8), 1)))
    return edges.reshape(-1, 2) - [0, 1]


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: steps.py DIR", file=sys.stderr)
        return 2
    for number, person in enumerate(gvhmr.load(sys.argv[1]).people, 1):
        for side, columns in FEET.items():
            stands = person.static_prob[:, columns].max(axis=1) > 0.5
            ankle = person.joints_world[:, gvhmr.JOINT_NAMES.index(f"{side}_ankle")]
            for first, last in stretches(stands):
                x, _, z = ankle[first : last + 1].mean(axis=0)
                print(f"person {number} {side:5} {person.time_sec[first]:7.2f} to {person.time_sec[last]:7.2f} s"
                      f" at x {x:6.2f} z {z:6.2f} m")
    return 0


if __name__ == "__main__":
    sys.exit(main())
