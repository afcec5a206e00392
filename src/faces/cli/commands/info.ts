import { systemInfo } from '#engine/info.ts';
import type { SystemInfo } from '#engine/info-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { goJson } from '../output/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';

export const infoCommand = defineCommand({
  name: 'info',
  summary: 'Show what this machine and its image store offer',
  usage: '[OPTIONS]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template' }) },
  arguments: [0, 0],
  async run({ options }, around) {
    await using engine = await engineFor(around);
    around.streams.stdout.write(describe(systemInfo(engine), options.format));
    return 0;
  },
});

function describe(info: SystemInfo, format: string | undefined): string {
  const fields: Json = {
    Version: info.version,
    Containers: info.containers,
    Images: info.images,
    Store: info.store,
    Runtime: info.runtime,
    Rootless: info.rootless,
    Isolation: info.isolation,
    KernelVersion: info.kernel,
    Architecture: info.architecture,
    NCPU: info.cpus,
    MemTotal: info.memory,
  };
  if (format === 'json') return `${goJson(fields)}\n`;
  if (format !== undefined && format !== '') return `${compileTemplate(unescapeFormat(format))(fields)}\n`;
  return [
    `Version: ${info.version}`,
    `Containers: ${info.containers}`,
    `Images: ${info.images}`,
    `Store: ${info.store}`,
    `Runtime: ${info.runtime}`,
    `Rootless: ${info.rootless}`,
    `Isolation: ${info.isolation}`,
    `Kernel Version: ${info.kernel}`,
    `Architecture: ${info.architecture}`,
    `CPUs: ${info.cpus}`,
    `Total Memory: ${formatSize(info.memory, 4)}`,
    '',
  ].join('\n');
}
