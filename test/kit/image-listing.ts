/**
 * What an image is, as lines of text that two builders' images can be compared by: what its layers make over a base, and its config and history.
 * Times, digests of layers and how the layers are cut do not count.
 */
import { execFileSync } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTarReader } from '#formats/tar/read.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { toText } from '#ground/base/byte-string.ts';

type Node = { readonly entry: TarEntry; readonly digest: string };
type Files = Map<string, Node>;
type Config = {
  readonly architecture: string;
  readonly os: string;
  readonly author?: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
};

const zeros = new Uint8Array(1 << 16);
const members = 'Env Entrypoint Cmd WorkingDir User ExposedPorts Volumes Labels Healthcheck StopSignal Shell OnBuild ArgsEscaped'.split(
  ' ',
);

export type ListedImage = { readonly config: Config; readonly files: ReadonlyMap<string, Node> };

/** Reads a docker archive whose layers are not compressed. */
export function readImage(archive: string): ListedImage {
  using opened = open(archive);
  return { config: opened.config, files: flatten(opened.layers) };
}

/** Files that the base has, too, are listed without their content when it changed: it depends on the base. */
export function listImage(image: ListedImage, base: ListedImage): string {
  const isOnBase = base.config.rootfs.diff_ids.every((id, index) => image.config.rootfs.diff_ids[index] === id);
  const old = isOnBase ? base.files : new Map<string, Node>();
  const { files } = image;
  const history = image.config.history.slice(isOnBase ? base.config.history.length : 0);
  return [
    `${image.config.os}/${image.config.architecture} ${isOnBase ? 'on the base' : 'on nothing'} ${image.config.author ?? ''}`.trimEnd(),
    ...members.flatMap((name) => configLines(name, image.config.config[name])),
    '',
    ...history.map(({ created_by: text = '', empty_layer: empty }) => `${empty === true ? '-' : '+'} ${JSON.stringify(text)}`),
    '',
    ...fileLines(files, old),
    ...[...old.keys()].filter((path) => !files.has(path) && !isGone(parentOf(path), old, files)).map((path) => `removed ${path}`),
    '',
  ].join('\n');
}

type Opened = Disposable & { readonly config: Config; readonly layers: readonly string[] };

function open(archive: string): Opened {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-listing-'));
  execFileSync('tar', ['-xf', archive, '-C', folder]);
  const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const [manifest] = json('manifest.json') as readonly [{ readonly Config: string; readonly Layers: readonly string[] }];
  return {
    config: json(manifest.Config) as Config,
    layers: manifest.Layers.map((layer) => join(folder, layer)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

/** Layers one over the other; hard links are one node under several names. */
function flatten(layers: readonly string[]): Files {
  const files: Files = new Map();
  for (const layer of layers) apply(files, readFileSync(layer));
  return files;
}

function apply(files: Files, layer: Uint8Array): void {
  const added = new Set<string>();
  const remove = (path: string, itself: boolean): void => {
    for (const name of files.keys()) {
      if (((itself && name === path) || path === '' || name.startsWith(`${path}/`)) && !added.has(name)) files.delete(name);
    }
  };
  const put = (entry: TarEntry, digest: string): void => {
    const path = placeOf(files, toText(entry.name));
    const [folder, name] = [parentOf(path), path.slice(path.lastIndexOf('/') + 1)];
    if (name === '.wh..wh..opq') return remove(folder, false);
    if (name.startsWith('.wh.')) return remove(join(folder, name.slice(4)), true);
    if (path === '') return undefined;
    if (entry.kind !== 'folder') remove(path, true);
    const target = entry.kind === 'hard-link' ? files.get(placeOf(files, toText(entry.linkName))) : undefined;
    files.set(path, target ?? { entry, digest });
    added.add(path);
    return undefined;
  };
  let last: { readonly entry: TarEntry; readonly hash: Hash; at: number } | undefined;
  const zerosUpTo = (offset: number): void => {
    for (; last && last.at < offset; last.at = Math.min(offset, last.at + zeros.length))
      last.hash.update(zeros.subarray(0, offset - last.at));
  };
  const reader = createTarReader({
    entry: (entry) => void (last = { entry, hash: createHash('sha256'), at: 0 }),
    data: (bytes, offset) => {
      zerosUpTo(offset);
      last?.hash.update(bytes);
      if (last) last.at = offset + bytes.length;
    },
    entryEnd: () => {
      if (!last) return;
      zerosUpTo(last.entry.size);
      put(last.entry, last.hash.digest('hex').slice(0, 16));
    },
  });
  reader.push(layer);
  reader.finish();
}

/** Where an entry goes: links among its folders are followed inside the root. */
function placeOf(files: Files, name: string): string {
  const names = name.split('/').filter((part) => part !== '' && part !== '.');
  let path = '';
  for (let index = 0, steps = 0; index < names.length; index++) {
    path = join(path, names[index] ?? '');
    const node = files.get(path);
    if (index === names.length - 1 || node?.entry.kind !== 'symlink' || ++steps > 40) continue;
    const link = toText(node.entry.linkName);
    names.splice(
      0,
      index + 1,
      ...join('/', link.startsWith('/') ? '' : parentOf(path), link)
        .split('/')
        .filter(Boolean),
    );
    [path, index] = ['', -1];
  }
  return path;
}

function fileLines(files: ListedImage['files'], old: ListedImage['files']): readonly string[] {
  const first = firstNames(files);
  const firstBefore = firstNames(old);
  return [...files.keys()].toSorted().flatMap((path) => {
    const node = files.get(path);
    if (!node) return [];
    const other = first.get(node) ?? path;
    const before = old.get(path);
    const isSame =
      before !== undefined && (before === node || (describe(before, '') === describe(node, '') && before.digest === node.digest));
    if (isSame && other === (firstBefore.get(before) ?? path)) return [];
    const content = node.entry.kind !== 'file' ? '' : isOfBase(path, old) ? '(of the base)' : node.digest;
    return [`${describe(node, content)} ${path}${linkOf(node)}${other === path ? '' : ` = ${other}`}`];
  });
}

/** The first path of each file in byte order: what its other names are told as. */
function firstNames(files: ListedImage['files']): ReadonlyMap<Node, string> {
  const first = new Map<Node, string>();
  for (const path of [...files.keys()].toSorted()) {
    const node = files.get(path);
    if (node && node.entry.kind !== 'folder' && !first.has(node)) first.set(node, path);
  }
  return first;
}

/** Files that depend on the base, with the backups that useradd(8) makes of them. */
function isOfBase(path: string, old: ListedImage['files']): boolean {
  return old.has(path) || old.has(path.replace(/-$/u, ''));
}

function describe({ entry }: Node, content: string): string {
  const kind = { file: 'f', folder: 'd', symlink: 'l', 'hard-link': 'h', fifo: 'p', 'character-device': 'c', 'block-device': 'b' }[
    entry.kind
  ];
  const mode = entry.kind === 'symlink' ? '----' : entry.mode.toString(8).padStart(4, '0');
  const attributes = [...entry.xattrs].map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`).toSorted();
  const device = entry.device === undefined ? [] : [`${entry.device.major},${entry.device.minor}`];
  return [kind, mode, `${entry.uid}:${entry.gid}`, ...device, ...attributes, content].join(' ').trimEnd();
}

function linkOf({ entry }: Node): string {
  return entry.kind === 'symlink' ? ` -> ${toText(entry.linkName)}` : '';
}

function configLines(name: string, value: unknown): readonly string[] {
  if (value === undefined || value === null || value === '' || JSON.stringify(value) === '[]' || JSON.stringify(value) === '{}') return [];
  return [`${name} ${JSON.stringify(value, isList(value) ? undefined : sortedKeys(value))}`];
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || typeof value !== 'object';
}

function sortedKeys(value: unknown): string[] {
  return Object.keys(value as object).toSorted();
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function isGone(path: string, old: ListedImage['files'], files: ListedImage['files']): boolean {
  return old.has(path) && !files.has(path);
}
