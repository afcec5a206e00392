/** A project of several stages for tests of caches elsewhere, and what a build of it printed of its steps. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { openSandbox, type CommandOptions, type Sandbox } from './sandbox.ts';

/** Five stages: `deps` and `tools` stand alone, `build` and `check` on them, the last takes files of two and a linked one. */
export const dockerfile = (base: string): string => `FROM ${base} AS deps
COPY deps.txt /deps.txt
RUN cat /deps.txt > /deps.out
FROM ${base} AS tools
RUN echo tool > /tool
FROM deps AS build
COPY src /src
RUN cat /src/* /deps.out > /app
FROM tools AS check
COPY --from=build /app /app
RUN cat /app /tool > /report
FROM ${base}
WORKDIR /srv
COPY --from=build /app app
COPY --from=check /report report
COPY --link conf /conf
RUN cat app report /conf > all
`;

export const files = (base: string): Record<string, string> => ({
  Dockerfile: dockerfile(base),
  'deps.txt': 'deps\n',
  'src/a': 'a\n',
  'src/b': 'b\n',
  conf: 'conf\n',
});
export const answer = 'a\nb\ndeps\na\nb\ndeps\ntool\nconf\n';

/** Steps by what is printed of them: `COPY --link a /a` to `CACHED` or `DONE`; `DONE` counts where both are said (see `withoutBad`). */
export function stepsOf(plain: string): Record<string, string> {
  const names = new Map([...plain.matchAll(/^#(\d+) \[[^\]]*\] (.*)$/gmu)].map((match) => [match[1], match[2] ?? '']));
  const ends = (word: string) =>
    [...plain.matchAll(/^#(\d+) (CACHED|DONE)/gmu)].flatMap((match) => {
      const name = names.get(match[1]);
      return match[2] === word && name !== undefined ? [[name, word] as const] : [];
    });
  return Object.fromEntries([...ends('CACHED'), ...ends('DONE')]);
}

export function ran(plain: string): readonly string[] {
  return Object.entries(stepsOf(plain)).flatMap(([name, end]) => (end === 'DONE' ? [name] : []));
}

/** A store of its own with the project in it; `base` is in its store unless it is in a registry. */
export async function openProject(
  base: string,
  options: CommandOptions = {},
): Promise<Sandbox & { build(...options: readonly string[]): Promise<{ id: string; plain: string }> }> {
  const sandbox = await openSandbox();
  if (base === 'busybox') await sandbox.base('busybox');
  const context = sandbox.files(files(base));
  return {
    ...sandbox,
    build: async (...more) => {
      const words = ['build', '--progress=plain', '-t', 'app', `--iidfile=${sandbox.folder}/id`, ...more, context];
      const done = await sandbox.jettison(words, options);
      assert.equal(done.status, 0, done.stderr);
      return { id: readFileSync(`${sandbox.folder}/id`, 'utf8'), plain: done.stderr };
    },
  };
}

export async function layerCount(sandbox: Sandbox): Promise<number> {
  const [image] = JSON.parse(await sandbox.succeed(['inspect', 'app'])) as readonly {
    readonly RootFS: { readonly Layers: readonly string[] };
  }[];
  return image?.RootFS.Layers.length ?? 0;
}
