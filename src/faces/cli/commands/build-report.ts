/** `--report STAGE:PATH=FOLDER` */
import { resolve } from 'node:path';
import type { ReportRequest } from '#engine/build-requests.ts';
import { badValue } from '../option.ts';

/** Throws `cli/bad-value`. */
export function readReport(given: string, currentFolder: string): ReportRequest {
  const found = /^([^:=/\s]+):(\/[^=]*)=(.+)$/su.exec(given);
  const [, stage = '', path = '', folder = ''] = found ?? [];
  if (found === null) throw badValue('report', given, 'use "STAGE:/PATH=FOLDER"');
  return { stage, path, folder: resolve(currentFolder, folder) };
}
