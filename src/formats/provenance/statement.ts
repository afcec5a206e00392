/** In-toto's statement, version 0.1, as BuildKit writes it: https://github.com/in-toto/attestation/blob/main/spec/v0.1.0/statement.md */
import { joinBytes } from '#ground/base/bytes.ts';
import { hexOf, type Digest } from '#ground/base/digest.ts';

export type Subject = { readonly name: string; readonly digest: Digest };

/** `predicate`: JSON, which stays as it is, byte for byte. */
export type Predicated = { readonly predicateType: string; readonly predicate: Uint8Array };

/** The statement as JSON. */
export function statementBytes(subjects: readonly Subject[], { predicateType, predicate }: Predicated): Uint8Array<ArrayBuffer> {
  const subject = subjects.map(({ name, digest }) => ({ name, digest: { sha256: hexOf(digest) } }));
  const head = JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', predicateType, subject });
  const encoder = new TextEncoder();
  return joinBytes([encoder.encode(`${head.slice(0, -1)},"predicate":`), predicate, encoder.encode('}')]);
}
