/** The warnings of a build, after its last step. */
import type { Warning } from '#formats/progress/tally.ts';
import { harmless } from './text.ts';

export function warningLines(warnings: readonly Warning[]): readonly string[] {
  if (warnings.length === 0) return [];
  return [
    '',
    ` ${warnings.length} warning${warnings.length === 1 ? '' : 's'} found (use jettison build --check to expand):`,
    ...warnings.map(line),
  ];
}

function line(warning: Warning): string {
  const place = warning.at[0] === undefined ? '' : ` (line ${warning.at[0].start.line})`;
  return ` - ${warning.rule}: ${harmless(warning.message.replaceAll('\n', ' '), false)}${place}`;
}
