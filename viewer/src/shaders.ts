// The look: bodies under one sun and a soft sky, a ground with lines every metre, shadows blurred on the ground.
//
// Own shaders and not three's materials: the same picture on every machine, and little work for those that draw in
// software. Colours are linear in bodies (encoded at the end) and as seen (sRGB) on the ground.
import { Color, CustomBlending, DoubleSide, MaxEquation, OneFactor, ShaderMaterial, Vector2, Vector3, Vector4, type IUniform, type Texture } from 'three';
import { bendCode, lens } from './lens';

export const light = {
  sun: { value: new Vector3(-0.3, 0.85, 0.4).normalize() }, // towards it
  sunColour: { value: new Color(1.3, 1.25, 1.17) },
  above: { value: new Color(0.5, 0.54, 0.62) },
  below: { value: new Color(0.32, 0.3, 0.28) },
};

export function bodyMaterial(colour: Color): ShaderMaterial {
  return new ShaderMaterial({
    uniforms: { ...light, lens, colour: { value: colour } },
    vertexShader: `${bendCode}
      varying vec3 n, p;
      void main() {
        mat4 m = modelMatrix;
        #ifdef USE_INSTANCING
          m = m * instanceMatrix;
        #endif
        vec4 world = m * vec4(position, 1.0);
        p = world.xyz;
        n = mat3(m) * normal;
        gl_Position = projectionMatrix * throughLens(viewMatrix * world);
      }`,
    fragmentShader: `
      varying vec3 n, p;
      uniform vec3 colour, sun, sunColour, above, below;
      void main() {
        vec3 N = normalize(n), V = normalize(cameraPosition - p);
        float key = clamp(0.85 * dot(N, sun) + 0.15, 0.0, 1.0);
        vec3 sky = mix(below, above, 0.5 + 0.5 * N.y) * mix(0.7, 1.0, smoothstep(-0.05, 0.7, p.y));
        float edge = 1.0 - max(dot(N, V), 0.0);
        vec3 c = colour * (sky + key * sunColour);
        c += above * (0.18 * edge * edge * edge + 0.08 * pow(max(dot(N, normalize(sun + V)), 0.0), 22.0));
        gl_FragColor = vec4(pow(c / (0.82 + 0.3 * c), vec3(0.4545)), 1.0);
      }`,
  });
}

// Flattens bodies along the sun's rays into a square of the ground. Red: in shadow; green: the more, the nearer the body.
export function flattenMaterial(square: { value: Vector4 }): ShaderMaterial {
  return new ShaderMaterial({
    uniforms: { sun: light.sun, square },
    side: DoubleSide,
    depthTest: false,
    depthWrite: false,
    blending: CustomBlending,
    blendEquation: MaxEquation,
    blendSrc: OneFactor,
    blendDst: OneFactor,
    vertexShader: `
      uniform vec3 sun;
      uniform vec4 square; // centre x, z; half side
      varying float near;
      void main() {
        mat4 m = modelMatrix;
        #ifdef USE_INSTANCING
          m = m * instanceMatrix;
        #endif
        vec3 p = (m * vec4(position, 1.0)).xyz;
        near = clamp(1.0 - p.y / 0.35, 0.0, 1.0);
        gl_Position = vec4((p.xz - sun.xz / sun.y * p.y - square.xy) / square.z, 0.0, 1.0);
      }`,
    fragmentShader: 'varying float near; void main() { gl_FragColor = vec4(1.0, near, 0.0, 1.0); }',
  });
}

// One direction of a Gaussian, 9 taps by 5 reads between pixels.
export function blurMaterial(): ShaderMaterial {
  return new ShaderMaterial({
    uniforms: { map: { value: null }, step: { value: new Vector2() } },
    depthTest: false,
    depthWrite: false,
    vertexShader: 'varying vec2 at; void main() { at = uv; gl_Position = vec4(position.xy, 0.0, 1.0); }',
    fragmentShader: `
      varying vec2 at;
      uniform sampler2D map;
      uniform vec2 step;
      void main() {
        gl_FragColor = 0.227 * texture2D(map, at)
          + 0.316 * (texture2D(map, at + 1.385 * step) + texture2D(map, at - 1.385 * step))
          + 0.0703 * (texture2D(map, at + 3.231 * step) + texture2D(map, at - 3.231 * step));
      }`,
  });
}

// The floor, and the lines on it: plain colours that become the sky's with the distance from `centre`.
export function floorMaterial(ground: GroundUniforms, lines: boolean): ShaderMaterial {
  return new ShaderMaterial({
    uniforms: { ...ground },
    transparent: lines,
    depthWrite: false, // it is drawn first and lies below all: lines and shadows on it do not fight with it
    vertexShader: `
      uniform vec2 centre, fade;
      uniform vec3 floorColour, lineColour, sky;
      varying vec4 c;
      #ifdef LINES
        attribute float strength;
      #endif
      void main() {
        vec4 world = modelMatrix * vec4(position, 1.0);
        float far = smoothstep(fade.x, fade.y, distance(world.xz, centre));
        #ifdef LINES
          c = vec4(lineColour, strength * (1.0 - far) * (1.0 - far));
        #else
          c = vec4(mix(floorColour, sky, far), 1.0);
        #endif
        gl_Position = projectionMatrix * viewMatrix * world;
      }`,
    fragmentShader: 'varying vec4 c; void main() { gl_FragColor = c; }',
    defines: lines ? { LINES: '' } : {},
  });
}

// The blurred shadows, laid over the floor as a square.
export function shadowMaterial(ground: GroundUniforms): ShaderMaterial {
  return new ShaderMaterial({
    uniforms: { ...ground },
    transparent: true,
    depthWrite: false,
    vertexShader: `
      uniform vec4 square;
      varying vec2 at;
      void main() {
        at = 0.5 + 0.49 * position.xy;
        vec2 g = square.xy + 0.98 * position.xy * square.z;
        gl_Position = projectionMatrix * viewMatrix * vec4(g.x, 0.002, g.y, 1.0);
      }`,
    side: DoubleSide,
    fragmentShader: `
      varying vec2 at;
      uniform sampler2D shadow;
      uniform vec4 shade; // colour, depth
      void main() {
        vec2 s = texture2D(shadow, at).rg;
        gl_FragColor = vec4(shade.rgb, shade.a * min(s.r + 0.8 * s.g, 1.4));
      }`,
  });
}

export interface GroundUniforms {
  [name: string]: IUniform;
  square: { value: Vector4 };
  shadow: { value: Texture | null };
  shade: { value: Vector4 };
  centre: { value: Vector2 };
  fade: { value: Vector2 }; // m from the centre: where the floor begins and ends to become sky
  floorColour: { value: Color };
  lineColour: { value: Color };
  sky: { value: Color };
}
export const groundUniforms = (): GroundUniforms => ({
  square: { value: new Vector4(0, 0, 4, 0) }, shadow: { value: null }, shade: { value: new Vector4() },
  centre: { value: new Vector2() }, fade: { value: new Vector2(10, 40) },
  floorColour: { value: new Color() }, lineColour: { value: new Color() }, sky: { value: new Color() },
});
