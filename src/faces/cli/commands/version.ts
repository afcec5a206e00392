import { versionInfo } from '#engine/info.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { defineCommand } from '../command.ts';
import { text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'Show the version',
  usage: '[OPTIONS]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template' }) },
  arguments: [0, 0],
  async run({ options }, around) {
    const format = options.format ?? '';
    const shown =
      format === '' ? describe() : format === 'json' ? goJson(versionFields()) : compileTemplate(unescapeFormat(format))(versionFields());
    around.streams.stdout.write(`${shown}\n`);
    return await Promise.resolve(0);
  },
});

function describe(): string {
  const info = versionInfo();
  return [
    'Client: jettison',
    ` Version:           ${info.version}`,
    ` Node version:      ${info.node}`,
    ` OS/Arch:           ${info.os}/${info.architecture}`,
    ' Context:           default',
  ].join('\n');
}

/** Docker's document. What asks for the server gets the same program: it does the work itself. */
function versionFields(): Json {
  const info = versionInfo();
  const first = { Version: info.version, ApiVersion: '' };
  const made = { GitCommit: '', GoVersion: '', Os: info.os, Arch: info.architecture };
  const details = { Arch: info.architecture, Experimental: 'false', KernelVersion: info.kernel, Os: info.os };
  const engine = { Name: 'Engine', Version: info.version, Details: details };
  const platform = { Name: 'jettison' };
  return {
    Client: { Platform: platform, ...first, DefaultAPIVersion: '', ...made, BuildTime: '', Context: 'default', NodeVersion: info.node },
    Server: {
      Platform: platform,
      Components: [engine],
      ...first,
      MinAPIVersion: '',
      ...made,
      KernelVersion: info.kernel,
      Experimental: false,
      BuildTime: '',
    },
  };
}
