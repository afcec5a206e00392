/** The stages of a Dockerfile as people choose among them with `--target`. */
import type { Span } from '#ground/base/span.ts';
import type { FrontendOptions } from '#languages/frontend/contract.ts';
import type { FromInstruction } from './ast.ts';
import { planStages, stageLabel, type PlannedStage } from './convert/plan.ts';
import { failAtFirst } from './convert/faults.ts';
import { parseDockerfile } from './parse.ts';

export type Target = {
  /** undefined for a stage without AS. */
  readonly name: string | undefined;
  /** What is built without `--target`. */
  readonly isDefault: boolean;
  /** The comment above its FROM, when it begins with the stage's name. */
  readonly description: string | undefined;
  /** Name of the image or stage it stands on. */
  readonly base: string;
  readonly at: Span;
};

/** Throws the first fault of the text, or of a FROM. */
export function listTargets(text: string, options: FrontendOptions): readonly Target[] {
  const { dockerfile, diagnostics } = parseDockerfile(text, options.file);
  failAtFirst(diagnostics);
  const { stages } = planStages(dockerfile, options);
  return stages.map((stage, index) => ({
    name: stage.name,
    isDefault: index === stages.length - 1,
    description: stage.name === undefined ? undefined : describe(stage.name, stage.source.from),
    base: baseOf(stage),
    at: stage.source.from.span,
  }));
}

function describe(name: string, { comments }: FromInstruction): string | undefined {
  return comments.find(({ text }) => text.toLowerCase().startsWith(`${name} `))?.text.slice(name.length + 1);
}

function baseOf({ base }: PlannedStage): string {
  if (base.kind === 'image') return base.image.written;
  if (base.kind === 'folder') return base.name;
  return base.kind === 'stage' ? stageLabel(base.stage) : 'scratch';
}
