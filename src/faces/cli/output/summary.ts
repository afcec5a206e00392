/** The closing line of a build. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import { formatDuration, formatSize } from '#ground/base/human.ts';

/** `built in 12.4s: 5 of 9 steps cached; longest chain 11.9s; read 1.2MB, pulled 30MB`. What is nothing is left out. */
export function summaryLine({ steps, timing }: Pick<BuildOutcome, 'steps' | 'timing'>): string {
  const chain = steps.cached < steps.total && timing.chain.duration > 0 ? `longest chain ${formatDuration(timing.chain.duration)}` : '';
  const bytes = [
    ...(timing.readBytes > 0 ? [`read ${formatSize(timing.readBytes)}`] : []),
    ...(timing.pulledBytes > 0 ? [`pulled ${formatSize(timing.pulledBytes)}`] : []),
  ].join(', ');
  const count = `${steps.cached} of ${steps.total} step${steps.total === 1 ? '' : 's'} cached`;
  return `built in ${formatDuration(timing.wall)}: ${[count, chain, bytes].filter((part) => part !== '').join('; ')}`;
}
