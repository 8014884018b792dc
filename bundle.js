/**
 * Packs what `tsc` has compiled of the command line, its worker threads and their dependencies into a few files, in place
 * of dist/cli/main.js: Node resolves, reads and links each module by itself, some 500 of them on three threads, before a
 * short run can begin (docs/decisions.md). The library (dist/index.js) stays as it is compiled.
 *
 * A dynamic import of a CommonJS package has no named exports in here: import such packages statically.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const FOLDER = 'dist/cli';
const entryPoints = {
  main: 'dist/cli/main.js',
  'lane-worker': 'dist/engine/lane-worker.js',
  'prepare-worker': 'dist/mix/prepare-worker.js',
};

for (const name of readdirSync(FOLDER)) if (name.startsWith('chunk-')) rmSync(join(FOLDER, name));
const { metafile } = await build({
  entryPoints,
  outdir: FOLDER,
  allowOverwrite: true,
  bundle: true,
  splitting: true,
  chunkNames: 'chunk-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // They find native code and vocabularies beside themselves.
  external: ['onnxruntime-node', 'tiktoken'],
  // Dependencies that are CommonJS still ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
});
// What npm does on installing it.
chmodSync(join(FOLDER, 'main.js'), 0o755);
writeFileSync(join(FOLDER, 'LICENSES.txt'), licences(Object.keys(metafile.inputs)));

/** Of the packages that parts of the bundle are from. */
function licences(inputs) {
  const folders = new Set(inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []));
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const text = ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'license', 'license.md', 'LICENCE', 'NOTICE', 'NOTICE.txt']
        .map((file) => join(folder, file))
        .filter((path) => existsSync(path))
        .map((path) => readFileSync(path, 'utf8').trim());
      return [`${name} ${version} (${license})`, ...text].join('\n\n');
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`);
}
