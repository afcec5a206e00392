/** Files that a command leaves its result in: `--iidfile`, `--metadata-file`, `-o`. */
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';

/** The file is there only when it is whole; a device or pipe of that name is written to and stays. `what` names the content in the error. Throws `cli/cannot-write`. */
export function writeAtomically(file: string, content: string, what: string): void {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    if (isSpecial(file)) return writeFileSync(file, content);
    writeFileSync(draft, content, { flag: 'wx' });
    renameSync(draft, file);
  } catch (error) {
    // Where nobody may look into its folder it is not there, and this fails, too.
    if (systemCode(error) !== 'EACCES') rmSync(draft, { force: true });
    throw cannotWrite(file, what, error);
  }
}

/** What an earlier run left there; a device, a pipe or a folder stays. Throws `cli/cannot-write`. */
export function removeWritten(file: string, what: string): void {
  try {
    if (!isSpecial(file)) rmSync(file, { force: true });
  } catch (error) {
    throw cannotWrite(file, what, error);
  }
}

function cannotWrite(file: string, what: string, error: unknown): JettisonError {
  const full = fullDisk(error);
  return new JettisonError('cli/cannot-write', `Cannot write ${what} to "${file}": ${full ?? messageOf(error)}`, {
    fault: 'environment',
    cause: error,
    ...(full === undefined ? {} : { hint: fullDiskHint }),
  });
}

/** Is something there that is no file: `/dev/stdout`, `/dev/null`? */
function isSpecial(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() === false;
  } catch {
    return false;
  }
}
