/** The words above and in FROM lines, expanded: what the plan and the linter both start from. Never throws. */
import type { JettisonError } from '#ground/base/errors.ts';
import { platformArguments } from '#languages/frontend/arguments.ts';
import type { FrontendOptions } from '#languages/frontend/contract.ts';
import { createExpander, type Expand, type Expansion } from '#languages/frontend/words.ts';
import type { Dockerfile, Stage } from '../ast.ts';
import { badExpansion } from './words.ts';

export type Globals = {
  /** Arguments before the first FROM and those that need no declaration. */
  readonly values: ReadonlyMap<string, string>;
  /** Names that ARG instructions before the first FROM declare. */
  readonly declared: ReadonlySet<string>;
  readonly fault: JettisonError | undefined;
};

export type FromFacts = {
  readonly stage: Stage;
  readonly image: Expansion;
  readonly platform: Expansion | undefined;
  /** The image without `--build-arg`s: what the defaults alone give. */
  readonly standardImage: Expansion;
};

/** What stands above the stages and in their FROM lines, read once for the plan and the lint rules. */
export type Heads = { readonly globals: Globals; readonly froms: readonly FromFacts[] };

/** Characters that the ARG instructions above the first FROM, and those that the FROM lines may come to. */
const mostWork = 1 << 24;

export function readHeads(dockerfile: Dockerfile, options: FrontendOptions): Heads {
  const globals = collect(dockerfile, options, options.buildArgs);
  const rules = { escape: dockerfile.escape };
  const standard = options.buildArgs.size === 0 ? globals : collect(dockerfile, options, new Map());
  const expand: Expand = createExpander(mostWork);
  const froms = dockerfile.stages.map((stage): FromFacts => {
    const { image: word, platform } = stage.from;
    const image = expand(word.text, globals.values, rules);
    return {
      stage,
      image,
      platform: platform && expand(platform.text, globals.values, rules),
      standardImage: standard === globals ? image : expand(word.text, standard.values, rules),
    };
  });
  return { globals, froms };
}

function collect(dockerfile: Dockerfile, options: FrontendOptions, buildArgs: ReadonlyMap<string, string>): Globals {
  const lastName = dockerfile.stages.at(-1)?.from.alias?.name.text.toLowerCase() ?? '';
  const values = platformArguments({ target: options.platform, build: options.buildPlatform }, options.target ?? lastName, buildArgs);
  const declared = new Set<string>();
  const expand = createExpander(mostWork);
  let fault: JettisonError | undefined;
  for (const { name, value } of dockerfile.globalArguments.flatMap((instruction) => instruction.arguments)) {
    declared.add(name.text);
    const given = buildArgs.get(name.text);
    const standard = given === undefined && value ? expand(value.text, values, { escape: dockerfile.escape }) : undefined;
    if (value && standard?.fault !== undefined) fault ??= badExpansion(value.text, standard.fault, [value.span]);
    const result = given ?? standard?.text;
    if (result !== undefined) values.set(name.text, result);
  }
  return { values, declared, fault };
}
