/** Credentials that announce themselves by their form, with their issuers' own prefixes. */
const SECRETS: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: 'AWS access key', pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/gu },
  { name: 'GitHub token', pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b/gu },
  { name: 'GitLab token', pattern: /\bglpat-[\w-]{20,}/gu },
  { name: 'Hugging Face token', pattern: /\bhf_[A-Za-z]{30,}\b/gu },
  { name: 'OpenAI key', pattern: /\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}\b/gu },
  { name: 'Anthropic key', pattern: /\bsk-ant-[\w-]{32,}/gu },
  { name: 'Slack token', pattern: /\bxox[abprs]-[\w-]{20,}/gu },
  { name: 'Stripe key', pattern: /\b[rs]k_live_[A-Za-z0-9]{20,}\b/gu },
  { name: 'Google API key', pattern: /\bAIza[\w-]{35}\b/gu },
  { name: 'npm token', pattern: /\bnpm_[A-Za-z0-9]{36}\b/gu },
  { name: 'PyPI token', pattern: /\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}/gu },
  { name: 'JSON Web Token', pattern: /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}/gu },
  { name: 'private key', pattern: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]{100,}/gu },
  { name: 'password in a URL', pattern: /\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]{1,64}:[^\s:/@]{6,64}@[\w.-]+/gu },
];

/** What any of them must contain: most texts are let off with one search. */
const QUICK =
  /AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox|k_live_|AIza|npm_|pypi-|eyJ|PRIVATE KEY|:\/\/[^\s/]*:[^\s/]*@/u;

/** Words by which documentation marks a stand-in. */
const PLACEHOLDER =
  /example|sample|dummy|your|placeholder|xxxx|0000|1234567|abcdef|redacted|<|\*\*\*|secret|password|changeme/iu;

/** Bits per character that random keys exceed and words do not. */
const LEAST_ENTROPY = 3;

/** Kinds of secrets in a text; placeholders of documentation are not counted. The secret itself is never repeated. */
export function findSecrets(text: string): string[] {
  if (!QUICK.test(text)) return [];
  return SECRETS.filter(({ pattern }) => {
    // Every match: a stand-in out of the documentation often comes before the real one.
    const matches = [...text.matchAll(pattern)];
    return matches.some(([match]) => !PLACEHOLDER.test(match) && entropy(match) >= LEAST_ENTROPY);
  }).map(({ name }) => name);
}

function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
