/** A reader of eStargz by its specification (stargz-snapshotter, docs/estargz.md): from the footer to the table of contents, from there to each chunk, each checked by its digest. */
import assert from 'node:assert/strict';
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { digestOf } from '#ground/base/digest.ts';

export type TocEntry = {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size?: number;
  readonly modtime?: string;
  readonly linkName?: string;
  readonly offset?: number;
  readonly digest?: string;
  readonly devMajor?: number;
  readonly devMinor?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly chunkOffset?: number;
  readonly chunkSize?: number;
  readonly chunkDigest?: string;
};

export type EstargzRead = {
  readonly tocDigest: string;
  /** Of all that comes out of the gzip data, and its length. */
  readonly diffId: string;
  readonly size: number;
  readonly entries: readonly TocEntry[];
  /** Bytes of the files, put together from their chunks. */
  readonly files: ReadonlyMap<string, Uint8Array>;
};

const footerLength = 51;

/** Fails the test where the blob is not what the specification says. */
export function readEstargz(blob: Buffer): EstargzRead {
  const footer = blob.subarray(-footerLength);
  assert.deepEqual([...footer.subarray(0, 4)], [0x1f, 0x8b, 8, 4], 'a gzip header with an extra field');
  assert.equal(footer.readUInt16LE(10), 26);
  assert.equal(footer.toString('latin1', 12, 14), 'SG');
  assert.equal(footer.readUInt16LE(14), 22);
  const said = /^([0-9a-f]{16})STARGZ$/u.exec(footer.toString('latin1', 16, 38));
  assert.ok(said?.[1], 'the offset of the table');
  assert.deepEqual([...footer.subarray(38)], [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(gunzipSync(footer).length, 0);

  const tocMember = member(blob, Number.parseInt(said[1], 16));
  assert.equal(tocMember.end, blob.length - footerLength, 'the table is the last member before the footer');
  const { bytes } = tocMember;
  assert.equal(bytes.toString('latin1', 0, 17), 'stargz.index.json');
  const length = Number.parseInt(bytes.toString('latin1', 124, 135), 8);
  const json = bytes.subarray(512, 512 + length);
  assert.ok(bytes.subarray(512 + length).every((byte) => byte === 0) && bytes.length % 512 === 0, 'it is the last entry of its archive');
  const toc = JSON.parse(json.toString()) as { readonly version: number; readonly entries: readonly TocEntry[] };
  assert.equal(toc.version, 1);
  const whole = gunzipSync(blob);
  return {
    tocDigest: digestOf(json),
    diffId: digestOf(whole),
    size: whole.length,
    entries: toc.entries,
    files: readFiles(blob, toc.entries),
  };
}

function readFiles(blob: Buffer, entries: readonly TocEntry[]): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const digests = new Map<string, string | undefined>();
  const sizes = new Map(entries.flatMap(({ type, name, size = 0 }) => (type === 'reg' ? [[name, size] as const] : [])));
  for (const { name, type, offset, chunkOffset = 0, chunkSize, chunkDigest, digest } of entries) {
    if (type !== 'reg' && type !== 'chunk') continue;
    const size = sizes.get(name) ?? 0;
    if (type === 'reg') digests.set(name, digest);
    if (size === 0) {
      files.set(name, new Uint8Array());
      continue;
    }
    const before = files.get(name) ?? new Uint8Array();
    assert.equal(before.length, chunkOffset, `chunks of ${name} follow each other`);
    assert.ok(offset !== undefined);
    const bytes = member(blob, offset).bytes.subarray(0, chunkSize ?? size - chunkOffset);
    assert.equal(digestOf(bytes), chunkDigest, `a chunk of ${name}`);
    files.set(name, Buffer.concat([before, bytes]));
  }
  for (const [name, bytes] of files) if (bytes.length > 0) assert.equal(digestOf(bytes), digests.get(name), name);
  return files;
}

/** What the gzip member at `offset` holds, and where it ends. */
function member(blob: Buffer, offset: number): { readonly bytes: Buffer; readonly end: number } {
  assert.deepEqual([...blob.subarray(offset, offset + 4)], [0x1f, 0x8b, 8, 0], `a gzip header at ${offset}`);
  const { buffer, engine } = inflateRawSync(blob.subarray(offset + 10), { info: true }) as unknown as {
    readonly buffer: Buffer;
    readonly engine: { readonly bytesWritten: number };
  };
  return { bytes: buffer, end: offset + 10 + engine.bytesWritten + 8 };
}
