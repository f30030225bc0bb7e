// One person in three.js: the surface, a stick figure, the way over the ground, and marks under the feet.
import {
  BufferAttribute, BufferGeometry, CircleGeometry, Color, CylinderGeometry, DynamicDrawUsage, Group, InstancedMesh, Matrix4,
  Mesh, MeshBasicMaterial, Quaternion, SphereGeometry, Vector3, type Material,
} from 'three';
import type { CameraPath, Data } from './data';
import { footJoints, JOINTS, matrixOf, multiply, parents, pose, rotations, touches, type Motion } from './motion';
import { bodyMaterial } from './shaders';
import { simplify, skin, surfaceOf, transforms, type Surface } from './surface';

// Linear RGB, the colours of the videos that `gvhmr run` draws (src/rendering/canvas.c).
const palette = [
  [0.2, 0.42, 0.72], [0.8, 0.3, 0.12], [0.18, 0.52, 0.26], [0.72, 0.5, 0.08], [0.46, 0.22, 0.6], [0.1, 0.54, 0.56],
  [0.74, 0.18, 0.3], [0.42, 0.46, 0.1], [0.3, 0.3, 0.66], [0.64, 0.38, 0.26], [0.66, 0.28, 0.52], [0.36, 0.4, 0.44],
];
export const colourOf = (person: number) => new Color(...(palette[(person - 1) % 12] as [number, number, number]));

const crowd = 6; // with more people than that, surfaces are simplified
const crowdGrain = 0.022; // m
const shadowGrain = 0.04;
const coarseGrain = 0.028; // of what is drawn in software while things move

const up = new Vector3(0, 1, 0);
const a = new Vector3(), b = new Vector3(), q = new Quaternion(), s = new Vector3(), M = new Matrix4(), N = new Matrix4();
const R1 = new Float64Array(9), R2 = new Float64Array(9);

// A strip on the ground along the pelvis' way.
function ribbon(m: Motion, height: number): BufferGeometry {
  const half = 0.014, position = new Float32Array(m.frames * 6), index: number[] = [];
  let nx = half, nz = 0;
  for (let t = 0; t < m.frames; t++) {
    const p = 66 * Math.max(t - 1, 0), n = 66 * Math.min(t + 1, m.frames - 1);
    const dx = m.joints[n] - m.joints[p], dz = m.joints[n + 2] - m.joints[p + 2], d = Math.hypot(dx, dz);
    if (d > 0.004) (nx = (-half * dz) / d), (nz = (half * dx) / d);
    const x = m.joints[66 * t], z = m.joints[66 * t + 2];
    position.set([x + nx, height, z + nz, x - nx, height, z - nz], 6 * t);
    if (t) index.push(2 * t - 2, 2 * t - 1, 2 * t, 2 * t, 2 * t - 1, 2 * t + 1);
  }
  const g = new BufferGeometry();
  g.setAttribute('position', new BufferAttribute(position, 3));
  g.setIndex(index);
  return g;
}

export class Figure {
  readonly group = new Group();
  readonly ground = new Group(); // what lies on the ground
  readonly shadows = new Group(); // what throws a shadow, drawn flat
  readonly colour: Color;
  readonly joints = new Float32Array(3 * JOINTS); // as displayed, world
  visible = true;
  private readonly turned = rotations();
  private readonly A = transforms();
  private readonly surface: Surface;
  private readonly position: BufferAttribute;
  private readonly normal: BufferAttribute;
  private readonly body: Mesh;
  private readonly coarse: BufferGeometry; // the same vertices, fewer triangles
  private readonly fine: BufferGeometry;
  private readonly bodyShadow: Mesh;
  private readonly sticks: InstancedMesh;
  private readonly balls: InstancedMesh;
  private readonly stickShadow: InstancedMesh;
  private readonly walked: BufferGeometry;
  private readonly marks: InstancedMesh;

  constructor(readonly motion: Motion, data: Data, flatten: Material) {
    this.colour = colourOf(motion.id);
    this.surface = surfaceOf(data, motion, data.people.length > crowd ? crowdGrain : 0);
    const dynamic = (n: number) => new BufferAttribute(new Float32Array(n), 3).setUsage(DynamicDrawUsage);
    this.position = dynamic(this.surface.position.length);
    this.normal = dynamic(this.surface.position.length);
    const skinned = (faces: ArrayLike<number>) => {
      const g = new BufferGeometry();
      g.setAttribute('position', this.position);
      g.setAttribute('normal', this.normal);
      g.setIndex(new BufferAttribute(Uint32Array.from(faces), 1));
      return g;
    };
    this.fine = skinned(this.surface.faces);
    this.coarse = skinned(simplify(this.surface.position, this.surface.faces, coarseGrain));
    this.body = new Mesh(this.fine, bodyMaterial(this.colour));
    this.bodyShadow = new Mesh(skinned(simplify(this.surface.position, this.surface.faces, shadowGrain)), flatten);

    const stick = new CylinderGeometry(0.4, 1, 1, 10), ball = new SphereGeometry(1, 14, 10);
    this.sticks = new InstancedMesh(stick, bodyMaterial(this.colour), JOINTS - 1);
    this.balls = new InstancedMesh(ball, bodyMaterial(this.colour.clone().lerp(new Color(1, 1, 1), 0.5)), JOINTS);
    this.stickShadow = new InstancedMesh(stick, flatten, JOINTS - 1);
    this.stickShadow.instanceMatrix = this.sticks.instanceMatrix;

    const paint = (opacity: number) =>
      new MeshBasicMaterial({ color: this.colour, transparent: true, opacity, depthWrite: false, side: 2 });
    this.walked = ribbon(motion, 0.004);
    this.marks = new InstancedMesh(new CircleGeometry(1, 24).rotateX(-Math.PI / 2), paint(0.5), 2);
    this.ground.add(new Mesh(ribbon(motion, 0.003), paint(0.22)), new Mesh(this.walked, paint(0.85)), this.marks);
    this.group.add(this.body, this.sticks, this.balls);
    this.shadows.add(this.bodyShadow, this.stickShadow);
    for (const part of [...this.group.children, ...this.ground.children, ...this.shadows.children]) part.frustumCulled = false;
  }

  row(frame: number): number {
    return this.motion.rowOf[frame] ?? -1;
  }

  // Poses the figure; `camera` given: where this person was seen from it instead of on the way over the ground.
  pose(frame: number, sticks: boolean, camera: CameraPath | null): void {
    const row = this.row(frame), m = this.motion;
    this.group.visible = this.shadows.visible = this.visible && row >= 0;
    this.ground.visible = this.visible && !camera;
    this.walked.setDrawRange(0, Math.max(0, 6 * row));
    this.marks.visible = row >= 0;
    if (row < 0) return;
    if (camera) this.placeInCamera(row, camera.R(frame), camera.t(frame));
    else {
      matrixOf(this.turned[0], m.orient, 3 * row);
      for (let i = 0; i < 3; i++) this.joints[i] = m.rest[i] + m.transl[3 * row + i];
    }
    pose(this.turned, this.joints, 0, m, row);
    this.body.visible = this.bodyShadow.visible = !sticks;
    this.sticks.visible = this.balls.visible = this.stickShadow.visible = sticks;
    if (!this.group.visible) return;
    sticks ? this.layoutSticks() : this.layoutSurface();
    this.layoutMarks(row);
  }

  setCoarse(on: boolean): void {
    this.body.geometry = on ? this.coarse : this.fine;
  }

  // x_world = R^T (x_camera - t)
  private placeInCamera(row: number, R: number[], t: number[]): void {
    const m = this.motion;
    for (let i = 0; i < 3; i++) for (let k = 0; k < 3; k++) R1[3 * i + k] = R[3 * k + i];
    matrixOf(R2, m.orientIncam, 3 * row);
    multiply(this.turned[0], R1, R2);
    const x = [0, 1, 2].map((i) => m.rest[i] + m.translIncam[3 * row + i] - t[i]);
    for (let i = 0; i < 3; i++) this.joints[i] = R1[3 * i] * x[0] + R1[3 * i + 1] * x[1] + R1[3 * i + 2] * x[2];
  }

  private layoutSurface(): void {
    const { A, joints } = this, rest = this.motion.rest;
    for (let j = 0; j < JOINTS; j++)
      for (let r = 0; r < 3; r++) {
        const R = this.turned[j], at = 12 * j + 4 * r;
        for (let c = 0; c < 3; c++) A[at + c] = R[3 * r + c];
        A[at + 3] = joints[3 * j + r] - (R[3 * r] * rest[3 * j] + R[3 * r + 1] * rest[3 * j + 1] + R[3 * r + 2] * rest[3 * j + 2]);
      }
    skin(this.position.array as Float32Array, this.normal.array as Float32Array, this.surface, A);
    this.position.needsUpdate = this.normal.needsUpdate = true;
  }

  private layoutSticks(): void {
    for (let j = 0; j < JOINTS; j++) {
      a.fromArray(this.joints, 3 * j);
      const size = j === 15 ? 0.075 : j > 17 || j === 7 || j === 8 || j === 10 || j === 11 ? 0.024 : 0.03;
      this.balls.setMatrixAt(j, M.makeTranslation(a).scale(s.setScalar(size)));
      if (!j) continue;
      b.fromArray(this.joints, 3 * parents[j]);
      const length = a.distanceTo(b), thick = Math.min(0.03, 0.012 + 0.06 * length);
      q.setFromUnitVectors(up, s.copy(a).sub(b).divideScalar(length || 1));
      this.sticks.setMatrixAt(j - 1, N.compose(b.add(a).multiplyScalar(0.5), q, s.set(thick, length, thick)));
    }
    this.sticks.instanceMatrix.needsUpdate = this.balls.instanceMatrix.needsUpdate = true;
  }

  private layoutMarks(row: number): void {
    const m = this.motion;
    for (let foot = 0; foot < 2; foot++) {
      const ankle = 66 * row + 3 * footJoints[2 * foot], toes = 66 * row + 3 * footJoints[2 * foot + 1];
      const x = 0.4 * m.joints[ankle] + 0.6 * m.joints[toes], z = 0.4 * m.joints[ankle + 2] + 0.6 * m.joints[toes + 2];
      const size = touches(m, row, foot) ? 0.13 : 0;
      this.marks.setMatrixAt(foot, M.makeTranslation(x, 0.005 + 0.0004 * foot, z).scale(s.set(size, 1, size)));
    }
    this.marks.instanceMatrix.needsUpdate = true;
  }
}
