/** `jettison check --libs IMAGE:/PATH`: the plain instructions that bring one program of an image into an empty one, with what it needs of its own. */
import { copyAs } from '#formats/graph/copy.ts';
import { decodeImageConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import type { CopyLibs, FileOp } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { BroughtLibrary, SnapshotId } from '#execution/worker/contract.ts';
import { fixOf } from './check-payload.ts';
import { unpackImage } from './fetch-image.ts';
import { findForPlatform, findImage } from './images.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';

export type ProgramRequest = {
  readonly name: string;
  /** Absolute path of a program, library, script, or a folder of them. */
  readonly path: string;
  readonly platform: string | undefined;
};

/** Lines of a Dockerfile, the program's own first. Throws `image/not-found`, `oci/no-such-platform`, and what a `COPY --libs` of it would. */
export async function programCopies(
  engine: Engine,
  { name, path, platform }: ProgramRequest,
  report: Report,
  signal: AbortSignal,
): Promise<readonly string[]> {
  engine.hold();
  const image = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  const libs = libsOf(decodeImageConfig(image.config, image.imageId));
  const find = async (): Promise<readonly BroughtLibrary[]> => {
    const top = await unpackImage(engine, image, report, signal);
    if (top === undefined) throw new JettisonError('engine/no-libs', `"${name}" has no files`);
    return await broughtBy(engine, { top, path, libs }, report, signal);
  };
  const brought = await withoutLostSnapshots(engine, find, report, signal);
  return [{ source: path, destination: path }, ...brought].map((each) => fixOf({ ...each, stage: name }).line);
}

/** The copy itself, made once over nothing and thrown away: what it brings is what it would bring. */
async function broughtBy(
  engine: Engine,
  { top, path, libs }: { readonly top: SnapshotId; readonly path: string; readonly libs: CopyLibs },
  report: Report,
  signal: AbortSignal,
): Promise<readonly BroughtLibrary[]> {
  const op: FileOp = { kind: 'file', base: null, actions: [{ ...copyAs(path, path), libs }] };
  const worker = await engine.worker(signal);
  const request = {
    vertex: digestOf(path),
    op,
    inputs: [{ kind: 'snapshot', snapshot: top }],
    quietEnvironment: [],
    secrets: new Map<string, Uint8Array>(),
    agents: new Map(),
  } as const;
  const made = await worker.run(request, report, signal);
  try {
    const [brought = []] = await worker.listLibraries([made], signal);
    return brought;
  } finally {
    await worker.release([made], new AbortController().signal);
  }
}

/** As its own image starts it. */
function libsOf({ config = {} }: ImageConfig): CopyLibs {
  const environment = (config.Env ?? []).filter((variable) => /^(?:PATH|LD_LIBRARY_PATH)=/u.test(variable));
  return { environment, workingDirectory: config.WorkingDir ?? '' };
}
