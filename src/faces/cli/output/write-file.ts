/** Files that a command leaves its result in: `--iidfile`, `--metadata-file`, `-o`. */
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fullDisk, fullDiskHint, JettisonError, messageOf } from '#ground/base/errors.ts';

/** The file is there only when it is whole; a device or pipe of that name is written to and stays. `what` names the content in the error. Throws `cli/cannot-write`. */
export function writeAtomically(file: string, content: string, what: string): void {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    if (isSpecial(file)) return writeFileSync(file, content);
    writeFileSync(draft, content, { flag: 'wx' });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    const full = fullDisk(error);
    throw new JettisonError('cli/cannot-write', `Cannot write ${what} to "${file}": ${full ?? messageOf(error)}`, {
      fault: 'environment',
      cause: error,
      ...(full === undefined ? {} : { hint: fullDiskHint }),
    });
  }
}

/** What an earlier run left there; a device, a pipe or a folder stays. */
export function removeWritten(file: string): void {
  if (!isSpecial(file)) rmSync(file, { force: true });
}

/** Is something there that is no file: `/dev/stdout`, `/dev/null`? */
function isSpecial(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() === false;
  } catch {
    return false;
  }
}
