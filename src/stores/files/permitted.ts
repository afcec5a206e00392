/** What a user may not do with files: of others, here or in what is mounted in a container. */
import { toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';

/** What `action` gives. Throws `files/not-permitted`, which names `path`, where the kernel says that this user may not. */
export function permitted<T>(verb: 'read' | 'write', path: ByteString, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof JettisonError || (code !== 'EACCES' && code !== 'EPERM')) throw error;
    throw new JettisonError('files/not-permitted', `Cannot ${verb} "${toText(path)}": permission denied`, {
      fault: 'environment',
      hint: 'Its owner and mode decide who may, and those of the folders that lead there',
      cause: error,
    });
  }
}
