/** A Dockerfile's text to its syntax tree. Never throws: what is wrong is in the diagnostics, and the tree holds the rest. */
import type { TextSpan } from '#ground/base/span.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import type { ArgInstruction, Dockerfile, FromInstruction, Stage, StageInstruction } from './ast.ts';
import { readInstruction } from './syntax/instruction.ts';
import { createLineReader, type ReportFault } from './syntax/lines.ts';

export type ParsedDockerfile = { readonly dockerfile: Dockerfile; readonly diagnostics: readonly Diagnostic[] };

/** Longest text that is read, in UTF-16 units. */
const longestText = 2 << 20;
/** A stage costs more than any other line: what the stage it stands on has set is copied. */
const mostStages = 10_000;
/** After so many faults the rest is not read: the text is no Dockerfile. */
const mostFaults = 100;

/** Takes the text and the name that people know it by. Linear in the length of the text. */
export function parseDockerfile(text: string, file: string): ParsedDockerfile {
  const diagnostics: Diagnostic[] = [];
  const report: ReportFault = (rule, message, span, hint) =>
    void diagnostics.push({ rule, severity: 'error', message, at: [span], ...(hint === undefined ? {} : { hint }) });
  const first = { line: 1, column: 1, offset: text.startsWith('\ufeff') ? 1 : 0 };
  const top: TextSpan = { file, start: first, end: first };
  if (text.length > longestText)
    report('TooLong', `The Dockerfile is longer than ${longestText >> 20} MiB`, top, 'Move data into files and COPY them');
  else if (text === '') report('Empty', 'The Dockerfile cannot be empty', top, 'Begin with "FROM image"');
  const lines = createLineReader(diagnostics.length > 0 ? '' : text, file, report);
  const globalArguments: ArgInstruction[] = [];
  const stages: { readonly from: FromInstruction; readonly instructions: StageInstruction[] }[] = [];
  let count = 0;
  for (let line = lines.next(); line && diagnostics.length < mostFaults; line = lines.next()) {
    count++;
    const instruction = readInstruction(line, { lines, escape: lines.escape, report });
    if (!instruction) continue;
    const stage = stages.at(-1);
    if (instruction.kind === 'from') {
      if (stages.length === mostStages) {
        report('TooManyStages', `The Dockerfile has more than ${mostStages} stages`, instruction.span, 'Cut it into several files');
        break;
      }
      stages.push({ from: instruction, instructions: [] });
    } else if (stage) stage.instructions.push(instruction);
    else if (instruction.kind === 'arg') globalArguments.push(instruction);
    else
      report(
        'NoStage',
        'No build stage in current context',
        instruction.span,
        'Put a FROM before it: only ARG may stand above the first FROM',
      );
  }
  if (diagnostics.length === 0 && stages.length === 0) {
    if (count === 0) report('Empty', 'The Dockerfile is a file with no instructions', top, 'Begin with "FROM image"');
    else report('NoStage', 'The Dockerfile contains no stages to build', top, 'Add "FROM image"');
  }
  return {
    dockerfile: {
      file,
      escape: lines.escape,
      directives: lines.directives,
      comments: lines.comments,
      globalArguments,
      stages: stages satisfies readonly Stage[],
    },
    diagnostics,
  };
}

/** Reads one instruction kept as text: an ONBUILD trigger of a base image. Its places are in the trigger's own text. */
export function parseTrigger(
  text: string,
  file: string,
): { readonly instruction: StageInstruction | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { dockerfile, diagnostics } = parseDockerfile(`FROM scratch\n${text}`, file);
  const [stage, another] = dockerfile.stages;
  const [instruction, ...more] = stage?.instructions ?? [];
  const single = another === undefined && more.length === 0;
  return { instruction: single ? instruction : undefined, diagnostics };
}
