"""How far and how fast everybody went: python3 people.py VIDEO. Ctrl-C ends the run."""

import sys

import numpy as np

import gvhmr


def show(p: gvhmr.Progress) -> None:
    print(f"\r\033[K{p.stage} {p.done}/{p.total}  {p.per_second:.1f}/s", end="", file=sys.stderr)


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: people.py VIDEO", file=sys.stderr)
        return 2
    try:
        result = gvhmr.run(sys.argv[1], landmarks="lite", progress=show)
    except gvhmr.Error as error:
        print(f"\r\033[K{error}", file=sys.stderr)
        return 1
    print("\r\033[K", end="", file=sys.stderr)
    for number, person in enumerate(result.people, 1):
        pelvis = person.joints_world[:, 0]
        way = np.linalg.norm(np.diff(pelvis[:, [0, 2]], axis=0), axis=1).sum()
        seconds = person.time_sec[-1] - person.time_sec[0]
        speed = way / seconds if seconds > 0 else 0
        print(f"person {number}: {person.frames} frames, {way:.2f} m, {speed:.2f} m/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
