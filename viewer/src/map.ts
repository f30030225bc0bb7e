// The ground from above: everybody's way, where they are and look to, and the filming camera. 1 m squares.
import type { Data } from './data';
import { matrixOf, type Motion } from './motion';
import { font, paint, prepare } from './plot';

export class GroundMap {
  private scale = 1; // px per m
  private cx = 0; // m, middle
  private cz = 0;
  private width = 0; // CSS px
  private height = 0;
  private readonly backdrop = document.createElement('canvas');
  private readonly R = new Float64Array(9);

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly data: Data,
    private readonly colours: string[],
  ) {}

  private fit(width: number, height: number): void {
    let [x0, x1, z0, z1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const m of this.data.people)
      for (let t = 0; t < m.frames; t++) {
        const x = m.joints[66 * t], z = m.joints[66 * t + 2];
        x0 = Math.min(x0, x); x1 = Math.max(x1, x); z0 = Math.min(z0, z); z1 = Math.max(z1, z);
      }
    this.cx = (x0 + x1) / 2;
    this.cz = (z0 + z1) / 2;
    this.scale = Math.min(width / (x1 - x0 + 2), height / (z1 - z0 + 2), 60);
  }

  private readonly X = (x: number) => this.width / 2 + (x - this.cx) * this.scale;
  private readonly Z = (z: number) => this.height / 2 + (z - this.cz) * this.scale; // as from the sky: x right, z down

  // After a change of size, colours or people: all that does not move.
  redraw(): void {
    const { g, width, height } = prepare(this.canvas);
    this.width = width;
    this.height = height;
    if (!width) return;
    this.fit(width, height);
    this.grid(g, width, height, this.X, this.Z);
    this.backdrop.width = this.canvas.width;
    this.backdrop.height = this.canvas.height;
    this.backdrop.getContext('2d')!.drawImage(this.canvas, 0, 0);
  }

  private way(g: CanvasRenderingContext2D, m: Motion, end: number): void {
    const step = Math.max(1, Math.floor(m.frames / 150));
    g.beginPath();
    for (let t = 0; t < end; t += step) g.lineTo(this.X(m.joints[66 * t]), this.Z(m.joints[66 * t + 2]));
    if (end >= 0) g.lineTo(this.X(m.joints[66 * end]), this.Z(m.joints[66 * end + 2]));
    g.stroke();
  }

  draw(frame: number, visible: boolean[], focus: number): void {
    if (!this.width) return;
    const g = this.canvas.getContext('2d')!, { X, Z } = this;
    g.clearRect(0, 0, this.width, this.height);
    g.drawImage(this.backdrop, 0, 0, this.width, this.height);
    this.data.people.forEach((m, k) => {
      if (!visible[k]) return;
      const row = m.rowOf[frame];
      g.strokeStyle = g.fillStyle = this.colours[k];
      g.lineWidth = k === focus ? 2 : 1.4;
      g.lineJoin = g.lineCap = 'round';
      g.globalAlpha = 0.25;
      this.way(g, m, m.frames - 1);
      g.globalAlpha = 1;
      if (row < 0) return;
      this.way(g, m, row);
      matrixOf(this.R, m.orient, 3 * row); // the body looks along its z
      const x = X(m.joints[66 * row]), z = Z(m.joints[66 * row + 2]), d = Math.hypot(this.R[2], this.R[8]) || 1;
      g.beginPath();
      g.arc(x, z, k === focus ? 5 : 4, 0, 2 * Math.PI);
      g.fill();
      g.beginPath();
      g.moveTo(x, z);
      g.lineTo(x + (11 * this.R[2]) / d, z + (11 * this.R[8]) / d);
      g.stroke();
    });
    this.camera(g, frame, X, Z, this.width, this.height);
  }

  private grid(g: CanvasRenderingContext2D, width: number, height: number, X: (x: number) => number, Z: (z: number) => number): void {
    const step = this.scale > 12 ? 1 : this.scale > 3 ? 5 : 10;
    const [a, b] = [this.cx - width / 2 / this.scale, this.cz - height / 2 / this.scale];
    g.fillStyle = paint('edge');
    for (let x = Math.ceil(a / step) * step; X(x) < width; x += step) g.fillRect(X(x), 0, 1, height);
    for (let z = Math.ceil(b / step) * step; Z(z) < height; z += step) g.fillRect(0, Z(z), width, 1);
    g.fillStyle = paint('soft');
    g.font = font(10.5);
    g.fillText(`${step} m`, 8, height - 8);
  }

  private camera(g: CanvasRenderingContext2D, frame: number, X: (x: number) => number, Z: (z: number) => number, width: number, height: number): void {
    if (!this.data.camera) return;
    const R = this.data.camera.R(frame), t = this.data.camera.t(frame);
    const cx = -(R[0] * t[0] + R[3] * t[1] + R[6] * t[2]), cz = -(R[2] * t[0] + R[5] * t[1] + R[8] * t[2]);
    const angle = Math.atan2(R[8], R[6]); // along z of the camera
    const x = Math.max(9, Math.min(X(cx), width - 9)), z = Math.max(9, Math.min(Z(cz), height - 9)); // at the edge if outside
    g.save();
    g.translate(x, z);
    g.rotate(angle);
    g.fillStyle = paint('soft');
    g.beginPath();
    g.moveTo(-4, 0);
    g.lineTo(7, -5);
    g.lineTo(7, 5);
    g.closePath();
    g.fill();
    g.restore();
  }
}
