// One person's motion and what follows from it: joints by forward kinematics, contacts, speed.

export const JOINTS = 22;
export const jointNames = [
  'pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2', 'left_ankle', 'right_ankle', 'spine3',
  'left_foot', 'right_foot', 'neck', 'left_collar', 'right_collar', 'head', 'left_shoulder', 'right_shoulder',
  'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
];
export const parents = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19];
export const footJoints = [7, 10, 8, 11]; // the first four columns of static_prob: left, left, right, right

export interface Stretch {
  first_frame: number;
  last_frame: number;
  reason: string;
  words: string;
}
export interface Quality {
  verdict: 'good' | 'fair' | 'poor';
  words: string;
  jitter: number;
  foot_sliding_mm: number;
  foot_sliding_worst_mm: number;
  contact_share: number;
  reprojection_px: number | null;
  reprojection_share: number | null;
  confidence: number;
  gaps: number;
  longest_gap_frames: number;
  distrust_share: number;
  distrust: Stretch[];
}

export interface Motion {
  id: number;
  frames: number; // L
  rest: Float32Array; // [22, 3] m
  surface: Int16Array; // [V, 3] in units of `unit` m
  unit: number;
  betas: Float32Array; // [10]
  bodyPose: Float32Array; // [L, 63] axis-angle
  orient: Float32Array; // [L, 3] world
  transl: Float32Array; // [L, 3] world
  orientIncam: Float32Array; // [L, 3]
  translIncam: Float32Array; // [L, 3]
  staticProb: Float32Array; // [L, 6]
  K: Float32Array; // [L, 3, 3]
  lens: Float32Array | null; // [L, 10], see lens.ts; null: a pinhole
  R: Float32Array; // [L, 3, 3]
  box: Float32Array; // [L, 3]
  kp2d: Float32Array; // [L, 17, 3]
  reprojection: Float32Array; // [L] px, NaN unknown
  frameIndex: Int32Array; // [L]
  time: Float64Array; // [L] s
  fps: number;
  width: number;
  height: number;
  rowOf: Int32Array; // [frames of the video], -1 where the person is not there
  joints: Float32Array; // [L, 22, 3] world
  confidence: Float32Array; // [L] mean over the keypoints
  speed: Float32Array; // [L] of the pelvis over the ground, m/s
  quality: Quality | null;
}

// Rotation matrix, row-major, of an axis-angle vector.
export function matrixOf(out: Float64Array, aa: ArrayLike<number>, at: number): void {
  const x = aa[at], y = aa[at + 1], z = aa[at + 2];
  const square = x * x + y * y + z * z;
  const angle = Math.sqrt(square);
  const small = angle < 1e-6;
  const s = small ? 1 - square / 6 : Math.sin(angle) / angle;
  const c = small ? 0.5 - square / 24 : (1 - Math.cos(angle)) / square;
  out[0] = 1 - c * (y * y + z * z); out[1] = c * x * y - s * z; out[2] = c * x * z + s * y;
  out[3] = c * x * y + s * z; out[4] = 1 - c * (x * x + z * z); out[5] = c * y * z - s * x;
  out[6] = c * x * z - s * y; out[7] = c * y * z + s * x; out[8] = 1 - c * (x * x + y * y);
}

// out = a b, 3x3; out may not be a or b.
export function multiply(out: Float64Array, a: Float64Array, b: Float64Array): void {
  for (let r = 0; r < 9; r += 3)
    for (let c = 0; c < 3; c++) out[r + c] = a[r] * b[c] + a[r + 1] * b[3 + c] + a[r + 2] * b[6 + c];
}

// Global rotations (22 matrices) and joints [22, 3] of one frame, from the root's rotation and the pelvis' place.
export function pose(turned: Float64Array[], joints: Float32Array, at: number, m: Motion, row: number): void {
  for (let j = 1; j < JOINTS; j++) {
    const p = parents[j], R = turned[p];
    matrixOf(local, m.bodyPose, 63 * row + 3 * (j - 1));
    multiply(turned[j], R, local);
    for (let i = 0; i < 3; i++) {
      let x = joints[at + 3 * p + i];
      for (let k = 0; k < 3; k++) x += R[3 * i + k] * (m.rest[3 * j + k] - m.rest[3 * p + k]);
      joints[at + 3 * j + i] = x;
    }
  }
}
const local = new Float64Array(9);
export const rotations = () => Array.from({ length: JOINTS }, () => new Float64Array(9));

// Joints [L, 22, 3] of every frame, in the world or in the camera.
export function allJoints(m: Motion, inCamera: boolean): Float32Array {
  const orient = inCamera ? m.orientIncam : m.orient;
  const transl = inCamera ? m.translIncam : m.transl;
  const out = new Float32Array(m.frames * JOINTS * 3);
  const turned = rotations();
  for (let t = 0; t < m.frames; t++) {
    const at = t * JOINTS * 3;
    matrixOf(turned[0], orient, 3 * t);
    for (let i = 0; i < 3; i++) out[at + i] = m.rest[i] + transl[3 * t + i];
    pose(turned, out, at, m, t);
  }
  return out;
}

export function confidences(m: Motion): Float32Array {
  return Float32Array.from({ length: m.frames }, (_, t) => {
    let sum = 0;
    for (let k = 0; k < 17; k++) sum += m.kp2d[51 * t + 3 * k + 2];
    return sum / 17;
  });
}

export function speeds(m: Motion): Float32Array {
  return Float32Array.from({ length: m.frames }, (_, t) => {
    const a = Math.max(t - 2, 0), b = Math.min(t + 2, m.frames - 1);
    const dt = m.time[b] - m.time[a];
    const dx = m.joints[66 * b] - m.joints[66 * a], dz = m.joints[66 * b + 2] - m.joints[66 * a + 2];
    return dt > 0 ? Math.hypot(dx, dz) / dt : 0;
  });
}

// Whether a foot (0 left, 1 right) is in contact.
export const touches = (m: Motion, row: number, foot: number) =>
  m.staticProb[6 * row + 2 * foot] > 0.5 || m.staticProb[6 * row + 2 * foot + 1] > 0.5;
