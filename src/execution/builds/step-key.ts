/** What a step was looked up by, part by part, in a form that is kept: so that a later build can say which part is another one by then. */
import * as v from 'valibot';
import { parseCacheKey, type CacheKey, type KeyInput, type KeyParts } from '#execution/cache/key.ts';
import { shownStage, type Vertex } from '#formats/graph/vertex.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import { hiderFor, splitVariable } from './hide.ts';

/** Members of an op by name. */
export type OpMembers = Readonly<Record<string, Json>>;

export type StepKey = {
  /** The definition key. */
  readonly key: CacheKey;
  /** What stands for the step's result in the keys of what is built on it. */
  readonly recordKey: CacheKey;
  /** As shown while it runs. */
  readonly text: string;
  /** As it stands in the Dockerfile; null for what no instruction made. */
  readonly written: string | null;
  readonly stage: string | null;
  readonly step: number | null;
  /** What the op contributes to the key: its digest, for an image one of its layers. */
  readonly base: Digest;
  /** Without secrets. */
  readonly op: OpMembers;
  /** What each input contributes to the definition key. */
  readonly inputs: readonly KeyInput[];
  /** The digest of what is read of each input, where that was found out. */
  readonly contents: readonly (CacheKey | null)[];
  readonly argumentNames: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly platform: string | null;
  /** How long it ran, in milliseconds; 0 when it did not. */
  readonly cost: number;
  /** The log of what it wrote when it ran (`logs.ts`). */
  readonly log: string | null;
};

export type FoundKey = Pick<StepKey, 'key' | 'recordKey' | 'cost' | 'log'>;

/** `lookedUpBy`: the parts of the definition key, then those of the content key where there is one. undefined for a step that has no key. */
export function stepKeyOf({ op, label }: Vertex, [parts, read]: readonly KeyParts[], found: FoundKey): StepKey | undefined {
  if (parts === undefined) return undefined;
  const variables = label.variables ?? {};
  const hide = hiderFor(op, variables);
  const members: OpMembers = op;
  const kept: Record<string, Json> = {};
  for (const [name, member] of Object.entries(members)) kept[name] = hide.json(member);
  if (op.kind === 'exec') kept['environment'] = op.environment.map((entry) => hideEntry(entry, hide.value));
  return {
    ...found,
    text: hide.text(label.text),
    written: label.written ?? null,
    stage: shownStage(label) ?? null,
    step: label.step ?? null,
    base: parts.base,
    op: kept,
    inputs: parts.inputs,
    contents: parts.inputs.map((input, index) => contentOf(read?.inputs[index]) ?? contentOf(input)),
    argumentNames: label.argumentNames ?? [],
    variables: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, hide.value(name, value)])),
    platform: label.platform ?? null,
  };
}

function hideEntry(entry: string, hide: (name: string, value: string) => string): string {
  const [name, value] = splitVariable(entry);
  return `${name}=${hide(name, value)}`;
}

function contentOf(input: KeyInput | undefined): CacheKey | null {
  return input !== undefined && 'content' in input ? input.content : null;
}

const cacheKeyText = v.pipe(v.string(), v.transform(parseCacheKey));
const json: v.GenericSchema<Json> = v.lazy(() =>
  v.union([v.null(), v.boolean(), v.number(), v.string(), v.array(json), v.record(v.string(), json)]),
);
const schema = v.object({
  key: cacheKeyText,
  recordKey: cacheKeyText,
  text: v.string(),
  written: v.nullable(v.string()),
  stage: v.nullable(v.string()),
  step: v.nullable(v.number()),
  base: v.pipe(v.string(), v.transform(parseDigest)),
  op: v.record(v.string(), json),
  inputs: v.array(v.union([v.object({ result: cacheKeyText }), v.object({ content: cacheKeyText })])),
  contents: v.array(v.nullable(cacheKeyText)),
  argumentNames: v.array(v.string()),
  variables: v.record(v.string(), v.string()),
  platform: v.nullable(v.string()),
  cost: v.number(),
  log: v.nullable(v.string()),
});

export function printStepKey(key: StepKey): string {
  return JSON.stringify(key);
}

/** undefined for a text that another version wrote: it is only a memory. */
export function readStepKey(text: string): StepKey | undefined {
  return toStepKey(JSON.parse(text));
}

/** undefined for what has not the form of one. */
export function toStepKey(value: unknown): StepKey | undefined {
  const read = v.safeParse(schema, value);
  return read.success ? read.output : undefined;
}
