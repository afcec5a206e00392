/** Which sources a build may use, and what others stand for them: BuildKit's source policy (sourcepolicy/pb/policy.proto, docs/build-repro.md). */
import * as v from 'valibot';
import { checkShape, parseJson, stringMap, type Document } from '#ground/base/decode.ts';
import { clean, JettisonError } from '#ground/base/errors.ts';
import type { Admit, NamedSource } from './admit.ts';

type Rule = {
  readonly action: (typeof actions)[number];
  readonly matches: (source: NamedSource) => boolean;
  readonly convert: (source: NamedSource) => NamedSource;
};

const actions = ['ALLOW', 'DENY', 'CONVERT'] as const;
const matchTypes = ['WILDCARD', 'EXACT', 'REGEX'] as const;
const conditions = ['EQUAL', 'NOTEQUAL', 'MATCHES'] as const;
const mostRules = 10_000;
/** BuildKit's: rules may lead in a circle. */
const mostConversions = 20;

const wordOf = <const T extends readonly string[]>(words: T) =>
  v.union([v.picklist(words), v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(words.length - 1))]);

const selectorShape = v.strictObject({
  identifier: v.string(),
  matchType: v.exactOptional(wordOf(matchTypes)),
  match_type: v.exactOptional(wordOf(matchTypes)),
  constraints: v.exactOptional(
    v.array(v.strictObject({ key: v.string(), value: v.exactOptional(v.string()), condition: v.exactOptional(wordOf(conditions)) })),
  ),
});

const policyShape = v.strictObject({
  version: v.exactOptional(v.picklist([0, 1])),
  rules: v.pipe(
    v.array(
      v.strictObject({
        action: v.exactOptional(wordOf(actions)),
        selector: selectorShape,
        updates: v.exactOptional(v.strictObject({ identifier: v.exactOptional(v.string()), attrs: v.exactOptional(stringMap()) })),
      }),
    ),
    v.maxLength(mostRules),
  ),
});

type RuleText = v.InferInput<typeof policyShape>['rules'][number];

/** Reads a policy in BuildKit's JSON. `name` is for messages. Throws `frontend/bad-policy`, also for a member that it does not know. */
export function readSourcePolicy(bytes: Uint8Array, name: string): Admit {
  const document: Document = { what: `the source policy "${name}"`, code: 'frontend/bad-policy', limit: 1 << 20 };
  const { rules } = checkShape(parseJson(bytes, document), policyShape, document);
  const read = rules.map((rule, index) => readRule(rule, `rule ${index + 1} of "${name}"`));
  return (source) => {
    let current = source;
    for (let conversions = 0; conversions <= mostConversions; conversions++) {
      const converted = applyRules(read, current, name);
      if (converted === undefined) return current;
      current = converted;
    }
    throw new JettisonError(
      'frontend/bad-conversion',
      `too many mutations on a single source: the rules for "${clean(source.identifier)}" lead in a circle`,
      {
        hint: `Look at the CONVERT rules of "${name}"`,
      },
    );
  };
}

/** The source that a rule made of this one, from which all begins anew; undefined when it may be used as it is. Of ALLOW and DENY the last one counts. */
function applyRules(rules: readonly Rule[], source: NamedSource, name: string): NamedSource | undefined {
  let denied: number | undefined;
  for (const [index, rule] of rules.entries()) {
    if (!rule.matches(source)) continue;
    if (rule.action !== 'CONVERT') denied = rule.action === 'DENY' ? index + 1 : undefined;
    else {
      const converted = rule.convert(source);
      if (!isSame(converted, source)) return converted;
    }
  }
  if (denied === undefined) return undefined;
  throw new JettisonError('frontend/source-denied', `source "${source.identifier}" denied by policy`, {
    hint: `Rule ${denied} of "${name}" denies it, and no later rule allows it`,
  });
}

function isSame(one: NamedSource, other: NamedSource): boolean {
  const keys = Object.keys(one.attributes);
  return one.identifier === other.identifier && keys.every((key) => one.attributes[key] === other.attributes[key]);
}

function readRule({ action = 'ALLOW', selector, updates }: RuleText, place: string): Rule {
  const word = pick(actions, action);
  if (word === 'CONVERT' && updates === undefined) throw bad(place, 'missing destination for convert rule');
  if (selector.matchType !== undefined && selector.match_type !== undefined) throw bad(place, '"matchType" and "match_type" are one thing');
  const pattern = patternOf(selector.identifier, pick(matchTypes, selector.matchType ?? selector.match_type ?? 'WILDCARD'), place);
  const constraints = (selector.constraints ?? []).map(({ key, value = '', condition = 'EQUAL' }) => {
    const how = pick(conditions, condition);
    const expression = how === 'MATCHES' ? compile(value, place) : undefined;
    return ({ attributes }: NamedSource): boolean => {
      const found = attributes[key] ?? '';
      return expression === undefined ? (found === value) === (how === 'EQUAL') : expression.test(found);
    };
  });
  return {
    action: word,
    matches: (source) =>
      constraints.every((holds) => holds(source)) && (source.identifier === selector.identifier || pattern.test(source.identifier)),
    convert: ({ identifier, attributes }) => ({
      identifier: updates?.identifier === undefined ? identifier : replace(identifier, pattern, updates.identifier),
      attributes: { ...attributes, ...updates?.attrs },
    }),
  };
}

function pick<const T extends readonly string[]>(words: T, word: T[number] | number): T[number] {
  return typeof word === 'number' ? (words[word] ?? words[0] ?? word.toString()) : word;
}

function patternOf(identifier: string, type: (typeof matchTypes)[number], place: string): RegExp {
  if (type === 'REGEX') return compile(identifier, place);
  const quoted = identifier.replaceAll(/[\\^$.|?+()[\]{}]/gu, String.raw`\$&`);
  if (type === 'EXACT') return compile(`^${quoted.replaceAll('*', String.raw`\*`)}$`, place);
  if (identifier.includes('**')) throw bad(place, 'invalid wildcard: "**"');
  return compile(`^${quoted.replaceAll('*', '(.*)')}$`, place);
}

/** Go's expressions, as far as they are the same here: named groups, and punctuation that is quoted though it need not be. */
function compile(text: string, place: string): RegExp {
  const [, flags = '', rest = ''] = /^(?:\(\?([is]+)\))?(.*)$/su.exec(text) ?? [];
  const own = rest
    .replaceAll('(?P<', '(?<')
    .replaceAll(/\\([!"#%&',:;<=>@_`~-])/gu, (_, mark: string) => (mark === '-' ? String.raw`\x2d` : mark));
  try {
    return new RegExp(own, `u${flags}`);
  } catch (error) {
    throw bad(place, `cannot read the expression "${text.slice(0, 200)}"`, error);
  }
}

/** `$1`, `${1}` and `${name}` in `destination` stand for what the stars or groups of the pattern found. */
function replace(identifier: string, pattern: RegExp, destination: string): string {
  const expand = (found: RegExpExecArray): string =>
    destination.replaceAll(/\$(?:\$|\{(\w+)\}|(\w+))/gu, (whole, braced?: string, plain?: string) => {
      if (whole === '$$') return '$';
      const name = braced ?? plain ?? '';
      return (/^\d+$/u.test(name) ? found[Number(name)] : found.groups?.[name]) ?? '';
    });
  const found = pattern.exec(identifier);
  // Without a match the selector was the identifier itself, letter by letter.
  if (found === null) return destination;
  return identifier.slice(0, found.index) + expand(found) + identifier.slice(found.index + found[0].length);
}

function bad(place: string, why: string, cause?: unknown): JettisonError {
  return new JettisonError('frontend/bad-policy', `Cannot use ${place}: ${why}`, { cause });
}
