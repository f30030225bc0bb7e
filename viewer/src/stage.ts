// The world in three.js: light, ground, people, the camera's way, and the ways of looking at it.
import {
  AmbientLight, BufferAttribute, BufferGeometry, CircleGeometry, Color, DirectionalLight, Fog, Group, HemisphereLight, Line,
  LineBasicMaterial, LineSegments, Mesh, MeshLambertMaterial, NeutralToneMapping, PCFShadowMap, PerspectiveCamera, Scene,
  Vector3, WebGLRenderer,
} from 'three';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
import type { Data } from './data';
import { Figure } from './figure';
import { JOINTS } from './motion';

export type View = 'orbit' | 'follow' | 'camera' | 'top';
export interface Theme {
  sky: string;
  ground: string;
  line: string;
  dark: boolean;
}

const v = new Vector3();

// A wide disc that fades into the sky, with lines every metre and stronger ones every fifth.
function makeGround(radius: number): Mesh<CircleGeometry, MeshLambertMaterial> {
  const material = new MeshLambertMaterial({ color: 0xffffff });
  material.userData.line = { value: new Color() };
  material.onBeforeCompile = (shader) => {
    shader.uniforms.line = material.userData.line;
    shader.vertexShader = shader.vertexShader
      .replace('#include <common>', '#include <common>\nvarying vec2 ground;')
      .replace('#include <begin_vertex>', '#include <begin_vertex>\nground = (modelMatrix * vec4(position, 1.0)).xz;');
    shader.fragmentShader = shader.fragmentShader
      .replace('#include <common>', `#include <common>
        varying vec2 ground;
        uniform vec3 line;
        float grid(vec2 p, float width) {
          vec2 w = fwidth(p);
          vec2 d = abs(fract(p - 0.5) - 0.5);
          vec2 on = 1.0 - smoothstep(vec2(width) , vec2(width) + 1.5 * w, d);
          on *= clamp(0.25 / w, 0.0, 1.0); // lines closer than a few pixels fade instead of flickering
          return max(on.x, on.y);
        }`)
      .replace('#include <color_fragment>', `#include <color_fragment>
        float fine = grid(ground, 0.004), coarse = grid(ground / 5.0, 0.0016);
        diffuseColor.rgb = mix(diffuseColor.rgb, line, max(0.45 * fine, 0.9 * coarse));`);
  };
  const ground = new Mesh(new CircleGeometry(radius, 96).rotateX(-Math.PI / 2), material);
  ground.receiveShadow = true;
  return ground;
}

// The box around everybody's joints, without those far from person 1 (somebody in the far background).
function bounds(data: Data): { lo: Vector3; hi: Vector3 } {
  const lo = new Vector3(Infinity, 0, Infinity), hi = new Vector3(-Infinity, 1.8, -Infinity);
  data.people.forEach((m, k) => {
    const l = lo.clone(), h = hi.clone();
    for (let i = 0; i < m.frames; i++) {
      v.fromArray(m.joints, 66 * i);
      l.min(v);
      h.max(v);
    }
    if (k && Math.hypot(h.x - l.x, h.z - l.z) > Math.max(14, 1.5 * Math.hypot(hi.x - lo.x, hi.z - lo.z))) return;
    lo.copy(l);
    hi.copy(h);
  });
  return { lo: lo.setY(0), hi: hi.setY(Math.max(hi.y, 1.8)) };
}

export class Stage {
  readonly figures: Figure[];
  readonly camera = new PerspectiveCamera(38, 1, 0.05, 400);
  view: View = 'orbit';
  sticks = false;
  focus = 0; // who is followed
  opacity = 0.9; // of the bodies over the video
  dirty = true;
  rect = { x: 0, y: 0, width: 1, height: 1 }; // of the video in the camera's view, CSS px
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly controls: OrbitControls;
  private readonly sun = new DirectionalLight(0xffffff, 2.2);
  private readonly hemisphere = new HemisphereLight(0xffffff, 0xffffff, 1.6);
  private readonly ambient = new AmbientLight(0xffffff, 0.25);
  private readonly ground: Mesh<CircleGeometry, MeshLambertMaterial>;
  private readonly rig = new Group(); // the filming camera as a wire frame, and its way
  private readonly frustum: LineSegments;
  private readonly sky = new Color();
  private readonly centre = new Vector3();
  private reach = 4; // m, half the size of what happens
  private frame = 0;
  private ratio = 1;
  private width = 1;
  private height = 1;
  private slow = 0; // smoothed ms between pictures while things move
  private lastDraw = 0;

  constructor(private readonly data: Data, canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, alpha: true, antialias: true, preserveDrawingBuffer: true });
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.renderer.toneMapping = NeutralToneMapping;
    this.ratio = Math.min(devicePixelRatio, 2);
    this.figures = data.people.map((m) => new Figure(m, data));
    const { lo, hi } = bounds(data);
    this.centre.copy(lo).add(hi).multiplyScalar(0.5).setY(0.9);
    this.reach = Math.max(1.6, 0.5 * Math.hypot(hi.x - lo.x, hi.z - lo.z) + 0.8);
    this.ground = makeGround(Math.max(40, 6 * this.reach));
    this.ground.position.set(Math.round(this.centre.x), 0, Math.round(this.centre.z));
    this.setUpLight();
    this.frustum = this.makeRig();
    this.scene.add(this.ground, this.rig, ...this.figures.flatMap((f) => [f.group, f.ground]));
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.12;
    this.controls.minDistance = 0.8;
    this.controls.maxDistance = 8 * this.reach + 10;
    this.controls.addEventListener('change', () => (this.dirty = true));
    this.resetOrbit();
  }

  private setUpLight(): void {
    const s = this.sun, size = Math.min(this.reach + 1.5, 16);
    s.position.copy(this.centre).add(v.set(-3.2, 9, 4.2));
    s.target.position.copy(this.centre).setY(0);
    s.castShadow = true;
    s.shadow.mapSize.set(2048, 2048);
    s.shadow.radius = 4;
    s.shadow.normalBias = 0.02;
    s.shadow.bias = -0.0004;
    Object.assign(s.shadow.camera, { left: -size, right: size, top: size, bottom: -size, near: 0.5, far: 40 });
    this.scene.add(s, s.target, this.hemisphere, this.ambient);
  }

  private cameraCentre(frame: number, out: Vector3): Vector3 {
    const R = this.data.camera!.R(frame), t = this.data.camera!.t(frame);
    return out.set(
      -(R[0] * t[0] + R[3] * t[1] + R[6] * t[2]),
      -(R[1] * t[0] + R[4] * t[1] + R[7] * t[2]),
      -(R[2] * t[0] + R[5] * t[1] + R[8] * t[2]),
    );
  }

  private makeRig(): LineSegments {
    const paint = new LineBasicMaterial({ color: 0x8a94a6, transparent: true, opacity: 0.9 });
    const m = this.data.people[0], depth = 0.45;
    const x = (depth * this.data.width) / 2 / m.K[0], y = (depth * this.data.height) / 2 / m.K[4];
    const corners = [[-x, -y], [x, -y], [x, y], [-x, y]];
    const points: number[] = [];
    corners.forEach(([cx, cy], i) => {
      const [nx, ny] = corners[(i + 1) % 4];
      points.push(0, 0, 0, cx, cy, depth, cx, cy, depth, nx, ny, depth);
    });
    points.push(-x / 3, -y - 0.03, depth, 0, -y - 0.11, depth, 0, -y - 0.11, depth, x / 3, -y - 0.03, depth); // up
    const g = new BufferGeometry();
    g.setAttribute('position', new BufferAttribute(new Float32Array(points), 3));
    const frustum = new LineSegments(g, paint);
    frustum.matrixAutoUpdate = false;
    this.rig.visible = !!this.data.camera;
    this.rig.add(frustum);
    if (this.data.camera && !this.data.camera.still) {
      const way = new Float32Array(3 * this.data.frames);
      for (let f = 0; f < this.data.frames; f++) this.cameraCentre(f, v).toArray(way, 3 * f);
      const line = new BufferGeometry();
      line.setAttribute('position', new BufferAttribute(way, 3));
      this.rig.add(new Line(line, new LineBasicMaterial({ color: 0x8a94a6, transparent: true, opacity: 0.5 })));
    }
    return frustum;
  }

  setTheme(theme: Theme): void {
    this.sky.set(theme.sky);
    this.ground.material.color.set(theme.ground);
    (this.ground.material.userData.line.value as Color).set(theme.line);
    this.scene.fog = new Fog(this.sky, 2.5 * this.reach + 6, Math.max(30, 5 * this.reach + 14));
    this.hemisphere.color.set(theme.dark ? 0xb8c8e8 : 0xffffff);
    this.hemisphere.groundColor.set(theme.dark ? 0x2a2f3a : 0xcfc8bd);
    this.hemisphere.intensity = theme.dark ? 1.15 : 1.5;
    this.ambient.intensity = theme.dark ? 0.12 : 0.2;
    this.sun.intensity = theme.dark ? 1.9 : 2.1;
    this.dirty = true;
  }

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.renderer.setPixelRatio(this.ratio);
    this.renderer.setSize(width, height, false);
    this.dirty = true;
    if (this.view !== 'camera') this.freeProjection();
  }

  private freeProjection(): void {
    this.camera.aspect = this.width / this.height;
    this.camera.fov = this.width < this.height ? 52 : 38;
    this.camera.updateProjectionMatrix();
  }

  // Where the outside view starts: from the side on which the filming camera stands, somewhat above and beside it.
  resetOrbit(): void {
    const from = new Vector3(0.5, 0, 1);
    if (this.data.camera) this.cameraCentre(0, from).sub(this.centre).setY(0);
    if (from.lengthSq() < 0.01) from.set(0.5, 0, 1);
    from.normalize().applyAxisAngle(new Vector3(0, 1, 0), 0.55);
    this.controls.target.copy(this.centre);
    const away = Math.min(2.1 * this.reach + 1.4, 26);
    this.camera.position.copy(this.centre).addScaledVector(from, away).setY(0.9 + 0.42 * away);
    this.controls.update();
  }

  setView(view: View): void {
    const before = this.view;
    this.view = view;
    this.controls.enabled = view !== 'camera';
    this.controls.maxPolarAngle = view === 'top' ? 0.02 : Math.PI / 2 - 0.02;
    if (view === 'camera') this.dirty = true;
    else {
      this.freeProjection();
      this.camera.matrixAutoUpdate = true;
      if (before === 'camera' || before === 'top' || view === 'orbit') this.resetOrbit();
      if (view === 'follow') this.approach();
      if (view === 'top') {
        this.controls.target.copy(this.centre).setY(0);
        const high = (1.25 * this.reach) / Math.tan((this.camera.fov * Math.PI) / 360) / Math.min(1, this.camera.aspect);
        const turn = this.controls.getAzimuthalAngle();
        this.camera.position.copy(this.controls.target).add(v.set(0.01 * Math.sin(turn), high, 0.01 * Math.cos(turn)));
      }
      this.controls.update();
    }
    this.update(this.frame);
  }

  private pelvis(out: Vector3): boolean {
    const f = this.figures[this.focus];
    const row = f.row(this.frame);
    if (row < 0) return false;
    out.fromArray(f.motion.joints, 66 * row);
    return true;
  }

  private approach(): void {
    if (!this.pelvis(v)) return;
    const offset = this.camera.position.clone().sub(this.controls.target).setLength(4.2);
    this.controls.target.copy(v);
    this.camera.position.copy(v).add(offset);
  }

  // Poses everybody for a frame of the video.
  update(frame: number): void {
    this.frame = frame;
    const inCamera = this.view === 'camera' && this.data.camera ? this.data.camera : null;
    for (const f of this.figures) {
      f.pose(frame, this.sticks, inCamera);
      f.setOpacity(inCamera ? this.opacity : 1);
      if (inCamera) f.ground.visible = false;
    }
    if (this.data.camera) {
      const R = this.data.camera.R(frame), t = this.data.camera.t(frame);
      this.frustum.matrix.set(R[0], R[1], R[2], t[0], R[3], R[4], R[5], t[1], R[6], R[7], R[8], t[2], 0, 0, 0, 1).invert();
    }
    this.ground.visible = !inCamera;
    this.rig.visible = !inCamera && !!this.data.camera;
    if (this.view === 'follow' && this.pelvis(v)) {
      v.sub(this.controls.target);
      this.controls.target.add(v);
      this.camera.position.add(v);
    }
    this.dirty = true;
  }

  // The filming camera: OpenCV axes, K in px of the video, pixel centres at integers.
  private filmCamera(): void {
    const R = this.data.camera!.R(this.frame), t = this.data.camera!.t(this.frame);
    const m = this.data.people.find((p) => p.rowOf[this.frame] >= 0) ?? this.data.people[0];
    const at = 9 * Math.max(m.rowOf[this.frame], 0);
    const scale = this.rect.width / this.data.width, near = 0.05, far = 400;
    const fx = m.K[at] * scale, fy = m.K[at + 4] * scale;
    const cx = this.rect.x + (m.K[at + 2] + 0.5) * scale, cy = this.rect.y + (m.K[at + 5] + 0.5) * scale;
    this.camera.projectionMatrix.makePerspective(
      (-cx / fx) * near, ((this.width - cx) / fx) * near, (cy / fy) * near, ((cy - this.height) / fy) * near, near, far);
    this.camera.projectionMatrixInverse.copy(this.camera.projectionMatrix).invert();
    this.camera.matrixAutoUpdate = false; // world from camera, three's camera looks along -z with y up
    this.camera.matrix.set(R[0], R[1], R[2], t[0], -R[3], -R[4], -R[5], -t[1], -R[6], -R[7], -R[8], -t[2], 0, 0, 0, 1).invert();
    this.camera.matrix.decompose(this.camera.position, this.camera.quaternion, this.camera.scale);
    this.camera.matrixWorldNeedsUpdate = true;
  }

  // Draws if anything has changed. True if it did.
  draw(now: number): boolean {
    if (this.view !== 'camera') this.controls.update();
    if (!this.dirty) {
      if (this.lastDraw && now - this.lastDraw > 250) this.refine();
      if (!this.dirty) return false;
    } else this.pace(now - this.lastDraw);
    this.lastDraw = now;
    this.dirty = false;
    const inCamera = this.view === 'camera' && !!this.data.camera;
    if (inCamera) this.filmCamera();
    this.renderer.setClearColor(this.sky, inCamera ? 0 : 1);
    this.renderer.render(this.scene, this.camera);
    return true;
  }

  // While things move, fewer pixels where the machine is slow; when they rest, all of them.
  private pace(ms: number): void {
    if (ms > 200) return;
    this.slow = this.slow ? 0.9 * this.slow + 0.1 * ms : ms;
    const most = Math.min(devicePixelRatio, 2);
    const wanted = this.slow > 29 ? this.ratio * 0.85 : this.slow < 14 ? this.ratio * 1.1 : this.ratio;
    this.setRatio(Math.min(most, Math.max(0.5 * Math.min(1, most), wanted)));
  }

  private refine(): void {
    const most = Math.min(devicePixelRatio, 2);
    if (this.ratio >= most) return;
    this.setRatio(most);
    this.lastDraw = 0;
    this.dirty = true;
  }

  private setRatio(ratio: number): void {
    if (Math.abs(ratio - this.ratio) < 0.04 && ratio !== Math.min(devicePixelRatio, 2)) return;
    if (ratio === this.ratio) return;
    this.ratio = ratio;
    this.slow = 0;
    this.resize(this.width, this.height);
  }

  setFocus(person: number): void {
    this.focus = person;
    if (this.view === 'follow') this.approach();
    this.update(this.frame);
  }

  // Displayed joints of a person in the video's pixels [22, 2], as the filming camera of this frame shows them.
  projected(person: number): number[] {
    this.filmCamera();
    this.camera.updateMatrixWorld(true);
    const out: number[] = [], scale = this.rect.width / this.data.width;
    for (let j = 0; j < JOINTS; j++) {
      this.figures[person].displayedJoint(j, v).project(this.camera);
      out.push((((v.x + 1) / 2) * this.width - this.rect.x) / scale - 0.5, (((1 - v.y) / 2) * this.height - this.rect.y) / scale - 0.5);
    }
    return out;
  }

  onCanvas(xy: number[]): number[] {
    const scale = this.rect.width / this.data.width, corner = [this.rect.x, this.rect.y];
    return xy.map((value, i) => ((value + 0.5) * scale + corner[i % 2]) * this.ratio - 0.5);
  }

  picture(): Promise<Blob | null> {
    this.dirty = true;
    this.draw(performance.now());
    return new Promise((done) => this.renderer.domElement.toBlob(done));
  }

  get pixelRatio(): number {
    return this.ratio;
  }
}
