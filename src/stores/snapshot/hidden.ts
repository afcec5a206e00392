/** What of the layers of one build the later of them hide: it is in the image, and nobody can see it. */
import type { ByteString } from '#ground/base/byte-string.ts';
import { openChainTree } from './chain-tree.ts';
import { isCredential } from './fold/credentials.ts';
import { inodesOf } from './fold/inodes.ts';
import { meetLayers, type HiddenFile } from './fold/meet.ts';

/** Of one layer, what another one hides. `layer` and `by` are places in the row of layers, 0 for the lowest. */
export type Hidden = {
  readonly layer: number;
  readonly by: number;
  /** Names of what is no folder. */
  readonly files: number;
  /** Of regular files, by their lengths. One that has another name in its layer that is still seen costs nothing; one that has several hidden names counts once. */
  readonly bytes: number;
  /** Some of its files that are gone from the image and whose names promise a password or a key. */
  readonly credentials: readonly ByteString[];
};

type Sum = { readonly layer: number; readonly by: number; files: number; bytes: number; readonly credentials: ByteString[] };

/** Of how many files with telling names is told, for each layer. */
const mostCredentials = 10;

/**
 * Of layers whose `folders` are given, the lowest first: in the order of the hiding layers, then of the hidden ones. Only folders that two layers have in common are walked, and what is
 * hidden in them; a layer is walked whole where a hidden file of it has other names somewhere.
 */
export function hiddenIn(folders: readonly string[]): readonly Hidden[] {
  const files: HiddenFile[] = [];
  meetLayers(folders, (file) => void files.push(file));
  return sumHidden(folders, files);
}

/** The same of files that are known to be hidden. */
export function sumHidden(folders: readonly string[], files: readonly HiddenFile[]): readonly Hidden[] {
  const tree = openChainTree(folders.toReversed());
  const sums = new Map<string, Sum>();
  const sumOf = ({ layer, by }: Pick<HiddenFile, 'layer' | 'by'>): Sum => {
    const key = `${by} ${layer}`;
    const sum = sums.get(key) ?? { layer, by, files: 0, bytes: 0, credentials: [] };
    sums.set(key, sum);
    return sum;
  };
  for (const file of files) {
    const sum = sumOf(file);
    sum.files++;
    if (file.stats.isFile() && file.stats.nlink === 1n) sum.bytes += Number(file.stats.size);
    if (sum.credentials.length < mostCredentials && isCredential(file) && tree.entry(file.path) === undefined)
      sum.credentials.push(file.path);
  }
  for (const { file, isWhole } of withSeveralNames(folders, files)) if (isWhole) sumOf(file).bytes += Number(file.stats.size);
  return [...sums.values()].toSorted((a, b) => a.by - b.by || a.layer - b.layer);
}

/** Of each file with several names the one that is hidden last, and whether all that its layer has are hidden. */
function withSeveralNames(folders: readonly string[], files: readonly HiddenFile[]) {
  const inodes = folders.map(inodesOf);
  const shared = files.filter(({ stats }) => stats.isFile() && stats.nlink > 1n);
  return [...Map.groupBy(shared, ({ layer, stats }) => `${layer} ${stats.ino}`).values()].flatMap((names) => {
    const [file] = names.toSorted((a, b) => b.by - a.by);
    if (file === undefined) return [];
    const isAll = BigInt(names.length) >= file.stats.nlink;
    return [{ file, isWhole: isAll || names.length >= (inodes[file.layer]?.(file.stats.ino).length ?? 0) }];
  });
}
