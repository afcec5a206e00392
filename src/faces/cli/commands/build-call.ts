/** `jettison build --call`: what is found out instead of building. The forms are those of `docker build`. */
import { checkBuild, listBuildTargets, outlineBuild } from '#engine/check.ts';
import type { BuildRequest, CheckOutcome, Diagnostic, OutlineResult, TargetList } from '#engine/build-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { codeFrame, linesOf, type Span } from '#ground/base/span.ts';
import type { Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { goJson } from '#ground/base/go-json.ts';
import { harmless } from '../output/text.ts';
import type { BuildCall } from './build-call-option.ts';

/** Prints to stdout; gives 1 when there are findings, unless the call ignores that. */
export async function callBuild(request: BuildRequest, call: BuildCall, around: Surroundings, signal: AbortSignal): Promise<number> {
  const print = (text: string): void => void around.streams.stdout.write(text);
  if (call.kind === 'subrequests.describe') {
    print(call.format === 'json' ? subrequestsJson() : subrequestsText());
    return 0;
  }
  if (request.targets !== undefined && call.kind !== 'targets')
    throw new JettisonError('cli/usage', `"--call=${call.kind}" looks at one target`, { hint: 'Name one with "--target"' });
  await using engine = await engineFor(around);
  if (call.kind === 'targets') {
    const list = await listBuildTargets(engine, request, signal);
    print(call.format === 'json' ? targetsJson(list) : targetsText(list));
    return 0;
  }
  if (call.kind === 'outline') {
    const result = await outlineBuild(engine, request, signal);
    print(call.format === 'json' ? outlineJson(result) : outlineText(result));
    return 0;
  }
  const outcome = await checkBuild(engine, request, signal);
  print(call.format === 'json' ? checkJson(outcome) : checkText(outcome));
  return outcome.findings.length === 0 || call.ignoreStatus ? 0 : 1;
}

type Subrequest = { readonly name: string; readonly description: string; readonly options: Json };

/** What BuildKit's frontend says it can be asked for. */
const subrequests: readonly Subrequest[] = [
  {
    name: 'outline',
    description: 'List all parameters current build target supports',
    options: [{ name: 'target', description: 'Target build stage' }],
  },
  { name: 'targets', description: 'List all targets current build supports', options: [] },
  { name: 'subrequests.describe', description: 'List available subrequest types', options: null },
];
const subrequestVersion = '1.0.0';

function subrequestsText(): string {
  const rows = subrequests.map(({ name, description }) => [name, subrequestVersion, description]);
  return table([['NAME', 'VERSION', 'DESCRIPTION'], ...rows], 1);
}

function subrequestsJson(): string {
  const list = subrequests.map(({ name, description, options }) => ({
    name: `frontend.${name}`,
    version: subrequestVersion,
    type: 'rpc',
    description,
    opts: options,
    inputs: null,
    metadata: ['result.json', 'result.txt'].map((file) => ({ name: file, description: '' })),
    refs: null,
  }));
  return `${goJson(list, 2)}\n`;
}

function checkText({ text, findings }: CheckOutcome): string {
  const warnings = findings.filter(({ severity }) => severity === 'warning');
  const faults = findings.filter(({ severity }) => severity === 'error');
  const source = linesOf(text);
  const frame = (at: readonly Span[]): readonly string[] =>
    at.length === 0
      ? []
      : [
          ...codeFrame(source, at)
            .split('\n')
            .map((line) => harmless(line, false)),
          '',
        ];
  const lines: string[] = [];
  if (warnings.length > 0) {
    lines.push(`Check complete, ${warnings.length === 1 ? '1 warning has' : `${warnings.length} warnings have`} been found!`);
  } else if (faults.length === 0) lines.push('Check complete, no warnings found.');
  for (const { rule, message, at, url } of warnings) {
    lines.push('', `WARNING: ${rule}${url === undefined ? '' : ` - ${url}`}`, harmless(message, false), ...frame(at));
  }
  for (const { message, at, hint } of faults) {
    lines.push('', `ERROR: ${harmless(message, false)}`, ...frame(at), ...(hint === undefined ? [] : [harmless(hint, false)]));
  }
  return `${lines.join('\n')}\n`;
}

/** The JSON of BuildKit's lint subrequest: findings with places in `sources`. */
function checkJson({ file, text, findings }: CheckOutcome): string {
  const fault = findings.find(({ severity }) => severity === 'error');
  const warnings = findings.filter(({ severity }) => severity === 'warning');
  return `${goJson(
    {
      warnings: warnings.map(warningJson),
      sources: [{ filename: file, language: 'Dockerfile', data: Buffer.from(text).toString('base64') }],
      ...(fault === undefined
        ? {}
        : {
            buildError: { message: fault.hint === undefined ? fault.message : `${fault.message}. ${fault.hint}`, ...placeJson(fault.at) },
          }),
    },
    2,
  )}\n`;
}

function warningJson({ rule, description, url, message, at }: Diagnostic): Json {
  return {
    ruleName: rule,
    ...(description === undefined ? {} : { description }),
    ...(url === undefined ? {} : { url }),
    detail: message,
    ...placeJson(at),
  };
}

/** Lines count from 1; BuildKit knows no columns, and leaves out what is 0. */
function placeJson(at: readonly Span[]): { readonly [key: string]: Json } {
  if (at.length === 0) return {};
  return { location: { ranges: at.map(({ start, end }) => ({ start: { line: start.line }, end: { line: end.line } })) } };
}

function targetsText({ targets }: TargetList): string {
  const rows = targets.map(({ name, isDefault, description }) => {
    const title = name === undefined ? (isDefault ? '(default)' : '') : isDefault ? `${name} (default)` : name;
    return [title, shown(description)];
  });
  return table([['TARGET', 'DESCRIPTION'], ...rows], 1);
}

/** Columns as Go's tabwriter lays them out: each as wide as its widest cell and `gap`, the last as it is. */
function table(rows: readonly (readonly string[])[], gap: number): string {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => Array.from(row[column] ?? '').length)) + gap);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - Array.from(cell).length)))
      .join('');
  return rows.map((row) => `${line(row)}\n`).join('');
}

function shown(text: string | undefined): string {
  return harmless(text ?? '', false);
}

/** The tables of BuildKit's outline subrequest. */
function outlineText({ outline }: OutlineResult): string {
  const { name, description, arguments: list, secrets, ssh } = outline;
  const target = [['TARGET:', shown(name)], ...(description === undefined ? [] : [['DESCRIPTION:', shown(description)]])];
  const needs = (title: string, all: OutlineResult['outline']['secrets']): string =>
    all.length === 0 ? '' : `${table([[title, 'REQUIRED'], ...all.map((one) => [shown(one.id), one.required ? 'true' : ''])], 3)}\n`;
  const rows = list.map((argument) => [shown(argument.name), shown(argument.value), shown(argument.description)]);
  return [
    name === undefined ? '' : `${table(target, 1)}\n`,
    rows.length === 0 ? '' : `${table([['BUILD ARG', 'VALUE', 'DESCRIPTION'], ...rows], 3)}\n`,
    needs('SECRET', secrets),
    needs('SSH', ssh),
  ].join('');
}

function outlineJson({ outline, text }: OutlineResult): string {
  const { name, description, arguments: list, secrets, ssh, caches } = outline;
  const needs = (key: string, all: OutlineResult['outline']['secrets']) =>
    listJson(
      key,
      all.map(({ id, required, at }) => ({ name: id, ...(required ? { required } : {}), ...placeJson(at) })),
    );
  const argumentsJson = list.map((argument) => ({
    name: argument.name,
    ...(argument.description === undefined ? {} : { description: argument.description }),
    ...(argument.value === undefined || argument.value === '' ? {} : { value: argument.value }),
    ...placeJson(argument.at),
  }));
  return `${goJson(
    {
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
      ...listJson('args', argumentsJson),
      ...needs('secrets', secrets),
      ...needs('ssh', ssh),
      ...listJson(
        'cache',
        caches.map(({ id, at }) => ({ ID: id, ...placeJson(at) })),
      ),
      sources: [Buffer.from(text).toString('base64')],
    },
    2,
  )}\n`;
}

/** Empty lists are left out. */
function listJson(key: string, list: readonly Json[]): { readonly [key: string]: Json } {
  return list.length === 0 ? {} : { [key]: list };
}

function targetsJson({ targets, text }: TargetList): string {
  const list = targets.map(({ name, isDefault, description, base, platform, at }) => ({
    ...(name === undefined ? {} : { name }),
    ...(isDefault ? { default: true } : {}),
    ...(description === undefined ? {} : { description }),
    base,
    ...(platform === undefined ? {} : { platform }),
    ...placeJson([at]),
  }));
  return `${goJson({ targets: list, sources: [Buffer.from(text).toString('base64')] }, 2)}\n`;
}
