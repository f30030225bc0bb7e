# Run inside Blender: imports a .bvh or .glb and compares joint positions at ten frames with a table of ours.
#
#   blender --background --factory-startup --python-exit-code 1 --python blender_check.py -- FILE TABLE.csv FPS PERSON FIRST
#
# FIRST: the time in TABLE.csv at which the file begins, seconds: a .glb with the scene, a .bvh with the person.
# TABLE.csv is `gvhmr export ... -o TABLE.csv` of the same person (metres, y up). FILE.bvh: centimetres, y up. Blender's world
# is z up; both importers turn y up into it, so (x, y, z) of ours is (x, -z, y) there.
import builtins
import csv
import sys

import bpy
import numpy

# Debian 12's Blender 3.4 is older than its Python and NumPy: its importers use what these no longer have.
if not hasattr(numpy, "bool"):
    numpy.bool = bool
plain_open = builtins.open
builtins.open = lambda file, mode="r", *more, **named: plain_open(file, mode.replace("U", ""), *more, **named)

path, table, fps, person, first = sys.argv[sys.argv.index("--") + 1:]
fps, first = float(fps), float(first)

bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = round(fps)
scene.render.fps_base = round(fps) / fps
rows = list(csv.DictReader(open(table)))
times = [float(r["time_sec"]) for r in rows]
names = [k[:-2] for k in rows[0] if k.endswith("_x")]

if path.endswith(".bvh"):
    bpy.ops.import_anim.bvh(filepath=path, global_scale=0.01, axis_forward="-Z", axis_up="Y", update_scene_fps=False, frame_start=1)
    armature = next(o for o in scene.objects if o.type == "ARMATURE")
    first = times[0] - 1 / fps  # this importer begins at frame 1
else:
    bpy.ops.import_scene.gltf(filepath=path)
    armatures = [o for o in scene.objects if o.type == "ARMATURE"]
    armature = next(o for o in armatures if o.name == "person-" + person)
    meshes = [o for o in scene.objects if o.type == "MESH" and o.find_armature() == armature]
    assert meshes, "no skinned mesh"
    assert any(o.type == "CAMERA" for o in scene.objects), "no camera"

worst, where = 0.0, ""
for k in range(10):
    i = (len(rows) - 1) * k // 9
    frame = (times[i] - first) * fps
    scene.frame_set(int(frame), subframe=frame - int(frame))
    for name in names:
        ours = [float(rows[i][name + c]) for c in ("_x", "_y", "_z")]
        theirs = armature.matrix_world @ armature.pose.bones[name].head
        d = ((theirs.x - ours[0]) ** 2 + (theirs.y + ours[2]) ** 2 + (theirs.z - ours[1]) ** 2) ** 0.5
        if d > worst:
            worst, where = d, "%s in row %d" % (name, i)
print("blender: ten frames within %.4f mm (%s)" % (1000 * worst, where))
assert worst < 0.001, "joints differ"
