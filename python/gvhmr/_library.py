"""libgvhmr by ctypes: finding it, and the signatures of include/gvhmr.h."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from pathlib import Path

SONAME = "libgvhmr.so.0"
CAMERA = -1


class Progress(ctypes.Structure):
    _fields_ = [("stage", c_char_p), ("done", c_int64), ("total", c_int64), ("seconds", c_double),
                ("per_second", c_double)]


class Array(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("type", c_int32), ("ndim", c_int32), ("shape", c_int64 * 8)]


PROGRESS = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(Progress))
LOG = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)

_SIGNATURES = {
    "gvhmr_version": (c_char_p, []),
    "gvhmr_create": (c_void_p, []),
    "gvhmr_destroy": (None, [c_void_p]),
    "gvhmr_error": (c_char_p, [c_void_p]),
    "gvhmr_set": (c_int, [c_void_p, c_char_p, c_char_p]),
    "gvhmr_option_name": (c_char_p, [c_int]),
    "gvhmr_on_progress": (c_int, [c_void_p, PROGRESS, c_void_p]),
    "gvhmr_on_log": (c_int, [c_void_p, LOG, c_void_p]),
    "gvhmr_cancel": (None, [c_void_p]),
    "gvhmr_run": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "gvhmr_open": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "gvhmr_result_free": (None, [c_void_p]),
    "gvhmr_result_people": (c_int, [c_void_p]),
    "gvhmr_result_scene": (c_char_p, [c_void_p]),
    "gvhmr_result_array": (c_int, [c_void_p, c_int, c_char_p, POINTER(Array)]),
    "gvhmr_result_key": (c_char_p, [c_void_p, c_int, c_int]),
    "gvhmr_joint_name": (c_char_p, [c_int]),
}


def _places() -> list[str]:
    """Where the library may be: $GVHMR_LIBRARY alone if it is set; the lib folder this module is in; the system's."""
    given = os.environ.get("GVHMR_LIBRARY")
    if given:
        return [given]
    places = []
    for folder in Path(__file__).resolve().parents[2:4]:  # lib/python3*/dist-packages/gvhmr/_library.py
        places += [folder / SONAME, *sorted(folder.glob("*-linux-gnu*/" + SONAME))]
    return [str(p) for p in places if p.exists()] + [SONAME]


def _load() -> ctypes.CDLL:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when OpenMP is loaded; see include/gvhmr.h
    reasons = []
    for place in _places():
        try:
            library = ctypes.CDLL(place)
            break
        except OSError as error:
            reasons.append(str(error))
    else:
        raise ImportError(f"gvhmr needs {SONAME}: install the package libgvhmr0, or set GVHMR_LIBRARY to the file ("
                          + "; ".join(reasons) + ")")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _load()
