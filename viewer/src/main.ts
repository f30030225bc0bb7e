// Puts the parts together: state, buttons, keys, the loop.
import { Clock } from './clock';
import { load, type Data } from './data';
import { GroundMap } from './map';
import { Panel } from './panel';
import { forgetColours, paint } from './plot';
import { Stage, type View } from './stage';
import { Timeline } from './timeline';

const byId = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;

class App {
  private readonly root = byId('app');
  private readonly video = byId<HTMLVideoElement>('video');
  private readonly stage: Stage;
  private readonly clock: Clock;
  private readonly timeline: Timeline;
  private readonly map: GroundMap;
  private readonly panel: Panel;
  private readonly colours: string[];
  private focus = 0;
  private drawn = 0; // pictures, for measuring
  private mapDue = false;

  constructor(private readonly data: Data) {
    this.stage = new Stage(data, byId<HTMLCanvasElement>('gl'));
    this.colours = this.stage.figures.map((f) => f.colour.getStyle());
    if (data.video) this.video.src = data.video;
    else this.root.classList.add('silent');
    this.clock = new Clock(data.times, data.video ? this.video : null);
    const seek = (f: number) => this.clock.seek(f);
    this.timeline = new Timeline(byId<HTMLCanvasElement>('timeline'), byId('playhead'), data, this.colours, seek);
    this.map = new GroundMap(byId<HTMLCanvasElement>('map'), data, this.colours);
    this.panel = new Panel(byId('panel'), data, seek, () => this.stage.picture());
    this.clock.onChange((f) => this.show(f));
    this.describe();
    this.makeChips();
    this.makeButtons();
    addEventListener('keydown', (e) => this.key(e));
    this.video.addEventListener('error', () => this.root.classList.add('silent'));
    this.video.addEventListener('loadedmetadata', () => this.layout());
    this.video.addEventListener('click', () => this.clock.toggle());
    new ResizeObserver(() => this.layout()).observe(byId('world'));
    new ResizeObserver(() => this.timeline.redraw()).observe(byId('timeline'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.setTheme());
    if (innerWidth > 760) this.root.classList.add('panel');
    this.setTheme();
    this.setView('orbit');
    this.choose(0);
    this.reflect();
    this.show(0);
    const loop = (now: number) => {
      this.clock.tick(now);
      if (this.stage.draw(now)) this.drawn++;
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
    Object.assign(window, { gvhmr: this.handle() });
  }

  // For scripts and tests: `gvhmr.seek(10)` in the browser's console.
  private handle() {
    const app = this;
    return {
      get frame() { return app.clock.frame; },
      get playing() { return app.clock.playing; },
      get view() { return app.stage.view; },
      get drawn() { return app.drawn; },
      get pixelRatio() { return app.stage.pixelRatio; },
      frames: this.data.frames,
      people: this.data.people.length,
      times: this.data.times,
      seek: (f: number) => this.clock.seek(f),
      play: () => this.clock.play(),
      pause: () => this.clock.pause(),
      setView: (v: View) => this.setView(v),
      visible: () => this.stage.figures.map((f) => f.visible),
      projected: (person: number) => this.stage.projected(person),
      onCanvas: (xy: number[]) => this.stage.onCanvas(xy), // px of the video to px of the canvas
      paint: () => this.stage.paint(true), // at once: the canvas can be read until the next picture
      eye: () => this.stage.camera.position.toArray(),
      showOnly: (f: number) => this.show(f), // without the video, for measuring
    };
  }

  private describe(): void {
    const { scene, people, frames } = this.data;
    const name = scene.video?.file ?? 'motion';
    document.title = `${name} · gvhmr`;
    byId('name').textContent = name;
    const fps = scene.video?.fps ?? people[0].fps;
    byId('end').textContent = this.clock.duration.toFixed(2);
    byId('last').textContent = String(frames - 1);
    byId('facts').textContent = `${people.length === 1 ? '1 person' : `${people.length} people`} · ${frames} frames · ${Number(fps.toFixed(2))} fps`;
  }

  private makeChips(): void {
    byId('people').append(...this.data.people.map((m, k) => {
      const chip = document.createElement('div');
      chip.className = 'person';
      chip.style.setProperty('--tint', this.colours[k]);
      chip.innerHTML = `<button class="eye" aria-pressed="true" title="On or off (shift ${k + 1})" aria-label="Person ${m.id} on or off"><span class="dot"></span></button><button class="choose" title="Choose (${k + 1})">Person ${m.id}</button>`;
      chip.querySelector('.eye')!.addEventListener('click', () => this.toggleVisible(k));
      chip.querySelector('.choose')!.addEventListener('click', () => this.choose(k));
      return chip;
    }));
  }

  private makeButtons(): void {
    const on = (id: string, work: () => void) => byId(id).addEventListener('click', work);
    document.querySelectorAll<HTMLButtonElement>('#views button').forEach((b) =>
      b.addEventListener('click', () => this.setView(b.dataset.view as View)));
    on('play', () => this.clock.toggle());
    on('first', () => this.clock.seek(0));
    on('back', () => this.step(-1));
    on('forward', () => this.step(1));
    on('loop', () => this.toggleLoop());
    on('skeleton', () => this.toggleSkeleton());
    on('map-toggle', () => this.toggleClass('no-map'));
    on('video-toggle', () => this.toggleClass('no-video'));
    on('panel-toggle', () => this.toggleClass('panel'));
    on('theme', () => this.switchTheme());
    on('help', () => byId<HTMLDialogElement>('keys').showModal());
    byId('rate').addEventListener('change', (e) => this.clock.setRate(Number((e.target as HTMLSelectElement).value)));
    byId('opacity').addEventListener('input', (e) => {
      this.root.style.setProperty('--bodies', (e.target as HTMLInputElement).value);
    });
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey || byId<HTMLDialogElement>('keys').open) return;
    const target = e.target as HTMLElement;
    if (target.matches('select, input') || (e.key === ' ' && target.matches('button') && target.id !== 'play')) return;
    const second = this.data.frames / Math.max(this.clock.duration, 0.1);
    const digit = /^Digit([1-9])$/.exec(e.code)?.[1];
    const keys: Record<string, () => void> = {
      ' ': () => this.clock.toggle(),
      arrowleft: () => this.step(e.shiftKey ? -second : -1),
      arrowright: () => this.step(e.shiftKey ? second : 1),
      home: () => this.clock.seek(0),
      end: () => this.clock.seek(this.data.frames - 1),
      o: () => this.setView('orbit'),
      f: () => this.setView('follow'),
      c: () => this.setView('camera'),
      t: () => this.setView('top'),
      s: () => this.toggleSkeleton(),
      m: () => this.toggleClass('no-map'),
      v: () => this.toggleClass('no-video'),
      q: () => this.toggleClass('panel'),
      l: () => this.toggleLoop(),
      r: () => this.setView(this.stage.view),
      d: () => this.switchTheme(),
      '?': () => byId<HTMLDialogElement>('keys').showModal(),
    };
    if (digit) {
      const k = Number(digit) - 1;
      if (k >= this.data.people.length) return;
      e.shiftKey ? this.toggleVisible(k) : this.choose(k);
    } else if (keys[e.key.toLowerCase()]) keys[e.key.toLowerCase()]();
    else return;
    e.preventDefault();
  }

  private step(frames: number): void {
    if (this.clock.playing) this.clock.pause();
    this.clock.seek(this.clock.frame + frames);
  }

  private toggleClass(name: string): void {
    this.root.classList.toggle(name);
    this.reflect();
  }

  private toggleLoop(): void {
    this.clock.loop = !this.clock.loop;
    this.reflect();
  }

  private toggleSkeleton(): void {
    this.stage.sticks = !this.stage.sticks;
    this.stage.update(this.clock.frame);
    this.reflect();
  }

  private toggleVisible(person: number): void {
    const f = this.stage.figures[person];
    f.visible = !f.visible;
    this.stage.update(this.clock.frame);
    this.reflect();
  }

  private choose(person: number): void {
    this.focus = person;
    this.stage.setFocus(person);
    this.timeline.choose(person);
    this.panel.show(person, this.colours[person]);
    this.reflect();
  }

  private setView(view: View): void {
    if (view === 'camera' && !this.data.camera) return;
    this.root.dataset.view = view;
    this.layout();
    this.stage.setView(view);
    this.reflect();
  }

  private switchTheme(): void {
    const dark = document.documentElement.dataset.theme === 'dark';
    document.documentElement.dataset.chosen = dark ? 'light' : 'dark';
    this.setTheme();
  }

  private setTheme(): void {
    const html = document.documentElement;
    const dark = html.dataset.chosen ? html.dataset.chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    html.dataset.theme = dark ? 'dark' : 'light';
    forgetColours();
    this.stage.setTheme({ sky: paint('sky'), ground: paint('floor'), line: paint('grid'), dark });
    this.timeline.redraw();
    this.map.redraw();
    this.drawMap();
  }

  // Buttons show the state.
  private reflect(): void {
    const press = (element: Element | null, on: boolean) => element?.setAttribute('aria-pressed', String(on));
    document.querySelectorAll<HTMLButtonElement>('#views button').forEach((b) => press(b, b.dataset.view === this.stage.view));
    press(byId('skeleton'), this.stage.sticks);
    press(byId('map-toggle'), !this.root.classList.contains('no-map'));
    press(byId('video-toggle'), !this.root.classList.contains('no-video'));
    press(byId('panel-toggle'), this.root.classList.contains('panel'));
    press(byId('loop'), this.clock.loop);
    document.querySelectorAll('.person').forEach((chip, k) => {
      press(chip.querySelector('.eye'), this.stage.figures[k].visible);
      press(chip.querySelector('.choose'), k === this.focus);
    });
    this.map.redraw();
    this.drawMap();
  }

  // The map need not follow every picture.
  private drawMapSoon(): void {
    if (this.mapDue) return;
    this.mapDue = true;
    setTimeout(() => {
      this.mapDue = false;
      this.drawMap();
    }, 60);
  }

  private drawMap(): void {
    this.map.draw(this.clock.frame, this.stage.figures.map((f) => f.visible), this.focus);
  }

  // Where the video lies under the world in the camera's view: contained, centred.
  private layout(): void {
    const world = byId('world'), w = world.clientWidth, h = world.clientHeight;
    if (!w || !h) return;
    const { width, height } = this.data, scale = Math.min(w / width, h / height);
    this.stage.rect = { x: (w - width * scale) / 2, y: (h - height * scale) / 2, width: width * scale, height: height * scale };
    this.stage.resize(w, h);
    this.map.redraw();
    this.drawMap();
  }

  private show(frame: number): void {
    this.stage.update(frame);
    this.timeline.show(frame);
    this.drawMapSoon();
    this.root.classList.toggle('playing', this.clock.playing);
    byId('now').textContent = (this.data.times[frame] - this.data.times[0]).toFixed(2);
    byId('frame').textContent = String(frame);
  }
}

load().then((data) => new App(data)).catch((e: unknown) => {
  const box = byId('message');
  box.textContent = e instanceof Error ? e.message : String(e);
  box.hidden = false;
  console.error(e);
});
