// Bundles src/ into one HTML file without any reference to the outside: node build.mjs OUTPUT
import { build } from 'esbuild';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2];
if (!output) throw new Error('usage: node build.mjs OUTPUT.html');

const bundle = async (entry) => {
  const result = await build({
    entryPoints: [join(here, 'src', entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: ['chrome109', 'firefox113', 'safari16.4'],
    charset: 'ascii', // the page stays valid whatever encoding it is served with
    legalComments: 'eof', // three.js' licence notice
    logLevel: 'warning',
  });
  return result.outputFiles[0].text;
};

const put = (page, mark, text) => {
  if (!page.includes(mark)) throw new Error(`index.html lacks ${mark}`);
  return page.replace(mark, () => text);
};
let page = readFileSync(join(here, 'src', 'index.html'), 'utf8');
page = put(page, '/*style*/', await bundle('style.css'));
page = put(page, '/*script*/', await bundle('main.ts'));
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, page);
