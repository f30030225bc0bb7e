// One person in three.js: a skinned surface and a stick figure on the same bones, the way over the ground, and marks
// under the feet.
import {
  BufferAttribute, BufferGeometry, Bone, CircleGeometry, Color, CylinderGeometry, DynamicDrawUsage, Group, InstancedMesh,
  Matrix4, Mesh, MeshBasicMaterial, MeshLambertMaterial, MeshStandardMaterial, Quaternion, Skeleton, SkinnedMesh,
  SphereGeometry, Vector3,
} from 'three';
import type { CameraPath, Data } from './data';
import { footJoints, JOINTS, matrixOf, multiply, parents, touches, type Motion } from './motion';

// Linear RGB, the colours of the videos that `gvhmr run` draws (src/rendering/canvas.c).
const palette = [
  [0.2, 0.42, 0.72], [0.8, 0.3, 0.12], [0.18, 0.52, 0.26], [0.72, 0.5, 0.08], [0.46, 0.22, 0.6], [0.1, 0.54, 0.56],
  [0.74, 0.18, 0.3], [0.42, 0.46, 0.1], [0.3, 0.3, 0.66], [0.64, 0.38, 0.26], [0.66, 0.28, 0.52], [0.36, 0.4, 0.44],
];
export const colourOf = (person: number) => new Color(...(palette[(person - 1) % 12] as [number, number, number]));

const up = new Vector3(0, 1, 0);
const a = new Vector3(), b = new Vector3(), q = new Quaternion(), s = new Vector3(), M = new Matrix4(), N = new Matrix4();
const R1 = new Float64Array(9), R2 = new Float64Array(9), R3 = new Float64Array(9);

function setAxisAngle(out: Quaternion, v: Float32Array, at: number): void {
  const x = v[at], y = v[at + 1], z = v[at + 2], angle = Math.hypot(x, y, z);
  const k = angle > 1e-9 ? Math.sin(angle / 2) / angle : 0.5;
  out.set(k * x, k * y, k * z, Math.cos(angle / 2));
}

function restGeometry(data: Data, m: Motion): BufferGeometry {
  const g = new BufferGeometry();
  const position = new Float32Array(m.surface.length);
  for (let i = 0; i < position.length; i++) position[i] = m.surface[i] * m.unit;
  g.setAttribute('position', new BufferAttribute(position, 3));
  g.setAttribute('skinIndex', new BufferAttribute(data.bones, 4));
  g.setAttribute('skinWeight', new BufferAttribute(data.weights, 4, true));
  g.setIndex(new BufferAttribute(data.faces as Uint16Array, 1));
  g.computeVertexNormals();
  return g;
}

// A strip on the ground along the pelvis' way; drawn up to `rows`.
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
  readonly bones: Bone[];
  readonly colour: Color;
  visible = true;
  private readonly body: SkinnedMesh;
  private readonly sticks: InstancedMesh;
  private readonly balls: InstancedMesh;
  private readonly trace = new Group();
  private readonly walked: BufferGeometry;
  private readonly marks: InstancedMesh;

  constructor(readonly motion: Motion, data: Data) {
    this.colour = colourOf(motion.id);
    this.bones = Array.from({ length: JOINTS }, () => new Bone());
    const inverses = this.bones.map((_, j) => new Matrix4().makeTranslation(
      -motion.rest[3 * j], -motion.rest[3 * j + 1], -motion.rest[3 * j + 2]));
    for (let j = 1; j < JOINTS; j++) {
      const p = parents[j];
      this.bones[p].add(this.bones[j]);
      this.bones[j].position.fromArray([0, 1, 2].map((i) => motion.rest[3 * j + i] - motion.rest[3 * p + i]));
    }
    const skin = new MeshStandardMaterial({ color: this.colour, roughness: 0.62, metalness: 0 });
    this.body = new SkinnedMesh(restGeometry(data, motion), skin);
    this.body.bind(new Skeleton(this.bones, inverses), new Matrix4());
    this.body.castShadow = this.body.receiveShadow = true;
    this.body.frustumCulled = false;

    const stick = new MeshLambertMaterial({ color: this.colour });
    const ball = new MeshLambertMaterial({ color: this.colour.clone().lerp(new Color(1, 1, 1), 0.55) });
    this.sticks = new InstancedMesh(new CylinderGeometry(0.35, 1, 1, 12), stick, JOINTS - 1);
    this.balls = new InstancedMesh(new SphereGeometry(1, 16, 12), ball, JOINTS);
    for (const part of [this.sticks, this.balls]) {
      part.castShadow = true;
      part.frustumCulled = false;
      part.visible = false;
      part.instanceMatrix.setUsage(DynamicDrawUsage);
    }

    const paint = (opacity: number) =>
      new MeshBasicMaterial({ color: this.colour, transparent: true, opacity, depthWrite: false, side: 2 });
    this.walked = ribbon(motion, 0.004);
    this.trace.add(new Mesh(ribbon(motion, 0.003), paint(0.22)), new Mesh(this.walked, paint(0.85)));
    this.trace.children.forEach((c) => (c.frustumCulled = false));
    this.marks = new InstancedMesh(new CircleGeometry(1, 24).rotateX(-Math.PI / 2), paint(0.5), 2);
    this.marks.frustumCulled = false;
    this.group.add(this.bones[0], this.body, this.sticks, this.balls);
    this.ground = new Group();
    this.ground.add(this.trace, this.marks);
  }

  readonly ground: Group; // what lies on the ground

  get mesh(): SkinnedMesh {
    return this.body;
  }

  row(frame: number): number {
    return this.motion.rowOf[frame] ?? -1;
  }

  // Poses the figure; `camera` given: where this person was seen from it instead of on the way over the ground.
  pose(frame: number, sticks: boolean, camera: CameraPath | null): void {
    const row = this.row(frame), m = this.motion;
    this.group.visible = this.visible && row >= 0;
    this.ground.visible = this.visible;
    this.walked.setDrawRange(0, Math.max(0, 6 * row));
    this.marks.visible = row >= 0;
    if (row < 0) return;
    for (let j = 1; j < JOINTS; j++) setAxisAngle(this.bones[j].quaternion, m.bodyPose, 63 * row + 3 * (j - 1));
    if (camera) this.placeInCamera(row, camera.R(frame), camera.t(frame));
    else {
      setAxisAngle(this.bones[0].quaternion, m.orient, 3 * row);
      this.bones[0].position.fromArray([0, 1, 2].map((i) => m.rest[i] + m.transl[3 * row + i]));
    }
    this.group.updateMatrixWorld(true);
    this.body.visible = !sticks;
    this.sticks.visible = this.balls.visible = sticks;
    if (sticks) this.layoutSticks();
    this.layoutMarks(row);
  }

  // x_world = R^T (x_camera - t)
  private placeInCamera(row: number, R: number[], t: number[]): void {
    const m = this.motion;
    for (let i = 0; i < 3; i++) for (let k = 0; k < 3; k++) R1[3 * i + k] = R[3 * k + i];
    matrixOf(R2, m.orientIncam, 3 * row);
    multiply(R3, R1, R2);
    M.set(R3[0], R3[1], R3[2], 0, R3[3], R3[4], R3[5], 0, R3[6], R3[7], R3[8], 0, 0, 0, 0, 1);
    this.bones[0].quaternion.setFromRotationMatrix(M);
    const x = [0, 1, 2].map((i) => m.rest[i] + m.translIncam[3 * row + i] - t[i]);
    this.bones[0].position.fromArray([0, 1, 2].map((i) => R1[3 * i] * x[0] + R1[3 * i + 1] * x[1] + R1[3 * i + 2] * x[2]));
  }

  private layoutSticks(): void {
    for (let j = 0; j < JOINTS; j++) {
      a.setFromMatrixPosition(this.bones[j].matrixWorld);
      const size = j === 15 ? 0.07 : j > 17 || j === 7 || j === 8 || j === 10 || j === 11 ? 0.024 : 0.03;
      this.balls.setMatrixAt(j, M.makeTranslation(a).scale(s.setScalar(size)));
      if (!j) continue;
      b.setFromMatrixPosition(this.bones[parents[j]].matrixWorld);
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

  // Joints as they are displayed, world.
  displayedJoint(j: number, out: Vector3): Vector3 {
    return out.setFromMatrixPosition(this.bones[j].matrixWorld);
  }

  setOpacity(opacity: number): void {
    const material = this.body.material as MeshStandardMaterial;
    material.transparent = opacity < 1;
    material.opacity = opacity;
  }

  showGround(on: boolean): void {
    this.trace.visible = on;
  }
}
