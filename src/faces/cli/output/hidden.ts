/** What later layers of an image hide, in the last lines of its build. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import type { HiddenReport, HidingStep } from '#engine/fold-requests.ts';
import { formatSize } from '#ground/base/human.ts';
import { harmless } from './text.ts';
import { imagePrefix } from './which-image.ts';

const mostSteps = 10;
const longestText = 60;
/** Bytes from which on a build without `--fold` speaks of them. */
const worthAWord = 1_000_000;

/** `fold: RUN chmod -R 0755 /opt (Dockerfile:12): 50MB not shipped` for each step; of an image that was not folded one line, where it is worth a word. */
export function hiddenLines(outcome: BuildOutcome): readonly string[] {
  const prefixOf = imagePrefix(outcome, outcome.hidden.length);
  return outcome.hidden.flatMap((report) => {
    const prefix = `fold: ${prefixOf(report)}`;
    return (report.isFolded ? foldedLines(report) : hintLines(report)).map((line) => prefix + line);
  });
}

function foldedLines({ steps, dockerfile }: HiddenReport): readonly string[] {
  const saving = steps.filter(({ bytes, credentials }) => bytes > 0 || credentials.length > 0);
  const lines = saving.slice(0, mostSteps).map((step) => {
    const gone = step.credentials.length === 0 ? '' : `, ${pathsOf(step)} with it`;
    return `${nameOf(step, dockerfile)}: ${formatSize(step.bytes)} not shipped${gone}`;
  });
  const more = saving.length - lines.length;
  return [...lines, ...(more > 0 ? [`${more} more step${more === 1 ? '' : 's'}`] : [])];
}

function hintLines({ bytes, steps, dockerfile }: HiddenReport): readonly string[] {
  const [most] = steps.toSorted((a, b) => b.bytes - a.bytes);
  const leaking = steps.find(({ credentials }) => credentials.length > 0);
  const parts: string[] = [];
  if (bytes > worthAWord && most !== undefined) {
    const others = steps.filter((step) => step.bytes > 0).length > 1 ? ', and others' : '';
    parts.push(`${formatSize(bytes)} of the image are hidden by later layers (${nameOf(most, dockerfile)}${others})`);
  }
  if (leaking !== undefined) parts.push(`${pathsOf(leaking)} is deleted, and still in a layer (${nameOf(leaking, dockerfile)})`);
  return parts.length === 0 ? [] : [`${parts.join('; ')}: "--fold" leaves that out`];
}

function pathsOf({ credentials: [first = '', ...others] }: HidingStep): string {
  return `"${harmless(first, false)}"${others.length > 0 ? ` and ${others.length} more` : ''}`;
}

/** `RUN chmod -R 0755 /opt (Dockerfile:12)` */
function nameOf({ text, line }: HidingStep, dockerfile: string): string {
  const shown = text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text;
  return `${harmless(shown, false)}${line === null ? '' : ` (${harmless(dockerfile, false)}:${line})`}`;
}
