import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { noAttributes, type TarEntry, type TarKind } from '../entry.ts';
import { badArchive, type Place } from './fail.ts';
import type { Header } from './header.ts';
import { paxAttributes, paxNumber, paxText, paxTime, type Pax } from './pax.ts';

/** Extension headers that stand before an entry. */
export type Extensions = { pax: Pax | undefined; longName: ByteString | undefined; longLink: ByteString | undefined; count: number };

/** An entry and how many bytes of content the archive holds for it (a sparse file's map included). */
export type BuiltEntry = { readonly entry: TarEntry; readonly stored: number };

const kinds: ReadonlyMap<string, TarKind> = new Map([
  ['0', 'file'],
  ['\0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hard-link'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'folder'],
  ['6', 'fifo'],
]);
/** 2^32 - 1 means "leave as it is" to chown(2). */
const largestId = 0xfffffffe;
const nothing = asByteString('');

/** What a header and the extensions before it say together; `pax` holds global values too. */
export function buildEntry(header: Header, extensions: Extensions, headerPlace: Place & { readonly pax: Pax }): BuiltEntry {
  const { pax } = headerPlace;
  const name = paxText(pax, 'GNU.sparse.name', headerPlace) ?? paxText(pax, 'path', headerPlace) ?? extensions.longName ?? header.name;
  const place = { offset: headerPlace.offset, name };
  const kind = kindOf(header, name);
  if (kind === undefined) throw badArchive('unsupported', `its type "${header.typeFlag}" is not known`, place);
  const isLink = kind === 'symlink' || kind === 'hard-link';
  const isDevice = kind === 'character-device' || kind === 'block-device';
  const stored = kind === 'file' ? (paxNumber(pax, 'size', place) ?? header.size) : 0;
  const entry: TarEntry = {
    name: withoutSlash(name),
    kind,
    mode: header.mode,
    uid: checkId('user ID', paxNumber(pax, 'uid', place) ?? header.uid, place),
    gid: checkId('group ID', paxNumber(pax, 'gid', place) ?? header.gid, place),
    size: kind === 'file' ? (paxNumber(pax, 'GNU.sparse.realsize', place) ?? paxNumber(pax, 'GNU.sparse.size', place) ?? stored) : 0,
    mtime: paxTime(pax, 'mtime', place) ?? BigInt(header.mtime) * 1_000_000_000n,
    linkName: isLink ? (paxText(pax, 'linkpath', place) ?? extensions.longLink ?? header.linkName) : nothing,
    device: isDevice ? { major: header.major, minor: header.minor } : undefined,
    xattrs: paxAttributes(pax, place) ?? noAttributes,
  };
  return { entry, stored };
}

/** In v7 archives a folder is a file whose name ends in a slash. */
function kindOf(header: Header, name: ByteString): TarKind | undefined {
  return header.typeFlag === '\0' && name.endsWith('/') ? 'folder' : kinds.get(header.typeFlag);
}

function checkId(what: string, id: number, place: Place): number {
  if (id > largestId) throw badArchive('bad-header', `its ${what} ${id} is too large`, place);
  return id;
}

/** Without slashes at the end; a name of slashes only is the root, `/`. */
function withoutSlash(name: ByteString): ByteString {
  if (!name.endsWith('/')) return name;
  let end = name.length;
  while (end > 1 && name[end - 1] === '/') end--;
  return asByteString(name.slice(0, end));
}
