import { diskUse } from '#engine/disk-use.ts';
import type { CacheUse, DiskUse } from '#engine/space-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { ellipsis, formatSize } from '#ground/base/human.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { createdAt, shortId, since } from '../output/stamp.ts';
import { formatTable } from '../output/table.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';
import { harmless } from '../output/text.ts';

const titles = { Type: 'TYPE', TotalCount: 'TOTAL', Active: 'ACTIVE', Size: 'SIZE', Reclaimable: 'RECLAIMABLE' };
const table = '{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}';

export const dfCommand = defineCommand({
  name: 'system df',
  summary: 'Show what images, containers and the build cache take up',
  usage: '[OPTIONS]',
  options: {
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each type' }),
    verbose: flag('verbose', { short: 'v', help: 'Show each image, container and cached thing' }),
  },
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around) {
    await using engine = await engineFor(around);
    const use = await diskUse(engine);
    const format = options.format ?? '';
    const shown = options.verbose
      ? format === '' || format === 'table'
        ? verbose(use, around)
        : verboseAs(format, use, around)
      : formatRows(summary(use), options.format, { titles, table });
    around.streams.stdout.write(shown);
    return 0;
  },
});

function summary({ images, containers, volumes, cache, ...sums }: DiskUse): readonly Fields[] {
  const ids = new Map(images.map((image) => [image.id, image]));
  const written = total(containers.map((container) => container.bytes));
  const ended = total(containers.map((container) => (container.isRunning ? 0 : container.bytes)));
  const stored = total(volumes.map(({ bytes }) => bytes));
  const unused = total(volumes.map(({ users, bytes }) => (users > 0 ? 0 : bytes)));
  const cached = total(cache.map((use) => use.bytes));
  const free = total(cache.map((use) => (use.inUse ? 0 : use.bytes)));
  return [
    row(
      'Images',
      [ids.size, [...ids.values()].filter((image) => image.containers > 0).length],
      sums.imageBytes,
      share(sums.reclaimableImageBytes, sums.imageBytes),
    ),
    row('Containers', [containers.length, containers.filter((container) => container.isRunning).length], written, share(ended, written)),
    row('Local Volumes', [volumes.length, volumes.filter(({ isActive }) => isActive).length], stored, share(unused, stored)),
    row('Build Cache', [cache.length, cache.filter((use) => use.inUse).length], cached, formatSize(free, 4)),
  ];
}

function row(type: string, [count, active]: readonly [number, number], bytes: number, reclaimable: string): Fields {
  return { Active: String(active), Reclaimable: reclaimable, Size: formatSize(bytes, 4), TotalCount: String(count), Type: type };
}

function share(part: number, whole: number): string {
  return whole > 0 ? `${formatSize(part, 4)} (${Math.floor((part * 100) / whole)}%)` : formatSize(part, 4);
}

function total(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** One document with four lists, for templates. */
function verboseAs(format: string, use: DiskUse, around: Surroundings): string {
  const now = around.now();
  const fields: Json = {
    Images: use.images.map((image) => ({
      Containers: String(image.containers),
      CreatedAt: createdAt(image.created),
      CreatedSince: since(image.created, now),
      Digest: image.digest ?? '',
      ID: image.id,
      Repository: image.repository,
      SharedSize: formatSize(image.sharedBytes, 4),
      Size: formatSize(image.size),
      Tag: image.tag,
      UniqueSize: formatSize(image.uniqueBytes, 4),
      VirtualSize: formatSize(image.size, 4),
    })),
    Containers: use.containers.map((one) => ({
      Command: `"${harmless(one.command, false)}"`,
      CreatedAt: createdAt(one.created),
      ID: one.id,
      Image: one.image,
      LocalVolumes: String(one.volumes),
      Names: one.name,
      RunningFor: since(one.created, now),
      Size: formatSize(one.bytes),
      Status: one.status,
    })),
    Volumes: use.volumes.map(({ name, users, bytes }) => ({
      Driver: 'local',
      Links: String(users),
      Name: name,
      Scope: 'local',
      Size: formatSize(bytes, 4),
    })),
    BuildCache: use.cache.map((one) => ({
      CacheType: one.type,
      CreatedAt: createdAt(one.createdAt),
      CreatedSince: since(one.createdAt, now),
      ID: one.id,
      InUse: String(one.inUse),
      LastUsedAt: createdAt(one.lastUsedAt),
      LastUsedSince: since(one.lastUsedAt, now),
      Parent: one.parent ?? '',
      Shared: String(one.isShared),
      Size: formatSize(one.bytes),
      UsageCount: String(one.uses),
    })),
  };
  return `${format === 'json' ? goJson(fields) : compileTemplate(unescapeFormat(format))(fields)}\n`;
}

function verbose(use: DiskUse, around: Surroundings): string {
  const now = around.now();
  const images = use.images.map((image) => [
    image.repository,
    image.tag,
    shortId(image.id),
    since(image.created, now),
    formatSize(image.size),
    formatSize(image.sharedBytes, 4),
    formatSize(image.uniqueBytes, 4),
    String(image.containers),
  ]);
  const containers = use.containers.map((one) => [
    shortId(one.id),
    one.image,
    `"${ellipsis(harmless(one.command.replaceAll(/[\t\n]/gu, ' '), false), 20)}"`,
    String(one.volumes),
    formatSize(one.bytes),
    since(one.created, now),
    one.status,
    one.name,
  ]);
  return [
    'Images space usage:\n\n',
    formatTable([['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE', 'SHARED SIZE', 'UNIQUE SIZE', 'CONTAINERS'], ...images]),
    '\nContainers space usage:\n\n',
    formatTable([['CONTAINER ID', 'IMAGE', 'COMMAND', 'LOCAL VOLUMES', 'SIZE', 'CREATED', 'STATUS', 'NAMES'], ...containers]),
    '\nLocal Volumes space usage:\n\n',
    formatTable([
      ['VOLUME NAME', 'LINKS', 'SIZE'],
      ...use.volumes.map(({ name, users, bytes }) => [name, String(users), formatSize(bytes, 4)]),
    ]),
    `\nBuild cache usage: ${formatSize(total(use.cache.map((one) => one.bytes)), 4)}\n\n`,
    formatTable([
      ['CACHE ID', 'CACHE TYPE', 'SIZE', 'CREATED', 'LAST USED', 'USAGE', 'SHARED'],
      ...use.cache.map((one) => cacheRow(one, now)),
    ]),
  ].join('');
}

function cacheRow(one: CacheUse, now: number): readonly string[] {
  const id = one.inUse ? `${one.id}*` : one.id;
  return [
    id,
    one.type,
    formatSize(one.bytes),
    since(one.createdAt, now),
    since(one.lastUsedAt, now),
    String(one.uses),
    String(one.isShared),
  ];
}
