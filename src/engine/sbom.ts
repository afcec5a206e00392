/** `jettison sbom`: which packages an image has, as an SPDX document. */
import type { Json } from '#ground/base/canonical-json.ts';
import { distinctPackages } from '#formats/packages/catalog.ts';
import { spdxDocument, type SpdxSubject } from '#formats/packages/spdx.ts';
import { purlOf, type Package } from '#formats/packages/package.ts';
import type { Report } from '#formats/progress/event.ts';
import { noSuchImage, type ImageRecord } from '#stores/image/store.ts';
import type { PackageList } from '#execution/worker/contract.ts';
import { unpackImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';
import { version } from './version.ts';

export type Sbom = {
  readonly packages: readonly Package[];
  /** SPDX 2.3, as JSON has it. */
  readonly document: Json;
  /** Databases that are there and that nobody here can read. */
  readonly unread: readonly string[];
};

/** Reads the packages of an image of the store. Throws `image/not-found`. */
export async function sbomOf(engine: Engine, name: string, report: Report, signal: AbortSignal): Promise<Sbom> {
  engine.hold();
  const record = engine.images.find(name);
  if (record === undefined) throw noSuchImage(name, '"jettison images" lists what is here; "jettison pull" brings others');
  const list = await withoutLostSnapshots(engine, async () => await packagesOf(engine, record, report, signal), report, signal);
  const packages = distinctPackages(list.packages, purlOf);
  return { packages, document: describePackages({ name, digest: record.imageId }, list, record.created), unread: list.unread };
}

/** The SPDX document of what was found; `created`: milliseconds since the epoch. The same packages give the same document. */
export function describePackages(subject: Pick<SpdxSubject, 'name' | 'digest'>, list: PackageList, created: number): Json {
  const { distribution, packages, unread } = list;
  return spdxDocument({ ...subject, distribution }, packages, { tool: `jettison-${version}`, created, unread });
}

async function packagesOf(engine: Engine, record: ImageRecord, report: Report, signal: AbortSignal): Promise<PackageList> {
  const top = await unpackImage(engine, record, report, signal);
  const worker = await engine.worker(signal);
  return await worker.findPackages(top, signal);
}
