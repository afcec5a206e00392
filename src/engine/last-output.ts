/** Keeps the last lines that each step wrote, to show those of the step that failed. */
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { clean } from '#ground/base/errors.ts';

export type LastOutput = {
  readonly report: Report;
  /** A block for people: the failed step's name and its last lines; undefined when no step failed or it wrote nothing. */
  describe(): string | undefined;
};

const keptLines = 12;
const keptCharacters = 16_384;

export function followOutput(report: Report): LastOutput {
  const names = new Map<Digest, string>();
  const tails = new Map<Digest, string>();
  let failed: Digest | undefined;
  const look = (event: ProgressEvent): void => {
    if (event.kind === 'vertex') names.set(event.vertex, describeStep(event));
    else if (event.kind === 'output') tails.set(event.vertex, ((tails.get(event.vertex) ?? '') + event.text).slice(-keptCharacters));
    else if (event.kind === 'vertex-failed' && !event.cancelled) failed ??= event.vertex;
  };
  return {
    report: (event) => {
      look(event);
      report(event);
    },
    describe: () => {
      const tail = failed === undefined ? undefined : tails.get(failed)?.trimEnd();
      if (failed === undefined || tail === undefined || tail === '') return undefined;
      const lines = tail.split('\n').slice(-keptLines).map(clean);
      return ['------', ` > ${names.get(failed) ?? ''}:`, ...lines, '------'].join('\n');
    },
  };
}

function describeStep(event: { readonly text: string; readonly stage?: string; readonly step?: number; readonly steps?: number }): string {
  const count = event.step === undefined ? [] : [`${event.step}/${event.steps ?? event.step}`];
  const place = [...(event.stage === undefined ? [] : [event.stage]), ...count].join(' ');
  return place === '' ? event.text : `[${place}] ${event.text}`;
}
