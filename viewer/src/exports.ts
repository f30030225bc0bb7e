// Files written in the browser. The formats are those of `gvhmr export` (src/formats/motion_export.c), number by number.
import { allJoints, jointNames, JOINTS, matrixOf, parents, type Motion } from './motion';
import { writeNpz, type NpArray } from './npz';

const meanStep = (m: Motion) => (m.frames > 1 ? (m.time[m.frames - 1] - m.time[0]) / (m.frames - 1) : 1 / (m.fps || 30));

// Rz(a) Rx(b) Ry(c), degrees; at b = +-90 only a sum or difference of a and c is determined: c = 0.
function eulerZxy(R: Float64Array): [number, number, number] {
  const cosB = Math.hypot(R[6], R[8]), degrees = 180 / Math.PI;
  const b = Math.atan2(R[7], cosB) * degrees;
  if (cosB <= 1e-7) return [Math.atan2(R[3], R[0]) * degrees, b, 0];
  return [Math.atan2(-R[1], R[4]) * degrees, b, Math.atan2(-R[6], R[8]) * degrees];
}

export function bvh(m: Motion): string {
  const cm = (j: number, scale = 100) =>
    [0, 1, 2].map((i) => (j ? scale * (m.rest[3 * j + i] - m.rest[3 * parents[j] + i]) : 0).toFixed(6)).join(' ');
  const order: number[] = [];
  const lines = ['HIERARCHY'];
  const joint = (j: number, depth: number) => {
    const pad = ' '.repeat(depth), channels = 'Zrotation Xrotation Yrotation';
    order.push(j);
    lines.push(`${pad}${j ? 'JOINT' : 'ROOT'} ${jointNames[j]}`, `${pad}{`, `${pad}  OFFSET ${cm(j)}`);
    lines.push(`${pad}  CHANNELS ${j ? '3 ' : '6 Xposition Yposition Zposition '}${channels}`);
    const children = parents.flatMap((p, c) => (p === j ? [c] : []));
    children.forEach((c) => joint(c, depth + 2));
    if (!children.length)
      lines.push(`${pad}  End Site`, `${pad}  {`, `${pad}    OFFSET ${cm(j, 50)}`, `${pad}  }`);
    lines.push(`${pad}}`);
  };
  joint(0, 0);
  lines.push('MOTION', `Frames: ${m.frames}`, `Frame Time: ${meanStep(m).toFixed(8)}`);
  const R = new Float64Array(9);
  const last = Array.from({ length: JOINTS }, () => [0, 0, 0]);
  for (let t = 0; t < m.frames; t++) {
    const row = [0, 1, 2].map((i) => (100 * m.joints[66 * t + i]).toFixed(5));
    for (const j of order) {
      matrixOf(R, j ? m.bodyPose : m.orient, j ? 63 * t + 3 * (j - 1) : 3 * t);
      last[j] = eulerZxy(R).map((a, k) => (t ? a + 360 * Math.round((last[j][k] - a) / 360) : a));
      row.push(...last[j].map((a) => a.toFixed(6)));
    }
    lines.push(row.join(' '));
  }
  return lines.join('\n') + '\n';
}

export function csv(m: Motion): string {
  const lines = ['frame,time_sec' + jointNames.map((n) => `,${n}_x,${n}_y,${n}_z`).join('')];
  for (let t = 0; t < m.frames; t++) {
    const row = Array.from(m.joints.subarray(66 * t, 66 * t + 66), (x) => x.toFixed(6));
    lines.push([m.frameIndex[t], m.time[t].toFixed(6), ...row].join(','));
  }
  return lines.join('\n') + '\n';
}

// The motion file (docs/architecture.md).
export function npz(m: Motion): Blob {
  const L = m.frames;
  const f32 = (data: Float32Array, ...shape: number[]): NpArray => ({ data, shape });
  return writeNpz({
    betas: f32(m.betas, 10),
    body_pose: f32(m.bodyPose, L, 63),
    global_orient: f32(m.orient, L, 3),
    transl: f32(m.transl, L, 3),
    global_orient_incam: f32(m.orientIncam, L, 3),
    transl_incam: f32(m.translIncam, L, 3),
    joints_world: f32(m.joints, L, JOINTS, 3),
    joints_incam: f32(allJoints(m, true), L, JOINTS, 3),
    static_prob: f32(m.staticProb, L, 6),
    K_fullimg: f32(m.K, L, 3, 3),
    R_w2c: f32(m.R, L, 3, 3),
    bbx_xys: f32(m.box, L, 3),
    kp2d: f32(m.kp2d, L, 17, 3),
    joint_names: jointNames,
    frame_index: { data: m.frameIndex, shape: [L] },
    time_sec: { data: m.time, shape: [L] },
    fps: { data: Float64Array.of(m.fps), shape: [] },
    width: { data: Int32Array.of(m.width), shape: [] },
    height: { data: Int32Array.of(m.height), shape: [] },
  });
}

export function json(m: Motion): string {
  const round = (a: ArrayLike<number>) => Array.from(a, (x) => Number(x.toFixed(6)));
  return JSON.stringify({
    person: m.id,
    units: 'metres, seconds, radians; world y up, ground at y = 0',
    fps: m.fps,
    joint_names: jointNames,
    parents,
    betas: round(m.betas),
    frames: Array.from({ length: m.frames }, (_, t) => ({
      frame: m.frameIndex[t],
      time_sec: Number(m.time[t].toFixed(6)),
      transl: round(m.transl.subarray(3 * t, 3 * t + 3)),
      global_orient: round(m.orient.subarray(3 * t, 3 * t + 3)),
      body_pose: round(m.bodyPose.subarray(63 * t, 63 * t + 63)),
      joints: Array.from({ length: JOINTS }, (_j, j) => round(m.joints.subarray(66 * t + 3 * j, 66 * t + 3 * j + 3))),
    })),
  });
}

export function save(name: string, content: Blob | string, type = 'text/plain'): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
