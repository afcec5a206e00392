/**
 * Names of files are bytes, not text. Inside jettison they are strings with one character (U+0000..U+00FF) a byte ("latin1"):
 * they compare and sort in byte order and can be keys of a Map. Only text that a person typed or reads goes through UTF-8.
 * node:fs reads them with `{encoding: 'latin1'}`; hand them to node:fs as `nodePath(name)`.
 */
declare const brand: unique symbol;
export type ByteString = string & { readonly [brand]: 'ByteString' };

const encoder = new TextEncoder();
/** Keeps a byte order mark: it is part of a name. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Like `toText` without `Buffer`: both also run in browsers. */
export function fromText(text: string): ByteString {
  if (/^[\u0000-\u007f]*$/u.test(text)) return mint(text);
  let name = '';
  for (const byte of encoder.encode(text)) name += String.fromCharCode(byte);
  return mint(name);
}

export function toText(name: ByteString): string {
  if (/^[\u0000-\u007f]*$/u.test(name)) return name;
  const bytes = new Uint8Array(name.length);
  for (let index = 0; index < name.length; index++) bytes[index] = name.charCodeAt(index);
  return decoder.decode(bytes);
}

export function fromBytes(bytes: Uint8Array): ByteString {
  return mint(view(bytes).toString('latin1'));
}

export function bytesOf(name: ByteString): Uint8Array {
  // oxlint-disable-next-line no-restricted-globals
  return Buffer.from(name, 'latin1');
}

/** A path for node:fs, which takes text as UTF-8 and bytes as they are; text, being quicker, where both are the same. */
export function nodePath(name: ByteString): string | Buffer {
  return /^[\u0000-\u007f]*$/u.test(name) ? name : view(bytesOf(name));
}

/** For strings that node:fs gave with `encoding: 'latin1'`, and for pieces of byte strings put together. */
export function asByteString(latin1: string): ByteString {
  return mint(latin1);
}

function view(bytes: Uint8Array) {
  // oxlint-disable-next-line no-restricted-globals
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function mint(text: string): ByteString {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return text as ByteString;
}
