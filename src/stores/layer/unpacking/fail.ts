import { toText, type ByteString } from '#ground/base/byte-string.ts';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';

/** A layer that says what it may not; `code` without its room. The unpacked part is of no use then. */
export function badLayer(code: string, name: ByteString, what: string): JettisonError {
  return new JettisonError(`layer/${code}`, `Bad layer: the entry "${toText(name).slice(0, 200)}" ${what}`, {
    hint: 'The image is damaged or hostile: do not use it, or have it made again',
  });
}

/** An error of the system while `name` was unpacked, as one for people; JettisonErrors stay as they are. */
export function unpackError(error: unknown, name: ByteString): unknown {
  const code = systemCode(error);
  if (error instanceof JettisonError || code === undefined) return error;
  const shown = toText(name).slice(0, 200);
  const full = fullDisk(error);
  if (full !== undefined) {
    return new JettisonError('layer/disk-full', `Cannot unpack "${shown}" of a layer: ${full}`, {
      fault: 'environment',
      cause: error,
      hint: fullDiskHint,
    });
  }
  return new JettisonError('layer/cannot-unpack', `"${shown}" cannot be unpacked: ${messageOf(error)}`, {
    fault: 'environment',
    cause: error,
  });
}
