// NumPy's .npz archives, read and written. Writing stores without compression.

export type Numbers = Float32Array | Float64Array | Int32Array | Int16Array | Uint16Array | Uint8Array;
export interface NpArray {
  data: Numbers;
  shape: number[];
}

const readers: Record<string, (bytes: ArrayBuffer) => Numbers> = {
  '<f4': (b) => new Float32Array(b),
  '<f8': (b) => new Float64Array(b),
  '<i4': (b) => new Int32Array(b),
  '<i2': (b) => new Int16Array(b),
  '<u2': (b) => new Uint16Array(b),
  '|u1': (b) => new Uint8Array(b),
};

function parseNpy(name: string, bytes: Uint8Array): NpArray | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = bytes[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder('latin1').decode(bytes.subarray(0, start));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? '';
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '';
  if (!readers[type]) return null; // names and the like
  const data = readers[type](bytes.slice(start).buffer as ArrayBuffer);
  const extents = shape.split(',').map((s) => s.trim()).filter(Boolean).map(Number);
  if (extents.reduce((a, b) => a * b, 1) !== data.length) throw new Error(`${name}: shape and size disagree`);
  return { data, shape: extents };
}

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Members of types that are not numbers are stepped over.
export async function readNpz(bytes: Uint8Array): Promise<Map<string, NpArray>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error('not an archive');
  const out = new Map<string, NpArray>();
  let at = view.getUint32(end + 16, true);
  for (let i = view.getUint16(end + 10, true); i > 0; i--) {
    const method = view.getUint16(at + 10, true);
    const packed = view.getUint32(at + 20, true);
    const [nameLength, extra, comment] = [28, 30, 32].map((o) => view.getUint16(at + o, true));
    const local = view.getUint32(at + 42, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const raw = bytes.subarray(from, from + packed);
    const array = parseNpy(name, method === 8 ? await inflate(raw) : raw);
    if (array) out.set(name.replace(/\.npy$/, ''), array);
    at += 46 + nameLength + extra + comment;
  }
  return out;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = crcTable[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function npy(type: string, shape: number[], data: Uint8Array): Uint8Array {
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  let header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${extents}), }`;
  header += ' '.repeat(63 - ((header.length + 10) % 64)) + '\n';
  const out = new Uint8Array(10 + header.length + data.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  out.set(new TextEncoder().encode(header), 10);
  out.set(data, 10 + header.length);
  return out;
}

const bytesOf = (d: Numbers) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength);
const typeOf = (d: Numbers) =>
  d instanceof Float32Array ? '<f4'
  : d instanceof Float64Array ? '<f8'
  : d instanceof Int32Array ? '<i4'
  : d instanceof Int16Array ? '<i2'
  : d instanceof Uint16Array ? '<u2'
  : '|u1';

// Unicode strings, as numpy stores them: four bytes a letter, all of one length.
function npyStrings(strings: string[]): Uint8Array {
  const width = Math.max(...strings.map((s) => s.length));
  const letters = new Uint32Array(strings.length * width);
  strings.forEach((s, i) => [...s].forEach((c, j) => (letters[i * width + j] = c.codePointAt(0)!)));
  return npy(`<U${width}`, [strings.length], new Uint8Array(letters.buffer));
}

export function writeNpz(members: Record<string, NpArray | string[]>): Blob {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [key, value] of Object.entries(members)) {
    const name = new TextEncoder().encode(`${key}.npy`);
    const body = Array.isArray(value) ? npyStrings(value) : npy(typeOf(value.data), value.shape, bytesOf(value.data));
    const common = new DataView(new ArrayBuffer(26)); // the fields that both headers have
    common.setUint16(0, 20, true);
    common.setUint16(8, 0x21, true); // 1980-01-01
    common.setUint32(10, crc32(body), true);
    common.setUint32(14, body.length, true);
    common.setUint32(18, body.length, true);
    common.setUint16(22, name.length, true);
    const shared = new Uint8Array(common.buffer);
    parts.push(Uint8Array.of(0x50, 0x4b, 3, 4), shared, name, body);
    const place = new DataView(new ArrayBuffer(14));
    place.setUint32(10, at, true);
    directory.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), shared, new Uint8Array(place.buffer), name);
    at += 30 + name.length + body.length;
  }
  const count = Object.keys(members).length;
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, directory.reduce((n, d) => n + d.length, 0), true);
  end.setUint32(16, at, true);
  return new Blob([...parts, ...directory, new Uint8Array(end.buffer)] as BlobPart[], { type: 'application/zip' });
}
