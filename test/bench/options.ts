/** The bench's words on the command line. */
import { parseArgs } from 'node:util';
import { usualWorkloads, workloads, type Workload } from './workloads.ts';

export type Options = {
  readonly workloads: readonly Workload[];
  /** Names of peers that take part; undefined: all that are there. */
  readonly peers: readonly string[] | undefined;
  readonly runs: number;
  readonly json: string | undefined;
  /** How containers start, instead of builds. */
  readonly start: boolean;
};

export const usage = `usage: npm run bench -- [start | WORKLOAD...] [--peers NAME,...] [--runs N] [--json FILE]
  start      run and images, beside bare runc and crun (alone; 20 rounds and more are worth it)
  WORKLOAD   ${workloads.map((workload) => workload.name).join(' ')}
             (default: ${usualWorkloads.join(' ')})
  --peers    which of buildah, buildx and JETTISON_BENCH_PEERS take part ("none": no peer); default: all that are installed
  --runs     rounds of each variant (default 3)
  --json     also write every run to FILE
  buildx takes part where DOCKER_HOST is set; that daemon's build cache is pruned.
`;

/** Throws with what is wrong. */
export function readOptions(words: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: { peers: { type: 'string' }, runs: { type: 'string', default: '3' }, json: { type: 'string' } },
  });
  const start = positionals.length === 1 && positionals[0] === 'start';
  const chosen = (start ? [] : positionals.length > 0 ? positionals : usualWorkloads).map((name) => {
    const found = workloads.find((workload) => workload.name.toLowerCase() === name.toLowerCase());
    if (found === undefined) throw new Error(`No workload "${name}"`);
    return found;
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: not a whole number from 1 on`);
  const peers = values.peers === undefined ? undefined : values.peers.split(',').filter((name) => name !== '' && name !== 'none');
  return { workloads: chosen, peers, runs, json: values.json, start };
}
