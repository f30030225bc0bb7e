// The lens of the filming camera, as src/camera/lens.h has it: where directions fall that a pinhole shows straight.
//
// Ten numbers: the model (0 = pinhole, 1 = Brown, 2 = fisheye), eight coefficients, and the farthest direction that the
// picture shows; what lies beyond is carried on in proportion. The shader and the page compute the same.
export const LENS = 10;
export const pinhole = new Float32Array(LENS);
export const lens: { value: Float32Array } = { value: pinhole }; // of what is drawn: a pinhole in all views but the camera's

// A direction (x, y, 1) to the one that a pinhole would show there.
export function bend(l: ArrayLike<number>, x: number, y: number): [number, number] {
  const r0 = Math.hypot(x, y), beyond = l[9] > 0 && r0 > l[9] ? r0 / l[9] : 1;
  x /= beyond;
  y /= beyond;
  let s = 1, dx = 0, dy = 0;
  if (l[0] === 1) {
    const r = x * x + y * y;
    s = (1 + r * (l[1] + r * (l[2] + r * l[5]))) / (1 + r * (l[6] + r * (l[7] + r * l[8])));
    dx = 2 * l[3] * x * y + l[4] * (r + 2 * x * x);
    dy = l[3] * (r + 2 * y * y) + 2 * l[4] * x * y;
  } else if (l[0] === 2 && r0 > 1e-6) {
    const r = r0 / beyond, t = Math.atan(r), q = t * t;
    s = (t * (1 + q * (l[1] + q * (l[2] + q * (l[3] + q * l[4]))))) / r;
  }
  return [beyond * (x * s + dx), beyond * (y * s + dy)];
}

// The same for points in the camera of WebGL, which looks along -z with y up.
export const bendCode = `
  uniform float lens[${LENS}];
  vec4 throughLens(vec4 eye) {
    if (lens[0] < 0.5 || eye.z >= 0.0) return eye;
    vec2 p = vec2(eye.x, -eye.y) / -eye.z, d = vec2(0.0);
    float r0 = length(p), beyond = lens[9] > 0.0 && r0 > lens[9] ? r0 / lens[9] : 1.0, s = 1.0;
    p /= beyond;
    if (lens[0] < 1.5) {
      float r = dot(p, p);
      s = (1.0 + r * (lens[1] + r * (lens[2] + r * lens[5]))) / (1.0 + r * (lens[6] + r * (lens[7] + r * lens[8])));
      d = vec2(2.0 * lens[3] * p.x * p.y + lens[4] * (r + 2.0 * p.x * p.x),
               lens[3] * (r + 2.0 * p.y * p.y) + 2.0 * lens[4] * p.x * p.y);
    } else if (r0 > 1e-6) {
      float r = r0 / beyond, t = atan(r), q = t * t;
      s = t * (1.0 + q * (lens[1] + q * (lens[2] + q * (lens[3] + q * lens[4])))) / r;
    }
    p = beyond * (p * s + d);
    return vec4(p.x * -eye.z, p.y * eye.z, eye.z, eye.w);
  }`;
