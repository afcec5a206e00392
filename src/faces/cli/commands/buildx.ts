/** Words of the buildx plugin about builders: there is one, jettison itself. */
import { platformsHere, versionInfo } from '#engine/info.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { flag, text } from '../option.ts';
import { formatRows } from '../output/rows.ts';

const titles = { Name: 'NAME/NODE', DriverEndpoint: 'DRIVER/ENDPOINT', Status: 'STATUS', Buildkit: 'BUILDKIT', Platforms: 'PLATFORMS' };
const table = '{{.Name}}\t{{.DriverEndpoint}}\t{{.Status}}\t{{.Buildkit}}\t{{.Platforms}}';

export const buildxVersionCommand = defineCommand({
  name: 'buildx version',
  summary: 'Show the version',
  usage: '',
  options: {},
  arguments: [0, 0],
  run: async (_, around) => {
    around.streams.stdout.write(`jettison ${versionInfo().version}\n`);
    return await Promise.resolve(0);
  },
});

export const listBuildersCommand = defineCommand({
  name: 'buildx ls',
  summary: 'List builders (there is one)',
  usage: '[OPTIONS]',
  options: { format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template' }) },
  notBuilt: 'no-trunc',
  arguments: [0, 0],
  run: async ({ options }, around) => {
    const { version } = versionInfo();
    const builder = { Name: 'default*', DriverEndpoint: 'jettison', Status: '', Buildkit: '', Platforms: '' };
    const node = {
      Name: ' \\_ default',
      DriverEndpoint: ' \\_ default',
      Status: 'running',
      Buildkit: `v${version}`,
      Platforms: platformNames(),
    };
    around.streams.stdout.write(
      options.format === 'json'
        ? formatRows([{ Name: 'default', Driver: 'jettison', Current: 'true', Status: 'running', Version: version }], 'json', {
            titles,
            table,
          })
        : formatRows([builder, node], options.format, { titles, table }),
    );
    return await Promise.resolve(0);
  },
});

export const inspectBuilderCommand = defineCommand({
  name: 'buildx inspect',
  summary: 'Show the builder',
  usage: '[NAME]',
  options: {
    bootstrap: flag('bootstrap', { help: 'Make it ready before (it always is)' }),
    builder: text('builder', { help: 'Only "default"' }),
  },
  arguments: [0, 1],
  run: async ({ options, arguments: [name] }, around) => {
    checkBuilder(name ?? options.builder ?? 'default');
    const { version } = versionInfo();
    const lines = [
      'Name:   default',
      'Driver: jettison',
      '',
      'Nodes:',
      'Name:             default',
      'Endpoint:         default',
      'Status:           running',
      `BuildKit version: v${version} (jettison)`,
      `Platforms:        ${platformNames()}`,
      '',
    ];
    around.streams.stdout.write(lines.join('\n'));
    return await Promise.resolve(0);
  },
});

export const useBuilderCommand = defineCommand({
  name: 'buildx use',
  summary: 'Set the builder (there is one)',
  usage: '[OPTIONS] NAME',
  options: { isDefault: flag('default', { help: 'Set it for this machine, which it is already' }) },
  notBuilt: 'global',
  arguments: [1, 1],
  run: async ({ arguments: [name = ''] }) => {
    checkBuilder(name);
    return await Promise.resolve(0);
  },
});

/** Buildx's form: a list with commas. */
function platformNames(): string {
  return platformsHere()
    .map(({ platform }) => platform)
    .join(', ');
}

function checkBuilder(name: string): void {
  if (name === 'default') return;
  throw new JettisonError('cli/no-builder', `no builder "${name}" found`, { hint: 'There is one builder, "default"' });
}
