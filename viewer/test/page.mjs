// The viewer of a real result in headless Chromium: node page.mjs FOLDER_OF_A_RUN [SCREENSHOT_FOLDER]
// GVHMR_LEAST_FPS=30 also demands that speed; GVHMR_PROGRAM compares exports with the program's own; GVHMR_LENS=1: a run
// through a lens that is no pinhole, of which the camera's view alone is looked at.
//
// Exit status 77 (skipped) where Chromium, Playwright or the folder is not there. The motions are read here, from the
// folder's own files, and compared with what the page shows.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';

const skip = (why) => {
  console.log(`skipped: ${why}`);
  process.exit(77);
};
const folder = process.argv[2], pictures = process.argv[3], program = process.env.GVHMR_PROGRAM;
const browserPath = process.env.GVHMR_CHROMIUM ?? '/usr/bin/chromium';
if (!folder || !existsSync(join(folder, 'viewer.html'))) skip(`no viewer.html in ${folder}`);
if (!existsSync(browserPath)) skip(`no ${browserPath}`);
const { chromium } = await import('playwright-core').catch(() => skip('no playwright-core'));

let failures = 0;
const check = (good, what) => {
  console.log(`${good ? 'ok  ' : 'FAIL'} ${what}`);
  if (!good) failures++;
};

// Members of an .npz as typed arrays (float32, int32 and float64 only).
function readNpz(path) {
  const b = readFileSync(path), out = {};
  let end = b.length - 22;
  while (b.readUInt32LE(end) !== 0x06054b50) end--;
  let at = b.readUInt32LE(end + 16);
  for (let n = b.readUInt16LE(end + 10); n > 0; n--) {
    const size = b.readUInt32LE(at + 20), local = b.readUInt32LE(at + 42), length = b.readUInt16LE(at + 28);
    const name = b.toString('utf8', at + 46, at + 46 + length).replace(/\.npy$/, '');
    const from = local + 30 + b.readUInt16LE(local + 26) + b.readUInt16LE(local + 28);
    let raw = b.subarray(from, from + size);
    if (b.readUInt16LE(at + 10) === 8) raw = inflateRawSync(raw);
    const start = 10 + raw.readUInt16LE(8), header = raw.toString('latin1', 10, start);
    const Type = header.includes("'<f4'") ? Float32Array : header.includes("'<f8'") ? Float64Array : header.includes("'<i4'") ? Int32Array : null;
    if (Type) out[name] = new Type(Uint8Array.from(raw.subarray(start)).buffer);
    at += 46 + length + b.readUInt16LE(at + 30) + b.readUInt16LE(at + 32);
  }
  return out;
}

const scene = JSON.parse(readFileSync(join(folder, 'scene.json'), 'utf8'));
const motions = scene.people.map((p) => readNpz(join(folder, p.file)));
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
});
const work = mkdtempSync(join(tmpdir(), 'gvhmr-viewer-'));

async function open(options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme: 'light', ...options });
  page.setDefaultTimeout(60000);
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !/GPU stall|swiftshader/i.test(m.text()) && check(false, `console: ${m.text()}`));
  page.on('pageerror', (e) => check(false, `page: ${e.message}`));
  page.on('request', (r) => /^(file|blob|data):/.test(r.url()) || check(false, `request: ${r.url()}`));
  await page.goto(`file://${join(folder, 'viewer.html')}`);
  await page.waitForFunction(() => window.gvhmr?.drawn > 0);
  return page;
}
const state = (page) => page.evaluate(() => ({ frame: gvhmr.frame, playing: gvhmr.playing, view: gvhmr.view, visible: gvhmr.visible(), drawn: gvhmr.drawn }));
const shot = async (page, name) => {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.waitForTimeout(700);
  await page.screenshot({ path: join(pictures, `${name}.png`) });
};
const drawn = async (page, work) => { // runs work and waits for the picture after it
  const before = (await state(page)).drawn;
  await work();
  await page.waitForFunction((n) => gvhmr.drawn > n, before);
};

// ---- what is shown
const page = await open();
check((await page.evaluate(() => gvhmr.people)) === scene.people.length, `${scene.people.length} people are shown`);
check((await page.evaluate(() => gvhmr.frames)) === scene.video.frames, `${scene.video.frames} frames`);

// Where the lens in a motion file (Brown's, one row for all frames) moves a direction.
const bend = (l, x, y) => {
  if (!l) return [x, y];
  const r = x * x + y * y, [, k1, k2, p1, p2, k3, k4, k5, k6] = l, L = (1 + r * (k1 + r * (k2 + r * k3))) / (1 + r * (k4 + r * (k5 + r * k6)));
  return [x * L + 2 * p1 * x * y + p2 * (r + 2 * x * x), y * L + p1 * (r + 2 * y * y) + 2 * p2 * x * y];
};

// Joints of the displayed bodies, projected by the displayed camera, against K joints_incam of the motion files.
await page.evaluate(() => gvhmr.setView('camera'));
let worst = 0, compared = 0, bent = 0;
for (let f = 0; f < scene.video.frames; f += Math.max(1, Math.floor(scene.video.frames / 12))) {
  await page.evaluate((n) => gvhmr.seek(n), f);
  for (const [k, m] of motions.entries()) {
    const row = m.frame_index.indexOf(f);
    if (row < 0) continue;
    const shown = await page.evaluate((p) => gvhmr.projected(p), k);
    for (let j = 0; j < 22; j++) {
      const [x, y, z] = m.joints_incam.subarray(66 * row + 3 * j, 66 * row + 3 * j + 3), K = m.K_fullimg.subarray(9 * row, 9 * row + 9);
      const [u, v] = bend(m.lens, x / z, y / z);
      worst = Math.max(worst, Math.hypot(shown[2 * j] - (K[0] * u + K[2]), shown[2 * j + 1] - (K[4] * v + K[5])));
      bent = Math.max(bent, Math.hypot(K[0] * (u - x / z), K[4] * (v - y / z)));
      compared++;
    }
  }
}
check(compared > 100 && worst < 2, `camera view: ${compared} projected joints within ${worst.toFixed(3)} px of joints_incam`);

// The bodies as drawn: with the video hidden, pixels lie where joints inside the body are, and not beside it.
await drawn(page, () => page.evaluate(() => gvhmr.seek(Math.floor(gvhmr.frames / 2))));
if (process.env.GVHMR_LENS) await drawn(page, () => page.click('#skeleton')); // thin, so that a lens makes a difference
const cover = await page.evaluate((inside) => {
  gvhmr.paint();
  const gl = document.getElementById('gl'), copy = new OffscreenCanvas(gl.width, gl.height).getContext('2d');
  copy.drawImage(gl, 0, 0);
  const pixels = copy.getImageData(0, 0, gl.width, gl.height).data;
  let hit = 0, all = 0, ink = 0;
  for (let i = 3; i < pixels.length; i += 4) ink += pixels[i] > 128;
  for (let p = 0; p < gvhmr.people; p++) {
    const joints = gvhmr.projected(p), at = gvhmr.onCanvas(joints);
    for (const j of inside) {
      const x = Math.round(at[2 * j]), y = Math.round(at[2 * j + 1]);
      if (x < 0 || y < 0 || x >= gl.width || y >= gl.height) continue;
      all++;
      hit += pixels[4 * (y * gl.width + x) + 3] > 128;
    }
  }
  return { hit, all, share: ink / (gl.width * gl.height) };
}, process.env.GVHMR_LENS ? [...Array(22).keys()] : [2, 4, 5, 3, 6, 9, 12, 18, 19]);
check(cover.all > 0 && cover.hit === cover.all, `the drawn bodies cover ${cover.hit} of ${cover.all} of their inner joints`);
check(cover.share > (process.env.GVHMR_LENS ? 0.001 : 0.005) && cover.share < 0.6, `and ${(100 * cover.share).toFixed(1)} % of the picture`);
await shot(page, process.env.GVHMR_LENS ? 'lens' : 'camera-view');
await page.close();
const end = async () => {
  await browser.close();
  rmSync(work, { recursive: true, force: true });
  console.log(failures ? `${failures} failed` : 'all passed');
  process.exit(failures ? 1 : 0);
};
if (process.env.GVHMR_LENS) {
  check(bent > 20, `the lens moves joints by up to ${bent.toFixed(0)} px`);
  await end();
}

// ---- frames advance, in step with the video
const live = await open();
await live.waitForFunction(() => document.getElementById('video').readyState >= 2);
await live.click('#play');
check((await state(live)).playing, 'play plays');
await live.waitForFunction(() => gvhmr.frame >= 3);
const apart = await live.evaluate(async () => {
  const v = document.getElementById('video'), found = [];
  for (let i = 0; i < 5; i++) {
    const media = await new Promise((done) => v.requestVideoFrameCallback((_, m) => done(m.mediaTime)));
    await new Promise(requestAnimationFrame);
    found.push(Math.abs(gvhmr.times[gvhmr.frame] - media));
  }
  return found.sort((a, b) => a - b)[2];
});
check(apart < 0.75 / scene.video.fps, `the world is ${(1000 * apart).toFixed(1)} ms from the video's picture`);
await live.click('#play');
check(!(await state(live)).playing, 'and pauses');
await live.evaluate(() => gvhmr.seek(7));
await live.waitForFunction(() => !document.getElementById('video').seeking);
const at = await live.evaluate(() => document.getElementById('video').currentTime - gvhmr.times[7]);
check(at >= -1e-3 && at < 0.9 / scene.video.fps, `after a seek the video stands at the same frame (${(1000 * at).toFixed(0)} ms into it)`);

// ---- every button
const pressed = (id) => live.getAttribute(id, 'aria-pressed');
await live.evaluate(() => gvhmr.seek(5));
await live.click('#forward');
check((await state(live)).frame === 6, 'one frame on');
await live.click('#back');
check((await state(live)).frame === 5, 'one frame back');
await live.click('#first');
check((await state(live)).frame === 0, 'to the start');
for (const view of ['follow', 'camera', 'top', 'orbit']) {
  await live.click(`#views [data-view=${view}]`);
  check((await state(live)).view === view, `view ${view}`);
}
for (const id of ['#skeleton', '#map-toggle', '#video-toggle', '#panel-toggle', '#loop']) {
  const before = await pressed(id);
  await live.click(id);
  const after = await pressed(id);
  await live.click(id);
  check(before !== after && (await pressed(id)) === before, `${id} on and off`);
}
await live.click('#map-toggle');
check(!(await live.isVisible('#map')), 'the map goes');
await live.click('#map-toggle');
await live.click('#video-toggle');
check(!(await live.isVisible('#video')), 'the video goes');
await live.click('#video-toggle');
await live.click('.person:first-child .eye');
check((await state(live)).visible[0] === false, 'person 1 off');
await live.click('.person:first-child .eye');
check((await state(live)).visible[0] === true, 'person 1 on');
if (scene.people.length > 1) {
  await live.click('.person:nth-child(2) .choose');
  check((await live.textContent('#panel h2')).includes('Person 2'), 'person 2 chosen');
  await live.click('.person:nth-child(1) .choose');
}
const theme = () => live.evaluate(() => document.documentElement.dataset.theme);
const lit = await theme();
await live.click('#theme');
check((await theme()) !== lit, 'light and dark');
await live.click('#theme');
await live.click('#help');
check(await live.isVisible('#keys'), 'the keys are listed');
await live.click('#keys-close');
check(!(await live.isVisible('#keys')), 'and go away');
await live.selectOption('#rate', '2');
check((await live.evaluate(() => document.getElementById('video').playbackRate)) === 2, 'twice the speed');
await live.selectOption('#rate', '1');
const bar = await live.locator('#timeline').boundingBox();
await live.mouse.click(bar.x + bar.width - 14, bar.y + bar.height / 2);
check((await state(live)).frame === scene.video.frames - 1, 'the timeline goes to the end');
const doubt = live.locator('.doubts button').first();
if (await doubt.count()) {
  await doubt.click();
  check((await state(live)).frame === scene.people[0].quality.distrust[0].first_frame, 'a doubtful stretch is found');
}
for (const [key, test] of [['f', (s) => s.view === 'follow'], ['o', (s) => s.view === 'orbit'], ['Home', (s) => s.frame === 0], ['ArrowRight', (s) => s.frame === 1], ['End', (s) => s.frame === scene.video.frames - 1], ['Shift+Digit1', (s) => !s.visible[0]], ['Shift+Digit1', (s) => s.visible[0]], ['Space', (s) => s.playing], ['Space', (s) => !s.playing]]) {
  await live.locator('#gl').focus();
  await live.keyboard.press(key);
  check(test(await state(live)), `key ${key}`);
}
await live.fill('#opacity input', '0.4', { force: true });
check((await live.evaluate(() => document.getElementById('app').style.getPropertyValue('--bodies'))) === '0.4', 'the bodies become transparent');
const moved = await live.evaluate(() => gvhmr.eye());
const world = await live.locator('#gl').boundingBox();
await live.mouse.move(world.x + 300, world.y + 200);
await live.mouse.down();
await live.mouse.move(world.x + 400, world.y + 210, { steps: 4 });
await live.mouse.up();
await live.waitForTimeout(200);
check(Math.hypot(...(await live.evaluate(() => gvhmr.eye())).map((x, i) => x - moved[i])) > 0.1, 'dragging turns the world');

// ---- the files
const files = {};
for (const kind of ['bvh', 'csv', 'npz', 'json', 'scene', 'picture']) {
  const waiting = live.waitForEvent('download');
  await live.click(`[data-export=${kind}]`);
  const download = await waiting;
  files[kind] = join(work, download.suggestedFilename());
  await download.saveAs(files[kind]);
  check(readFileSync(files[kind]).length > 200, `${download.suggestedFilename()} is written`);
}
const same = (text) => JSON.stringify({ ...JSON.parse(text), timings: 0 }); // the page's own time is not in the page
check(same(readFileSync(files.scene, 'utf8')) === same(readFileSync(join(folder, 'scene.json'), 'utf8')), 'scene.json as it was');
check(readFileSync(files.picture).subarray(1, 4).toString() === 'PNG', 'the picture is a PNG');
const out = readNpz(files.npz), first = motions[0];
const apartNpz = (key) => (out[key]?.length === first[key].length ? Math.max(...first[key].map((x, i) => Math.abs(x - out[key][i]))) : Infinity);
for (const key of ['body_pose', 'betas', 'global_orient', 'transl', 'transl_incam', 'static_prob', 'kp2d', 'frame_index', 'time_sec'])
  check(apartNpz(key) === 0, `the NPZ's ${key} is the motion file's`);
for (const key of ['joints_world', 'joints_incam']) check(apartNpz(key) < 1e-4, `the NPZ's ${key} within ${apartNpz(key).toExponential(1)} m`);
check(JSON.parse(readFileSync(files.json, 'utf8')).frames.length === first.frame_index.length, 'the JSON has every frame');
if (program) { // number by number against the program's own export
  const numbers = (text) => text.split(/[\s,]+/).filter((w) => w && !isNaN(w)).map(Number);
  for (const kind of ['bvh', 'csv']) {
    const own = join(work, `own.${kind}`);
    execFileSync(program, ['export', join(folder, 'person-1.npz'), '-o', own, '--quiet']);
    const a = numbers(readFileSync(own, 'utf8')), b = numbers(readFileSync(files[kind], 'utf8'));
    const d = a.length === b.length ? Math.max(...a.map((x, i) => Math.abs(x - b[i]))) : Infinity;
    check(a.length > 500 && d < 0.01, `the ${kind.toUpperCase()} has the program's ${a.length} numbers within ${d.toExponential(1)}`);
    execFileSync(program, ['export', files.npz, '-o', join(work, `again.${kind}`), '--quiet']); // and it reads the page's NPZ
  }
}
await live.evaluate(() => gvhmr.seek(Math.floor(0.55 * gvhmr.frames)));
await shot(live, 'orbit');
for (const view of ['follow', 'camera', 'top']) {
  await live.click(`#views [data-view=${view}]`);
  await shot(live, view);
}
await live.click('#views [data-view=orbit]');
await live.click('#skeleton');
await shot(live, 'skeleton');
await live.click('#skeleton');
await live.click('#theme');
await shot(live, 'dark');
await live.close();

// ---- how fast, everything moving, in software
const fast = await open();
const rate = await fast.evaluate(async () => {
  const run = async (seconds) => {
    const start = performance.now(), before = gvhmr.drawn;
    let f = 0;
    while (performance.now() - start < 1000 * seconds) {
      gvhmr.showOnly(f++ % gvhmr.frames);
      await new Promise(requestAnimationFrame);
    }
    return (gvhmr.drawn - before) / ((performance.now() - start) / 1000);
  };
  await run(3); // it finds its number of pixels
  return [await run(5), gvhmr.pixelRatio];
});
const least = Number(process.env.GVHMR_LEAST_FPS ?? 0);
check(rate[0] >= least, `${rate[0].toFixed(1)} pictures/s at 1280x720 in software, a new frame in each (${rate[1].toFixed(2)} of the pixels a side)`);
await fast.close();

// ---- a phone
const phone = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
const boxes = await phone.evaluate(() => ['gl', 'timeline', 'play', 'views', 'video'].map((id) => {
  const r = document.getElementById(id).getBoundingClientRect();
  return { id, ok: r.left >= 0 && r.right <= innerWidth + 1 && r.top >= 0 && r.bottom <= innerHeight + 1 && r.width > 30 && r.height > 30 };
}));
check(boxes.every((b) => b.ok), `on a phone all is on the screen ${boxes.filter((b) => !b.ok).map((b) => b.id)}`);
check(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
await phone.tap('#play');
await phone.waitForFunction(() => gvhmr.frame > 1);
check(true, 'and it plays');
await phone.tap('#play');
await shot(phone, 'phone');
await phone.tap('#panel-toggle');
check(await phone.isVisible('#panel'), 'the panel opens');
await shot(phone, 'phone-panel');
await phone.close();

await end();
