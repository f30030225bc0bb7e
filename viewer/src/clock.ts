// Which frame is shown. With a video, the video's own clock leads and the rest follows the pictures that it
// shows; without one, or before it can play, time runs by itself.

type Listener = (frame: number) => void;

export class Clock {
  frame = 0;
  playing = false;
  loop = true;
  rate = 1;
  private listeners: Listener[] = [];
  private wanted = -1; // frame that the video is still to be moved to
  private last = 0; // ms, of the free-running clock
  private now = 0; // s, of the free-running clock

  constructor(
    private readonly times: Float64Array,
    private readonly video: HTMLVideoElement | null,
  ) {
    this.now = times[0];
    if (!video) return;
    video.addEventListener('seeked', () => this.moveVideo());
    video.addEventListener('loadeddata', () => this.seek(this.frame));
    video.addEventListener('ended', () => this.playing && this.atEnd());
    if ('requestVideoFrameCallback' in video) {
      const shown = (_: number, meta: { mediaTime: number }) => {
        if (this.playing && !video.seeking && this.wanted < 0) this.show(this.frameAt(meta.mediaTime));
        video.requestVideoFrameCallback(shown);
      };
      video.requestVideoFrameCallback(shown);
    }
  }

  onChange(listener: Listener): void {
    this.listeners.push(listener);
  }

  // The frame whose time is nearest.
  frameAt(seconds: number): number {
    let lo = 0, hi = this.times.length - 1;
    while (lo < hi) {
      const middle = (lo + hi) >> 1;
      if (this.times[middle] < seconds) lo = middle + 1;
      else hi = middle;
    }
    return lo > 0 && seconds - this.times[lo - 1] < this.times[lo] - seconds ? lo - 1 : lo;
  }

  get duration(): number {
    return this.times[this.times.length - 1] - this.times[0];
  }

  seek(frame: number): void {
    const target = Math.max(0, Math.min(Math.round(frame), this.times.length - 1));
    this.now = this.times[target];
    this.show(target);
    this.wanted = target;
    this.moveVideo();
  }

  // One seek at a time; what was asked for meanwhile comes next.
  private moveVideo(): void {
    const v = this.video;
    if (!v || this.wanted < 0 || v.seeking || v.readyState < 1) return;
    const next = this.times[Math.min(this.wanted + 1, this.times.length - 1)];
    const middle = this.times[this.wanted] + Math.min(0.4 * Math.max(next - this.times[this.wanted], 0), 0.02);
    this.wanted = -1;
    if (Math.abs(v.currentTime - middle) > 1e-4) v.currentTime = middle;
  }

  setRate(rate: number): void {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
  }

  toggle(): void {
    this.playing ? this.pause() : this.play();
  }

  play(): void {
    if (this.frame >= this.times.length - 1) this.seek(0);
    this.playing = true;
    this.last = performance.now();
    this.now = this.times[this.frame];
    if (this.video && this.video.readyState >= 1) {
      this.video.playbackRate = this.rate;
      this.video.play().catch(() => undefined); // time then runs by itself
    }
    this.listeners.forEach((f) => f(this.frame));
  }

  pause(): void {
    this.playing = false;
    this.video?.pause();
    this.seek(this.frame);
    this.listeners.forEach((f) => f(this.frame));
  }

  // To be called for every picture that is drawn.
  tick(ms: number): void {
    if (!this.playing) return;
    const v = this.video;
    if (v && !v.paused && v.readyState >= 2) {
      this.last = ms;
      if (!('requestVideoFrameCallback' in v)) this.show(this.frameAt((v as HTMLVideoElement).currentTime - 0.01));
      return;
    }
    if (v && v.readyState >= 2 && v.ended) return;
    this.now += ((ms - this.last) / 1000) * this.rate;
    this.last = ms;
    if (this.now > this.times[this.times.length - 1]) return this.atEnd();
    let f = this.frame;
    while (f + 1 < this.times.length && this.times[f + 1] <= this.now) f++;
    this.show(f);
  }

  private atEnd(): void {
    if (!this.loop) return this.pause();
    this.seek(0);
    this.play();
  }

  private show(frame: number): void {
    if (frame === this.frame) return;
    this.frame = frame;
    this.listeners.forEach((f) => f(frame));
  }
}
