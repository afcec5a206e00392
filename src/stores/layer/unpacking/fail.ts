import { toText, type ByteString } from '#ground/base/byte-string.ts';
import { fullDisk, fullDiskHint, isCode, JettisonError, messageOf, refusedFile, systemCode } from '#ground/base/errors.ts';

/** A layer that says what it may not; `code` without its room. The unpacked part is of no use then. */
export function badLayer(code: string, name: ByteString, what: string): JettisonError {
  return new JettisonError(`layer/${code}`, `Bad layer: the entry "${toText(name).slice(0, 200)}" ${what}`, {
    hint: 'The image is damaged or hostile: do not use it, or have it made again',
  });
}

/** An error of the system while `name` was unpacked, as one for people; JettisonErrors stay as they are. */
export function unpackError(error: unknown, name: ByteString): unknown {
  if (isCode(error, 'linux/attribute-refused')) return cannotUnpack(error, name, error.message);
  const code = systemCode(error);
  if (error instanceof JettisonError || code === undefined) return error;
  const full = fullDisk(error);
  if (full !== undefined) {
    return new JettisonError('layer/disk-full', `Cannot unpack "${toText(name).slice(0, 200)}" of a layer: ${full}`, {
      fault: 'environment',
      cause: error,
      hint: fullDiskHint,
    });
  }
  return cannotUnpack(error, name, refusedFile(error) ?? messageOf(error).slice(0, 300));
}

function cannotUnpack(cause: unknown, name: ByteString, why: string): JettisonError {
  return new JettisonError('layer/cannot-unpack', `"${toText(name).slice(0, 200)}" of a layer cannot be unpacked: ${why}`, {
    fault: 'environment',
    hint: 'The image is hostile, or was made for another file system: have it made again, or use a store on another file system',
    cause,
  });
}
