/** Words of the buildx plugin about builders: there is one, jettison itself, by whatever name. */
import { builderNames, checkBuilder, defaultBuilder, selectBuilder } from '#engine/builders.ts';
import { platformsHere, versionInfo } from '#engine/info.ts';
import { defineCommand } from '../command.ts';
import { builderOption } from './builder-option.ts';
import { flag, text } from '../option.ts';
import { formatRows } from '../output/rows.ts';

const titles = {
  Name: 'NAME/NODE',
  DriverEndpoint: 'DRIVER/ENDPOINT',
  Status: 'STATUS',
  Buildkit: 'BUILDKIT',
  Platforms: 'PLATFORMS',
  LastActivity: 'LAST ACTIVITY',
  Error: 'ERROR',
};
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
  summary: 'List the names of the builder',
  usage: '[OPTIONS]',
  options: {
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template' }),
    noTrunc: flag('no-trunc', { help: 'Show all platforms, as always' }),
  },
  arguments: [0, 0],
  run: async ({ options }, around) => {
    const { names, current } = builderNames(around.environment);
    const all = [...names, defaultBuilder];
    around.streams.stdout.write(
      options.format === 'json'
        ? all.map((name) => `${JSON.stringify(describe(name, current))}\n`).join('')
        : formatRows(
            all.flatMap((name) => rowsOf(name, current)),
            options.format,
            { titles, table },
          ),
    );
    return await Promise.resolve(0);
  },
});

function rowsOf(name: string, current: string) {
  const builder = {
    Name: name === current ? `${name}*` : name,
    DriverEndpoint: 'jettison',
    Status: '',
    Buildkit: '',
    Platforms: '',
    LastActivity: '',
    Error: '',
  };
  const node = {
    Name: ` \\_ ${name}`,
    DriverEndpoint: ' \\_ default',
    Status: 'running',
    Buildkit: `v${versionInfo().version}`,
    Platforms: platformNames(),
    LastActivity: '',
    Error: '',
  };
  return [builder, node];
}

/** As buildx has it. */
function describe(name: string, current: string): object {
  const Platforms = platformsHere().map(({ platform }) => platform);
  const node = { Endpoint: 'default', Name: name, Platforms, Status: 'running', Version: `v${versionInfo().version}` };
  return { Current: name === current, Driver: 'jettison', Dynamic: false, Name: name, Nodes: [node] };
}

export const inspectBuilderCommand = defineCommand({
  name: 'buildx inspect',
  summary: 'Show the builder',
  usage: '[NAME]',
  options: {
    bootstrap: flag('bootstrap', { help: 'Make it ready before (it always is)' }),
    builder: builderOption(),
  },
  arguments: [0, 1],
  run: async ({ options, arguments: [given] }, around) => {
    const { environment } = around;
    const name = given ?? options.builder ?? (environment['BUILDX_BUILDER'] || builderNames(environment).current);
    checkBuilder(name, environment);
    const { version } = versionInfo();
    const lines = [
      `Name:   ${name}`,
      'Driver: jettison',
      '',
      'Nodes:',
      `Name:             ${name}`,
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
  summary: 'Choose a name of the builder',
  usage: '[OPTIONS] NAME',
  options: { isDefault: flag('default', { help: 'Set it for this machine, which it is already' }) },
  notBuilt: 'builder global',
  arguments: [1, 1],
  run: async ({ arguments: [name = ''] }, around) => {
    selectBuilder(name, around.environment);
    return await Promise.resolve(0);
  },
});

/** Buildx's form: a list with commas. */
function platformNames(): string {
  return platformsHere()
    .map(({ platform }) => platform)
    .join(', ');
}
