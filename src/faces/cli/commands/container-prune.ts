import { pruneContainers } from '#engine/prune.ts';
import type { ContainerPruneRequest, PrunedContainers } from '#engine/space-requests.ts';
import { badFilter, parseLabelFilter, parseMoment, type LabelFilter } from '#engine/space-filters.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { engineFor } from '../engine.ts';
import { flag, list } from '../option.ts';
import { totalReclaimed } from './prune.ts';

export const containerPruneCommand = defineCommand({
  name: 'container prune',
  summary: 'Remove all containers that have ended',
  usage: '[OPTIONS]',
  options: {
    filter: list('filter', { value: 'filter', help: 'Remove only what fits: "until=24h", "label=NAME[=VALUE]", "label!=..."' }),
    force: flag('force', { short: 'f', help: 'Do not prompt for confirmation' }),
  },
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around, signal) {
    const request = containerPruneRequest(options.filter, around.now());
    const question = 'WARNING! This will remove all stopped containers.\nAre you sure you want to continue?';
    if (!options.force && !(await confirm(question, around, signal))) return 0;
    await using engine = await engineFor(around);
    const pruned = await pruneContainers(engine, request);
    around.streams.stdout.write(deletedContainers(pruned) + totalReclaimed(pruned.bytes));
    return 0;
  },
});

/** Throws `engine/bad-filter`. */
export function containerPruneRequest(filters: readonly string[], now: number): ContainerPruneRequest {
  let until: number | undefined;
  const labels: LabelFilter[] = [];
  for (const text of filters) {
    const label = parseLabelFilter(text);
    if (label !== undefined) labels.push(label);
    if (label !== undefined) continue;
    if (!text.startsWith('until=')) throw badFilter(text, 'there is "until" and "label"');
    until = parseMoment(text, text.slice('until='.length), now);
  }
  return { until, labels };
}

/** Empty when nothing was removed. */
export function deletedContainers({ ids }: PrunedContainers): string {
  return ids.length === 0 ? '' : `Deleted Containers:\n${ids.map((id) => `${id}\n`).join('')}\n`;
}
