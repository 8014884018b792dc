import { readFileSync } from 'node:fs';
import { Index } from './search.js';

const items = JSON.parse(readFileSync(new URL('../items.json', import.meta.url), 'utf8'));
const found = new Index(items).find(process.argv.slice(2).join(' '));
for (const item of found) console.log(`${item.id}\t${item.name}\t${item.kind}`);
console.log(`${found.length}件`);
