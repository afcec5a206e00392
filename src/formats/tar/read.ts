/**
 * Reads tar archives as they come, chunk by chunk and without waiting: ustar, v7, GNU (long names, base-256 numbers, sparse files), star
 * and pax with global headers. Names are given as stored: whoever makes files of them decides where they may lead.
 */
import { asByteString, fromBytes, type ByteString } from '#ground/base/byte-string.ts';
import { unreachable } from '#ground/base/errors.ts';
import { blockSize, tarLimits, type TarEntry, type TarLimits } from './entry.ts';
import { buildEntry, type BuiltEntry, type Extensions } from './reading/build-entry.ts';
import { badArchive } from './reading/fail.ts';
import { hasGoodChecksum, isZeroBlock, parseHeader, type Header } from './reading/header.ts';
import { applyPax, mergeGlobal, noPax, parsePax, type Pax } from './reading/pax.ts';
import {
  checkRegions,
  createDataMap,
  hasMapInData,
  oldBlockMap,
  oldHeaderMap,
  paxMap,
  type DataMap,
  type Regions,
} from './reading/sparse.ts';

export type TarHandlers = {
  entry(entry: TarEntry): void;
  /** Bytes of the last entry's content at `offset`, in order; what is left out is zeros (sparse files). The view holds only during the call. */
  data(bytes: Uint8Array, offset: number): void;
  /** The last entry is complete. */
  entryEnd(): void;
};

export type TarReaderOptions = {
  readonly limits?: Partial<TarLimits>;
  /** May an archive end after an entry without the two blocks of zeros? Whoever checks a digest can allow it. */
  readonly endMarker?: 'needed' | 'optional';
};

export type TarReader = {
  /** Takes the next bytes; handlers are called before it returns. After the end marker bytes are ignored. */
  push(chunk: Uint8Array): void;
  /** There are no more bytes. Throws `tar/truncated` when the archive is not complete. */
  finish(): void;
};

/** What the reader waits for. */
type State =
  | { readonly kind: 'header' }
  | { readonly kind: 'extension'; readonly typeFlag: string; readonly bytes: Uint8Array; at: number }
  | OldMapState
  | DataMapState
  | ContentState
  | { readonly kind: 'padding'; left: number; readonly after: 'header' | 'entry-end' }
  | { readonly kind: 'end' };

/** More blocks of an old GNU map. */
type OldMapState = { readonly kind: 'old-map'; readonly pending: BuiltEntry; readonly regions: number[] };
/** A map (sparse format 1.0) before the data; `left` counts content bytes after what was read of it. */
type DataMapState = { readonly kind: 'data-map'; readonly pending: BuiltEntry; readonly map: DataMap; left: number };
/** Content: `within` bytes of region `region` were read. */
type ContentState = {
  readonly kind: 'content';
  readonly stored: number;
  readonly regions: Regions;
  region: number;
  within: number;
  left: number;
};

type Reader = {
  readonly handlers: TarHandlers;
  readonly limits: TarLimits;
  /** The start of a block that came in pieces. */
  readonly partial: Uint8Array;
  partialLength: number;
  state: State;
  offset: number;
  /** Of the entry at hand, for errors. */
  name: ByteString;
  zeroBlocks: number;
  global: Pax;
  globals: number;
  extensions: Extensions;
};

const noName = asByteString('');

/**
 * A reader that calls `handlers`. Errors name the entry and the byte: `tar/bad-header`, `tar/bad-checksum`, `tar/bad-pax`,
 * `tar/bad-sparse`, `tar/too-large`, `tar/unsupported`, `tar/truncated`. After an error the reader is of no more use.
 */
export function createTarReader(handlers: TarHandlers, options: TarReaderOptions = {}): TarReader {
  const reader: Reader = {
    handlers,
    limits: { ...tarLimits, ...options.limits },
    partial: new Uint8Array(blockSize),
    partialLength: 0,
    state: { kind: 'header' },
    offset: 0,
    name: noName,
    zeroBlocks: 0,
    global: noPax,
    globals: 0,
    extensions: noExtensions(),
  };
  return {
    push(chunk) {
      for (let at = 0; at < chunk.length;) {
        const count = take(reader, at === 0 ? chunk : chunk.subarray(at));
        at += count;
        reader.offset += count;
      }
    },
    finish() {
      if (reader.state.kind === 'end') return;
      const betweenEntries = reader.state.kind === 'header' && reader.partialLength === 0 && reader.extensions.count === 0;
      if (!betweenEntries || options.endMarker !== 'optional') throw badArchive('truncated', 'the archive ends too early', reader);
    },
  };
}

function noExtensions(): Extensions {
  return { pax: undefined, longName: undefined, longLink: undefined, count: 0 };
}

/** Takes what it can of `bytes`, at least one; gives how many. */
function take(reader: Reader, bytes: Uint8Array): number {
  const { state } = reader;
  switch (state.kind) {
    case 'end':
      return bytes.length;
    case 'content':
      return takeContent(reader, state, bytes);
    case 'extension': {
      const count = Math.min(bytes.length, state.bytes.length - state.at);
      state.bytes.set(bytes.subarray(0, count), state.at);
      state.at += count;
      if (state.at === state.bytes.length) endExtension(reader, state.typeFlag, state.bytes);
      return count;
    }
    case 'padding': {
      const count = Math.min(bytes.length, state.left);
      state.left -= count;
      if (state.left === 0) endPadding(reader, state.after);
      return count;
    }
    case 'header':
    case 'old-map':
    case 'data-map':
      return takeForBlock(reader, bytes);
    default:
      return unreachable(state, 'state of the tar reader');
  }
}

function takeForBlock(reader: Reader, bytes: Uint8Array): number {
  if (reader.partialLength === 0 && bytes.length >= blockSize) {
    takeBlock(reader, bytes.subarray(0, blockSize));
    return blockSize;
  }
  const count = Math.min(bytes.length, blockSize - reader.partialLength);
  reader.partial.set(bytes.subarray(0, count), reader.partialLength);
  reader.partialLength += count;
  if (reader.partialLength === blockSize) {
    reader.partialLength = 0;
    takeBlock(reader, reader.partial);
  }
  return count;
}

function takeBlock(reader: Reader, block: Uint8Array): void {
  if (reader.state.kind === 'old-map') takeOldMap(reader, reader.state, block);
  else if (reader.state.kind === 'data-map') takeDataMap(reader, reader.state, block);
  else takeHeader(reader, block);
}

function takeHeader(reader: Reader, block: Uint8Array): void {
  if (isZeroBlock(block)) {
    reader.zeroBlocks++;
    if (reader.zeroBlocks === 2 && reader.extensions.count > 0)
      throw badArchive('truncated', 'an extension header without its entry', reader);
    if (reader.zeroBlocks === 2) reader.state = { kind: 'end' };
    return;
  }
  reader.name = noName;
  if (reader.zeroBlocks > 0) throw badArchive('bad-header', 'a block of zeros stands between entries', reader);
  if (!hasGoodChecksum(block)) throw badArchive('bad-checksum', 'the header and its checksum do not agree', reader);
  const header = parseHeader(block, reader);
  reader.name = reader.extensions.longName ?? header.name;
  if ('xgXLK'.includes(header.typeFlag)) startExtension(reader, header);
  else startEntry(reader, header, block);
}

function startExtension(reader: Reader, header: Header): void {
  const { limits, extensions } = reader;
  extensions.count++;
  if (extensions.count > limits.extensions)
    throw badArchive('too-large', `more than ${limits.extensions} extension headers in a row`, reader);
  const limit = 'LK'.includes(header.typeFlag) ? limits.name + 1 : limits.pax;
  if (header.size > limit) throw badArchive('too-large', `an extension header of ${header.size} bytes; at most ${limit} are taken`, reader);
  reader.state = { kind: 'extension', typeFlag: header.typeFlag, bytes: new Uint8Array(header.size), at: 0 };
  if (header.size === 0) endExtension(reader, header.typeFlag, new Uint8Array(0));
}

function endExtension(reader: Reader, typeFlag: string, bytes: Uint8Array): void {
  const { extensions } = reader;
  if (typeFlag === 'L') extensions.longName = untilNul(bytes);
  else if (typeFlag === 'K') extensions.longLink = untilNul(bytes);
  else {
    const pax = parsePax(bytes, reader);
    if (typeFlag === 'g') {
      reader.global = mergeGlobal(reader.global, pax, reader);
      extensions.count--;
      countGlobal(reader);
    } else if (extensions.pax) throw badArchive('bad-pax', 'two extended headers for one entry', reader);
    else extensions.pax = pax;
  }
  startPadding(reader, bytes.length, 'header');
}

/** Global values live as long as the archive is read: they may not pile up. */
function countGlobal(reader: Reader): void {
  let size = 0;
  reader.globals++;
  if (reader.globals > reader.limits.globals) throw badArchive('too-large', `more than ${reader.limits.globals} global headers`, reader);
  for (const [key, value] of reader.global.values) size += key.length + value.length;
  if (size > reader.limits.pax) throw badArchive('too-large', `global headers of more than ${reader.limits.pax} bytes`, reader);
}

function startEntry(reader: Reader, header: Header, block: Uint8Array): void {
  const { limits } = reader;
  const pax = applyPax(reader.global, reader.extensions.pax ?? noPax);
  const built = buildEntry(header, reader.extensions, { offset: reader.offset, name: reader.name, pax });
  const { entry, stored } = built;
  reader.extensions = noExtensions();
  reader.name = entry.name;
  if (entry.name === '') throw badArchive('bad-header', 'an entry without a name', reader);
  if (Math.max(entry.name.length, entry.linkName.length) > limits.name)
    throw badArchive('too-large', `a name of more than ${limits.name} bytes`, reader);
  if (header.typeFlag === 'S') return startOldMap(reader, built, block);
  if (entry.kind === 'file' && hasMapInData(pax, reader)) {
    if (stored === 0) throw badArchive('bad-sparse', 'its map is missing', reader);
    reader.state = { kind: 'data-map', pending: built, map: createDataMap(limits.sparseMap, reader), left: stored };
    return undefined;
  }
  return startContent(reader, built, (entry.kind === 'file' ? paxMap(pax, reader) : undefined) ?? [0, stored]);
}

function startOldMap(reader: Reader, built: BuiltEntry, block: Uint8Array): void {
  const { regions, more, size } = oldHeaderMap(block, reader);
  const pending = { entry: { ...built.entry, size }, stored: built.stored };
  if (more) reader.state = { kind: 'old-map', pending, regions: [...regions] };
  else startContent(reader, pending, regions);
}

function takeOldMap(reader: Reader, state: OldMapState, block: Uint8Array): void {
  const { regions, more } = oldBlockMap(block, reader);
  const limit = reader.limits.sparseMap;
  state.regions.push(...regions);
  if (state.regions.length * 12 > limit) throw badArchive('too-large', `its sparse map is longer than ${limit} bytes`, reader);
  if (more && regions.length === 0) throw badArchive('bad-sparse', 'a block of its map is empty', reader);
  if (!more) startContent(reader, state.pending, state.regions);
}

function takeDataMap(reader: Reader, state: DataMapState, block: Uint8Array): void {
  const complete = state.map.push(block);
  state.left -= blockSize;
  if (state.left < 0 || (!complete && state.left === 0)) throw badArchive('bad-sparse', 'its map is longer than its content', reader);
  if (complete) startContent(reader, { entry: state.pending.entry, stored: state.left }, state.map.regions());
}

function startContent(reader: Reader, { entry, stored }: BuiltEntry, regions: Regions): void {
  checkRegions(regions, { size: entry.size, stored }, reader);
  reader.handlers.entry(entry);
  reader.state = { kind: 'content', stored, regions, region: 0, within: 0, left: stored };
  if (stored === 0) startPadding(reader, 0, 'entry-end');
}

function takeContent(reader: Reader, state: ContentState, bytes: Uint8Array): number {
  while (state.within === (state.regions[state.region + 1] ?? 0)) {
    state.region += 2;
    state.within = 0;
  }
  const start = state.regions[state.region] ?? 0;
  const count = Math.min(bytes.length, (state.regions[state.region + 1] ?? 0) - state.within);
  reader.handlers.data(count === bytes.length ? bytes : bytes.subarray(0, count), start + state.within);
  state.within += count;
  state.left -= count;
  if (state.left === 0) startPadding(reader, state.stored, 'entry-end');
  return count;
}

function startPadding(reader: Reader, size: number, after: 'header' | 'entry-end'): void {
  const left = (blockSize - (size % blockSize)) % blockSize;
  if (left > 0) reader.state = { kind: 'padding', left, after };
  else endPadding(reader, after);
}

function endPadding(reader: Reader, after: 'header' | 'entry-end'): void {
  reader.state = { kind: 'header' };
  if (after === 'entry-end') reader.handlers.entryEnd();
}

function untilNul(bytes: Uint8Array): ByteString {
  const end = bytes.indexOf(0);
  return fromBytes(end < 0 ? bytes : bytes.subarray(0, end));
}
