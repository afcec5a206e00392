/** The files of an image, without a container: `unpack`, `cp --from`, `image diff`. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '#formats/progress/event.ts';
import { asByteString } from '#ground/base/byte-string.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { checkConfig, type ImageRecord } from '#stores/image/store.ts';
import type { Exported, FileChange, SnapshotId } from '#execution/worker/contract.ts';
import type { FilesWorker } from './container-files.ts';
import { unpackImage } from './fetch-image.ts';
import { findForPlatform, findImage } from './images.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';

/** `platform`: which image of several. */
export type ImageChoice = { readonly name: string; readonly platform: string | undefined };

export type UnpackImageRequest = ImageChoice & {
  /** Absolute; there is nothing in it yet, or it is not there. */
  readonly folder: string;
  /** Files get the owners that they have in the image; else they are this user's. */
  readonly keepsOwners: boolean;
};

/** Makes a folder the root of an image's files. Throws `image/not-found`, `oci/no-such-platform`, `engine/not-empty`, `layer/...`; what was made before that is removed, but for the folder itself where it was there. */
export async function unpackTo(engine: Engine, request: UnpackImageRequest, report: Report, signal: AbortSignal): Promise<Exported> {
  const record = chooseImage(engine, request);
  const { folder: path, keepsOwners } = request;
  const wasThere = checkEmpty(path);
  const unpack = async (): Promise<Exported> => {
    const snapshot = await unpackImage(engine, record, report, signal);
    const worker = await engine.worker(signal);
    const to = { kind: 'folder', path, asRoot: { keepsOwners } } as const;
    return await worker.exportTree({ trees: [{ snapshot }], path: asByteString(''), to }, report, signal);
  };
  engine.hold();
  try {
    return await withoutLostSnapshots(engine, unpack, report, signal);
  } catch (error) {
    removeMade(path, wasThere, report);
    throw error;
  }
}

/** Half an image is nobody's wish. Where it cannot be removed it is said that it is there. */
function removeMade(folder: string, wasThere: boolean, report: Report): void {
  if (!existsSync(folder)) return;
  try {
    const made = wasThere ? readdirSync(folder).map((name) => join(folder, name)) : [folder];
    for (const path of made) rmSync(path, { recursive: true });
  } catch (error) {
    report({ kind: 'note', text: `What was made in "${folder}" is not the whole image, and cannot be removed: ${messageOf(error)}` });
  }
}

/** What was there would be taken for the image's. False where there is no folder yet. */
function checkEmpty(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const isFolder = statSync(folder).isDirectory();
  if (isFolder && readdirSync(folder).length === 0) return true;
  throw new JettisonError('engine/not-empty', isFolder ? `"${folder}" is not empty` : `"${folder}" is no folder`, {
    hint: 'Name a folder that is not there yet',
  });
}

function chooseImage(engine: Engine, { name, platform }: ImageChoice): ImageRecord {
  const record = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  checkConfig(record);
  return record;
}

/** The image's files as a snapshot; undefined where it has no layers. */
async function filesOf(engine: Engine, record: ImageRecord, report: Report, signal: AbortSignal): Promise<SnapshotId | undefined> {
  return await withoutLostSnapshots(engine, async () => await unpackImage(engine, record, report, signal), report, signal);
}

/** A worker with the image's files. Throws `image/not-found`, `oci/no-such-platform`. */
export async function openImageFiles(engine: Engine, choice: ImageChoice, report: Report, signal: AbortSignal): Promise<FilesWorker> {
  const record = chooseImage(engine, choice);
  engine.hold();
  const snapshot = await filesOf(engine, record, report, signal);
  const worker = await engine.filesWorker(undefined, signal);
  const { streams } = worker;
  if (streams === undefined) throw new JettisonError('engine/no-streams', 'The worker has no streams', { fault: 'bug' });
  return { worker, streams, place: { kind: 'snapshot', snapshot }, [Symbol.asyncDispose]: async () => await worker[Symbol.asyncDispose]() };
}

/** What the topmost layer of an image changes, or what is other in `to`, by path. Throws `image/not-found`. */
export async function diffImage(
  engine: Engine,
  { name, to }: { readonly name: string; readonly to: string | undefined },
  report: Report,
  signal: AbortSignal,
): Promise<readonly FileChange[]> {
  const [record, other] = [findImage(engine, name), to === undefined ? undefined : findImage(engine, to)];
  for (const one of [record, other]) if (one !== undefined) checkConfig(one);
  engine.hold();
  const snapshot = await filesOf(engine, record, report, signal);
  const worker = await engine.worker(signal);
  if (other !== undefined) {
    const otherSnapshot = await filesOf(engine, other, report, signal);
    return await worker.listChanges({ kind: 'trees', from: snapshot, to: otherSnapshot }, signal);
  }
  return snapshot === undefined ? [] : await worker.listChanges({ kind: 'layer', snapshot }, signal);
}
