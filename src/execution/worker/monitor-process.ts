/** Starting the process that holds a container: the engine's own script, in a process of its own that outlives the command. */
import { writeSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';
import { startReporting, type ReportingProcess } from '#ground/linux/spawn.ts';

export type { ReportingProcess } from '#ground/linux/spawn.ts';

const reportFile = 3;

/** Starts `script` with this Node; it reports by `report`. */
export async function startMonitorProcess(
  script: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<ReportingProcess> {
  return await startReporting({ command: process.execPath, arguments: [script, ...words], environment });
}

/** Of a monitor: says a line to who started it, if that is still there. */
export function report(line: string): void {
  try {
    writeSync(reportFile, `${line}\n`);
  } catch (error) {
    if (systemCode(error) !== 'EPIPE' && systemCode(error) !== 'EBADF') throw error;
  }
}
