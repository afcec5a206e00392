import { versionInfo } from '#engine/info.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { defineCommand } from '../command.ts';
import { text } from '../option.ts';
import { goJson } from '../output/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'Show the version',
  usage: '[OPTIONS]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template' }) },
  arguments: [0, 0],
  async run({ options }, around) {
    const info = versionInfo();
    const fields: Json = { Version: info.version, NodeVersion: info.node, Os: info.os, Arch: info.architecture };
    const lines = [
      `jettison:`,
      ` Version:    ${info.version}`,
      ` Node:       ${info.node}`,
      ` OS/Arch:    ${info.os}/${info.architecture}`,
    ];
    const format = options.format ?? '';
    const shown = format === '' ? lines.join('\n') : format === 'json' ? goJson(fields) : compileTemplate(unescapeFormat(format))(fields);
    around.streams.stdout.write(`${shown}\n`);
    return await Promise.resolve(0);
  },
});
