// Posing a person's surface: linear blend skinning on the processor. (In software rendering it costs a tenth of what the
// same does in a vertex shader, and shadows use its result again.)
import { JOINTS, type Motion } from './motion';
import type { Data } from './data';

export interface Surface {
  position: Float32Array; // [V, 3] rest, m
  normal: Float32Array; // [V, 3] rest
  bones: Uint8Array; // [V, 4]
  weights: Float32Array; // [V, 4] sum 1, largest first, zeros last
  faces: ArrayLike<number>; // [F, 3]
}

// Vertices that share a cell of `cell` m become one: what is left of the triangles, by the first vertex of each cell.
export function simplify(position: Float32Array, faces: ArrayLike<number>, cell: number): Uint32Array {
  const first = new Map<number, number>(), of = new Uint32Array(position.length / 3), kept: number[] = [];
  for (let v = 0; v < of.length; v++) {
    const [x, y, z] = [0, 1, 2].map((i) => Math.round(position[3 * v + i] / cell) + 512);
    const key = (x * 1024 + y) * 1024 + z;
    if (!first.has(key)) first.set(key, v);
    of[v] = first.get(key)!;
  }
  for (let t = 0; t < faces.length; t += 3) {
    const a = of[faces[t]], b = of[faces[t + 1]], c = of[faces[t + 2]];
    if (a !== b && b !== c && c !== a) kept.push(a, b, c);
  }
  return Uint32Array.from(kept);
}

// Unit normals from the triangles, larger ones count more.
function normalsOf(position: Float32Array, faces: ArrayLike<number>): Float32Array {
  const n = new Float32Array(position.length);
  for (let t = 0; t < faces.length; t += 3) {
    const [a, b, c] = [3 * faces[t], 3 * faces[t + 1], 3 * faces[t + 2]];
    const ux = position[b] - position[a], uy = position[b + 1] - position[a + 1], uz = position[b + 2] - position[a + 2];
    const vx = position[c] - position[a], vy = position[c + 1] - position[a + 1], vz = position[c + 2] - position[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (const k of [a, b, c]) {
      n[k] += x;
      n[k + 1] += y;
      n[k + 2] += z;
    }
  }
  for (let k = 0; k < n.length; k += 3) {
    const d = Math.hypot(n[k], n[k + 1], n[k + 2]) || 1;
    for (let i = 0; i < 3; i++) n[k + i] /= d;
  }
  return n;
}

// The rest surface of a person. `cell` > 0: simplified to that grain, for crowds.
export function surfaceOf(data: Data, m: Motion, cell: number): Surface {
  const all = Float32Array.from(m.surface, (x) => x * m.unit);
  const faces: ArrayLike<number> = cell > 0 ? simplify(all, data.faces, cell) : data.faces;
  const normals = normalsOf(all, faces);
  const keep = cell > 0 ? [...new Set(Array.from(faces))] : Array.from({ length: all.length / 3 }, (_, v) => v);
  const renamed = new Uint32Array(all.length / 3);
  keep.forEach((v, i) => (renamed[v] = i));
  const s: Surface = {
    position: new Float32Array(3 * keep.length), normal: new Float32Array(3 * keep.length),
    bones: new Uint8Array(4 * keep.length), weights: new Float32Array(4 * keep.length),
    faces: cell > 0 ? Uint32Array.from(faces, (v) => renamed[v]) : faces,
  };
  keep.forEach((v, i) => {
    s.position.set(all.subarray(3 * v, 3 * v + 3), 3 * i);
    s.normal.set(normals.subarray(3 * v, 3 * v + 3), 3 * i);
    const order = [0, 1, 2, 3].sort((a, b) => data.weights[4 * v + b] - data.weights[4 * v + a]);
    order.forEach((o, k) => {
      s.bones[4 * i + k] = data.bones[4 * v + o];
      s.weights[4 * i + k] = data.weights[4 * v + o] / 255;
    });
  });
  return s;
}

// A [22, 12]: rows of the 3x4 transforms from the rest pose to the posed one.
export function skin(position: Float32Array, normal: Float32Array, s: Surface, A: Float32Array): void {
  const { bones, weights } = s, P = s.position, N = s.normal, T = new Float32Array(12);
  for (let v = 0, p = 0, k = 0; p < P.length; v++, p += 3, k += 4) {
    let at = 12 * bones[k], w = weights[k];
    for (let i = 0; i < 12; i++) T[i] = w * A[at + i];
    for (let j = 1; j < 4 && (w = weights[k + j]) > 0; j++) {
      at = 12 * bones[k + j];
      for (let i = 0; i < 12; i++) T[i] += w * A[at + i];
    }
    const x = P[p], y = P[p + 1], z = P[p + 2], a = N[p], b = N[p + 1], c = N[p + 2];
    position[p] = T[0] * x + T[1] * y + T[2] * z + T[3];
    position[p + 1] = T[4] * x + T[5] * y + T[6] * z + T[7];
    position[p + 2] = T[8] * x + T[9] * y + T[10] * z + T[11];
    normal[p] = T[0] * a + T[1] * b + T[2] * c;
    normal[p + 1] = T[4] * a + T[5] * b + T[6] * c;
    normal[p + 2] = T[8] * a + T[9] * b + T[10] * c;
  }
}

export const transforms = () => new Float32Array(12 * JOINTS);
