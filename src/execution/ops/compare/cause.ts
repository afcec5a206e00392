/** Why two runs of a step may have written different bytes: guessed from what stands where they differ. Pure. */
import { unreachable } from '#ground/base/errors.ts';
import { ofBoth, type ContentDifference } from './content.ts';

export type LikelyCause = {
  readonly kind: 'time' | 'order' | 'random' | 'path' | 'process' | 'unknown';
  /** What was recognised: `the time in the head of gzip data`. */
  readonly what: string;
  /** What to do about it. */
  readonly advice: string;
};

/** From when to when the runs took place, seconds since 1970. */
export type Period = { readonly from: number; readonly to: number };

const epochAdvice = 'take the time from SOURCE_DATE_EPOCH (ARG SOURCE_DATE_EPOCH), or leave it out';

/** `path` is the file's, for what its name says. */
export function causeOfContent(difference: ContentDifference, path: string, period: Period): LikelyCause {
  return (
    ofForm(difference, path) ??
    ofOrder(difference) ??
    ofText(difference, path, period) ??
    ofNumber(difference, period) ??
    ofBytes(difference)
  );
}

/** Forms of files that have a place for a time. */
function ofForm(difference: ContentDifference, path: string): LikelyCause | undefined {
  const { head, offset, isPacked } = difference;
  if (!isPacked && startsWith(head, [0x1f, 0x8b]) && offset >= 4 && offset < 8)
    return { kind: 'time', what: 'the time in the head of gzip data', advice: 'use "gzip -n" (tar: "--use-compress-program=\'gzip -n\'")' };
  if (startsWith(head, ascii('PK')) && isInZipTime(difference))
    return {
      kind: 'time',
      what: 'the time of an entry of a zip archive',
      advice: 'set the times of the files before ("touch -d @0"), and use "zip -X"',
    };
  if (startsWith(head, ascii('!<arch>\n')) && isInArTime(difference))
    return { kind: 'time', what: 'the time of a member of an ar archive', advice: 'use "ar D", "ranlib -D" (ARFLAGS=Dcr)' };
  if (isInTarTime(difference))
    return {
      kind: 'time',
      what: 'the time of an entry of a tar archive',
      advice: 'use "tar --mtime=@0 --sort=name --owner=0 --group=0 --numeric-owner"',
    };
  if (path.endsWith('.pyc') && offset >= 8 && offset < 12)
    return {
      kind: 'time',
      what: 'the time of its source in a compiled file of Python',
      advice: 'compile with "--invalidation-mode unchecked-hash", or set SOURCE_DATE_EPOCH',
    };
  if (path.endsWith('.pyc'))
    return { kind: 'order', what: 'the order of a set in a compiled file of Python', advice: 'set PYTHONHASHSEED=0 for this step' };
  if (startsWith(head, [0x7f, ...ascii('ELF')]) && isInBuildId(difference))
    return {
      kind: 'random',
      what: 'the build id of a program: something that was compiled or linked differs',
      advice: 'look for __DATE__, __TIME__, paths of temporary files and random seeds in what is compiled',
    };
  return undefined;
}

/** Local heads have time and date at 10 to 13, entries of the directory at 12 to 15. */
function isInZipTime({ excerpts: [{ bytes, start }], offset }: ContentDifference): boolean {
  for (let at = offset - start; at >= 0 && at > offset - start - 16; at--) {
    const distance = offset - start - at;
    if (startsWith(bytes.subarray(at), [0x50, 0x4b, 3, 4])) return distance >= 10 && distance < 14;
    if (startsWith(bytes.subarray(at), [0x50, 0x4b, 1, 2])) return distance >= 12 && distance < 16;
  }
  return false;
}

/** A head of 60 bytes ends with "`\n"; its time is at 16 to 27. */
function isInArTime({ excerpts: [{ bytes, start }], offset }: ContentDifference): boolean {
  const at = offset - start;
  for (let time = 16; time < 28; time++) if (startsWith(bytes.subarray(at - time + 58), [0x60, 0x0a])) return at >= time;
  return false;
}

/** Heads of 512 bytes with "ustar" at 257; the time at 136 to 147, the sum of it all after that. */
function isInTarTime({ excerpts: [{ bytes, start }], offset }: ContentDifference): boolean {
  const within = offset % 512;
  if (within < 136 || within >= 156) return false;
  const head = offset - within - start;
  return head >= 0 && startsWith(bytes.subarray(head + 257), ascii('ustar'));
}

/** A note is named "GNU" and has type 3. */
function isInBuildId({ excerpts: [{ bytes, start }], offset }: ContentDifference): boolean {
  const at = offset - start;
  for (let from = at; from >= Math.max(0, at - 40); from--)
    if (startsWith(bytes.subarray(from), [3, 0, 0, 0, ...ascii('GNU\0')])) return true;
  return false;
}

/** The same lines, or the same words, in another order. */
function ofOrder({ whole }: ContentDifference): LikelyCause | undefined {
  if (whole === undefined) return undefined;
  const texts = ofBoth(whole, (bytes) => new TextDecoder('latin1').decode(bytes));
  const advice = 'sort what is listed ("| sort", "LC_ALL=C", sorted keys): folders, sets and tables have no order of their own';
  if (isShuffled(texts, /\n/u)) return { kind: 'order', what: 'the same lines in another order', advice };
  if (isShuffled(texts, /[\s,;:{}()[\]]+/u)) return { kind: 'order', what: 'the same words in another order', advice };
  return undefined;
}

function isShuffled(texts: readonly [string, string], between: RegExp): boolean {
  const [one, other] = ofBoth(texts, (text) =>
    text
      .split(between)
      .filter((part) => part !== '')
      .toSorted(),
  );
  return one.length > 1 && one.length === other.length && one.every((part, index) => part === other[index]);
}

const months = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
/** Texts of times, longest first. */
const timeTexts: readonly RegExp[] = [
  /\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?/gu,
  new RegExp(`(?:${months})[a-z]*\\.? +\\d{1,2},? (?:\\d{4} )?\\d\\d:\\d\\d(?::\\d\\d)?(?: \\w+ \\d{4})?`, 'gu'),
  new RegExp(`\\d{1,2}[ /-](?:${months})[a-z]*[ /-]\\d{4}(?: \\d\\d:\\d\\d:\\d\\d)?`, 'gu'),
  /\d{4}[/.]\d\d[/.]\d\d(?:[ T-]\d\d:\d\d(?::\d\d)?)?/gu,
  /\d\d:\d\d:\d\d(?:[.,]\d+)?/gu,
  /(?<!\d)20\d{12}(?!\d)/gu,
  /(?<!\d)20\d{6}[T-]\d{4,6}/gu,
];

function ofText(difference: ContentDifference, path: string, period: Period): LikelyCause | undefined {
  const [first, second] = ofBoth(difference.excerpts, ({ bytes, start }) => ({
    text: new TextDecoder('latin1').decode(bytes),
    at: difference.offset - start,
  }));
  const both = (pattern: RegExp): boolean => found(first, pattern) !== undefined && found(second, pattern) !== undefined;
  if (timeTexts.some(both)) return { kind: 'time', what: 'the time of the build, as text', advice: epochAdvice };
  const [number, other] = [found(first, /\d+/gu), found(second, /\d+/gu)];
  if (number !== undefined && other !== undefined && isTimeText(number, period) && isTimeText(other, period))
    return { kind: 'time', what: 'the time of the build, counted since 1970', advice: epochAdvice };
  if (both(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/giu))
    return { kind: 'random', what: 'a random UUID', advice: 'make it when the container starts, or from something that stays' };
  if (both(/(?:\/tmp\/|\/var\/tmp\/|\btmp[._-]?)[\w./-]*/gu))
    return {
      kind: 'path',
      what: 'the name of a temporary file or folder',
      advice: 'give it a fixed name, or keep it out of what is written',
    };
  if (number !== undefined && other !== undefined && (/\bpid\W{0,4}$/iu.test(first.text.slice(0, startOf(first))) || path.endsWith('.pid')))
    return { kind: 'process', what: 'the number of a process', advice: 'remove the file, or do not write the number at build time' };
  if (both(/(?:[\da-f]{16,}|[\w+/]{20,}={0,2})/giu))
    return { kind: 'random', what: 'random letters: a key, a token, or a hash of something that differs', advice: randomAdvice };
  return undefined;
}

const randomAdvice = 'make it when the container starts, or from a fixed seed';

type Place = { readonly text: string; readonly at: number };

/** What of the pattern covers the place where the texts begin to differ. */
function found({ text, at }: Place, pattern: RegExp): string | undefined {
  const from = Math.max(0, at - 128);
  for (const match of text.slice(from, at + 128).matchAll(pattern)) {
    const begin = from + match.index;
    if (begin <= at && at < begin + match[0].length) return match[0];
  }
  return undefined;
}

/** Where the number begins that covers the place. */
function startOf({ text, at }: Place): number {
  let start = at;
  while (start > 0 && /\d/u.test(text[start - 1] ?? '')) start--;
  return start;
}

/** Seconds, milliseconds, microseconds or nanoseconds. */
function isTimeText(digits: string, period: Period): boolean {
  const unit = { 10: 1, 13: 1e3, 16: 1e6, 19: 1e9 }[digits.length];
  return unit !== undefined && isNear(Number(digits) / unit, period);
}

/** A minute is left for clocks that differ. */
function isNear(seconds: number, { from, to }: Period): boolean {
  return seconds >= from - 60 && seconds <= to + 60;
}

/** A number of four or eight bytes that covers the place and is a time in both. */
function ofNumber({ excerpts, offset }: ContentDifference, period: Period): LikelyCause | undefined {
  const readers: readonly { readonly size: number; readonly read: (view: DataView, at: number) => number }[] = [
    { size: 4, read: (view, at) => view.getUint32(at, true) },
    { size: 4, read: (view, at) => view.getUint32(at, false) },
    { size: 8, read: (view, at) => Number(view.getBigUint64(at, true)) / 1e9 },
    { size: 8, read: (view, at) => Number(view.getBigUint64(at, false)) / 1e9 },
    { size: 8, read: (view, at) => Number(view.getBigUint64(at, true)) / 1e3 },
    { size: 8, read: (view, at) => Number(view.getBigUint64(at, false)) / 1e3 },
  ];
  for (const { size, read } of readers) {
    for (let back = 0; back < size; back++) {
      const values = excerpts.map(({ bytes, start }) => {
        const at = offset - start - back;
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        return at >= 0 && at + size <= bytes.length ? read(view, at) : Number.NaN;
      });
      if (values.every((value) => isNear(value, period)))
        return { kind: 'time', what: `the time of the build, as a number of ${size} bytes`, advice: epochAdvice };
    }
  }
  return undefined;
}

/** Long runs of other bytes are random, or made of something that is. */
function ofBytes({ excerpts, offset, sizes }: ContentDifference): LikelyCause {
  const [first, second] = ofBoth(excerpts, ({ bytes, start }) => bytes.subarray(offset - start, offset - start + 16));
  const other = first.filter((byte, index) => byte !== second[index]).length;
  if (sizes[0] === sizes[1] && other >= 8)
    return { kind: 'random', what: 'random bytes, or what was computed of something that differs', advice: randomAdvice };
  return {
    kind: 'unknown',
    what: 'not recognised',
    advice: 'look at what the step writes there: times, random numbers, process numbers, orders, answers of servers',
  };
}

/** Of names that only one of the runs made. */
export function causeOfNames(first: readonly string[], second: readonly string[]): LikelyCause {
  if (first.length > 0 && first.length === second.length)
    return {
      kind: 'path',
      what: 'names that are made up anew each time (random, or of the time)',
      advice: 'give them fixed names, or remove them in the same step',
    };
  return { kind: 'unknown', what: 'not recognised', advice: 'look at when the step makes these files' };
}

/** Of what is known of an entry beside its bytes. */
export function causeOfAttribute(what: 'kind' | 'mode' | 'owner' | 'time' | 'target' | 'attributes'): LikelyCause {
  switch (what) {
    case 'time':
      return { kind: 'time', what: 'a time that the step gives the file itself', advice: epochAdvice };
    case 'target':
      return { kind: 'path', what: 'where a link leads', advice: 'give what it leads to a fixed name' };
    case 'kind':
    case 'mode':
    case 'owner':
    case 'attributes':
      return { kind: 'unknown', what: 'not recognised', advice: 'look at what the step does with this file' };
    default:
      return unreachable(what, 'attribute');
  }
}

function startsWith(bytes: Uint8Array, head: readonly number[]): boolean {
  return head.every((byte, index) => bytes[index] === byte);
}

function ascii(text: string): readonly number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}
