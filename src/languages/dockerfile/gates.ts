/** Stages that must succeed before what is built gets its name: `# jettison:gate` above their FROM says so. */
import { parseDockerfile } from './parse.ts';

const mark = 'jettison:gate';

/** Names of these stages, numbers for those without one; in the order of the file. Costs nothing where the mark stands nowhere in the text. */
export function gateStages(text: string): readonly string[] {
  if (!text.includes(mark)) return [];
  return parseDockerfile(text, 'Dockerfile').dockerfile.stages.flatMap(({ from }, index) =>
    from.comments.some((comment) => comment.text.trim() === mark) ? [from.alias?.name.text ?? String(index)] : [],
  );
}
