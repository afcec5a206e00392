/** What a build says about its images: their provenance, and which packages they have. */
import { printPlatform } from '#formats/oci/platform.ts';
import { predicate, provenanceTypes, withoutDetails } from '#formats/provenance/predicate.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { digestOf } from '#ground/base/digest.ts';
import type { Predicate } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { BuildOutcome } from './build-requests.ts';
import type { BuiltResult, Exporting, MadeScan } from './gather-cache.ts';
import { showAsStep } from './show-as-step.ts';

/** About the image of one result. */
export type Statements = readonly Statement[];

export type Statement = Pick<Predicate, 'predicateType'> & {
  /** The predicate. */
  readonly bytes: Uint8Array;
  /** Of the file that it is in beside those of a result. */
  readonly fileName: string;
  /** Not for files. */
  readonly isInlineOnly: boolean;
};

type Made = { readonly statements: readonly Statements[]; readonly provenance: BuildOutcome['provenance'] };

/** The type of an SPDX document as a predicate (in-toto, spec/predicates/spdx.md). */
const spdxType = 'https://spdx.dev/Document';

/** `images`: of the results, none where only files are wanted. Each is shown as a step. Throws `engine/secret-in-build`, and what asking for sources again throws. */
export async function makeStatements(exporting: Exporting, images: readonly ImageRecord[], signal: AbortSignal): Promise<Made> {
  const { request, results } = exporting;
  const statements: Statements[] = [];
  const provenance: BuildOutcome['provenance'][number][] = [];
  for (const [at, result] of results.entries()) {
    const about = { result, image: images[at] };
    const sbom = request.attestations?.sbom === true ? await packagesOf(exporting, about, signal) : [];
    const { statement, told } = await provenanceOf(exporting, about, signal);
    statements.push([...sbom, ...statement]);
    if (told !== undefined) provenance.push({ platform: printPlatform(result.platform), predicate: told });
  }
  return { statements, provenance };
}

type About = { readonly result: BuiltResult; readonly image: ImageRecord | undefined };

async function provenanceOf(exporting: Exporting, about: About, signal: AbortSignal) {
  const { request, guard, origin } = exporting;
  const asked = request.attestations?.provenance;
  const { told } = request;
  if (asked === undefined && told === undefined) return { statement: [], told: undefined };
  const { buildFacts } = await import('./build-facts.ts');
  const facts = await buildFacts(exporting, about, signal);
  const version = asked?.version ?? 'v1';
  const metadata = told === undefined ? undefined : told === 'max' ? predicate(facts, 'max', version) : withoutDetails(facts, version);
  const document = asked && predicate(facts, asked.mode, version);
  // The text of the Dockerfile is in it in base64, which hides what stands in it.
  guard.checkDocument('the provenance', [document, ...(asked?.mode === 'max' || told === 'max' ? [origin.source.text] : []), metadata]);
  if (asked === undefined || document === undefined) return { statement: [], told: metadata };
  const { isInlineOnly, fileName } = asked;
  return { statement: [{ predicateType: provenanceTypes[version], bytes: toBytes(document), fileName, isInlineOnly }], told: metadata };
}

/** The list of the result first, as readers take the first one for the image's; then those of the stages and of the context that the Dockerfile names. */
async function packagesOf(exporting: Exporting, { result, image }: About, signal: AbortSignal): Promise<Statements> {
  const { engine, report } = exporting;
  const platform = printPlatform(result.platform);
  const step = { vertex: digestOf(`sbom of ${platform}`), text: `[${platform}] generating sbom` };
  const created = image?.created ?? 0;
  const work = async (): Promise<Statements> => {
    const own = await listOf(exporting, { name: 'sbom', digest: image?.imageId, top: result.top, created }, signal);
    const others: Statement[] = [];
    for (const scan of result.scans) others.push(await listOf(exporting, { ...scan, name: `sbom-${scan.name}`, created }, signal));
    return [own, ...others];
  };
  return await showAsStep({ engine, report, step }, work, signal);
}

async function listOf(
  { engine, guard, report }: Exporting,
  { name, digest, top, created }: MadeScan & { readonly created: number },
  signal: AbortSignal,
): Promise<Statement> {
  const { describePackages } = await import('./sbom.ts');
  const worker = await engine.worker(signal);
  const list = await worker.findPackages(top, signal);
  const document = describePackages({ name, digest: digest ?? digestOf('') }, list, created);
  guard.checkDocument('the list of packages', document);
  if (list.unread.length > 0) report({ kind: 'note', text: `Warning: not in the list of packages: ${list.unread.join(', ')}` });
  return { predicateType: spdxType, bytes: toBytes(document), fileName: `${name}.spdx.json`, isInlineOnly: false };
}

/** Go's indent, as BuildKit has it: people read it as a file. */
function toBytes(document: Json): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document, undefined, 2));
}
