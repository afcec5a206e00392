/** Docker's `manifest` commands: lists of manifests that are in registries. */
import {
  annotateList,
  createList,
  describeListed,
  describeManifests,
  hasList,
  listDocument,
  noSuchList,
  pushList,
  removeLists,
  type DescribedManifest,
} from '#engine/manifest-lists.ts';
import { lookUpDocument } from '#engine/remote-documents.ts';
import { toBase64 } from '#ground/base/bytes.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const createListCommand = defineCommand({
  name: 'manifest create',
  summary: 'Begin a list of manifests that are in registries',
  usage: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
  options: { amend: flag('amend', { short: 'a', help: 'Add to a list that is there' }) },
  notBuilt: 'insecure',
  arguments: [2, Infinity],
  async run({ options, arguments: [name = '', ...manifests] }, around, signal) {
    await using engine = await engineFor(around);
    const made = await createList(engine, { name, manifests, amend: options.amend }, signal);
    around.streams.stdout.write(`Created manifest list ${made}\n`);
    return 0;
  },
});

export const addToListCommand = defineCommand({
  name: 'manifest add',
  summary: 'Add a manifest in a registry to a list',
  usage: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
  options: {},
  arguments: [2, Infinity],
  async run({ arguments: [name = '', ...manifests] }, around, signal) {
    await using engine = await engineFor(around);
    if (!hasList(engine, name)) throw noSuchList(name);
    around.streams.stdout.write(`${await createList(engine, { name, manifests, amend: true }, signal)}\n`);
    return 0;
  },
});

export const listExistsCommand = defineCommand({
  name: 'manifest exists',
  summary: 'Ask by the exit code whether there is such a list here: 0, or 1',
  usage: 'MANIFEST_LIST',
  options: {},
  arguments: [1, 1],
  async run({ arguments: [name = ''] }, around) {
    await using engine = await engineFor(around);
    return hasList(engine, name) ? 0 : 1;
  },
});

export const annotateListCommand = defineCommand({
  name: 'manifest annotate',
  summary: 'Say what a manifest of a list is for',
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
  options: {
    architecture: text('arch', { help: 'Set the architecture' }),
    os: text('os', { help: 'Set the operating system' }),
    osFeatures: list('os-features', { value: 'strings', help: 'Set features of the operating system' }),
    osVersion: text('os-version', { help: 'Set the version of the operating system' }),
    variant: text('variant', { help: 'Set the variant of the architecture' }),
  },
  arguments: [2, 2],
  async run({ options, arguments: [name = '', manifest = ''] }, around) {
    const { architecture, os, osFeatures, osVersion, variant } = options;
    const change = {
      ...(os === undefined ? {} : { os }),
      ...(architecture === undefined ? {} : { architecture }),
      ...(variant === undefined ? {} : { variant }),
      ...(osVersion === undefined ? {} : { 'os.version': osVersion }),
      ...(osFeatures.length === 0 ? {} : { 'os.features': osFeatures.flatMap((words) => words.split(',')) }),
    };
    await using engine = await engineFor(around);
    annotateList(engine, { name, manifest, change });
    return 0;
  },
});

export const inspectListCommand = defineCommand({
  name: 'manifest inspect',
  summary: 'Show a list of manifests, or a manifest in its registry',
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  options: { verbose: flag('verbose', { short: 'v', help: 'Show name, platform and descriptor beside it' }) },
  notBuilt: 'insecure',
  arguments: [1, 2],
  async run({ options, arguments: [first = '', second] }, around, signal) {
    await using engine = await engineFor(around);
    const show = (value: Json, indent: number | '\t'): number => {
      around.streams.stdout.write(`${goJson(value, indent)}\n`);
      return 0;
    };
    if (second !== undefined) {
      const listed = await describeListed(engine, first, second, signal);
      return show(options.verbose ? described(listed) : jsonOf(listed.bytes), '\t');
    }
    if (options.verbose) {
      const found = await describeManifests(engine, first, signal);
      return show('bytes' in found ? described(found) : found.map(described), '\t');
    }
    const local = listDocument(engine, first);
    if (local !== undefined) return show(jsonOf(local.bytes), listIndent);
    const { bytes, entries } = await lookUpDocument(engine, first, signal);
    return show(jsonOf(bytes), entries === undefined ? '\t' : listIndent);
  },
});

/** Docker has spaces in lists and a tab in manifests. */
const listIndent = 3;

export const pushListCommand = defineCommand({
  name: 'manifest push',
  summary: 'Push a list of manifests',
  usage: '[OPTIONS] MANIFEST_LIST',
  options: { purge: flag('purge', { short: 'p', help: 'Remove the list here afterwards' }) },
  notBuilt: 'insecure',
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    await using engine = await engineFor(around);
    const made = await (async () => {
      using screen = openTransferScreen(around.streams.stderr, around);
      return await pushList(engine, { name, purge: options.purge }, screen.report, signal);
    })();
    around.streams.stdout.write(`${made.digest}\n`);
    return 0;
  },
});

export const removeListCommand = defineCommand({
  name: 'manifest rm',
  summary: 'Remove lists of manifests here',
  usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
  options: {},
  arguments: [1, Infinity],
  async run({ arguments: names }, around) {
    await using engine = await engineFor(around);
    removeLists(engine, names);
    return 0;
  },
});

function jsonOf(bytes: Uint8Array): Json {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** A manifest with all that docker says of it: the document as it is (`Raw`), and as what it is read. */
function described({ reference, mediaType, descriptor, bytes }: DescribedManifest): Json {
  const kind = mediaType === mediaTypes.dockerManifest ? 'SchemaV2Manifest' : 'OCIManifest';
  return { Ref: reference, Descriptor: descriptor, Raw: toBase64(bytes), [kind]: jsonOf(bytes) };
}
