import { mkdtempSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evenkeel, ROOT } from '../cli/run.js';

/** The commands of a page's shell blocks, in order, comments cut off. */
function commandsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return Array.from(text.matchAll(/^```sh\n([\s\S]*?)^```/gm), ([, block = '']) => block)
    .join('\n')
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line.startsWith('npx evenkeel '))
    .map((line) => line.slice('npx evenkeel '.length));
}

/** Needs an interrupted run, which test/cli makes. */
const NEEDS_MORE = /--resume/;

describe('the commands that the documentation shows', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-docs-'));
  for (const name of ['recipes', 'test', 'datasets']) symlinkSync(join(ROOT, name), join(folder, name));
  const pages = [
    'README.md',
    'docs/build.md',
    'docs/sources.md',
    'docs/language-identification.md',
    'docs/audit.md',
    'docs/quantize.md',
    'docs/recipe.md',
    'docs/evaluate.md',
    'docs/architectures.md',
  ];
  const commands = [...new Set(pages.flatMap(commandsOf))].filter((command) => !NEEDS_MORE.test(command));

  it('are found', () => expect(commands.length).toBeGreaterThan(6));

  it.each(commands)('evenkeel %s', { timeout: 300_000 }, async (command) => {
    const args = command.split(' ').flatMap((word) => (word.endsWith('*/') ? expand(folder, word) : [word]));
    const { code, stderr } = await evenkeel(['--quiet', ...args], { cwd: folder });
    expect(code, stderr).toBe(0);
  });

  it('link only to pages and files that are there', () => {
    const docs = readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`);
    for (const page of ['README.md', ...docs].filter((name) => name.endsWith('.md'))) {
      const text = readFileSync(join(ROOT, page), 'utf8');
      for (const [, target = ''] of text.matchAll(/\]\(((?!https?:|#)[^)#\s]+)/g)) {
        expect(() => readdirOrFile(join(ROOT, page, '..', target)), `${page} → ${target}`).not.toThrow();
      }
    }
  });
});

function expand(folder: string, pattern: string): string[] {
  const parent = pattern.slice(0, -'*/'.length);
  return readdirSync(join(folder, parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => parent + name);
}

function readdirOrFile(path: string): void {
  try {
    readdirSync(path);
  } catch {
    readFileSync(path);
  }
}
