// Speed, confidence, contacts and doubts of the chosen person over time, presence of everybody, and the playhead. The
// canvas is drawn when something but the time changes; the playhead is an element of its own.
import type { Data } from './data';
import { touches, type Motion } from './motion';
import { font, paint, prepare } from './plot';

export class Timeline {
  private backdrop = document.createElement('canvas'); // all but the label
  private motion: Motion;
  private colours: string[];
  private frame = 0;
  private hover = -1;
  private width = 0; // CSS px, of the canvas as it was drawn last

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly playhead: HTMLElement,
    private readonly data: Data,
    colours: string[],
    private readonly onSeek: (frame: number) => void,
  ) {
    this.motion = data.people[0];
    this.colours = colours;
    const at = (e: PointerEvent) => this.frameAt(e.clientX - canvas.getBoundingClientRect().left);
    let held = false;
    canvas.addEventListener('pointerdown', (e) => {
      held = true;
      canvas.setPointerCapture(e.pointerId);
      onSeek(at(e));
    });
    canvas.addEventListener('pointermove', (e) => {
      this.hover = e.pointerType === 'mouse' ? at(e) : -1;
      if (held) this.onSeek(at(e));
      this.label();
    });
    for (const end of ['pointerup', 'pointercancel'] as const) canvas.addEventListener(end, () => (held = false));
    canvas.addEventListener('pointerleave', () => {
      this.hover = -1;
      this.label();
    });
  }

  private get left(): number {
    return this.width < 560 ? 8 : 84;
  }

  private x(frame: number): number {
    const right = this.width - 10;
    return this.left + ((right - this.left) * (frame + 0.5)) / this.data.frames;
  }

  private frameAt(x: number): number {
    const right = this.width - 10;
    const f = Math.floor(((x - this.left) / (right - this.left)) * this.data.frames);
    return Math.max(0, Math.min(f, this.data.frames - 1));
  }

  choose(person: number): void {
    this.motion = this.data.people[person];
    this.redraw();
  }

  // After a change of size, person or colours.
  redraw(): void {
    const { g, width, height } = prepare(this.canvas);
    if (!width) return;
    this.width = width;
    const small = height < 100, top = this.presence(g) + 4, feet = small ? 6 : 8, gap = small ? 3 : 7;
    const bottom = height - 3, feetTop = bottom - 2 * feet - gap - 2, sureTop = feetTop - (small ? 10 : 22);
    this.doubts(g, top, bottom);
    this.speed(g, top, sureTop - 5);
    this.confidence(g, sureTop, feetTop - 5);
    for (let foot = 0; foot < 2; foot++) this.contacts(g, foot, feetTop + foot * (feet + gap), feet);
    if (this.left > 20) {
      g.fillStyle = paint('soft');
      g.font = font(11.5);
      g.textBaseline = 'middle';
      g.fillText('Speed', 0, (top + sureTop - 5) / 2);
      g.fillText('Confidence', 0, (sureTop + feetTop - 5) / 2);
      g.fillText('Left foot', 0, feetTop + feet / 2);
      g.fillText('Right foot', 0, feetTop + 1.5 * feet + gap);
    }
    this.backdrop.width = this.canvas.width;
    this.backdrop.height = this.canvas.height;
    this.backdrop.getContext('2d')!.drawImage(this.canvas, 0, 0);
    this.canvas.setAttribute('aria-valuemin', '0');
    this.canvas.setAttribute('aria-valuemax', String(this.data.frames - 1));
    this.show(this.frame);
  }

  private presence(g: CanvasRenderingContext2D): number {
    const people = this.data.people.slice(0, 8);
    if (people.length < 2) return 2;
    people.forEach((m, k) => {
      g.fillStyle = this.colours[k];
      g.globalAlpha = m === this.motion ? 1 : 0.4;
      const a = this.x(m.frameIndex[0] - 0.5), b = this.x(m.frameIndex[m.frames - 1] + 0.5);
      g.fillRect(a, 3 * k, Math.max(b - a, 1), 2);
    });
    g.globalAlpha = 1;
    return 3 * people.length;
  }

  private doubts(g: CanvasRenderingContext2D, top: number, bottom: number): void {
    g.fillStyle = paint('doubt');
    const covered = new Uint8Array(this.data.frames); // stretches of different kinds may overlap
    for (const s of this.motion.quality?.distrust ?? []) covered.fill(1, s.first_frame, s.last_frame + 1);
    for (let f = 0; f < covered.length; f++) {
      if (!covered[f]) continue;
      let end = f;
      while (covered[end + 1]) end++;
      g.beginPath();
      g.roundRect(this.x(f - 0.5), top, Math.max(this.x(end + 0.5) - this.x(f - 0.5), 2), bottom - top, 3);
      g.fill();
      f = end;
    }
  }

  private get colour(): string {
    return this.colours[this.motion.id - 1];
  }

  private curve(g: CanvasRenderingContext2D, values: Float32Array, most: number, top: number, bottom: number): void {
    g.beginPath();
    values.forEach((y, t) => g.lineTo(this.x(this.motion.frameIndex[t]), bottom - (bottom - top) * Math.min(y / most, 1)));
  }

  private speed(g: CanvasRenderingContext2D, top: number, bottom: number): void {
    const m = this.motion, most = Math.max(1, ...m.speed) * 1.08;
    this.curve(g, m.speed, most, top, bottom);
    g.strokeStyle = g.fillStyle = this.colour;
    g.lineWidth = 1.5;
    g.lineJoin = 'round';
    g.stroke();
    g.lineTo(this.x(m.frameIndex[m.frames - 1]), bottom);
    g.lineTo(this.x(m.frameIndex[0]), bottom);
    g.globalAlpha = 0.14;
    g.fill();
    g.globalAlpha = 1;
    g.fillStyle = g.strokeStyle = paint('edge');
    g.fillRect(this.left, bottom, this.width - 10 - this.left, 1);
  }

  private confidence(g: CanvasRenderingContext2D, top: number, bottom: number): void {
    this.curve(g, this.motion.confidence, 1, top, bottom);
    g.strokeStyle = paint('soft');
    g.lineWidth = 1.2;
    g.stroke();
  }

  private contacts(g: CanvasRenderingContext2D, foot: number, top: number, height: number): void {
    const m = this.motion;
    g.fillStyle = this.colour;
    g.globalAlpha = 0.75;
    for (let t = 0; t < m.frames; t++) {
      if (!touches(m, t, foot)) continue;
      let end = t;
      while (end + 1 < m.frames && touches(m, end + 1, foot)) end++;
      const a = this.x(m.frameIndex[t] - 0.5), b = this.x(m.frameIndex[end] + 0.5);
      g.beginPath();
      g.roundRect(a + 0.5, top, Math.max(b - a - 1, 1), height, Math.min(height / 2, (b - a) / 2));
      g.fill();
      t = end;
    }
    g.globalAlpha = 1;
  }

  show(frame: number): void {
    this.frame = frame;
    this.playhead.style.transform = `translateX(${this.x(frame)}px)`;
    this.canvas.setAttribute('aria-valuenow', String(frame));
  }

  // What lies under the mouse.
  private label(): void {
    const { g, width, height } = prepare(this.canvas), frame = this.hover;
    g.drawImage(this.backdrop, 0, 0, width, height);
    if (frame < 0) return;
    const m = this.motion, row = m.rowOf[frame];
    let text = `frame ${frame}`;
    if (row >= 0) text += `   ${m.speed[row].toFixed(1)} m/s   confidence ${m.confidence[row].toFixed(2)}`;
    g.font = font(11.5);
    const w = g.measureText(text).width + 14, x = Math.max(this.left, Math.min(this.x(frame) - w / 2, width - w - 8));
    g.fillStyle = paint('card');
    g.strokeStyle = paint('edge');
    g.lineWidth = 1;
    g.beginPath();
    g.roundRect(x, 8, w, 20, 6);
    g.fill();
    g.stroke();
    g.fillStyle = paint('text');
    g.textBaseline = 'middle';
    g.fillText(text, x + 7, 18.5);
    g.globalAlpha = 0.35;
    g.fillRect(this.x(frame) - 0.5, 0, 1, this.canvas.clientHeight);
    g.globalAlpha = 1;
  }
}
