// The world in three.js: light, ground, people, the camera's way, and the ways of looking at it.
import {
  BufferAttribute, BufferGeometry, Camera, Color, Group, Line, LineBasicMaterial, LineSegments, LinearFilter,
  Mesh, PerspectiveCamera, PlaneGeometry, RingGeometry, Scene, Vector3, WebGLRenderer, WebGLRenderTarget,
} from 'three';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
import type { Data } from './data';
import { Figure } from './figure';
import { bend, LENS, lens, pinhole } from './lens';
import { JOINTS } from './motion';
import { blurMaterial, flattenMaterial, floorMaterial, groundUniforms, light, shadowMaterial } from './shaders';

export type View = 'orbit' | 'follow' | 'camera' | 'top';
export interface Theme {
  sky: string;
  ground: string;
  line: string;
  dark: boolean;
}

const v = new Vector3();
const seen = (colour: string) => new Color(colour).convertLinearToSRGB(); // as it is written, not linear

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
  dirty = true;
  rect = { x: 0, y: 0, width: 1, height: 1 }; // of the video in the camera's view, CSS px
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly controls: OrbitControls;
  private readonly look = groundUniforms();
  private readonly flat = new Scene(); // what throws shadows
  private readonly targets: WebGLRenderTarget[]; // shadows: as thrown, blurred across, and down
  private readonly blur = blurMaterial();
  private readonly sheet = new Mesh(new PlaneGeometry(2, 2), this.blur);
  private readonly still = new Camera();
  private readonly ground = new Group();
  private readonly software: boolean;
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
  private since = 0; // pictures since the number of pixels was changed
  private refined = false; // more pixels are on the screen than `ratio` says
  private shadowsDue = true;
  private turn = 0; // of shadows in software

  constructor(private readonly data: Data, canvas: HTMLCanvasElement) {
    const probe = document.createElement('canvas').getContext('webgl2');
    const about = probe?.getExtension('WEBGL_debug_renderer_info');
    const name = about ? String(probe!.getParameter(about.UNMASKED_RENDERER_WEBGL)) : '';
    this.software = /swiftshader|llvmpipe|softpipe|basic render/i.test(name);
    probe?.getExtension('WEBGL_lose_context')?.loseContext();
    const sides = this.software ? [128, 128, 128] : [1024, 512, 512]; // px
    this.targets = sides.map((n) => new WebGLRenderTarget(n, n, { depthBuffer: false, magFilter: LinearFilter }));
    this.renderer = new WebGLRenderer({ canvas, alpha: true, antialias: !this.software });
    this.renderer.autoClear = true;
    this.ratio = Math.min(devicePixelRatio, 2);
    const flatten = flattenMaterial(this.look.square);
    this.figures = data.people.map((m) => new Figure(m, data, flatten));
    const { lo, hi } = bounds(data);
    this.centre.copy(lo).add(hi).multiplyScalar(0.5).setY(0.9);
    this.reach = Math.max(1.5, 0.5 * Math.hypot(hi.x - lo.x, hi.z - lo.z) + 0.7);
    this.makeGround();
    this.frustum = this.makeRig();
    this.scene.add(this.ground, this.rig, ...this.figures.flatMap((f) => [f.group, f.ground]));
    this.flat.add(...this.figures.map((f) => f.shadows));
    this.sheet.frustumCulled = false;
    this.placeSun();
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.12;
    this.controls.minDistance = 0.8;
    this.controls.maxDistance = 8 * this.reach + 10;
    this.controls.addEventListener('change', () => (this.dirty = true));
    this.resetOrbit();
  }

  // A disc of rings, lines every metre and stronger ones every fifth, cut into pieces so that they can fade, shadows.
  private makeGround(): void {
    const near = 1.3 * this.reach + 3, far = Math.max(22, 4 * this.reach + 8);
    this.look.shadow.value = this.targets[2].texture;
    this.look.centre.value.set(this.centre.x, this.centre.z);
    this.look.fade.value.set(near, far);
    const floor = new Mesh(new RingGeometry(0, 60 + far, 64, 24).rotateX(-Math.PI / 2), floorMaterial(this.look, false));
    floor.position.set(this.centre.x, 0, this.centre.z);
    const points: number[] = [], strength: number[] = [], piece = 3, [cx, cz] = [Math.round(this.centre.x), Math.round(this.centre.z)];
    const most = Math.min(Math.ceil(far / piece) * piece, 90);
    for (let i = -most; i <= most; i++)
      for (let k = -most; k < most; k += piece) {
        if (Math.hypot(i, k + piece / 2) > most) continue;
        points.push(cx + i, 0, cz + k, cx + i, 0, cz + k + piece, cx + k, 0, cz + i, cx + k + piece, 0, cz + i);
        const [x, z] = [(cx + i) % 5 ? 0.42 : 1, (cz + i) % 5 ? 0.42 : 1];
        strength.push(x, x, z, z);
      }
    const g = new BufferGeometry();
    g.setAttribute('position', new BufferAttribute(new Float32Array(points), 3));
    g.setAttribute('strength', new BufferAttribute(new Float32Array(strength), 1));
    const lines = new LineSegments(g, floorMaterial(this.look, true));
    const shadow = new Mesh(new PlaneGeometry(2, 2), shadowMaterial(this.look));
    lines.frustumCulled = shadow.frustumCulled = false;
    [floor, lines, shadow].forEach((part, i) => (part.renderOrder = i - 3)); // below the ways and marks
    this.ground.add(floor, lines, shadow);
  }

  // Over the filming camera's shoulder, so that bodies are lit and shadows fall away from it.
  private placeSun(): void {
    const from = new Vector3(0.5, 0, 1);
    if (this.data.camera) this.cameraCentre(0, from).sub(this.centre).setY(0);
    from.normalize().applyAxisAngle(new Vector3(0, 1, 0), -0.75);
    light.sun.value.copy(from.setY(1.75)).normalize();
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
    this.look.sky.value = seen(theme.sky);
    this.look.floorColour.value = seen(theme.ground);
    this.look.lineColour.value = seen(theme.line);
    this.look.shade.value.set(0.08, 0.1, 0.14, theme.dark ? 0.5 : 0.26);
    light.sunColour.value.setRGB(1.3, 1.25, 1.17).multiplyScalar(theme.dark ? 0.86 : 1);
    light.above.value.setRGB(0.5, 0.54, 0.62).multiplyScalar(theme.dark ? 0.72 : 1);
    light.below.value.setRGB(0.27, 0.25, 0.23).multiplyScalar(theme.dark ? 0.5 : 1);
    this.dirty = true;
  }

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.refined = false;
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
    const away = Math.min(1.9 * this.reach + 1.3, 26);
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
    for (const f of this.figures) f.pose(frame, this.sticks, inCamera);
    if (this.data.camera) {
      const R = this.data.camera.R(frame), t = this.data.camera.t(frame);
      this.frustum.matrix.set(R[0], R[1], R[2], t[0], R[3], R[4], R[5], t[1], R[6], R[7], R[8], t[2], 0, 0, 0, 1).invert();
    }
    this.ground.visible = !inCamera;
    if (!inCamera) this.fitShadows();
    this.shadowsDue = true;
    this.rig.visible = !inCamera && !!this.data.camera;
    if (this.view === 'follow' && this.pelvis(v)) {
      v.sub(this.controls.target);
      this.controls.target.add(v);
      this.camera.position.add(v);
    }
    this.dirty = true;
  }

  // The square of the ground that holds everybody's shadow now.
  private fitShadows(): void {
    let [x0, x1, z0, z1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const f of this.figures) {
      if (!f.shadows.visible) continue;
      x0 = Math.min(x0, f.joints[0]); x1 = Math.max(x1, f.joints[0]);
      z0 = Math.min(z0, f.joints[2]); z1 = Math.max(z1, f.joints[2]);
    }
    if (x0 > x1) return;
    const half = Math.min(Math.max(x1 - x0, z1 - z0) / 2 + 2, 25), texel = (2 * half) / this.targets[1].width;
    const snap = (x: number) => Math.round(x / texel) * texel; // soft edges do not swim
    this.look.square.value.set(snap((x0 + x1) / 2), snap((z0 + z1) / 2), half, 0);
  }

  // In software and while things move the few pixels of the picture are soft enough without the blur.
  private drawShadows(fine: boolean): void {
    const r = this.renderer, [raw, across, down] = this.targets, step = this.blur.uniforms.step.value;
    const side = across.width, soft = Math.max(1, (0.018 * side) / (2 * this.look.square.value.z)); // 5 cm, at least a pixel
    r.setClearColor(0x000000, 0);
    r.setRenderTarget(raw);
    r.render(this.flat, this.still);
    const blurred = fine || !this.software;
    this.look.shadow.value = (blurred ? down : raw).texture;
    for (const [to, from, x, y] of blurred ? ([[across, raw, soft, 0], [down, across, 0, soft]] as const) : []) {
      this.blur.uniforms.map.value = from.texture;
      step.set(x / side, y / side);
      r.setRenderTarget(to);
      r.render(this.sheet, this.still);
    }
    r.setRenderTarget(null);
    this.shadowsDue = false;
  }

  // The filming camera: OpenCV axes, K in px of the video, pixel centres at integers. Returns its lens.
  private filmCamera(): Float32Array {
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
    if (!m.lens) return pinhole;
    return m.lens.subarray((LENS * at) / 9, (LENS * at) / 9 + LENS);
  }

  // Draws if anything has changed. True if it did.
  draw(now: number): boolean {
    if (this.view !== 'camera') this.controls.update();
    if (!this.dirty) {
      if (this.lastDraw && now - this.lastDraw > 250) this.refine();
      return false;
    }
    this.pace(now - this.lastDraw);
    if (this.refined) this.resize(this.width, this.height);
    this.lastDraw = now;
    this.paint(false);
    return true;
  }

  // fine: a picture that stays; while things move, software rendering gets fewer triangles.
  paint(fine: boolean): void {
    const inCamera = this.view === 'camera' && !!this.data.camera;
    this.dirty = false;
    lens.value = inCamera ? this.filmCamera() : pinhole;
    if (!inCamera && (fine || (this.shadowsDue && !(this.software && this.turn++ % 2)))) this.drawShadows(fine); // every other one
    const coarse = this.software && !fine;
    this.figures.forEach((f) => f.setCoarse(coarse));
    this.renderer.setClearColor(this.sky, inCamera ? 0 : 1);
    this.renderer.render(this.scene, this.camera);
  }

  // While things move, fewer pixels where the machine is slow; when they rest, all of them (and in software, where
  // edges are not smoothed, more).
  private pace(ms: number): void {
    if (ms > 200) return;
    this.slow = this.slow ? 0.85 * this.slow + 0.15 * ms : ms;
    if (++this.since < 8) return;
    const most = Math.min(devicePixelRatio, 2), least = 0.5 * Math.min(1, most);
    if (this.slow > 30) this.setRatio(Math.max(least, 0.8 * this.ratio));
    else if (this.slow < 21 && this.ratio < most) this.setRatio(Math.min(most, 1.12 * this.ratio));
    else if (this.ratio > most) this.setRatio(most);
  }

  private get finest(): number {
    return Math.min(devicePixelRatio * (this.software ? 2 : 1), 2);
  }

  private refine(): void {
    this.lastDraw = 0;
    if (this.ratio >= this.finest && !this.software) return;
    const moving = this.ratio;
    this.setRatio(this.finest);
    this.paint(true);
    this.ratio = moving; // where it goes on when things move again
    this.refined = true;
  }

  private setRatio(ratio: number): void {
    if (Math.abs(ratio - this.ratio) < 0.01) return;
    this.ratio = ratio;
    this.slow = this.since = 0;
    this.resize(this.width, this.height);
  }

  setFocus(person: number): void {
    this.focus = person;
    if (this.view === 'follow') this.approach();
    this.update(this.frame);
  }

  // Displayed joints of a person in the video's pixels [22, 2], as the filming camera of this frame shows them.
  projected(person: number): number[] {
    const through = this.filmCamera();
    this.camera.updateMatrixWorld(true);
    const out: number[] = [], scale = this.rect.width / this.data.width;
    for (let j = 0; j < JOINTS; j++) {
      v.fromArray(this.figures[person].joints, 3 * j).applyMatrix4(this.camera.matrixWorldInverse);
      const [x, y] = bend(through, v.x / -v.z, -v.y / -v.z);
      v.set(x * -v.z, y * v.z, v.z).applyMatrix4(this.camera.projectionMatrix);
      out.push((((v.x + 1) / 2) * this.width - this.rect.x) / scale - 0.5, (((1 - v.y) / 2) * this.height - this.rect.y) / scale - 0.5);
    }
    return out;
  }

  onCanvas(xy: number[]): number[] {
    const scale = this.rect.width / this.data.width, corner = [this.rect.x, this.rect.y];
    return xy.map((value, i) => ((value + 0.5) * scale + corner[i % 2]) * this.renderer.getPixelRatio() - 0.5);
  }

  // What is on the screen, finely, as a PNG.
  picture(): Promise<Blob | null> {
    const moving = this.ratio;
    this.setRatio(2);
    this.paint(true);
    return new Promise((done) => this.renderer.domElement.toBlob((b) => { // taken before anything else is drawn
      this.setRatio(moving);
      done(b);
    }));
  }

  get pixelRatio(): number {
    return this.ratio;
  }
}
