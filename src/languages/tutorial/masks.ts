/** What differs from one run of the same commands to the next: each becomes a word for its kind. */

const masks: readonly (readonly [RegExp, string])[] = [
  [/\bsha256:[0-9a-f]{12,64}\b/gu, 'DIGEST'],
  [/\b[0-9a-f]{64}\b/gu, 'ID'],
  [/\b[0-9a-f]{12}\b/gu, 'ID'],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\s?(?:Z|[+-]\d\d:?\d\d))?(?: [A-Z]{3,4}\b)?/gu, 'TIME'],
  [/\b(?:About an?|Less than a|\d+) (?:second|minute|hour|day|week|month|year)s?(?: ago)?\b/gu, 'AGE'],
  [/(?<![\w.])\d+(?:\.\d+)?\s?(?:[kKMGT]i?B|B|bytes)\b/gu, 'SIZE'],
  [/\bsize: \d+$/gu, 'size: SIZE'],
  [/(?<![\w.:-])(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?(?:s|ms|us|µs|ns)(?![\w-])/gu, 'DURATION'],
];

/** The line without what differs each time, each run of blanks as one, none around it. */
export function masked(line: string): string {
  let text = line;
  for (const [pattern, word] of masks) text = text.replaceAll(pattern, word);
  return text.replaceAll(/\s+/gu, ' ').trim();
}
