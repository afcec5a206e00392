import { lookUpDocument, readParts } from '#engine/remote-documents.ts';
import type { RemoteDocument } from '#engine/registry-requests.ts';
import type { Engine } from '#engine/open.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { builderOption, checkBuilderOption } from './builder-option.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { compileTemplate, fieldsOf, unescapeFormat } from '../output/template.ts';
import { harmless } from '../output/text.ts';
import { readRetries, retryOptions } from './retry-options.ts';

export const inspectRemoteCommand = defineCommand({
  name: 'buildx imagetools inspect',
  summary: 'Show an image in its registry',
  usage: '[OPTIONS] NAME',
  options: {
    builder: builderOption(),
    format: text('format', { help: 'A Go template of Name, Manifest, Image, Provenance, SBOM (default: a table)' }),
    raw: flag('raw', { help: 'Show the manifest or index as it is' }),
    ...retryOptions,
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    await checkBuilderOption(options.builder, around.environment);
    const { stdout } = around.streams;
    const template =
      options.format === undefined || options.format === ''
        ? undefined
        : compileTemplate(unescapeFormat(options.format), { goNames: true, indent: 2 });
    requireKnown(options.format ?? '');
    await using engine = await engineFor(around, { network: readRetries(options) });
    const found = await lookUpDocument(engine, name, signal);
    if (options.raw) stdout.write(found.bytes);
    else if (template === undefined || isTable.test(options.format ?? '')) stdout.write(describe(found));
    else stdout.write(`${template(await valueFor(engine, found, options.format ?? '', signal))}\n`);
    return 0;
  },
});

/** As in buildx: the manifest itself has the form of the table. */
const isTable = /^\{\{\s*\.Manifest\s*\}\}$/u;

const topMembers = ['Name', 'Manifest', 'Image', 'Provenance', 'SBOM'];

/** Before anything is fetched; what is fetched has only the members that the template names. */
function requireKnown(format: string): void {
  const unknown = fieldsOf(format).find((field) => !topMembers.some((one) => one.toLowerCase() === field.toLowerCase()));
  if (unknown === undefined) return;
  throw new JettisonError('cli/bad-template', `template: executing at <.${unknown}>: can't evaluate field ${unknown}`, {
    hint: `There is ${topMembers.map((one) => `.${one}`).join(' ')}`,
  });
}

/** Only what the template names is fetched. */
async function valueFor(engine: Engine, found: RemoteDocument, format: string, signal: AbortSignal): Promise<Json> {
  const base = { name: found.name, manifest: manifestOf(found) };
  const isWhole = /\{\{\s*(?:json\s+)?\.\s*\}\}/u.test(format);
  const wanted = fieldsOf(format);
  if (!isWhole && !['Image', 'Provenance', 'SBOM'].some((field) => wanted.includes(field))) return base;
  const { image, provenance, sbom } = await readParts(engine, found.name, signal);
  return isWhole ? { ...base, image } : { ...base, image, provenance: sorted(provenance), sbom: sorted(sbom) };
}

/** With the members of all objects in order. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map((one: Json) => sorted(one));
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member ?? null)]));
}

/** Of an index all of it, of a manifest its descriptor, as buildx has it. */
function manifestOf({ descriptor, bytes, entries }: RemoteDocument): Json {
  const { mediaType, digest, size } = descriptor;
  if (entries === undefined) return { mediaType, digest, size };
  const document: { readonly [member: string]: Json } = JSON.parse(new TextDecoder().decode(bytes));
  const { schemaVersion = 2, manifests = [], annotations } = document;
  const all = Array.isArray(manifests) ? manifests.map(withPlatformInOrder) : manifests;
  return { schemaVersion, mediaType, digest, size, manifests: all, ...(annotations === undefined ? {} : { annotations }) };
}

type Members = { readonly [member: string]: Json };

function membersOf(value: Json | undefined): Members | undefined {
  return value === undefined || value === null || typeof value !== 'object' || Array.isArray(value) ? undefined : (value as Members);
}

/** Go's order of the members of a platform: image-spec, specs-go/v1/descriptor.go. */
function withPlatformInOrder(entry: Json): Json {
  const members = membersOf(entry);
  const platform = membersOf(members?.['platform']);
  if (members === undefined || platform === undefined) return entry;
  const { architecture = '', os = '', ...more } = platform;
  return { ...members, platform: { architecture, os, ...more } };
}

function describe({ name, descriptor, entries }: RemoteDocument): string {
  const head = pairs([
    ['Name', name],
    ['MediaType', descriptor.mediaType],
    ['Digest', descriptor.digest],
  ]);
  if (entries === undefined) return `${head.join('\n')}\n`;
  const width = entries.some(({ annotations = {} }) => Object.keys(annotations).length > 0) ? 'Annotations: '.length : 'MediaType: '.length;
  const blocks = entries.flatMap((entry, at) => [...(at === 0 ? [] : ['']), ...entryLines(name.replace(/@.*$/u, ''), entry, width)]);
  return [...head, '', 'Manifests:', ...blocks, ''].map((line) => harmless(line, false)).join('\n');
}

/** `width`: of the names of all entries. */
function entryLines(name: string, { mediaType, digest, platform, annotations = {} }: Descriptor, width: number): readonly string[] {
  const own = Object.entries(annotations).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const lines = pairs(
    [
      ['Name', `${name}@${digest}`],
      ['MediaType', mediaType],
      ...(platform === undefined ? [] : [['Platform', printPlatform(platform)] as const]),
      ...(own.length === 0 ? [] : [['Annotations', ''] as const]),
    ],
    width,
  );
  return [...lines.map((line) => `  ${line}`), ...pairs(own).map((line) => `    ${line}`)];
}

/** `Name:      value`, the values below each other. */
function pairs(all: readonly (readonly [string, string])[], least = 0): readonly string[] {
  const width = Math.max(least, ...all.map(([key]) => key.length + 2));
  return all.map(([key, value]) => `${`${key}:`.padEnd(width)}${value}`.trimEnd());
}
