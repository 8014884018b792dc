/** One row of any source after normalizing, whatever schema it came in. */
export interface Sample {
  readonly content: SampleContent;
  /** BCP 47 tag (`el`, `zh-Hans`) as the source declares it; null when it declares none. */
  readonly language: string | null;
  readonly category: string | null;
  readonly origin: Origin;
}

export type SampleContent =
  | { readonly kind: 'messages'; readonly messages: readonly Message[]; readonly tools: readonly JsonObject[] | null }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tokens'; readonly inputIds: Int32Array };

/** Where a sample came from; carried unchanged into the mix. */
export interface Origin {
  /** The source's name in the recipe, e.g. `builtin:coding-agent` or `org/dataset`. */
  readonly source: string;
  readonly revision: string | null;
  readonly license: string | null;
  /** Stable within the source: the row's own id, else its position. */
  readonly recordId: string;
}

export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool';

export interface Message {
  readonly role: Role;
  readonly content: string | null;
  readonly reasoningContent?: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly toolCallId?: string;
  readonly name?: string;
}

export interface ToolCall {
  readonly id: string | null;
  readonly name: string;
  /** Parsed; sources that carry a JSON string are parsed when they are normalized. */
  readonly arguments: JsonObject;
}

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}
