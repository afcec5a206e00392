/** Keeps the secret values of one build out of what it makes and shows: which bytes no layer may hold, what no document may say, and `***` in every text. */
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import type { ProgressEvent, Report, VertexOutput } from '#formats/progress/event.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { createNeedleSearch, type Needle } from '#ground/base/needles.ts';
import { linesOf, type Span } from '#ground/base/span.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import { hiddenTexts, needlesOf, type SecretValue } from './secret-forms.ts';

export type SecretGuard = {
  /** From now on these are kept out, too. */
  watch(values: Iterable<SecretValue>): void;
  /** What may not stand in a layer; none where there is nothing to look for. */
  needles(): readonly Needle[];
  readonly mask: (text: string) => string;
  /** An error whose texts are masked. */
  maskError(error: JettisonError): JettisonError;
  /** A report that masks all but output, which is cut at any place: `hideOutput` is for that. */
  maskReport(report: Report): Report;
  /** For what the processes of one step print; call `flush` when it is over. A value is found wherever chunks are cut: what may be its beginning is held back. */
  hideOutput(report: Report): { readonly report: Report; readonly flush: () => void };
  /** Throws `engine/secret-in-build` when a value stands in a step or in the config of the image to be; `source` is the Dockerfile. */
  checkDraft(drafted: FrontendResult, source: SourceText): void;
  /** The same for what was typed beside it: names and values by what they were given for. */
  checkGiven(given: Readonly<Record<string, readonly string[]>>): void;
  /** The same for a document that stands beside the image: every text in it. */
  checkDocument(place: string, document: unknown): void;
};

type SourceText = { readonly name: string; readonly text: string };

const mask = '***';

/**
 * `allowed`: ids of values that may be in an image (they are masked all the same). `passwords`: what registries have been shown so far, by host; asked anew each time.
 */
export function createSecretGuard(allowed: ReadonlySet<string>, passwords: () => ReadonlyMap<string, string>): SecretGuard {
  const values: SecretValue[] = [];
  const known = new Set<string>();
  let needles: readonly Needle[] = [];
  let texts: readonly string[] = [];

  const watch: SecretGuard['watch'] = (more) => {
    const before = values.length;
    values.push(...more);
    if (values.length === before) return;
    const kept = values.filter(({ id }) => !allowed.has(id));
    needles = kept.flatMap(needlesOf);
    texts = hiddenTexts(values);
  };
  const update = (): void => {
    const shown = passwords();
    if (shown.size === known.size) return;
    const fresh = [...shown].filter(([host]) => !known.has(host));
    for (const [host] of fresh) known.add(host);
    watch(fresh.map(([host, password]) => ({ id: `registry:${host}`, bytes: new TextEncoder().encode(password) })));
  };
  const hide = (text: string): string => {
    update();
    return texts.reduce((all, value) => all.replaceAll(value, mask), text);
  };
  const current = (): readonly Needle[] => {
    update();
    return needles;
  };
  const searcher = (): ((text: string) => Needle | undefined) | undefined => {
    if (current().length === 0) return undefined;
    const search = createNeedleSearch(needles);
    // No needle goes over the end of a text.
    return (text) => search.take(new TextEncoder().encode(`${text}\0`))?.needle;
  };

  return {
    watch,
    needles: current,
    mask: hide,
    maskError: (error) => {
      const { code, fault, hint, at, retryable, notes } = error;
      const message = hide(error.message);
      const hidden = { hint: hint === undefined ? undefined : hide(hint), notes: notes.map(hide) };
      if (message === error.message && hidden.hint === hint && hidden.notes.every((note, index) => note === notes[index])) return error;
      return new JettisonError(code, message, {
        fault,
        at,
        retryable,
        notes: hidden.notes,
        ...(hidden.hint === undefined ? {} : { hint: hidden.hint }),
      });
    },
    maskReport: (report) => (event) => report(event.kind === 'output' ? event : maskEvent(event, hide)),
    hideOutput: (report) => {
      update();
      return texts.length === 0 ? { report, flush: () => undefined } : hideTexts(texts, report);
    },
    checkDraft: (drafted, source) => {
      const find = searcher();
      if (find === undefined) return;
      for (const vertex of drafted.goal === undefined ? [] : neededFor(drafted.goal)) checkVertex(vertex, find);
      checkConfig(drafted, source, find);
    },
    checkDocument: (place, document) => {
      const find = searcher();
      const found =
        find &&
        textsIn(document)
          .map(find)
          .find((needle) => needle !== undefined);
      if (found !== undefined) throw standsIn(found, place, []);
    },
    checkGiven: (given) => {
      const find = searcher();
      if (find === undefined) return;
      for (const [place, words] of Object.entries(given)) {
        const found = words.map(find).find((needle) => needle !== undefined);
        if (found !== undefined) throw standsIn(found, place, []);
      }
    },
  };
}

function checkVertex({ op, label }: Vertex, find: (text: string) => Needle | undefined): void {
  for (const text of [...textsIn(op), ...textsIn(label.variables), label.text]) {
    const needle = find(text);
    if (needle !== undefined) throw standsIn(needle, 'this step', label.at ?? []);
  }
}

function checkConfig({ imageConfig }: FrontendResult, source: SourceText, find: (text: string) => Needle | undefined): void {
  const { history, ...rest } = imageConfig;
  const { Env = [], Labels = {}, ...config } = rest.config ?? {};
  for (const entry of Env) {
    const needle = find(entry);
    const name = entry.slice(0, entry.indexOf('='));
    if (needle !== undefined) throw standsIn(needle, `the variable ${name} of the image`, placeOf(source, 'ENV', name));
  }
  for (const [name, value] of Object.entries(Labels ?? {})) {
    const needle = find(name) ?? find(value);
    if (needle !== undefined) throw standsIn(needle, `the label "${name}"`, placeOf(source, 'LABEL', name));
  }
  for (const [place, part] of Object.entries({ ...rest, ...config, history })) {
    const needle = textsIn(part)
      .map(find)
      .find((found) => found !== undefined);
    if (needle !== undefined) throw standsIn(needle, `"${place}" of the image's config`, []);
  }
}

/** Every text in a value, names of members too. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return [];
  if (Array.isArray(value)) return value.flatMap((item: unknown) => textsIn(item));
  return Object.entries(value).flatMap(([name, member]) => [name, ...textsIn(member)]);
}

/** The last line on which such an instruction, or a line that goes on with it, has this word. */
function placeOf({ name: file, text }: SourceText, instruction: string, word: string): readonly Span[] {
  let isInside = false;
  let goesOn = false;
  let found: Span | undefined;
  linesOf(text).forEach((line, index) => {
    isInside = goesOn ? isInside : line.toUpperCase().match(/^\s*(\w+)(?:\s|\\|$)/u)?.[1] === instruction;
    goesOn = line.trimEnd().endsWith('\\');
    const at = isInside ? line.indexOf(word) : -1;
    if (at >= 0) found = { file, start: { line: index + 1, column: 1 }, end: { line: index + 1, column: line.length + 1 } };
  });
  return found === undefined ? [] : [found];
}

function standsIn({ id, form }: Needle, place: string, at: readonly Span[]): JettisonError {
  return new JettisonError(
    'engine/secret-in-build',
    `The value of the secret "${id}" stands in ${place}${form === undefined ? '' : `, as ${form}`}`,
    {
      at,
      hint: `Mount it where it is needed: RUN --mount=type=secret,id=${id}; if it is to be in the image, say --allow-secret-in-image ${id}`,
    },
  );
}

function maskEvent(event: Exclude<ProgressEvent, VertexOutput>, hide: (text: string) => string): ProgressEvent {
  switch (event.kind) {
    case 'vertex':
    case 'note':
      return { ...event, text: hide(event.text) };
    case 'vertex-failed':
      return { ...event, message: hide(event.message) };
    case 'warning': {
      const { source } = event;
      return { ...event, message: hide(event.message), ...(source === undefined ? {} : { source: hide(source) }) };
    }
    case 'vertex-started':
    case 'vertex-cached':
    case 'vertex-finished':
    case 'transfer':
      return event;
    default:
      return unreachable(event, 'progress event');
  }
}

function hideTexts(texts: readonly string[], report: Report): { readonly report: Report; readonly flush: () => void } {
  const held = new Map<VertexOutput['stream'], VertexOutput>();
  const byStart = Map.groupBy(texts, (text) => text[0]);
  const longest = texts.reduce((most, text) => Math.max(most, text.length), 0);
  return {
    report: (event) => {
      if (event.kind !== 'output') return report(event);
      const text = texts.reduce((all, value) => all.replaceAll(value, mask), (held.get(event.stream)?.text ?? '') + event.text);
      const kept = text.length - startOfHeld(text, longest, byStart);
      held.set(event.stream, { ...event, text: text.slice(text.length - kept) });
      if (text.length > kept) report({ ...event, text: text.slice(0, text.length - kept) });
    },
    flush: () => {
      for (const event of held.values()) if (event.text !== '') report(event);
      held.clear();
    },
  };
}

/** Where the longest end of `text` begins that is a proper beginning of a value. */
function startOfHeld(text: string, longest: number, byStart: ReadonlyMap<string | undefined, readonly string[]>): number {
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at++) {
    const end = text.slice(at);
    if (byStart.get(text[at])?.some((value) => value.length > end.length && value.startsWith(end)) === true) return at;
  }
  return text.length;
}
