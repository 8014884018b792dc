const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const LANGUAGES = new Intl.DisplayNames('en', { type: 'language', fallback: 'code' });

/** 49152 → `49,152`. */
export function count(value: number): string {
  return COUNT.format(value);
}

/** 0.0421 → `4.2 %`, with a space that does not break and a minus that is one. */
export function percent(part: number): string {
  return `${(part * 100).toFixed(1)}\u00a0%`.replace('-', '−');
}

/** Four significant digits at most, without exponents where they would not help. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  return size >= 1000 ? count(value) : String(Number(value.toPrecision(3)));
}

/** Divergences read best in thousandths of a nat. */
export function milliNats(kl: number): string {
  return (kl * 1000).toFixed(1);
}

/** `el` → `Greek`; a tag that is not BCP 47 stays as it is. */
export function languageName(tag: string): string {
  try {
    return tag === 'und' ? 'undetermined' : (LANGUAGES.of(tag) ?? tag);
  } catch {
    return tag;
  }
}

/** `one, two and three`. */
export function listing(items: readonly string[], word = 'and'): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${word} ${items.at(-1)!}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Control characters would steer a terminal or break a table: names in a data set are not to be trusted. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '�');
}
