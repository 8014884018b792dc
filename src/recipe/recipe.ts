import type { JsonObject } from '../data/sample.js';
import type { Runtime } from '../checkpoint/runtime-limits.js';
import type { Location } from '../errors.js';
import type { OverflowRule } from '../mix/windows.js';
import type { EncodingName } from '../text/tokenizer.js';

/** A recipe with every default filled in and every path resolved; design §8. */
export interface Recipe {
  /** The file it was read from. */
  readonly file: string;
  /** null for a mix that is built without a model. */
  readonly model: ModelReference | null;
  readonly mix: MixRecipe;
  readonly balance: BalanceRecipe;
  readonly quantize: QuantizeRecipe;
  /** null: the quantized model is not compared with its original. */
  readonly evaluate: EvaluateRecipe | null;
  /** Absolute path of the output folder. */
  readonly output: string;
  /** What an import of another tool's file mended or left without effect, each with its place. */
  readonly notes: readonly RecipeNote[];
  /** Where a setting stands, for errors found later: `locate(['model'])`. */
  readonly locate: (path: readonly (string | number)[]) => Location;
}

export interface RecipeNote {
  readonly message: string;
  readonly location: Location;
}

export type ModelReference =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'hub'; readonly repository: string; readonly revision: string };

export interface MixRecipe {
  readonly seed: number;
  /** Token budget; null takes everything. */
  readonly tokens: number | null;
  readonly sequenceLength: number;
  readonly overflow: OverflowRule;
  /** In place of a model's tokenizer. */
  readonly tokenizer: EncodingName | null;
  /** Absolute path of a template file in place of the model's own. */
  readonly chatTemplate: string | null;
  readonly template: string | null;
  /** Of `template`, for the error when the model has none of that name. */
  readonly templateLocation?: Location;
  readonly templateArguments: JsonObject;
  readonly templateDate: string | null;
  readonly sources: readonly SourceRecipe[];
  /** Relative weights by canonical language tag; `default` among them when set. */
  readonly languages: ReadonlyMap<string, number>;
  readonly clean: CleanRecipe;
}

export interface SourceRecipe {
  /** What the mix calls it; unique within the recipe. */
  readonly name: string;
  /** `builtin:NAME`, an absolute path, or a Hub id without its revision. */
  readonly dataset: string;
  readonly kind: 'builtin' | 'file' | 'hub';
  readonly revision: string | null;
  readonly subset: string | null;
  readonly split: string | null;
  readonly columns: readonly string[] | null;
  /** A message schema's name, or `auto`. */
  readonly format: string;
  readonly samples: number | 'all';
  readonly weight: number;
  readonly language: string | null;
  readonly category: string | null;
  readonly license: string | null;
  readonly onError: 'fail' | 'skip';
  /** Set by an imported calibration set: what its formatter does to a row. */
  readonly formatter: FormatterRecipe | null;
  readonly location: Location;
}

/** A formatter of a `calibration_set:` file; see `formatter.ts`. */
export interface FormatterRecipe {
  readonly name: string;
  readonly prefix: string | null;
}

export type Gate = 'drop' | 'report' | 'off';

export interface CleanRecipe {
  readonly exactDuplicates: Gate;
  readonly nearDuplicates: Gate;
  /** Estimated Jaccard similarity of character shingles from which two rows count as the same. */
  readonly nearDuplicateSimilarity: number;
  readonly degenerate: Gate;
  readonly replacementCharacters: Gate;
  readonly secrets: Gate;
  readonly contamination: { readonly lists: readonly string[]; readonly ngram: number; readonly action: Gate };
  readonly languages: Gate;
}

/** How a mix is judged, and chosen anew where it does not hold. */
export interface BalanceRecipe {
  /** Routed tokens that every cell must have. */
  readonly floor: number;
  /** Least tokens by language or channel; `length`: least median of tokens per sequence. */
  readonly floors: Readonly<Record<string, number>>;
  /** Candidates to choose among, in budgets. */
  readonly pool: number;
  readonly multiple: number;
  /** Worth of a layer's cells, for ranges of layers; the narrowest that holds a layer counts. */
  readonly layerWeights: readonly LayerWeight[];
  /** By canonical language tag. */
  readonly languages: Readonly<Record<string, QuotaRecipe>>;
  readonly categories: Readonly<Record<string, QuotaRecipe>>;
  /** Source → ids of its rows that are in the mix whatever the draw. */
  readonly mustInclude: ReadonlyMap<string, ReadonlySet<string>>;
  readonly qualityGate: boolean;
  /** Tokens of every candidate that are run to choose by; null for all. */
  readonly prefix: number | null;
}

export interface QuotaRecipe {
  readonly least?: number;
  readonly most?: number;
}

export interface LayerWeight {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  readonly weight: number;
}

/** Held-out text, and what is measured on it. */
export interface EvaluateRecipe {
  readonly mix: MixRecipe;
  readonly baseline: boolean;
}

/** Integer weights, as `src/awq/scheme.ts` has them. */
export interface SchemeRecipe {
  readonly bits: 4 | 8;
  readonly symmetric: boolean;
  readonly groupSize: number | 'channel';
}

export interface QuantizeRecipe {
  readonly scheme: SchemeRecipe;
  /** Modules with another scheme; the first whose targets match wins. */
  readonly groups: readonly { readonly targets: readonly string[]; readonly scheme: SchemeRecipe }[];
  /** Modules to quantize at all: names, `re:` patterns, or `Linear` for every one. */
  readonly targets: readonly string[];
  readonly experts: 'routed' | 'shrink' | 'all';
  readonly shrinkage: number;
  readonly grid: number;
  readonly duoScaling: boolean | 'both';
  readonly clip: boolean;
  readonly signedScales: boolean;
  readonly rounding: 'nearest' | 'gptq';
  readonly followDrift: boolean;
  readonly sweeps: number;
  readonly damping: number;
  /** In which error feedback visits columns: by falling weight of their inputs, or as they are stored. */
  readonly columnOrder: 'diagonal' | 'stored';
  readonly ignore: readonly string[];
  readonly format: 'compressed-tensors' | 'autoawq';
  /** Software that must load the checkpoint; empty: a run says what some will not load, and goes on. */
  readonly runtimes: readonly Runtime[];
  /** Smoothing edges that an imported recipe asks for, none if empty; null means all that the architecture declares. */
  readonly mappings: readonly MappingRecipe[] | null;
  /** Where entries of `ignore` and of the groups' targets stand, for errors that only the model shows. */
  readonly locations: ReadonlyMap<string, Location>;
}

export interface MappingRecipe {
  readonly smoothLayer: string;
  readonly balanceLayers: readonly string[];
  readonly location: Location;
}
