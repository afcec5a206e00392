import { createStatsReader, type ContainerStats } from '#engine/container-stats.ts';
import { formatMemory, formatSize } from '#ground/base/human.ts';
import { sleep } from '#ground/base/retry.ts';
import { defineCommand, type Output } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { untilInterrupted } from '../until-interrupted.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { shortId } from '../output/stamp.ts';

const titles = {
  BlockIO: 'BLOCK I/O',
  CPUPerc: 'CPU %',
  Container: 'CONTAINER',
  ID: 'CONTAINER ID',
  MemPerc: 'MEM %',
  MemUsage: 'MEM USAGE / LIMIT',
  Name: 'NAME',
  NetIO: 'NET I/O',
  PIDs: 'PIDS',
  Source: 'COUNTED BY',
};
const table = '{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}';
/** Milliseconds. */
const interval = 1000;

export const statsCommand = defineCommand({
  name: 'stats',
  summary: 'Display a live stream of container(s) resource usage statistics',
  usage: '[OPTIONS] [CONTAINER...]',
  options: {
    all: flag('all', { short: 'a', help: 'Show all containers (default shows just running)' }),
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each container' }),
    noStream: flag('no-stream', { help: 'Disable streaming stats and only pull the first result' }),
    noTruncation: flag('no-trunc', { help: 'Do not truncate output' }),
  },
  arguments: [0, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await using engine = await engineFor(around);
    // A template that cannot be used is said before anything is measured.
    formatRows([], options.format, { titles, table });
    const reader = createStatsReader(engine, { names, all: options.all });
    return await untilInterrupted(async () => {
      for (let isFirst = true; ; isFirst = false) {
        const rows = (await reader.look(signal)).map((row, index) => fieldsOf(row, { asked: names[index], full: options.noTruncation }));
        show(around.streams.stdout, formatRows(rows, options.format, { titles, table }), { isFirst, isOnly: options.noStream });
        if (options.noStream) return;
        await sleep(interval, signal);
      }
    });
  },
});

/** On a terminal each look takes the place of the one before. */
function show(stdout: Output, shown: string, { isFirst, isOnly }: { readonly isFirst: boolean; readonly isOnly: boolean }): void {
  if (isOnly || stdout.isTTY !== true) stdout.write(shown);
  else stdout.write(`${isFirst ? '\u001b[2J' : ''}\u001b[H${shown.replaceAll('\n', '\u001b[K\n')}\u001b[J`);
}

function fieldsOf(
  { id, name, cpuPercent, usage }: ContainerStats,
  { asked, full }: { readonly asked: string | undefined; readonly full: boolean },
): Fields {
  const { memory = 0, memoryLimit = 0, pids = 0, network = { in: 0, out: 0 }, disk = { in: 0, out: 0 } } = usage ?? {};
  return {
    BlockIO: `${formatSize(disk.in)} / ${formatSize(disk.out)}`,
    CPUPerc: `${cpuPercent.toFixed(2)}%`,
    Container: asked ?? shortId(id),
    ID: full ? id : shortId(id),
    MemPerc: `${(memoryLimit === 0 ? 0 : (memory / memoryLimit) * 100).toFixed(2)}%`,
    MemUsage: `${formatMemory(memory)} / ${formatMemory(memoryLimit)}`,
    Name: name,
    NetIO: `${formatSize(network.in)} / ${formatSize(network.out)}`,
    PIDs: String(pids),
    Source: usage === undefined ? '' : sourceOf(usage.countedBy),
  };
}

/** `cgroup`, `processes`, or which of them counted what. */
function sourceOf(countedBy: NonNullable<ContainerStats['usage']>['countedBy']): string {
  const all = Object.entries(countedBy);
  const [one, other] = new Set(all.map(([, by]) => by));
  return one !== undefined && other === undefined ? one : all.map(([what, by]) => `${what}: ${by}`).join(', ');
}
