"""World-grounded human motion from one ordinary video.

    import gvhmr

    r = gvhmr.run("walk.mp4")
    r.people[0].joints_world          # float32 [frames, 22, 3], metres, y up, ground at y = 0

`run` looks at a video, `load` reads what a run has written, `Session` keeps the models loaded for many videos.
Arrays are NumPy views of the library's memory: read-only, never copied, valid as long as they are referred to.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

import numpy as np
from numpy.typing import NDArray

from ._library import CAMERA, LOG, PROGRESS, Array, lib

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["run", "load", "Session", "Result", "Person", "Camera", "Progress", "Options", "JOINT_NAMES", "OPTIONS",
           "Error", "OptionError", "FileError", "FormatError", "OutOfMemory", "MissingError", "NobodyFound",
           "InternalError", "Cancelled", "__version__"]

_NO_PROGRESS = PROGRESS(0)  # NULL
PathLike = Union[str, "os.PathLike[str]"]
Floats = NDArray[np.float32]
_log = logging.getLogger("gvhmr")


def _names(function: Any) -> tuple[str, ...]:
    names: list[str] = []
    while (name := function(len(names))) is not None:
        names.append(name.decode())
    return tuple(names)


__version__: str = lib.gvhmr_version().decode()
JOINT_NAMES: tuple[str, ...] = _names(lib.gvhmr_joint_name)
"""Of joints_world and joints_incam: "pelvis", "left_hip", ..."""
OPTIONS: tuple[str, ...] = tuple(name.replace("-", "_") for name in _names(lib.gvhmr_option_name))
"""What `run` and `Session` take: the options of `gvhmr run`."""


class Options(TypedDict, total=False):
    """The options of `gvhmr run`, with underscores; `gvhmr run --help` describes them. None is the default."""

    static_camera: bool | None
    focal_length: str | float | None  # pixels, or "26mm"
    intrinsics: PathLike | None
    gyro: PathLike | None
    fps: float | None
    people: int | None
    landmarks: Literal["lite", "full", "heavy"] | None
    weights: PathLike | None
    detector: PathLike | None
    keypoints: PathLike | None
    features: PathLike | None
    device: Literal["cpu", "auto", "cuda"] | None
    fast: bool | None
    low_memory: bool | None
    cache: PathLike | None
    no_cache: bool | None
    side_by_side: bool | None
    no_video: bool | None
    model: PathLike | None
    heads: int | None
    body_model: PathLike | None
    bf16: bool | None
    verbose: bool | None
    refine: bool | None
    no_refinement: bool | None
    export: str | None
    threads: int | None


# ---- errors


class Error(Exception):
    """What the library reports, one line that names what was found and what was expected."""

    status = 0


class OptionError(Error, ValueError):
    """An option or a value that makes no sense."""

    status = 1


class FileError(Error, OSError):
    """A file that is missing, unreadable or unwritable; a full disk."""

    status = 2


class FormatError(Error, ValueError):
    """A file that is not what it claims to be."""

    status = 3


class OutOfMemory(Error, MemoryError):
    """Allocation failed, or a size is beyond the limits."""

    status = 4


class MissingError(Error, LookupError):
    """A model that is needed is not there."""

    status = 5


class NobodyFound(Error):
    """There is nobody in the video."""

    status = 6


class InternalError(Error):
    """A library underneath failed."""

    status = 7


class Cancelled(Error):
    """`Session.cancel` ended the run."""

    status = 8


_ERRORS = {e.status: e for e in (OptionError, FileError, FormatError, OutOfMemory, MissingError, NobodyFound,
                                 InternalError, Cancelled)}


# ---- results


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    stage: str
    """"observe", "camera", "keypoints", "features", "predict", "draw", ..."""
    done: int
    total: int
    """0: not known"""
    seconds: float
    """since the stage began"""
    per_second: float


_TYPES: dict[int, tuple[Any, Any]] = {1: (np.float32, ctypes.c_float), 2: (np.float64, ctypes.c_double),
                                      3: (np.int32, ctypes.c_int32)}


class _Memory:
    """A gvhmr_result, freed with the last array that lies in it."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        weakref.finalize(self, lib.gvhmr_result_free, pointer)

    def array(self, person: int, key: str) -> NDArray[Any]:
        a = Array()
        if lib.gvhmr_result_array(self.pointer, person, key.encode(), ctypes.byref(a)) != 0:
            raise KeyError(key)
        dtype, ctype = _TYPES[a.type]
        shape = tuple(a.shape[: a.ndim])
        count = int(np.prod(shape, dtype=np.int64))
        if count == 0:
            return np.zeros(shape, dtype)
        view = (ctype * count).from_address(a.data)
        view.owner = self
        out = np.frombuffer(view, dtype).reshape(shape)
        out.flags.writeable = False
        return out


class _Arrays(Mapping[str, Any]):
    """Arrays by key: `person["joints_world"]`."""

    def __init__(self, memory: _Memory, index: int) -> None:
        self._memory, self._index = memory, index

    __eq__ = object.__eq__  # arrays have no single truth
    __hash__ = object.__hash__

    def __getitem__(self, key: str) -> NDArray[Any]:
        return self._memory.array(self._index, key)

    def __iter__(self) -> Iterator[str]:
        i = 0
        while (key := lib.gvhmr_result_key(self._memory.pointer, self._index, i)) is not None:
            yield key.decode()
            i += 1

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Person(_Arrays):
    """One person's motion, L frames from first to last sight. World: y up, ground at y = 0, metres; camera: x right,
    y down, z forward. Also a mapping of all arrays by key."""

    @property
    def frames(self) -> int:
        return len(self.time_sec)

    @property
    def body_pose(self) -> Floats:
        """[L, 63] SMPL-X body pose, axis-angle of joints 1 to 21"""
        return self["body_pose"]

    @property
    def betas(self) -> Floats:
        """[10] shape"""
        return self["betas"]

    @property
    def global_orient(self) -> Floats:
        """[L, 3] in the world, axis-angle"""
        return self["global_orient"]

    @property
    def transl(self) -> Floats:
        """[L, 3] in the world; the pelvis is at rest-pelvis(betas) + transl"""
        return self["transl"]

    @property
    def global_orient_incam(self) -> Floats:
        """[L, 3] in the camera, axis-angle"""
        return self["global_orient_incam"]

    @property
    def transl_incam(self) -> Floats:
        """[L, 3] in the camera"""
        return self["transl_incam"]

    @property
    def joints_world(self) -> Floats:
        """[L, 22, 3] named by JOINT_NAMES"""
        return self["joints_world"]

    @property
    def joints_incam(self) -> Floats:
        """[L, 22, 3]"""
        return self["joints_incam"]

    @property
    def static_prob(self) -> Floats:
        """[L, 6] that left ankle, left foot, right ankle, right foot, left wrist, right wrist stand still"""
        return self["static_prob"]

    @property
    def frame_index(self) -> NDArray[np.int32]:
        """[L] int32, of the video"""
        return self["frame_index"]

    @property
    def time_sec(self) -> NDArray[np.float64]:
        """[L] float64"""
        return self["time_sec"]

    @property
    def keypoints(self) -> Floats:
        """[L, 17, 3] COCO-17 as observed: x, y in pixels, confidence"""
        return self["kp2d"]

    def __repr__(self) -> str:
        return f"<gvhmr.Person {self._index + 1}: {self.frames} frames>"


class Camera(_Arrays):
    """The camera's path, x_camera = R x_world + t: one row per frame of the video, or one where it stood still."""

    @property
    def R_w2c(self) -> Floats:
        """[N, 3, 3]"""
        return self["R_w2c"]

    @property
    def t_w2c(self) -> Floats:
        """[N, 3]"""
        return self["t_w2c"]


class Result:
    """Everybody in a video."""

    people: tuple[Person, ...]
    """most prominent first"""
    scene: dict[str, Any]
    """scene.json: quality of each person, camera, models, timings (docs/architecture.md); {} of a motion file"""
    camera: Camera | None
    """None of a motion file"""

    def __init__(self, pointer: int) -> None:
        memory = _Memory(pointer)
        text = lib.gvhmr_result_scene(pointer)
        self.people = tuple(Person(memory, i) for i in range(lib.gvhmr_result_people(pointer)))
        self.scene = json.loads(text) if text else {}
        self.camera = Camera(memory, CAMERA) if text else None

    def __repr__(self) -> str:
        return f"<gvhmr.Result: {len(self.people)} people>"


# ---- work


def _text(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"yes" if value else b"no"
    if isinstance(value, (list, tuple)):
        return b",".join(os.fsencode(v) for v in value)
    return os.fsencode(value) if isinstance(value, (str, bytes, os.PathLike)) else str(value).encode()


def _path(value: PathLike) -> bytes:
    path = os.fsencode(value)
    if b"\0" in path:
        raise OptionError("a file name with a null character")
    return path


class Session:
    """Options and loaded models for any number of videos, one at a time. Sessions in different threads are
    independent."""

    def __init__(self, **options: Unpack[Options]) -> None:
        self._handle = lib.gvhmr_create()
        if not self._handle:
            raise OutOfMemory("no memory for a session")
        self._free = weakref.finalize(self, lib.gvhmr_destroy, self._handle)
        self._busy = threading.Lock()
        self._on_log = LOG(lambda _, line: _log.info("%s", line.decode(errors="replace")))
        lib.gvhmr_on_log(self._handle, self._on_log, None)
        for name, value in options.items():
            self.set(name, value)

    def set(self, name: str, value: Any) -> None:
        """One option; None is the default. The models are loaded again for the next run."""
        text = _text(value)
        if text is not None and b"\0" in text:
            raise OptionError(f"{name}: a null character")
        with self._turn():
            self._check(lib.gvhmr_set(self._handle, name.replace("_", "-").encode(), text))

    def run(self, video: PathLike, folder: PathLike | None = None, *,
            progress: Callable[[Progress], object] | None = None) -> Result:
        """The motion of everybody in a video. `folder` also gets what `gvhmr run` writes. `progress` is called from
        this thread, some ten times a second. Whatever it raises, and KeyboardInterrupt, ends the run."""
        arguments = _path(video), None if folder is None else _path(folder)
        with self._turn():
            return self._follow(lambda out: int(lib.gvhmr_run(self._handle, *arguments, out)), progress)

    def load(self, path: PathLike) -> Result:
        """What a run has written: its folder, or one motion file."""
        with self._turn():
            return self._result(lambda out: int(lib.gvhmr_open(self._handle, _path(path), out)))

    def cancel(self) -> None:
        """From another thread: ends the run under way with `Cancelled`."""
        lib.gvhmr_cancel(self._handle)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise OptionError("the session is at work already; take one for each thread")
        try:
            yield
        finally:
            self._busy.release()

    def _check(self, status: int) -> None:
        if status != 0:
            message = lib.gvhmr_error(self._handle).decode(errors="replace")
            raise _ERRORS.get(status, Error)(message)

    def _result(self, call: Callable[[Any], int]) -> Result:
        pointer = ctypes.c_void_p()
        self._check(call(ctypes.byref(pointer)))
        return Result(pointer.value or 0)

    def _follow(self, call: Callable[[Any], int], progress: Callable[[Progress], object] | None) -> Result:
        # The library works in a thread of its own, so that this one hears Ctrl-C and calls `progress`.
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        pointer, status = ctypes.c_void_p(), []

        def tell(_: Any, p: Any) -> int:
            q = p.contents
            events.put(Progress(q.stage.decode(), q.done, q.total, q.seconds, q.per_second))
            return 0

        def work() -> None:
            try:
                status.append(call(ctypes.byref(pointer)))
            finally:
                events.put(None)

        callback = PROGRESS(tell) if progress else _NO_PROGRESS
        lib.gvhmr_on_progress(self._handle, callback, None)
        thread = threading.Thread(target=work, name="gvhmr", daemon=True)
        thread.start()
        try:
            while (event := events.get()) is not None:
                if progress:
                    progress(event)
        except BaseException:
            while thread.is_alive():  # it may not have begun yet
                self.cancel()
                thread.join(0.05)
            if pointer.value:  # it was done already
                lib.gvhmr_result_free(pointer)
            raise
        finally:
            thread.join()
            lib.gvhmr_on_progress(self._handle, _NO_PROGRESS, None)
        self._check(status[0])
        return Result(pointer.value or 0)


def run(video: PathLike, folder: PathLike | None = None, *, progress: Callable[[Progress], object] | None = None,
        **options: Unpack[Options]) -> Result:
    """The motion of everybody in a video: `Session(**options).run(...)`."""
    return Session(**options).run(video, folder, progress=progress)


def load(path: PathLike) -> Result:
    """What a run has written: its folder, or one motion file (.npz)."""
    return Session().load(path)
