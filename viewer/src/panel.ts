// The quality report of the chosen person, and the export buttons.
import type { Data } from './data';
import { bvh, csv, json, npz, save } from './exports';
import type { Motion, Quality } from './motion';

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className = '', text = ''): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text) e.textContent = text;
  return e;
}

const most = 8; // stretches shown for each kind of doubt
const percent = (x: number) => (x > 0 && x < 0.01 ? '< 1 %' : `${Math.round(100 * x)} %`);

function figures(q: Quality): [string, string, string][] {
  return [
    ['Jitter', q.jitter.toFixed(1), 'mean third derivative of the joints, 10 m/s³'],
    ['Foot sliding', `${q.foot_sliding_mm.toFixed(1)} mm`, 'way of feet in contact per 1/30 s'],
    ['Feet in contact', percent(q.contact_share), 'share of the frames'],
    ['Reprojection', q.reprojection_px === null ? '–' : `${q.reprojection_px.toFixed(1)} px`, 'distance of the body from the keypoints in the picture'],
    ['Tracking confidence', q.confidence.toFixed(2), 'mean over the keypoints'],
    ['Gaps', q.gaps ? `${q.gaps}, longest ${q.longest_gap_frames}` : 'none', 'stretches of frames in which the person was not seen'],
    ['Frames to distrust', percent(q.distrust_share), ''],
  ];
}

export class Panel {
  constructor(
    private readonly root: HTMLElement,
    private readonly data: Data,
    private readonly onSeek: (frame: number) => void,
    private readonly picture: () => Promise<Blob | null>,
  ) {}

  show(person: number, colour: string): void {
    const m = this.data.people[person], q = m.quality;
    const title = element('h2');
    const dot = element('span', 'dot');
    dot.style.cssText = `width:11px;height:11px;border-radius:9px;background:${colour}`;
    title.append(dot, `Person ${m.id}`);
    this.root.replaceChildren(title);
    if (q) {
      title.append(element('span', `verdict ${q.verdict}`, q.verdict));
      const list = element('dl', 'figures');
      for (const [name, value, why] of figures(q)) {
        const term = element('dt', '', name);
        term.title = why;
        list.append(term, element('dd', '', value));
      }
      this.root.append(list);
      this.doubts(q);
    } else this.root.append(element('p', 'note', 'No quality report: the results are of an older version.'));
    this.exports(m);
  }

  // One entry for each kind of doubt: what it means, and buttons to its frames.
  private doubts(q: Quality): void {
    if (!q.distrust.length) return;
    this.root.append(element('h3', '', 'Look closely at'));
    for (const reason of new Set(q.distrust.map((s) => s.reason))) {
      const all = q.distrust.filter((s) => s.reason === reason), box = element('div', 'doubts');
      for (const s of all.slice(0, most)) {
        const button = element('button', '', s.first_frame === s.last_frame ? `${s.first_frame}` : `${s.first_frame}–${s.last_frame}`);
        button.title = `To frame ${s.first_frame}`;
        button.addEventListener('click', () => this.onSeek(s.first_frame));
        box.append(button);
      }
      if (all.length > most) box.append(element('span', '', `and ${all.length - most} more`));
      this.root.append(box, element('p', 'note', all[0].words));
    }
  }

  private exports(m: Motion): void {
    this.root.append(element('h3', '', 'Save as'));
    const box = element('div', 'exports');
    const stem = `person-${m.id}`;
    const add = (label: string, why: string, work: () => void) => {
      const button = element('button', '', label);
      button.title = why;
      button.dataset.export = label.toLowerCase();
      button.addEventListener('click', work);
      box.append(button);
    };
    add('BVH', 'Skeleton and motion for Blender, Maya, Unity, …: cm, y up', () => save(`${stem}.bvh`, bvh(m)));
    add('CSV', 'Joints in the world, m, one row per frame', () => save(`${stem}.csv`, csv(m), 'text/csv'));
    add('NPZ', 'The motion file: SMPL-X parameters, joints, contacts', () => save(`${stem}.npz`, npz(m)));
    add('JSON', 'Parameters and joints', () => save(`${stem}.json`, json(m), 'application/json'));
    add('Scene', 'scene.json: people, camera path, quality', () => save('scene.json', this.data.sceneText, 'application/json'));
    add('Picture', 'What is on the screen, PNG', () => void this.picture().then((b) => b && save('view.png', b)));
    this.root.append(box);
  }
}
