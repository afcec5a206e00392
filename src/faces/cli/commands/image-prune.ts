import { pruneImages } from '#engine/prune.ts';
import type { ImagePruneRequest, PrunedImages } from '#engine/space-requests.ts';
import { badFilter, parseLabelFilter, parseMoment } from '#engine/space-filters.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { engineFor } from '../engine.ts';
import { flag, list } from '../option.ts';
import { totalReclaimed } from './prune.ts';

export const imagePruneCommand = defineCommand({
  name: 'image prune',
  summary: 'Remove unused images',
  usage: '[OPTIONS]',
  options: {
    all: flag('all', { short: 'a', help: 'Remove all images that no container uses, not just those without a name' }),
    filter: list('filter', { value: 'filter', help: 'Remove only what fits: "until=24h", "label=NAME[=VALUE]", "label!=..."' }),
    force: flag('force', { short: 'f', help: 'Do not prompt for confirmation' }),
  },
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around, signal) {
    const request = imagePruneRequest(options, around.now());
    const what = options.all ? 'all images without at least one container associated to them' : 'all dangling images';
    const question = `WARNING! This will remove ${what}.\nAre you sure you want to continue?`;
    if (!options.force && !(await confirm(question, around, signal))) return 0;
    await using engine = await engineFor(around);
    const pruned = await pruneImages(engine, request);
    around.streams.stdout.write(deletedImages(pruned) + totalReclaimed(pruned.bytes));
    return 0;
  },
});

/** `dangling=false` is another way to say `--all`. Throws `engine/bad-filter`. */
export function imagePruneRequest(options: { readonly all: boolean; readonly filter: readonly string[] }, now: number): ImagePruneRequest {
  let { all } = options;
  let until: number | undefined;
  const labels = options.filter.flatMap((text) => {
    const dangling = /^dangling=(true|false|1|0)$/u.exec(text);
    if (dangling) all = dangling[1] === 'false' || dangling[1] === '0';
    else if (text.startsWith('until=')) until = parseMoment(text, text.slice('until='.length), now);
    else return [parseLabelFilter(text) ?? refuse(text)];
    return [];
  });
  return { all, labels, until };
}

function refuse(text: string): never {
  throw badFilter(text, 'there is "until", "label", "label!" and "dangling"');
}

/** Empty when nothing was removed. */
export function deletedImages({ removed }: PrunedImages): string {
  const lines = removed.map((one) => (one.kind === 'untagged' ? `untagged: ${one.name}\n` : `deleted: ${one.id}\n`));
  return lines.length === 0 ? '' : `Deleted Images:\n${lines.join('')}\n`;
}
