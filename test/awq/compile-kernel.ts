import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';

const source = new URL('../../src/awq/kernel.as', import.meta.url);
const target = new URL('../../src/awq/kernel-binary.ts', import.meta.url);

/** Compiles src/awq/kernel.as and returns the text that src/awq/kernel-binary.ts must hold. */
export async function compileKernel(): Promise<string> {
  const { error, binary } = await compile(await readFile(source, 'utf8'));
  if (error !== null || binary === undefined) throw new Error('kernel.as does not compile', { cause: error });
  const lines =
    Buffer.from(binary)
      .toString('base64')
      .match(/.{1,110}/gu) ?? [];
  return `// Compiled from kernel.as by test/awq/compile-kernel.ts; do not edit.
export const KERNEL_BASE64 = [
${lines.map((line) => `  '${line}',`).join('\n')}
].join('');
`;
}

async function compile(text: string) {
  let binary: Uint8Array | undefined;
  const options = ['kernel.ts', '--outFile', 'kernel.wasm', '--runtime', 'stub', '--importMemory', '--noAssert'];
  const result = await main([...options, '--optimizeLevel', '3', '--converge', '--enable', 'simd'], {
    readFile: (name) => (name === 'kernel.ts' ? text : null),
    writeFile: (name, contents) => {
      if (name === 'kernel.wasm' && typeof contents !== 'string') binary = contents;
    },
    listFiles: () => [],
  });
  return { error: result.error, binary };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(target, await compileKernel());
