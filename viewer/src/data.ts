// What the page holds: scene.json, the archive of motions and bodies, the video. See src/pipeline/view.h.
import { allJoints, confidences, speeds, type Motion, type Quality } from './motion';
import { readNpz, type NpArray } from './npz';

interface SceneFile {
  version?: string;
  video?: { file?: string; width?: number; height?: number; fps?: number };
  people?: { id?: number; first_frame?: number; last_frame?: number; quality?: Quality }[];
  camera?: { static?: boolean; focal_px?: number; R_w2c?: number[][]; t_w2c?: number[][] };
}

export interface Data {
  scene: SceneFile;
  sceneText: string;
  people: Motion[];
  frames: number;
  times: Float64Array; // [frames] s, from 0
  faces: Uint16Array | Int32Array;
  bones: Uint8Array;
  weights: Uint8Array;
  width: number; // of the video, px
  height: number;
  video: string | null; // where it can be played from
  camera: CameraPath | null;
}

export interface CameraPath {
  still: boolean;
  R(frame: number): number[]; // 9, x_camera = R x_world + t
  t(frame: number): number[]; // 3
}

const textOf = (id: string) => document.getElementById(id)?.textContent ?? '';

function fromBase64(text: string): Uint8Array {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

function findVideo(): string | null {
  const element = document.getElementById('video-data');
  if (!element) return null;
  const file = element.dataset.file;
  if (file) return encodeURIComponent(file); // beside the page
  const bytes = fromBase64(element.textContent ?? '');
  element.textContent = '';
  return URL.createObjectURL(new Blob([bytes as BlobPart], { type: 'video/mp4' }));
}

function cameraPath(scene: SceneFile): CameraPath | null {
  const R = scene.camera?.R_w2c ?? [], t = scene.camera?.t_w2c ?? [];
  if (!R.length || R.length !== t.length) return null;
  const clamp = (f: number) => Math.max(0, Math.min(f, R.length - 1));
  return { still: R.length === 1, R: (f) => R[clamp(f)], t: (f) => t[clamp(f)] };
}

function motionOf(pack: Map<string, NpArray>, id: number, frames: number, quality: Quality | null): Motion {
  const get = (name: string) => {
    const array = pack.get(`${id}/${name}`);
    if (!array) throw new Error(`person ${id} lacks ${name}`);
    return array.data;
  };
  const frameIndex = get('frame_index') as Int32Array;
  const m = {
    id, frames: frameIndex.length, frameIndex, quality,
    rest: get('rest'), surface: get('surface'), unit: get('unit')[0], betas: get('betas'), bodyPose: get('body_pose'),
    orient: get('global_orient'), transl: get('transl'), orientIncam: get('global_orient_incam'),
    translIncam: get('transl_incam'), staticProb: get('static_prob'), K: get('K_fullimg'), lens: pack.get(`${id}/lens`)?.data ?? null, R: get('R_w2c'),
    box: get('bbx_xys'), kp2d: get('kp2d'), reprojection: get('reprojection_px'), time: get('time_sec'),
    fps: get('fps')[0], width: get('width')[0], height: get('height')[0], rowOf: new Int32Array(frames).fill(-1),
  } as Motion;
  frameIndex.forEach((f, row) => f >= 0 && f < frames && (m.rowOf[f] = row));
  m.joints = allJoints(m, false);
  m.confidence = confidences(m);
  m.speed = speeds(m);
  return m;
}

export async function load(): Promise<Data> {
  const sceneText = textOf('scene-data');
  if (!sceneText) throw new Error('this is the empty viewer: `gvhmr view DIR` fills it');
  const scene = JSON.parse(sceneText) as SceneFile;
  const pack = await readNpz(fromBase64(textOf('pack-data')));
  const times = pack.get('times')!.data as Float64Array;
  const count = [...pack.keys()].filter((k) => k.endsWith('/body_pose')).length;
  const people = Array.from({ length: count }, (_, k) =>
    motionOf(pack, k + 1, times.length, scene.people?.[k]?.quality ?? null),
  );
  return {
    scene, sceneText, people, times, frames: times.length,
    faces: pack.get('faces')!.data as Uint16Array,
    bones: pack.get('bones')!.data as Uint8Array,
    weights: pack.get('weights')!.data as Uint8Array,
    width: people[0].width || scene.video?.width || 1280,
    height: people[0].height || scene.video?.height || 720,
    video: findVideo(),
    camera: cameraPath(scene),
  };
}
