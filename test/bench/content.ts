/** Content of build contexts: always the same bytes for the same seed, at memory speed. */
import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { asByteString } from '#ground/base/byte-string.ts';
import { noAttributes } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';

/** An endless stream of bytes that do not shrink: AES-CTR over zeros. Gives the next `size` bytes at each call. */
export function randomBytesOf(seed: string): (size: number) => Uint8Array {
  const cipher = createCipheriv('aes-128-ctr', createHash('sha256').update(seed).digest().subarray(0, 16), new Uint8Array(16));
  return (size) => cipher.update(new Uint8Array(size));
}

/** The same as text in lines of 76 characters, which shrinks to about three quarters. */
function textOf(seed: string): (size: number) => Uint8Array {
  const random = randomBytesOf(seed);
  return (size) =>
    Buffer.from(
      Buffer.from(random(Math.ceil(size * 0.75)))
        .toString('base64')
        .replaceAll(/.{76}/gu, '$&\n')
        .slice(0, size)
        .padEnd(size, '\n'),
    );
}

export type Forest = {
  readonly seed: string;
  readonly folders: number;
  /** In each folder. */
  readonly files: number;
  /** Bytes of each file. */
  readonly size: number;
};

function fourDigits(value: number): string {
  return String(value).padStart(4, '0');
}

function* filesOf(forest: Forest): Generator<{ readonly name: string; readonly bytes: Uint8Array }> {
  const text = textOf(forest.seed);
  for (let folder = 0; folder < forest.folders; folder++) {
    for (let file = 0; file < forest.files; file++) {
      yield { name: `p${fourDigits(folder)}/lib/sub/f${fourDigits(file)}.js`, bytes: text(forest.size) };
    }
  }
}

/** Writes folders of text files three levels deep, as a folder of node packages has them. */
export function writeForest(folder: string, forest: Forest): void {
  let made = '';
  for (const { name, bytes } of filesOf(forest)) {
    const parent = join(folder, dirname(name));
    if (parent !== made) mkdirSync(parent, { recursive: true });
    made = parent;
    writeFileSync(join(folder, name), bytes);
  }
}

/** The same as a tar archive, without making its files. */
export function writeForestTar(path: string, forest: Forest): void {
  const output = openSync(path, 'w');
  const entry = { uid: 0, gid: 0, mtime: 1_700_000_000_000_000_000n, linkName: asByteString(''), device: undefined, xattrs: noAttributes };
  let parent = '';
  for (const { name, bytes } of filesOf(forest)) {
    for (const above of [dirname(dirname(dirname(name))), dirname(dirname(name)), dirname(name)]) {
      if (parent.startsWith(above)) continue;
      writeSync(output, encodeHeader({ ...entry, kind: 'folder', name: asByteString(above), mode: 0o755, size: 0 }));
    }
    parent = dirname(name);
    writeSync(output, encodeHeader({ ...entry, kind: 'file', name: asByteString(name), mode: 0o644, size: bytes.length }));
    writeSync(output, bytes);
    writeSync(output, new Uint8Array(paddingOf(bytes.length)));
  }
  writeSync(output, endOfArchive());
  closeSync(output);
}

/** A file of `size` bytes of a web server's log, which shrinks to about a fifth. */
export function writeLogFile(path: string, size: number, seed: string): void {
  const random = randomBytesOf(seed);
  const output = openSync(path, 'w');
  for (let at = 0, line = 0; at < size;) {
    const numbers = new DataView(random(4096 * 12).buffer);
    let text = '';
    for (let index = 0; index < 4096; index++, line++) text += logLine(line, index * 12, numbers);
    const bytes = Buffer.from(text).subarray(0, size - at);
    writeSync(output, bytes);
    at += bytes.length;
  }
  closeSync(output);
}

function logLine(line: number, at: number, random: DataView): string {
  const address = [0, 1, 2, 3].map((index) => random.getUint8(at + index)).join('.');
  const second = String(line % 60).padStart(2, '0');
  const path = `/shop/items/${random.getUint16(at + 4)}?page=${random.getUint8(at + 6) % 20}`;
  const status = random.getUint8(at + 7) < 240 ? 200 : 404;
  return `${address} - - [21/Nov/2026:10:${String(Math.floor(line / 60) % 60).padStart(2, '0')}:${second} +0000] "GET ${path} HTTP/1.1" ${status} ${random.getUint16(at + 8)} "-" "Mozilla/5.0 (X11; Linux x86_64)"\n`;
}

/** A file of `size` bytes that do not shrink. */
export function writeRandomFile(path: string, size: number, seed: string): void {
  const random = randomBytesOf(seed);
  const block = 1 << 22;
  const output = openSync(path, 'w');
  for (let at = 0; at < size; at += block) writeSync(output, random(Math.min(block, size - at)));
  closeSync(output);
}
