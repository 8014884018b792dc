/** Colours of one theme; ramps run from low to high. Blue against orange stays apart for every kind of colour sight. */
export interface Palette {
  readonly fed: readonly string[];
  readonly under: readonly string[];
  readonly error: readonly string[];
  readonly empty: string;
  readonly none: string;
  readonly ink: string;
  readonly faint: string;
  readonly mark: string;
}

export const LIGHT: Palette = {
  fed: ['#cfe2f3', '#6aa5d8', '#1f66a8', '#08294f'],
  under: ['#c2410c', '#f7b267'],
  error: ['#fdf0dc', '#f2a154', '#b4430c', '#5c1a02'],
  empty: '#8f1212',
  none: '#eceef1',
  ink: '#1c2430',
  faint: '#5b6675',
  mark: '#ffffff',
};

export const DARK: Palette = {
  fed: ['#1c3b5c', '#2f6ea8', '#6db3ee', '#d6ecff'],
  under: ['#f2541b', '#ffc173'],
  error: ['#2b2320', '#8a4413', '#f08a3c', '#ffe3c2'],
  empty: '#ff5a4f',
  none: '#20262e',
  ink: '#e7ecf2',
  faint: '#9aa7b6',
  mark: '#101418',
};

/** Channels in the order of CHANNELS; each pair is light, dark. */
export const CHANNEL_COLORS: readonly (readonly [light: string, dark: string])[] = [
  ['#7a5195', '#b78fd6'],
  ['#2a7f9e', '#5cb8d9'],
  ['#3b6fb6', '#7ca8ea'],
  ['#4c9a5a', '#79c98a'],
  ['#c77a1f', '#f0ad57'],
  ['#7b8490', '#9aa4b0'],
];
