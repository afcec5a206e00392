/** What a build says about its images: their provenance, and which packages they have. */
import { printPlatform } from '#formats/oci/platform.ts';
import { predicate, provenanceTypes, withoutDetails } from '#formats/provenance/predicate.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { digestOf } from '#ground/base/digest.ts';
import type { Predicate } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { BuildOutcome } from './build-requests.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
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
    const sbom = request.attestations?.sbom === true ? [await packagesOf(exporting, about, signal)] : [];
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

async function packagesOf({ engine, report, guard }: Exporting, { result, image }: About, signal: AbortSignal): Promise<Statement> {
  const { describePackages } = await import('./sbom.ts');
  const platform = printPlatform(result.platform);
  const step = { vertex: digestOf(`sbom of ${platform}`), text: `[${platform}] generating sbom` };
  const work = async (): Promise<Json> => {
    const worker = await engine.worker(signal);
    const list = await worker.findPackages(result.top, signal);
    const subject = { name: 'sbom', digest: image?.imageId ?? digestOf('') };
    const document = describePackages(subject, list, image?.created ?? 0);
    guard.checkDocument('the list of packages', document);
    if (list.unread.length > 0) report({ kind: 'note', text: `Warning: not in the list of packages: ${list.unread.join(', ')}` });
    return document;
  };
  const document = await showAsStep({ engine, report, step }, work, signal);
  return { predicateType: spdxType, bytes: toBytes(document), fileName: 'sbom.spdx.json', isInlineOnly: false };
}

/** Go's indent, as BuildKit has it: people read it as a file. */
function toBytes(document: Json): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document, undefined, 2));
}
