/** What an image would not start for, or lacks, in words. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import type { CheckedFinding, PayloadCheck, PlainCopies } from '#engine/payload-requests.ts';
import { harmless } from './text.ts';
import { imagePrefix } from './which-image.ts';

const mostFindings = 10;

/** The last lines of a build: what was found, and what to add. Nothing where nothing was found. */
export function payloadLines(outcome: BuildOutcome): readonly string[] {
  const prefixOf = imagePrefix(outcome, outcome.payloads.length);
  return outcome.payloads.flatMap((check) => {
    const { findings, lines } = check;
    const prefix = `check: ${prefixOf(check)}`;
    const shown = findings.slice(0, mostFindings).map((one) => prefix + findingLine(one, check));
    const more = findings.length - shown.length;
    const rest = more > 0 ? [`${prefix}${more} more finding${more === 1 ? '' : 's'}: see "jettison check"`] : [];
    const added = lines.length > 0 ? [`${prefix}add to the final stage:`, ...lines.map((line) => `check:   ${harmless(line, false)}`)] : [];
    return [...shown, ...rest, ...added];
  });
}

/** What `jettison check` prints. */
export function payloadText(check: PayloadCheck): string {
  const { findings, programs, lines } = check;
  if (findings.length === 0)
    return `Nothing found that would keep it from starting (${programs} program${programs === 1 ? '' : 's'} looked at).\n`;
  const added = lines.length > 0 ? ['', 'Add to the final stage:', ...lines.map((line) => `  ${harmless(line, false)}`)] : [];
  return [...findings.map((one) => findingLine(one, check)), ...added, ''].join('\n');
}

/** What `jettison check --libs` prints: instructions, each with the one that it stands for as a comment. */
export function plainCopiesText({ dockerfile, copies }: PlainCopies): string {
  const lines = copies.flatMap((copy) => [
    `# ${dockerfile}${copy.line === undefined ? '' : `:${copy.line}`}: ${copy.instruction}`,
    ...copy.lines,
  ]);
  return linesText(lines);
}

export function linesText(lines: readonly string[]): string {
  return lines.map((line) => `${harmless(line, false)}\n`).join('');
}

/** Behind the error of a start that failed. */
export function payloadHint(check: PayloadCheck): string {
  const added = check.lines.length > 0 ? ['Add to the final stage:', ...check.lines.map((line) => `  ${harmless(line, false)}`)] : [];
  return [...check.findings.map((one) => wordsOf(one, check)), ...added].join('\n');
}

/** `ERROR: ENTRYPOINT: "/app" was linked for ... (COPY --from=build /app /app, Dockerfile:5)` */
function findingLine(finding: CheckedFinding, check: PayloadCheck): string {
  return `${finding.severity === 'error' ? 'ERROR' : 'WARNING'}: ${finding.root}: ${wordsOf(finding, check)}`;
}

function wordsOf({ message, origin, hint, fixes }: CheckedFinding, { dockerfile }: PayloadCheck): string {
  const line = origin?.line === undefined ? '' : `, ${dockerfile ?? 'Dockerfile'}:${origin.line}`;
  const place = origin === undefined ? '' : ` (${origin.text}${line})`;
  const stages = [...new Set(fixes.map(({ stage }) => stage))];
  const has =
    stages.length === 0
      ? ''
      : `; stage ${stages.map((stage) => `"${stage}"`).join(', ')} has ${fixes.length === 1 ? 'it' : 'what it needs'}`;
  return harmless(`${message}${has}${place}${hint === undefined ? '' : `. ${hint}`}`, false);
}
