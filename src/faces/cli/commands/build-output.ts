import { resolve } from 'node:path';
import type { OutputRequest } from '#engine/build-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

const notBuiltTypes = ['local', 'tar', 'image', 'registry', 'cacheonly'];

/** `-o type=oci,dest=F[,compression=tar|gzip|zstd]`. Throws `cli/not-built` for what buildx has and we have not, `cli/bad-value` for the rest. */
export function readOutput(text: string, currentFolder: string): OutputRequest {
  const fields = splitFields(text).map(
    (field) => [field.split('=')[0]?.trim().toLowerCase() ?? '', field.slice(field.indexOf('=') + 1)] as const,
  );
  if (!text.includes('=')) throw notBuilt(`type=local,dest=${text}`, 'Files of an image cannot be written to a folder yet');
  const values = new Map(fields);
  const type = values.get('type');
  if (type === undefined) throw badValue('output', text, 'it has no "type"');
  if (notBuiltTypes.includes(type)) throw notBuilt(`type=${type}`, 'There is "type=oci" and "type=docker"');
  if (type !== 'oci' && type !== 'docker') throw badValue('output', text, 'there is "type=oci" and "type=docker"');
  for (const name of values.keys())
    if (!['type', 'dest', 'compression'].includes(name)) throw notBuilt(name, 'There is "type", "dest" and "compression"');
  const destination = values.get('dest') ?? '';
  if (destination === '') throw badValue('output', text, 'it has no "dest"');
  if (destination === '-') throw notBuilt('dest=-', 'Name a file');
  return { kind: type, destination: resolve(currentFolder, destination), compression: readCompression(values.get('compression'), text) };
}

function readCompression(word: string | undefined, text: string): OutputRequest['compression'] {
  if (word === undefined) return undefined;
  if (word === 'uncompressed' || word === 'tar') return 'tar';
  if (word === 'gzip' || word === 'zstd') return word;
  if (word === 'estargz') throw notBuilt('compression=estargz', 'There is "gzip", "zstd" and "uncompressed"');
  throw badValue('output', text, 'there is "gzip", "zstd" and "uncompressed" compression');
}

function notBuilt(what: string, hint: string): JettisonError {
  return new JettisonError('cli/not-built', `Output "${what}" is not built yet`, { hint });
}
