/** The process that `startTending` starts: `tend-main.ts FOLDER`. */
import { setPriority } from 'node:os';
import { argv } from 'node:process';
import { tendStore } from './tend.ts';

const [, , folder] = argv;
if (folder !== undefined) {
  setPriority(19);
  void tendStore(folder);
}
