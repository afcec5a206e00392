/** The stages of a Dockerfile as people choose among them with `--target`. */
import type { Span } from '#ground/base/span.ts';
import type { FromInstruction } from './ast.ts';
import { failAtFirst } from './convert/faults.ts';
import { parseDockerfile } from './parse.ts';

export type Target = {
  /** undefined for a stage without AS. */
  readonly name: string | undefined;
  /** What is built without `--target`. */
  readonly isDefault: boolean;
  /** The comment above its FROM, when it begins with the stage's name. */
  readonly description: string | undefined;
  /** Name of the image or stage it stands on, and its platform, as written. */
  readonly base: string;
  readonly platform: string | undefined;
  readonly at: Span;
};

/** Throws the first fault of the text. Nothing is expanded or looked up. */
export function listTargets(text: string, file: string): readonly Target[] {
  const { dockerfile, diagnostics } = parseDockerfile(text, file);
  failAtFirst(diagnostics);
  return dockerfile.stages.map(({ from }, index) => {
    const name = from.alias?.name.text.toLowerCase();
    return {
      name,
      isDefault: index === dockerfile.stages.length - 1,
      description: name === undefined ? undefined : describe(name, from),
      base: from.image.text,
      platform: from.platform?.text,
      at: from.span,
    };
  });
}

/** The comment above a FROM that begins with the stage's name. */
export function describe(name: string, { comments }: FromInstruction): string | undefined {
  return comments.find(({ text }) => text.toLowerCase().startsWith(`${name} `))?.text.slice(name.length + 1);
}
